"""Writing records in units of work, which any number of processes do.

    read     files, or parts of a large one: rows to records, with the groups
             of this part of the input
    deal     what a unit read, once all groups and their numbers of records are
             known, to the spools
    write    the shards of a spool

A unit is small and has `run(job)`; `name` and `size` are for those who deal the
units to processes. What a unit makes stands in the job's work folder
(`labse.files.work_folder`):

    WORK/rows/00012/         records of a unit that have not been dealt
    WORK/found/00012.json    what the unit found, once it has been read
    WORK/spools/00012/       its records, dealt
    WORK/dealt/00012.json    there once they have been dealt
    WORK/shards/00017.json   the shards of a spool that have been written

The shards have the bytes that `labse.data.records.writer` gives them in one
process: where a record goes is a function of its group and its position there.
"""

import dataclasses
import json
import pathlib
import re
import shutil
from collections.abc import Iterator, Sequence

import numpy as np

from labse.data.records import dealing, shards
from labse.data.records.encoding import RecordEncoder, group_head
from labse.data.records.example_bytes import replace_start
from labse.data.records.groups import LANES
from labse.data.records.job import RecordJob, RowsRead
from labse.data.records.rows import READERS
from labse.data.records.tokens import TokenIds
from labse.errors import InputError
from labse.files.formats.tfrecord import frame
from labse.files.lines import read_lines
from labse.files.reading import ReadOptions
from labse.files.work_folder import WorkFolder


@dataclasses.dataclass(frozen=True)
class Piece:
    """A file, or the lines that begin in a span of its bytes."""

    path: str
    span: tuple[int, int] | None
    size: int  # in bytes


@dataclasses.dataclass
class UnitJob:
    """What all units know."""

    records: RecordJob
    options: ReadOptions
    token_ids: TokenIds | None
    work: WorkFolder
    read: RowsRead | None = None  # known when the units deal and write

    @property
    def made_from(self) -> dict[str, object]:
        """Of every file; what the input is, the job's own note says."""
        return {"seed": self.records.made_from.seed}


@dataclasses.dataclass(frozen=True)
class ReadRows:
    """Reads pieces of the input."""

    number: int
    pieces: tuple[Piece, ...]

    @property
    def name(self) -> str:
        """Of what it found."""
        return f"found/{self.number:05d}.json"

    @property
    def size(self) -> int:
        """Bytes of input."""
        return sum(piece.size for piece in self.pieces)

    @property
    def rows(self) -> str:
        """Of its records."""
        return f"rows/{self.number:05d}"

    def run(self, job: UnitJob) -> None:
        """Reads them, unless they have been read."""
        pieces = [(piece.path, piece.span) for piece in self.pieces]

        def write(path: pathlib.Path) -> None:
            found = self._read(job, _new(job.work.path(self.rows)))
            path.write_text(json.dumps(found), "utf-8")

        job.work.make(self.name, {**job.made_from, "pieces": pieces}, write)

    def _read(self, job: UnitJob, folder: pathlib.Path) -> dict[str, object]:
        """Writes the records; returns JSON values of what was found."""
        made_from = job.records.made_from
        encoder = RecordEncoder(made_from.kind, job.token_ids)
        counts = np.zeros(0, np.int64)
        tallies: list[str] = []
        rows = self._rows(job, made_from.kind, tallies)
        part = dealing.Part(folder, 0)
        with open(part.records, "wb") as records, open(part.index, "wb") as f:
            for chunk in map(list, encoder.encode_chunks(rows)):
                index = np.array(
                    [(group, len(record)) for group, record in chunk], np.uint32
                )
                records.write(b"".join([record for _, record in chunk]))
                index.tofile(f)
                more = np.bincount(index[:, 0], minlength=len(encoder.groups))
                more[: len(counts)] += counts
                counts = more
        return {
            "groups": encoder.groups,
            "counts": counts.tolist(),
            "hard_negatives": encoder.hard_negatives,
            "tallies": tallies,
        }

    def _rows(self, job: UnitJob, kind: str, tallies: list[str]) -> Iterator:
        for piece in self.pieces:
            files = READERS[kind]([piece.path], job.options)
            opened = files.open(piece.path)
            if piece.span:
                opened.rows.span = piece.span
            try:
                yield from files.rows(opened)
            except InputError as error:
                if not piece.span:
                    raise
                raise InputError(_with_line(str(error), piece)) from error
            tallies.append(files.tally.to_json())


