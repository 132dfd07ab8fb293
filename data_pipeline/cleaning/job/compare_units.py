"""Phases 2 to 4: which sentences repeat what came before.

What comes first is decided by the order of the inputs, and the order in each.
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Iterator

import numpy as np

from data_pipeline.cleaning.duplicates import KEY_BYTES, SPAN_SENTENCES
from data_pipeline.cleaning.job.bits import Bits
from data_pipeline.cleaning.job.cleaning_job import (
    CleaningJob,
    file_name,
    read_json,
    write_json,
)
from data_pipeline.cleaning.job.key_files import (
    PositionsWriter,
    read_keys,
    read_positions,
)
from data_pipeline.cleaning.job.read_unit import COUNTS, READ, read_pages
from data_pipeline.cleaning.job.sentence_files import Section, SentenceFile
from data_pipeline.cleaning.settings import (
    EXACT_DUPLICATES,
    NEAR_DUPLICATES,
    SPANS,
)
from data_pipeline.jobs.drops import Dropped
from data_pipeline.jobs.report import Counts

REPEATED = "repeated"
NEAR = "near"
KEPT = "kept"
BITS = "bits"
_REASONS = {
    NEAR_DUPLICATES: "of a page like one before",
    SPANS: "of a span that came before",
    EXACT_DUPLICATES: "came before",
}


@dataclasses.dataclass(frozen=True)
class RepeatedUnit:
    """Finds the keys of a partition that came before."""

    kind: str
    partition: int
    size: int

    @property
    def name(self) -> str:
        """Of what it makes in the work folder."""
        return file_name(REPEATED, self.kind, self.partition)

    def run(self, job: CleaningJob) -> None:
        """Writes repeated/KIND/PARTITION, unless it is there."""
        job.work.make(self.name, {}, lambda path: self._write(job, path))

    def _write(self, job: CleaningJob, path: pathlib.Path) -> None:
        seen: set[bytes] = set()
        with open(path, "wb") as file:
            writer = PositionsWriter(file)
            for number in range(len(job.paths)):
                for rows in self._rows(job, number):
                    writer.add(_repeated(rows, seen))
                writer.end_input()
            writer.close()

    def _rows(self, job: CleaningJob, number: int) -> Iterator[np.ndarray]:
        """Keys and positions of an input, without those of near pages."""
        near = None
        if self.kind != NEAR_DUPLICATES and NEAR_DUPLICATES in job.kinds:
            near = Bits.read(job.path(NEAR, number))
        path = job.path(READ, number, self.kind)
        for rows in read_keys(path, self.partition, job.num_partitions):
            yield rows if near is None else rows[~near.get(rows[:, 2])]


def _repeated(rows: np.ndarray, seen: set[bytes]) -> list[int]:
    """The positions of keys that were seen; the others are added."""
    content = np.ascontiguousarray(rows[:, :2]).tobytes()
    found = []
    for start, position in zip(
        range(0, len(content), KEY_BYTES), rows[:, 2].tolist(), strict=True
    ):
        key = content[start : start + KEY_BYTES]
        if key in seen:
            found.append(position)
        else:
            seen.add(key)
    return found


@dataclasses.dataclass(frozen=True)
class NearUnit:
    """Finds the sentences of pages that are like one before.

    That page may itself be like one before it. Of three pages of which only
    the last is like the other two, two stay.
    """

    number: int
    size: int

    @property
    def name(self) -> str:
        """Of what it makes in the work folder."""
        return file_name(NEAR, self.number)

    def run(self, job: CleaningJob) -> None:
        """Writes near/NUMBER, unless it is there."""
        job.work.make(self.name, {}, lambda path: self._write(job, path))

    def _write(self, job: CleaningJob, path: pathlib.Path) -> None:
        pages = read_pages(job.path(READ, self.number, "pages"))
        count = read_json(job.path(READ, self.number, COUNTS))
        found = Bits.zeros(count["sentences"])
        for positions in _positions(job, NEAR_DUPLICATES, self.number):
            for first, size in pages[positions.astype(np.int64)].tolist():
                found.set(np.arange(first, first + size))
        found.write(path)


@dataclasses.dataclass(frozen=True)
class KeepUnit:
    """Decides which sentences of an input are kept."""

    number: int
    size: int

    @property
    def name(self) -> str:
        """Of what it makes in the work folder."""
        return file_name(KEPT, self.number)

    def run(self, job: CleaningJob) -> None:
        """Writes kept/NUMBER, unless it is there."""
        job.work.make(self.name, {}, lambda path: self._write(job, path))

    def _write(self, job: CleaningJob, folder: pathlib.Path) -> None:
        folder.mkdir(exist_ok=True)
        count = read_json(job.path(READ, self.number, COUNTS))
        kept = Bits.zeros(count["sentences"])
        repeated = {
            kind: self._bits(job, kind, count["sentences"])
            for kind in job.kinds
        }
        file = SentenceFile(job.path(READ, self.number, "sentences"))
        blocks = []
        with job.counting(self.name) as counts:
            for block in range(file.num_blocks):
                found = {
                    language: _keep(
                        file.read(block, language),
                        language,
                        repeated,
                        kept,
                        counts,
                    )
                    for language in file.languages(block)
                }
                blocks.append(found)
        kept.write(folder / BITS)
        found = {**counts.to_json(), "blocks": blocks}
        write_json(folder / COUNTS, found)

    def _bits(self, job: CleaningJob, kind: str, count: int) -> Bits:
        """The sentences that a comparison drops."""
        if kind == NEAR_DUPLICATES:
            return Bits.read(job.path(NEAR, self.number))
        found = Bits.zeros(count)
        length = SPAN_SENTENCES if kind == SPANS else 1
        for positions in _positions(job, kind, self.number):
            for offset in range(length):
                found.set(positions.astype(np.int64) + offset)
        return found


def _keep(
    section: Section,
    language: str,
    repeated: dict[str, Bits],
    kept: Bits,
    counts: Counts,
) -> int:
    """Marks and counts what is kept; returns the number of sentences."""
    numbers = section.numbers()
    dropped = np.zeros(len(numbers), bool)
    for kind, bits in repeated.items():
        found = bits.get(numbers) & ~dropped
        dropped |= found
        if found.any():
            for (source, text), gone in zip(
                section, found.tolist(), strict=True
            ):
                if gone:
                    reason = _REASONS[kind]
                    counts.drops.add(
                        Dropped(kind, reason, language, text, source.place)
                    )
    kept.set(numbers[~dropped])
    for text in itertools.compress(section.sentences, (~dropped).tolist()):
        counts.keep(language, text)
    return int((~dropped).sum())


def _positions(
    job: CleaningJob, kind: str, number: int
) -> Iterator[np.ndarray]:
    """Positions in an input that came before, partition by partition."""
    for partition in range(job.num_partitions):
        path = job.path(REPEATED, kind, partition)
        yield read_positions(path, number, len(job.paths))
