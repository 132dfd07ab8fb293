"""Sentences a second: this tokenizer against Hugging Face's, in one run.

  python benchmarks/tokenizer.py --vocab=vocab.txt [--input=pairs.tsv]

Without --input the sentences are those of tatoeba_v1 in LABSE_DATA_DIR. The
ids of both are compared first: a fast wrong answer counts for nothing.
"""

import argparse
import glob
import os
import time

import numpy as np
import tensorflow as tf
import tokenizers

from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import UNK, Vocabulary

BATCH = 1024
GOAL = 5.0


def read_sentences(path: str | None) -> list[str]:
    """The cells of a TSV, or the sentences of tatoeba_v1."""
    if path:
        paths = [path]
    else:
        folder = os.path.join(os.environ["LABSE_DATA_DIR"], "tatoeba_v1")
        paths = sorted(glob.glob(os.path.join(folder, "tatoeba.*-eng.*")))
    sentences = []
    for name in paths:
        with open(name, encoding="utf-8", newline="\n") as file:
            for line in file:
                sentences += [cell for cell in line[:-1].split("\t") if cell]
    return sentences


def huggingface_tokenizer(vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    """The cased BERT tokenizer of the package tokenizers."""
    ids = {piece: index for index, piece in enumerate(vocabulary.pieces)}
    peer = tokenizers.Tokenizer(tokenizers.models.WordPiece(ids, unk_token=UNK))
    peer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=False)
    peer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return peer


def batches(sentences: list) -> list:
    """Cuts a list into batches."""
    return [
        sentences[start : start + BATCH]
        for start in range(0, len(sentences), BATCH)
    ]


def main() -> None:
    """Runs all contenders in turn and prints the best of each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--input", help="TSV; each cell is a sentence")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()

    vocabulary = Vocabulary.read(arguments.vocab)
    ours = WordPieceTokenizer(vocabulary)
    peer = huggingface_tokenizer(vocabulary)
    texts = batches(read_sentences(arguments.input))
    arrays = [np.array([t.encode() for t in b], object) for b in texts]
    tokenize = tf.function(
        ours.tokenize, input_signature=[tf.TensorSpec([None], tf.string)]
    )
    dataset = (
        tf.data.Dataset.from_tensor_slices(np.concatenate(arrays))
        .batch(BATCH)
        .cache()
        .map(tokenize, num_parallel_calls=2)
    )

    def run_peer():
        for batch in texts:
            peer.encode_batch(batch, add_special_tokens=False)

    def run_peer_fast():
        for batch in texts:
            peer.encode_batch_fast(batch, add_special_tokens=False)

    def run_ours():
        for batch in arrays:
            tokenize(tf.constant(batch)).values.numpy()

    def run_dataset():
        for pieces in dataset:
            pieces.values.numpy()

    equal = sum(
        encoding.ids == ids
        for batch, array in zip(texts, arrays, strict=True)
        for encoding, ids in zip(
            peer.encode_batch_fast(batch),
            tokenize(tf.constant(array)).to_list(),
            strict=True,
        )
    )
    contenders = {
        "tokenizers encode_batch": run_peer,
        "tokenizers encode_batch_fast": run_peer_fast,
        "labse, numpy -> ids": run_ours,
        "labse, tf.data, 2 threads": run_dataset,
    }
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(arguments.repeats):
        for name, contender in contenders.items():
            start = time.perf_counter()
            contender()
            best[name] = min(best[name], time.perf_counter() - start)

    total = sum(map(len, texts))
    base = best["tokenizers encode_batch"]
    print(f"{total:,} sentences, batches of {BATCH}, {os.cpu_count()} CPUs")
    print(f"equal ids: {equal:,} of {total:,} ({equal / total:.4%})")
    print(f"{'':<32}{'sentences/s':>14}{'ratio':>8}")
    for name, seconds in best.items():
        print(f"{name:<32}{total / seconds:>14,.0f}{base / seconds:>8.1f}")
    print(f"goal: {GOAL:g} times tokenizers encode_batch")


if __name__ == "__main__":
    main()
