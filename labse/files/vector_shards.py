"""The vectors of many sentences, mapped from several files.

A shard is a `.npy` file with the vectors of consecutive sentences.
"""

import os
from collections.abc import Sequence

import numpy as np

from labse.errors import InputError


class VectorShards:
    """The rows of several `.npy` files as one array [n, dim].

    Attributes:
      starts: first row of each shard, followed by n.
      shape, ndim, dtype: as in NumPy.
    """

    ndim = 2

    def __init__(self, paths: Sequence[str | os.PathLike]):
        """Maps the files, of one dimension and type, else an `InputError`."""
        self._shards = [np.load(path, mmap_mode="r") for path in paths]
        kinds = {(shard.shape[1], shard.dtype.name) for shard in self._shards}
        if len(kinds) != 1:
            raise InputError(
                "All vectors of a side have one dimension and one type. "
                f"Received: {sorted(kinds)} in {paths[0]} and the others."
            )
        sizes = [len(shard) for shard in self._shards]
        self.starts = [0, *np.cumsum(sizes).tolist()]
        self.dtype = self._shards[0].dtype
        self.shape = (self.starts[-1], self._shards[0].shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def num_shards(self) -> int:
        """Number of files."""
        return len(self._shards)

    @property
    def dimension(self) -> int:
        """Length of each vector."""
        return self.shape[1]

    def shard(self, number: int) -> np.ndarray:
        """The mapped array of one file, [rows, dim]."""
        return self._shards[number]

    def rows(self, indices: np.ndarray) -> np.ndarray:
        """A copy of some rows: [len(indices), dim]."""
        indices = np.asarray(indices)
        out = np.empty((len(indices), self.dimension), self.dtype)
        owner = np.searchsorted(self.starts, indices, side="right") - 1
        for number in np.unique(owner):
            mine = owner == number
            places = indices[mine] - self.starts[number]
            out[mine] = self._shards[number][places]
        return out

    def __getitem__(self, rows) -> np.ndarray:
        """Some rows: by a slice of step 1, or by int [rows]."""
        if not isinstance(rows, slice):
            return self.rows(rows)
        start, stop, _ = rows.indices(len(self))
        parts = [
            shard[max(start - first, 0) : max(stop - first, 0)]
            for first, shard in zip(self.starts, self._shards, strict=False)
            if first < stop and start < first + len(shard)
        ] or [self._shards[0][:0]]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
