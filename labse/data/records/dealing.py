"""Deals records into parts on disk, so that each part is a fair sample.

Every `parts` records of a group make a round, in which each part gets one, in
random order. The last records of each group, fewer than `parts`, are dealt to
the parts in turn, in random order, those of one group after those of the one
before. So the parts differ by at most one record of each group, and by at most
one in all.

Which part a record goes to is a function of the seed, its group and its
position in the group; for the last ones also of the numbers of records in the
groups. So a part of the input can be dealt by itself, once the numbers of
records before it and in all are known (`Deal`). Where they are not, the records
of a round wait in memory until it is whole (`Dealer`).

A part is two files: NAME.records, records as they stand in a TFRecord file, and
NAME.index, of which a row is a record's group and its bytes.
"""

import collections
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
# Records whose parts are drawn at once.
_BATCH_RECORDS = 2**10


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

    def read_some(self) -> Iterator[tuple[np.ndarray, list[bytes]]]:
        """Yields groups, uint32 [n], and n records, some thousands at once.

        In the order in which they were dealt.
        """
        if not self.index.exists():
            return
        with open(self.records, "rb") as records, open(self.index, "rb") as f:
            while rows := f.read(_INDEX_BYTES * _READ_RECORDS):
                index = np.frombuffer(rows, np.uint32).reshape(-1, 2)
                sizes = index[:, 1].tolist()
                yield index[:, 0], [records.read(size) for size in sizes]

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Yields group and record, in the order in which they were dealt."""
        for groups, records in self.read_some():
            yield from zip(groups.tolist(), records, strict=True)

    def remove(self) -> None:
        """Removes the files."""
        self.records.unlink(missing_ok=True)
        self.index.unlink(missing_ok=True)


class Parts(NamedTuple):
    """Parts of the same number, each of a part of the input, as one."""

    parts: tuple[Part, ...]

    def size(self) -> tuple[int, int]:
        """Number of records, and their bytes."""
        sizes = [part.size() for part in self.parts]
        return tuple(map(sum, zip(*sizes, strict=True)))

    def read_records(self) -> bytes:
        """All records, one after the other."""
        return b"".join(part.read_records() for part in self.parts)

    def read_index(self) -> np.ndarray:
        """Group and bytes of each record: uint32 [records, 2]."""
        return np.concatenate([part.read_index() for part in self.parts])

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Yields group and record, in the order in which they were dealt."""
        for part in self.parts:
            yield from part.read()

    def remove(self) -> None:
        """Removes the files."""
        for part in self.parts:
            part.remove()


class Deal:
    """Which part each record goes to."""

    def __init__(self, parts: int, *seeds: int):
        """Takes the number of parts, and what random bits are made of."""
        self._parts, self._seeds = parts, seeds
        self._type = np.min_scalar_type(parts)
        # Of a batch: a stream of random bits takes microseconds to begin.
        self._rounds = max(1, _BATCH_RECORDS // parts)
        self._batches: dict[int, tuple[int, np.ndarray]] = {}

    def round(self, group: int, number: int) -> np.ndarray:
        """The parts of the records of a round, in their order: int [parts]."""
        batch, place = divmod(number, self._rounds)
        found = self._batches.get(group)
        if found is None or found[0] != batch:
            # A number of 0 at the end makes no other bits.
            random = stream(*self._seeds, group + 1, batch)
            bits = random.random_raw(self._rounds * self._parts)
            orders = np.argsort(bits.reshape(-1, self._parts), kind="stable")
            found = self._batches[group] = batch, orders.astype(self._type)
        return found[1][place]

    def parts_of(
        self, group: int, start: int, count: int, total: int, before: int
    ) -> np.ndarray:
        """The parts of consecutive records of a group: int [count].

        Args:
          group: of the records.
          start: the first one's position in the group.
          count: of the records.
          total: records of the group.
          before: see `last`.
        """
        first, stop = start // self._parts, -(-(start + count) // self._parts)
        whole = total // self._parts
        found = [
            self.round(group, number)
            for number in range(first, min(stop, whole))
        ]
        if stop > whole:
            found.append(self.last(before, total - whole * self._parts))
        skip = start - first * self._parts
        return np.concatenate(found)[skip : skip + count]

    def last(self, before: int, count: int) -> np.ndarray:
        """The parts of the last `count` records of a group: int [count].

        Args:
          before: the sum of such counts in the groups before.
          count: records that are in no round.
        """
        order = permutation(stream(*self._seeds), self._parts)
        return order[(before + np.arange(count)) % self._parts]


class Dealer:
    """Deals records to the parts of a folder.

    Attributes:
      peak_bytes: most bytes of records that were in memory at once.
    """

    def __init__(self, folder: pathlib.Path, parts: int, *seeds: int):
        """The folder is empty; the seeds decide on the order."""
        self.parts = [Part(folder, number) for number in range(parts)]
        self.peak_bytes = 0
        self._deals = Deal(parts, *seeds)
        self._rounds: dict[int, int] = collections.Counter()
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
            order = self._deals.round(group, self._rounds[group])
            self._rounds[group] += 1
            self.put(group, waiting, order.tolist())
            waiting.clear()

    def finish(self) -> None:
        """Deals the records that wait, and writes all to the files."""
        before = 0
        for group, waiting in sorted(self._waiting.items()):
            order = self._deals.last(before, len(waiting))
            self.put(group, waiting, order.tolist())
            before += len(waiting)
        self._waiting.clear()
        self._flush()

    def put(self, group: int, records: list[bytes], order: list[int]) -> None:
        """Appends records of a group to the parts that are named."""
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
