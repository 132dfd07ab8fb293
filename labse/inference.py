"""Loads a model to ask: `labse.load(path).encode(sentences)`."""

import os
import pathlib

import numpy as np
import tensorflow as tf

from labse import fingerprint
from labse.checkpoints import run_folder
from labse.errors import InputError
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.sentence_model import SentenceModel
from labse.text_saved_model import TextSavedModel

# The model's name for each precision that `load` takes.
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}

_TAKEN = (
    "labse.load takes a run folder (config.yaml inside), an export folder "
    "(text/saved_model.pb inside), a SavedModel folder (saved_model.pb "
    "inside) that turns strings into vectors, or a TF Hub handle (URL) of one"
)


class EncoderModel(SentenceModel):
    """An encoder of this process, with the weights that it has now."""

    def __init__(
        self,
        encoder: SentenceEncoder,
        tokenizer: WordPieceTokenizer,
        max_length: int,
        fingerprint: str = "",
    ):
        """Takes the weights as they are; training later changes nothing here.

        Args:
          encoder: a built encoder.
          tokenizer: with the vocabulary of the encoder.
          max_length: most tokens of a sentence, [CLS] and [SEP] included.
          fingerprint: changes with the weights and the vocabulary.
        """
        self.dimension = encoder.config.hidden_size
        self.max_length = max_length
        self.fingerprint = fingerprint
        # Eager tensors: captured by the graph they are neither cast again at
        # each call nor copied into it.
        blocks = encoder.transformer.block_weights()
        pieces_spec = tf.TensorSpec([None], tf.int32)
        integers = tf.TensorSpec([None], tf.int64)

        @tf.function(
            input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
        )
        def tokenize(texts):
            pieces = tokenizer.tokenize(texts)[:, : self.max_length]
            return pieces.values, pieces.row_splits

        @tf.function(
            input_signature=[pieces_spec, integers, integers], autograph=False
        )
        def embed(values, row_splits, rows):
            pieces = tf.RaggedTensor.from_row_splits(
                values, row_splits, validate=False
            )
            inputs = tokenizer.pack(tf.gather(pieces, rows), self.max_length)
            return encoder(inputs, training=False, blocks=blocks)

        self._tokenize, self._embed_rows = tokenize, embed

    def _prepare(self, texts):
        pieces = self._tokenize(tf.constant(texts, tf.string))
        num_tokens = np.diff(pieces[1].numpy()) + 2  # [CLS] and [SEP]
        return np.minimum(num_tokens, self.max_length), pieces

    def _embed(self, prepared, rows):
        return self._embed_rows(*prepared, tf.constant(rows)).numpy()


def _load_run(path: str, precision: str) -> EncoderModel:
    encoder, config, vocabulary = run_folder.load_encoder(
        path, PRECISIONS[precision]
    )
    return EncoderModel(
        encoder,
        WordPieceTokenizer(vocabulary, config.tokenizer.max_bytes_per_word),
        config.tokenizer.max_length,
        fingerprint.of_run(path, precision),
    )


def load(path: str | os.PathLike, precision: str = "float32") -> SentenceModel:
    """Loads a model that turns sentences into vectors.

    Args:
      path: a run folder; an export folder, or the SavedModel folder inside
        that takes strings; a TF Hub handle of a model that takes strings.
      precision: of the matmuls, "float32" or "bfloat16". Vectors are float32
        either way. In bfloat16 an untrained BERT Base was 0.0043 away from
        its float32 vectors (Euclidean, at most, 150 sentences of Tatoeba),
        and a vector moved by as much, 0.0041, with the size of its batch. A
        SavedModel has the precision that it was saved with.

    Returns:
      the model: ask it with `encode`.

    Raises:
      InputError: `path` is none of these, or not sound.
    """
    if precision not in PRECISIONS:
        raise InputError(
            f"precision must be one of {', '.join(PRECISIONS)}. "
            f"Received: {precision!r}."
        )
    if not isinstance(path, str | os.PathLike):
        raise InputError(
            f"{_TAKEN}. Received an object of type {type(path).__name__}."
        )
    path = os.fspath(path)
    if run_folder.is_run_folder(path):
        return _load_run(path, precision)
    saved_model = _saved_model_path(path)
    if precision != "float32":
        raise InputError(
            "A SavedModel computes in the precision that it was saved with. "
            f"Received precision={precision!r} for {path}. Load the run "
            "folder it was exported from, or leave out the precision."
        )
    return TextSavedModel(saved_model)


def _saved_model_path(path: str) -> str:
    """The SavedModel's folder or handle that `path` stands for."""
    if "://" in path:
        return path
    folder = pathlib.Path(path)
    for candidate in (folder / "text", folder):
        if (candidate / "saved_model.pb").is_file():
            return str(candidate)
    if not folder.exists():
        raise InputError(f"{_TAKEN}. Received {path!r}, which does not exist.")
    if not folder.is_dir():
        raise InputError(f"{_TAKEN}. Received the file {path!r}.")
    if (folder / "config.json").is_file():
        raise InputError(
            f"{_TAKEN}. Received {path!r}, which looks like a Hugging Face "
            "folder (config.json inside); these are not read yet."
        )
    names = sorted(entry.name for entry in folder.iterdir())
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    raise InputError(
        f"{_TAKEN}. Received the folder {path!r}, which holds "
        f"{shown or 'nothing'}."
    )
