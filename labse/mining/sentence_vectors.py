"""Sentences to the files of their vectors, able to go on after a kill.

Sentences are always encoded in the same chunks, wherever a shard ends and
however often the work was killed, so a sentence's vector is the same to the
last bit.
"""

import os
import pathlib
from collections.abc import Callable

import numpy as np

from labse.errors import InputError
from labse.search.unit_vectors import EncodeFn, check_embeddings

# Sentences that are encoded together; what is lost at most by a kill.
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


def embed(
    encode_fn: EncodeFn,
    texts: Callable[[int, int], list[str]],
    rows: range,
    vector_type: str,
    path: pathlib.Path,
    progress: Callable[[int], None],
    chunk: int = CHUNK,
) -> None:
    """Writes the vectors of some sentences; goes on where it was killed.

    Args:
      encode_fn: list of n texts -> float [n, dim].
      texts: start, stop -> the texts of these sentences.
      rows: the sentences of this shard, beginning with a chunk.
      vector_type: one of VECTOR_TYPES.
      path: the `.npy` file; may hold the vectors of the first chunks.
      progress: called with the number of sentences done since the last call.
      chunk: sentences that are encoded together.

    Raises:
      InputError: a vector is not finite or is zero, or they are not
        [n, dim].
    """
    path.touch()
    with open(path, "r+b") as file:
        dimension, done = _done(file, len(rows), vector_type, chunk)
        progress(done)
        while done < len(rows):
            start = rows.start + done
            some = texts(start, min(start + chunk, rows.stop))
            vectors = check_embeddings(encode_fn(some), "sentence", some)
            stored = _stored(vectors, vector_type)
            if len(vectors) != len(some) or vectors.shape[1] != (
                dimension or vectors.shape[1]
            ):
                raise InputError(
                    f"The encoder gives one vector a sentence, "
                    f"[{len(some)}, {dimension or 'dim'}]. Received: "
                    f"{list(vectors.shape)}."
                )
            if not dimension:
                dimension = vectors.shape[1]
                _write_header(file, len(rows), dimension, vector_type)
            file.write(stored.tobytes())
            file.flush()
            os.fsync(file.fileno())
            done += len(some)
            progress(len(some))


def _stored(vectors: np.ndarray, vector_type: str) -> np.ndarray:
    """The vectors as they are written."""
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(vectors, vector_type)
    if not np.isfinite(stored).all() or not stored.any(axis=1).all():
        raise InputError(
            f"Vectors must be of a size that {vector_type} can hold. Received "
            f"one whose largest number is {np.abs(vectors).max():.3g}. Give "
            "--vectors=float32, or an encoder of unit vectors."
        )
    return stored


def _done(file, num_rows: int, vector_type: str, chunk: int) -> tuple[int, int]:
    """Dimension (0: not known yet) and whole chunks' rows of a begun file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if not size:
        return 0, 0
    try:
        version = np.lib.format.read_magic(file)
        assert version == (1, 0)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError:  # Killed inside the header.
        file.seek(0)
        file.truncate()
        return 0, 0
    assert shape[0] == num_rows and dtype.name == vector_type
    header = file.tell()
    row = shape[1] * dtype.itemsize
    done = (size - header) // row
    if done < num_rows:
        done -= done % chunk
    file.seek(header + done * row)
    file.truncate()
    return shape[1], done


def _write_header(file, num_rows, dimension, vector_type) -> None:
    np.lib.format.write_array_header_1_0(
        file,
        {
            "descr": np.lib.format.dtype_to_descr(np.dtype(vector_type)),
            "fortran_order": False,
            "shape": (num_rows, dimension),
        },
    )
