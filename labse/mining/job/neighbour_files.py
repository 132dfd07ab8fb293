"""Neighbours on disk: those of a shard, and those of all shards merged.

Searching one shard of sources among all targets gives each source's nearest
targets, and for each target its nearest sources within this shard. The latter
are merged over the shards: highest cosine first, the lowest source among equal
cosines, so that the result does not depend on where shards end.
"""

import functools
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from labse.mining.margin import Neighbours

# Rows merged at once.
_ROWS = 2**18


def without_itself(
    indices: np.ndarray, cosines: np.ndarray, first: int
) -> Neighbours:
    """Drops the sentence itself from its neighbours.

    Args:
      indices, cosines: [n, k + 1], neighbours among all sentences of a side.
      first: the number of the first row's sentence.
    """
    is_own = indices == first + np.arange(len(indices))[:, None]
    # Among many copies of one vector, a sentence may not find itself.
    is_own[~is_own.any(axis=1), -1] = True
    shape = (len(indices), indices.shape[1] - 1)
    return Neighbours(
        indices[~is_own].reshape(shape), cosines[~is_own].reshape(shape)
    )


def merge(parts: Iterable[Neighbours], k: int) -> Neighbours:
    """The k nearest over all parts, each int64 and float32 [m, k or less].

    Only one part is in memory besides the result.
    """
    return functools.reduce(
        lambda merged, part: _nearest_of_both(merged, part, k), parts
    )


def _nearest_of_both(one: Neighbours, other: Neighbours, k: int) -> Neighbours:
    parts = (one, other)
    k = min(k, one.indices.shape[1] + other.indices.shape[1])
    num_rows = len(one.indices)
    indices = np.empty((num_rows, k), np.int64)
    cosines = np.empty((num_rows, k), np.float32)
    for start in range(0, num_rows, _ROWS):
        rows = slice(start, start + _ROWS)
        found = np.concatenate([part.indices[rows] for part in parts], axis=1)
        values = np.concatenate([part.cosines[rows] for part in parts], axis=1)
        order = np.lexsort((found, -values), axis=1)[:, :k]
        indices[rows] = np.take_along_axis(found, order, 1)
        cosines[rows] = np.take_along_axis(values, order, 1)
    return Neighbours(indices, cosines)


def write(path: pathlib.Path, **neighbours: Neighbours) -> None:
    """Writes named neighbours to one `.npz` file."""
    arrays = {}
    for name, found in neighbours.items():
        arrays[f"{name}_indices"] = found.indices
        arrays[f"{name}_cosines"] = found.cosines
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def read(path: pathlib.Path, name: str) -> Neighbours:
    """The neighbours of that name in a file of `write`."""
    with np.load(path, allow_pickle=False) as arrays:
        return Neighbours(arrays[f"{name}_indices"], arrays[f"{name}_cosines"])


def joined(parts: Sequence[Neighbours], num_rows: int) -> Neighbours:
    """The rows of consecutive parts, one after the other.

    Raises:
      ValueError: there are not `num_rows` of them.
    """
    found = Neighbours(
        np.concatenate([part.indices for part in parts]),
        np.concatenate([part.cosines for part in parts]),
    )
    if len(found.indices) != num_rows:
        raise ValueError(
            f"{len(found.indices)} of {num_rows} sentences have neighbours."
        )
    return found
