"""Reads rows and writes shards in units of work, on many processes.

What runs the units of a phase is an argument: `data_pipeline` does it on Beam.
"""

import json
import os
from collections.abc import Callable, Sequence

from labse.data.records import shards
from labse.data.records.encoding import check_number
from labse.data.records.groups import LANES, PAIRS
from labse.data.records.job import RecordJob, RowsRead, WrittenShard
from labse.data.records.tokens import TokenIds
from labse.data.records.units import (
    DealRows,
    Piece,
    ReadRows,
    UnitJob,
    WriteSpool,
    count_from,
)
from labse.errors import InputError
from labse.files.formats.jsonl import JSONL
from labse.files.formats.tsv import TSV
from labse.files.formats.txt import TXT
from labse.files.kinds import files_of, kind_of
from labse.files.pairs import Files, without_rows
from labse.files.reading import Tally
from labse.files.work_folder import WorkFolder

# Of input, of a unit. There are at most about so many units, since each has
# files for each spool.
UNIT_BYTES = 2**26
_MAX_UNITS = 512
# Formats of which a part can be read.
_OF_LINES = (TXT, TSV, JSONL)

# Runs the units of a phase: job, label, units.
RunPhase = Callable[[UnitJob, str, Sequence], None]


def plan_reading(files: Files) -> list[ReadRows]:
    """The units that read the files, in their order."""
    most = max(UNIT_BYTES, files.num_bytes // _MAX_UNITS)
    groups, size = [], most
    for path in files.files:
        for piece in _pieces(path, most):
            if size + piece.size > most:
                groups.append([])
                size = 0
            groups[-1].append(piece)
            size += piece.size
    return [
        ReadRows(number, tuple(pieces)) for number, pieces in enumerate(groups)
    ]


def _pieces(path: str, most: int) -> list[Piece]:
    size, kind = sum(map(os.path.getsize, files_of(path))), kind_of(path)
    if kind.format not in _OF_LINES or kind.compression or size <= most:
        return [Piece(path, None, size)]
    count = -(-size // most)
    bounds = [size * number // count for number in range(count + 1)]
    return [
        Piece(path, (start, stop), stop - start)
        for start, stop in zip(bounds[:-1], bounds[1:], strict=True)
    ]


def one_by_one(job: UnitJob, label: str, units: Sequence) -> None:
    """Runs the units of a phase in this process."""
    for unit in units:
        unit.run(job)


def has_begun(job: RecordJob) -> bool:
    """Whether a job is done in units."""
    return (job.work / "found").exists()


def no_records(kind: str, files: Files) -> InputError:
    """The error that there is nothing to write."""
    what = "pairs" if kind == PAIRS else "texts"
    return InputError(f"There are no {what} in {files}. Is it the right file?")


class Phases:
    """The phases of writing records."""

    def __init__(
        self,
        job: RecordJob,
        files: Files,
        token_ids: TokenIds | None,
        run_phase: RunPhase,
    ):
        """Of a job that has begun."""
        self._files, self._run = files, run_phase
        self._job = UnitJob(job, files.options, token_ids, WorkFolder(job.work))

    def read(self) -> RowsRead:
        """Reads all rows and deals their records to the spools."""
        job, units = self._job, plan_reading(self._files)
        self._run(job, "reading", units)
        found = [
            json.loads(job.work.path(unit.name).read_text("utf-8"))
            for unit in units
        ]
        tally = _merge_tallies(self._files, units, found)
        groups, totals, of_units = _merge_groups(found)
        if not groups:
            job.records.remove_work()
            raise no_records(job.records.made_from.kind, self._files)
        negatives: dict[str, int] = {}
        for each in found:
            for count, pairs in each["hard_negatives"].items():
                negatives[count] = negatives.get(count, 0) + pairs
        job.read = RowsRead(groups, negatives, tally.to_json(), [], totals)
        self._run(
            job,
            "dealing",
            [
                DealRows(unit.number, unit.rows, unit.size, numbers)
                for unit, numbers in zip(units, of_units, strict=True)
            ],
        )
        sizes = [list(job.records.spool(n).size()) for n in range(LANES)]
        read = job.read._replace(spools=sizes)
        job.records.finish_reading(read)
        return read

    def write(self, read: RowsRead) -> list[WrittenShard]:
        """Writes the shards; returns all, by number."""
        job = self._job
        job.read = read
        shards.check_room(job.records, read, os.cpu_count() or 1)
        units = [
            WriteSpool(number, size)
            for number, (_, size) in enumerate(read.spools)
        ]
        self._run(job, "writing", units)
        written = [
            WrittenShard(*shard)
            for unit in units
            for shard in json.loads(job.work.path(unit.name).read_text("utf-8"))
        ]
        shards.check_written(job.records, written)
        return sorted(written)


def _merge_groups(
    found: Sequence,
) -> tuple[list, list[int], list[tuple[tuple[int, int], ...]]]:
    """Numbers the groups of all units, as they come.

    Returns:
      the groups; the records of each; and of each unit, the number of each of
      its groups and the records of the group that units before it have.
    """
    numbers: dict[tuple, int] = {}
    totals: list[int] = []
    of_units = []
    for each in found:
        own = []
        for (languages, corpus), count in zip(
            each["groups"], each["counts"], strict=True
        ):
            key = (*languages, corpus)
            if key not in numbers:
                check_number(len(numbers), key)
                numbers[key] = len(numbers)
                totals.append(0)
            number = numbers[key]
            own.append((number, totals[number]))
            totals[number] += count
        of_units.append(tuple(own))
    return [[list(key[:-1]), key[-1]] for key in numbers], totals, of_units


def _merge_tallies(
    files: Files, units: Sequence[ReadRows], found: Sequence
) -> Tally:
    """What the reading found, as if it were one.

    Raises:
      InputError: a file has no rows, beside others.
    """
    total, lines, rows = Tally(), {}, dict.fromkeys(files.files, 0)
    for unit, each in zip(units, found, strict=True):
        for piece, text in zip(unit.pieces, each["tallies"], strict=True):
            tally, path = Tally.from_json(text), piece.path
            # A malformed row is named by its line in the piece.
            before = lines.get(path, 0)
            if before:
                tally.shown = [
                    count_from(shown, path, before) for shown in tally.shown
                ]
            lines[path] = before + tally.num_found + tally.num_blank
            if not before and kind_of(path).format is TSV:
                lines[path] += 1  # The header.
            rows[path] += tally.num_found
            total.add(tally)
    for path, count in rows.items():
        if not count and len(rows) > 1:
            raise without_rows(path)
    total.log()
    return total