@dataclasses.dataclass(frozen=True)
class DealRows:
    """Deals the records of a unit to the spools."""

    number: int
    rows: str
    size: int  # in bytes
    # Of each group of the unit: its number among all groups, and the records
    # of units before this one.
    groups: tuple[tuple[int, int], ...]

    @property
    def name(self) -> str:
        """Of the note that they are dealt."""
        return f"dealt/{self.number:05d}.json"

    def run(self, job: UnitJob) -> None:
        """Deals them, unless they have been dealt."""

        def write(path: pathlib.Path) -> None:
            folder = _new(job.records.spools / f"{self.number:05d}")
            self._deal(job, folder)
            path.write_text(json.dumps(self.size), "utf-8")

        made_from = {**job.made_from, "groups": self.groups}
        job.work.make(self.name, made_from, write)
        shutil.rmtree(job.work.path(self.rows), ignore_errors=True)

    def _deal(self, job: UnitJob, folder: pathlib.Path) -> None:
        totals, seed = job.read.totals, job.records.made_from.seed
        before = np.cumsum([0, *(total % LANES for total in totals)]).tolist()
        heads = self._heads(job.read.groups)
        positions = [start for _, start in self.groups]
        dealer = dealing.Dealer(folder, LANES, seed, dealing.SPOOLS)
        deal = dealing.Deal(LANES, seed, dealing.SPOOLS)
        part = dealing.Part(job.work.path(self.rows), 0)
        for own, records in _by_group(part):
            number, count = self.groups[own][0], len(records)
            old, new = heads[own]
            if old != new:
                records = replace_start(records, old, new)
            places = deal.parts_of(
                number, positions[own], count, totals[number], before[number]
            )
            positions[own] += count
            dealer.put(number, list(map(frame, records)), places.tolist())
        dealer.finish()

    def _heads(self, groups: Sequence) -> list[tuple[bytes, bytes]]:
        """What a record begins with, by its group: before, and then."""
        return [
            tuple(group_head(each, groups[number][1]) for each in (own, number))
            for own, (number, _) in enumerate(self.groups)
        ]


@dataclasses.dataclass(frozen=True)
class WriteSpool:
    """Writes the shards of a spool."""

    number: int
    size: int  # in bytes

    @property
    def name(self) -> str:
        """Of what it wrote."""
        return f"shards/{self.number:05d}.json"

    def run(self, job: UnitJob) -> None:
        """Writes them, unless they have been written."""

        def write(path: pathlib.Path) -> None:
            found = list(shards.write_spool(job.records, job.read, self.number))
            path.write_text(json.dumps(found), "utf-8")

        job.work.make(self.name, job.made_from, write)
        job.records.spool(self.number).remove()


def _new(folder: pathlib.Path) -> pathlib.Path:
    """The folder, empty: a killed process may have begun it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _by_group(part: dealing.Part) -> Iterator[tuple[int, list[bytes]]]:
    """Yields records of the same group; those of a group in their order."""
    for groups, records in part.read_some():
        order = np.argsort(groups, kind="stable").tolist()
        stop = 0
        for group, count in enumerate(np.bincount(groups).tolist()):
            start, stop = stop, stop + count
            if count:
                yield group, [records[place] for place in order[start:stop]]


def _with_line(message: str, piece: Piece) -> str:
    """A message that names a line, counted from the start of the file."""
    before = sum(1 for _ in read_lines(piece.path, (0, piece.span[0])))
    return count_from(message, piece.path, before)


def count_from(message: str, path: str, before: int) -> str:
    """A message of `path:line`, which has as many lines more before it."""
    return re.sub(
        f"^({re.escape(path)}:)([0-9]+)",
        lambda found: f"{found[1]}{int(found[2]) + before}",
        message,
    )
