"""Golden vectors: those that the run itself gives fixed sentences.

The sentences are package data (`golden_sentences.json`): everyday sentences in
100 languages, and texts on which tokenizers and padding go wrong. The vectors
are computed by the Python encoder, never by a SavedModel, so that a SavedModel
can be compared with them.
"""

import json
import pathlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tensorflow as tf

from export import layout

if TYPE_CHECKING:  # Verification does not import the model's code.
    from labse.modeling.sentence_encoder import SentenceEncoder
    from labse.preprocessing.tokenizer import WordPieceTokenizer

_SENTENCES = pathlib.Path(__file__).with_name("golden_sentences.json")
_BATCH = 16


class Golden(NamedTuple):
    """Sentences with the ids and vectors of the source run."""

    texts: list[str]
    names: list[str]  # the language, or the case that is tested
    ids: list[list[int]]  # with [CLS] and [SEP], without padding
    truncated: list[bool]
    embeddings: np.ndarray  # float32 [n, dim]
    pooled: np.ndarray  # float32 [n, dim], before normalisation


def read_sentences() -> tuple[list[str], list[str]]:
    """The texts of the package and their names."""
    rows = json.loads(_SENTENCES.read_text(encoding="utf-8"))
    names = [row.get("language") or row["case"] for row in rows]
    return [row["text"] for row in rows], names


def compute_golden(
    encoder: "SentenceEncoder", tokenizer: "WordPieceTokenizer", max_length: int
) -> Golden:
    """Embeds the package's sentences with the Python encoder."""
    texts, names = read_sentences()
    inputs, num_tokens, truncated = tokenizer(tf.constant(texts), max_length)
    inputs = {name: value.numpy() for name, value in inputs.items()}
    num_tokens = num_tokens.numpy()
    dim = encoder.config.hidden_size
    embeddings = np.empty([len(texts), dim], np.float32)
    pooled = np.empty_like(embeddings)
    # Sentences of similar length together: less padding.
    order = np.argsort(num_tokens, kind="stable")
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        length = num_tokens[rows].max()
        outputs = encoder.all_outputs(
            {
                name: tf.constant(value[rows, :length])
                for name, value in inputs.items()
            }
        )
        embeddings[rows] = outputs["default"]
        pooled[rows] = outputs["pooled_output"]
    word_ids = inputs["input_word_ids"]
    ids = [
        row[:length].tolist()
        for row, length in zip(word_ids, num_tokens, strict=True)
    ]
    cut = truncated.numpy().tolist()
    return Golden(texts, names, ids, cut, embeddings, pooled)


def write_golden(golden: Golden, folder: pathlib.Path) -> None:
    """Writes `golden.json` and `golden.npz`."""
    rows = zip(
        golden.names, golden.texts, golden.ids, golden.truncated, strict=True
    )
    keys = ("name", "text", "input_word_ids", "truncated")
    lines = ",\n".join(
        json.dumps(dict(zip(keys, row, strict=True)), ensure_ascii=False)
        for row in rows
    )
    (folder / layout.GOLDEN_SENTENCES).write_text(
        f"[\n{lines}\n]\n", encoding="utf-8"
    )
    np.savez(
        folder / layout.GOLDEN_VECTORS,
        embedding=golden.embeddings,
        pooled_output=golden.pooled,
    )


def read_golden(folder: pathlib.Path) -> Golden:
    """Reads what `write_golden` wrote."""
    rows = json.loads(
        (folder / layout.GOLDEN_SENTENCES).read_text(encoding="utf-8")
    )
    with np.load(folder / layout.GOLDEN_VECTORS) as vectors:
        embeddings, pooled = vectors["embedding"], vectors["pooled_output"]
    return Golden(
        [row["text"] for row in rows],
        [row["name"] for row in rows],
        [row["input_word_ids"] for row in rows],
        [row["truncated"] for row in rows],
        embeddings,
        pooled,
    )
