"""Deals records into parts on disk, so that each part is a fair sample.

Every `parts` records of a group make a round, in which each part gets one, in
random order. The last records of each group, fewer than `parts`, wait in memory
until all are known, and are then dealt to the parts in turn, those of one group
after those of another. So the parts differ by at most one record of each group,
and by at most one in all.

A part is two files: NAME.records, records as they stand in a TFRecord file, and
NAME.index, of which a row is a record's group and its bytes.
"""

import pathlib
from array import array
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# Of the records that wait to be appended to the files.
BUFFER_BYTES = 2**26
# Streams of random bits: dealing to spools, dealing a spool to its shards, and
# the order in a shard.
SPOOLS, PARTS, ORDER = range(3)
_INDEX_TYPE = "I"  # array's name of uint32
_INDEX_BYTES = 8
_READ_RECORDS = 2**14


class Part(NamedTuple):
    """The files of one part; an empty part has none."""

    folder: pathlib.Path
    number: int

    @property
    def records(self) -> pathlib.Path:
        """Records, one after the other."""
        return self.folder / f"{self.number:05d}.records"

    @property
    def index(self) -> pathlib.Path:
        """uint32 [records, 2]: group and bytes of each record."""
        return self.folder / f"{self.number:05d}.index"

    def size(self) -> tuple[int, int]:
        """Number of records, and their bytes."""
        if not self.index.exists():
            return 0, 0
        records = self.index.stat().st_size // _INDEX_BYTES
        return records, self.records.stat().st_size

    def read_records(self) -> bytes:
        """All records, one after the other."""
        return self.records.read_bytes() if self.records.exists() else b""

    def read_index(self) -> np.ndarray:
        """Group and bytes of each record: uint32 [records, 2]."""
        if not self.index.exists():
            return np.zeros([0, 2], np.uint32)
        return np.fromfile(self.index, np.uint32).reshape(-1, 2)

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Yields group and record, in the order in which they were dealt."""
        if not self.index.exists():
            return
        with open(self.records, "rb") as records, open(self.index, "rb") as f:
            while rows := f.read(_INDEX_BYTES * _READ_RECORDS):
                index = np.frombuffer(rows, np.uint32).reshape(-1, 2)
                for group, size in index.tolist():
                    yield group, records.read(size)

    def remove(self) -> None:
        """Removes the files."""
        self.records.unlink(missing_ok=True)
        self.index.unlink(missing_ok=True)


class Dealer:
    """Deals records to the parts of a folder.

    Attributes:
      peak_bytes: most bytes of records that were in memory at once.
    """

    def __init__(
        self, folder: pathlib.Path, parts: int, random: np.random.Philox
    ):
        """The folder is empty; `random` decides on the order."""
        self.parts = [Part(folder, number) for number in range(parts)]
        self.peak_bytes = 0
        self._random = random
        self._waiting: dict[int, list[bytes]] = {}
        self._waiting_bytes = self._buffered_bytes = 0
        self._buffers: list[list[bytes]] = [[] for _ in self.parts]
        self._indexes = [array(_INDEX_TYPE) for _ in self.parts]

    def add(self, group: int, record: bytes) -> None:
        """Deals one more record of a group."""
        waiting = self._waiting.get(group)
        if waiting is None:
            waiting = self._waiting[group] = []
        waiting.append(record)
        self._waiting_bytes += len(record)
        if len(waiting) == len(self.parts):
            self._deal(group, waiting, self._order())
            waiting.clear()

    def finish(self) -> None:
        """Deals the records that wait, and writes all to the files."""
        order, start = self._order(), 0
        for group, waiting in self._waiting.items():
            stop = start + len(waiting)
            turns = range(start, stop)
            self._deal(group, waiting, [order[t % len(order)] for t in turns])
            start = stop
        self._waiting.clear()
        self._flush()

    def _order(self) -> list[int]:
        return permutation(self._random, len(self.parts)).tolist()

    def _deal(self, group: int, records: list[bytes], order: list[int]) -> None:
        buffers, indexes, size = self._buffers, self._indexes, 0
        for record, part in zip(records, order, strict=True):
            buffers[part].append(record)
            indexes[part].extend((group, len(record)))
            size += len(record)
        # All that wait are at their most just before they are dealt.
        self.peak_bytes = max(
            self.peak_bytes, self._waiting_bytes + self._buffered_bytes
        )
        self._waiting_bytes -= size
        self._buffered_bytes += size
        if self._buffered_bytes >= BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        for part, records, index in zip(
            self.parts, self._buffers, self._indexes, strict=True
        ):
            if not records:
                continue
            with open(part.records, "ab") as file:
                file.writelines(records)
            with open(part.index, "ab") as file:
                index.tofile(file)
            records.clear()
            del index[:]
        self._buffered_bytes = 0


def stream(seed: int, *numbers: int) -> np.random.Philox:
    """Random bits of a purpose; the same with every version of NumPy."""
    return np.random.Philox(np.random.SeedSequence([seed, *numbers]))


def permutation(random: np.random.Philox, size: int) -> np.ndarray:
    """A random order: int64 [size].

    NumPy promises that the bits of a generator stay as they are, not what
    `Generator.permutation` makes of them.
    """
    return np.argsort(random.random_raw(size), kind="stable")
