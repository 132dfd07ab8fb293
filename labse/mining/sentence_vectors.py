"""Sentences to the files of their vectors; resumes after a kill.

Sentences are always encoded in the same chunks, wherever a shard ends and
however often the work was killed, so a sentence's vector is the same to the
last bit.
"""

import pathlib
from collections.abc import Callable

import numpy as np

from labse.files.vector_file import VectorFile
from labse.search.unit_vectors import EncodeFn, check_embeddings, check_one_each

# Sentences that are encoded together; a kill loses at most as many.
CHUNK = 4096
VECTOR_TYPES = ("float32", "float16")


def split(
    num_sentences: int, num_shards: int, chunk: int = CHUNK
) -> list[range]:
    """The sentences of each shard: whole chunks, as even as that allows.

    There are never more shards than chunks.
    """
    chunks = -(-num_sentences // chunk)
    num_shards = min(num_shards, chunks)
    ends = [
        min(chunk * (chunks * number // num_shards), num_sentences)
        for number in range(num_shards + 1)
    ]
    return [range(*pair) for pair in zip(ends, ends[1:], strict=False)]


def encode_checked(
    encode_fn: EncodeFn, texts: list[str], dimension: int | None = None
) -> np.ndarray:
    """One vector for each text, float [n, dim], all finite and none zero.

    Raises:
      InputError: the encoder returns something else, or another dimension than
        before.
    """
    vectors = check_embeddings(encode_fn(texts), "sentence", texts)
    check_one_each(vectors, texts, dimension)
    return vectors


def embed(
    encode_fn: EncodeFn,
    texts: Callable[[int, int], list[str]],
    rows: range,
    vector_type: str,
    path: pathlib.Path,
    progress: Callable[[int], None],
    chunk: int = CHUNK,
) -> None:
    """Writes the vectors of some sentences; resumes where it was killed.

    Args:
      encode_fn: list of n texts -> float [n, dim].
      texts: start, stop -> the texts.
      rows: the sentences of this shard, beginning with a chunk.
      vector_type: one of VECTOR_TYPES.
      path: the `.npy` file; may hold the vectors of the first chunks.
      progress: called with the number of sentences done since the last call.
      chunk: sentences that are encoded together.

    Raises:
      InputError: a vector is not finite or is zero, or they are not
        [n, dim]; or the disk is full.
    """
    with VectorFile(path, vector_type) as file:
        is_complete = file.rows == len(rows)
        file.keep(file.rows - (0 if is_complete else file.rows % chunk))
        progress(file.rows)
        while file.rows < len(rows):
            start = rows.start + file.rows
            some = texts(start, min(start + chunk, rows.stop))
            file.append(encode_checked(encode_fn, some, file.dimension))
            progress(len(some))
        file.finish()
