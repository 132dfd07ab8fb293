"""Files of keys: what a unit of reading writes and one of comparing reads.

A key is 16 bytes, of what must be equal, and a position: the number of a
sentence or page in its input. A file has blocks of keys in the order of their
positions, each sorted by partition; so the reader of a partition finds its
part of every block, and keys need never be together in memory.

    block      num_partitions + 1 offsets (u64), then rows: key, position (u64)
    directory  the offset of each block (u64), and their number (u64)
"""

import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np

_BLOCK_KEYS = 2**16
_WORD = np.dtype("<u8")
_ROW_BYTES = 24


class KeyWriter:
    """Writes keys, in ascending order of their positions."""

    def __init__(self, file: BinaryIO, num_partitions: int):
        """Takes a file open for writing."""
        self._file = file
        self._num_partitions = num_partitions
        self._keys: list[bytes] = []
        self._positions: list[int] = []
        self._blocks: list[int] = []

    def add(self, key: bytes, position: int) -> None:
        """Adds a key of 16 bytes."""
        self._keys.append(key)
        self._positions.append(position)
        if len(self._keys) == _BLOCK_KEYS:
            self._write_block()

    def close(self) -> None:
        """Writes what is left, and the directory."""
        if self._keys:
            self._write_block()
        found = [*self._blocks, len(self._blocks)]
        self._file.write(np.array(found, _WORD).tobytes())

    def _write_block(self) -> None:
        rows = np.empty((len(self._keys), 3), _WORD)
        rows[:, :2] = np.frombuffer(b"".join(self._keys), _WORD).reshape(-1, 2)
        rows[:, 2] = self._positions
        partitions = (rows[:, 0] % self._num_partitions).astype(np.int64)
        counts = np.bincount(partitions, minlength=self._num_partitions)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(_WORD)
        self._blocks.append(self._file.tell())
        self._file.write(offsets.tobytes())
        rows = rows[np.argsort(partitions, kind="stable")]
        self._file.write(rows.tobytes())
        self._keys.clear()
        self._positions.clear()


def read_keys(
    path: str | os.PathLike, partition: int, num_partitions: int
) -> Iterator[np.ndarray]:
    """Yields the rows of a partition, u64 [n, 3], block by block."""
    with open(path, "rb") as file:
        for block in _read_directory(file):
            file.seek(int(block) + 8 * partition)
            start, end = np.frombuffer(file.read(16), _WORD).tolist()
            if start == end:
                continue
            rows = int(block) + 8 * (num_partitions + 1)
            file.seek(rows + _ROW_BYTES * start)
            content = file.read(_ROW_BYTES * (end - start))
            yield np.frombuffer(content, _WORD).reshape(-1, 3)


def _read_directory(file: BinaryIO) -> np.ndarray:
    file.seek(-8, os.SEEK_END)
    (count,) = np.frombuffer(file.read(8), _WORD).tolist()
    file.seek(-8 * (count + 1), os.SEEK_END)
    return np.frombuffer(file.read(8 * count), _WORD)


class PositionsWriter:
    """Writes positions by input: u64s, then num_inputs + 1 offsets."""

    def __init__(self, file: BinaryIO):
        """Takes a file open for writing."""
        self._file = file
        self._offsets = [0]
        self._count = 0

    def add(self, positions: Sequence[int]) -> None:
        """Adds positions of the current input."""
        self._count += len(positions)
        self._file.write(np.array(positions, _WORD).tobytes())

    def end_input(self) -> None:
        """What follows is of the next input."""
        self._offsets.append(self._count)

    def close(self) -> None:
        """Writes the offsets."""
        self._file.write(np.array(self._offsets, _WORD).tobytes())


def read_positions(
    path: str | os.PathLike, number: int, num_inputs: int
) -> np.ndarray:
    """The positions of input `number`, u64 [n]."""
    with open(path, "rb") as file:
        file.seek(-8 * (num_inputs + 1 - number), os.SEEK_END)
        start, end = np.frombuffer(file.read(16), _WORD).tolist()
        file.seek(8 * start)
        return np.frombuffer(file.read(8 * (end - start)), _WORD)
