"""Tensors that lie in files: names and sizes are known, numbers not yet read.

TensorFlow's checkpoints and safetensors store a tensor as one run of
little-endian numbers in row-major order. So one description fits both, sizes
are checked before memory is allocated, and a table of 1.5 GB can be used
without being read.
"""

import dataclasses
import math
import pathlib
from collections.abc import Iterator

import google_crc32c
import numpy as np

from labse.formats import model_file

# Rows are read in blocks of about this size.
BLOCK_BYTES = 2**24


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies.

    Attributes:
      path: the file.
      offset: of its first byte; any number, aligned or not.
      dtype: the stored type, little-endian.
      shape: its dimensions.
      crc32c: checksum of its bytes, where the format has one (TensorFlow).
    """

    path: pathlib.Path
    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]
    crc32c: int | None = None

    @property
    def num_bytes(self) -> int:
        """Bytes from `offset` on."""
        return math.prod(self.shape) * self.dtype.itemsize

    def check_in_file(self, name: str, file_size: int) -> None:
        """Raises `InputError` where the file ends before the tensor does."""
        negative = self.offset < 0 or min(self.shape, default=0) < 0
        if negative or self.offset + self.num_bytes > file_size:
            raise model_file.damaged(
                self.path,
                f"is damaged or truncated: {name} {self.shape} needs the "
                f"bytes {self.offset:,} to {self.offset + self.num_bytes:,}, "
                f"the file has {file_size:,}",
            )

    def map(self) -> np.ndarray:
        """The tensor as a read-only map of the file; may be unaligned."""
        if not self.num_bytes:  # An empty map is an error.
            return np.zeros(self.shape, self.dtype)
        return np.memmap(
            self.path, self.dtype, "r", self.offset, self.shape, order="C"
        )

    def read(self) -> np.ndarray:
        """The tensor in memory."""
        return np.concatenate(list(self.row_blocks())).reshape(self.shape)

    def row_blocks(self) -> Iterator[np.ndarray]:
        """The rows in blocks of about `BLOCK_BYTES`, each read when needed.

        Not through a map, whose pages would count as this process's memory.

        Raises:
          InputError: the file ends before the tensor, or, after the last
            block, the checksum does not match.
        """
        shape = self.shape or (1,)
        row_bytes = self.dtype.itemsize * math.prod(shape[1:])
        rows = max(1, BLOCK_BYTES // max(1, row_bytes))
        crc32c = 0
        with model_file.open_binary(self.path) as file:
            file.seek(self.offset)
            for start in range(0, max(1, shape[0]), rows):
                size = min(rows, shape[0] - start)
                content = file.read(size * row_bytes)
                if len(content) < size * row_bytes:
                    raise model_file.damaged(
                        self.path, "ended while it was read"
                    )
                if self.crc32c is not None:
                    crc32c = google_crc32c.extend(crc32c, content)
                yield np.frombuffer(content, self.dtype).reshape(
                    size, *shape[1:]
                )
        if self.crc32c not in (None, crc32c):
            raise model_file.damaged(
                self.path,
                "is damaged: the checksum of the bytes from "
                f"{self.offset:,} on does not match",
            )


@dataclasses.dataclass(frozen=True)
class MappedTensor:
    """A tensor that a library has mapped or loaded; used as `StoredTensor`.

    Attributes:
      path: the file.
      array: its numbers, read-only.
    """

    path: pathlib.Path
    array: np.ndarray

    @property
    def dtype(self) -> np.dtype:
        """The stored type."""
        return self.array.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""
        return self.array.shape

    def map(self) -> np.ndarray:
        """The tensor where it is."""
        return self.array

    def read(self) -> np.ndarray:
        """The tensor where it is; nothing is copied."""
        return self.array

    def row_blocks(self) -> Iterator[np.ndarray]:
        """The rows in blocks of about `BLOCK_BYTES`, not copied."""
        array = np.atleast_1d(self.array)
        row_bytes = array.dtype.itemsize * math.prod(array.shape[1:])
        rows = max(1, BLOCK_BYTES // max(1, row_bytes))
        for start in range(0, len(array), rows):
            yield array[start : start + rows]


Tensor = StoredTensor | MappedTensor
