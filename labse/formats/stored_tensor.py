"""A tensor that lies in a file: known by its header, read only when asked.

TensorFlow's checkpoints, safetensors and PyTorch's archives all store a tensor
as one run of little-endian numbers in row-major order. So one description fits
them all, names and sizes are known before memory is taken, and a table of
1.5 GB can be used without being read.
"""

import dataclasses
import math
import pathlib
import zlib
from collections.abc import Iterator

import google_crc32c
import numpy as np

from labse.formats import model_file

# Rows are copied so many bytes at a time.
BLOCK_BYTES = 2**24


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies.

    Attributes:
      path: the file.
      offset: of its first byte; need not be a multiple of anything.
      dtype: the stored type, little-endian.
      shape: its dimensions.
      crc32c: checksum of its bytes, where the format has one (TensorFlow).
      crc32: likewise (zip archives).
    """

    path: pathlib.Path
    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]
    crc32c: int | None = None
    crc32: int | None = None

    @property
    def num_bytes(self) -> int:
        """Bytes from `offset` on."""
        return math.prod(self.shape) * self.dtype.itemsize

    def check_in_file(self, name: str, file_size: int) -> None:
        """Raises `InputError` where the file ends before the tensor does."""
        damaged = self.offset < 0 or min(self.shape, default=0) < 0
        if damaged or self.offset + self.num_bytes > file_size:
            raise model_file.damaged(
                self.path,
                f"is damaged or was cut off: {name} {self.shape} needs the "
                f"bytes {self.offset:,} to {self.offset + self.num_bytes:,}, "
                f"the file has {file_size:,}",
            )

    def map(self) -> np.ndarray:
        """The tensor as a read-only map of the file; maybe not aligned."""
        if not self.num_bytes:  # Nothing can be mapped.
            return np.zeros(self.shape, self.dtype)
        return np.memmap(
            self.path, self.dtype, "r", self.offset, self.shape, order="C"
        )

    def read(self) -> np.ndarray:
        """The tensor in memory."""
        return np.concatenate(list(self.row_blocks())).reshape(self.shape)

    def row_blocks(self) -> Iterator[np.ndarray]:
        """The rows in blocks of about `BLOCK_BYTES`, read as they are asked.

        Not through a map: its pages would count as this process's memory.

        Raises:
          InputError: the file ends before the tensor, or, told after the last
            block, the checksum does not fit.
        """
        shape = self.shape or (1,)
        row_bytes = self.dtype.itemsize * math.prod(shape[1:])
        rows = max(1, BLOCK_BYTES // max(1, row_bytes))
        crc32c = crc32 = 0
        with model_file.opened(self.path) as file:
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
                if self.crc32 is not None:
                    crc32 = zlib.crc32(content, crc32)
                yield np.frombuffer(content, self.dtype).reshape(
                    size, *shape[1:]
                )
        if self.crc32c not in (None, crc32c) or self.crc32 not in (None, crc32):
            raise model_file.damaged(
                self.path,
                "is damaged: the checksum of the bytes from "
                f"{self.offset:,} on does not fit",
            )
