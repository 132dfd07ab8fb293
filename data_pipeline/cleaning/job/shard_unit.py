"""Phase 5: the sentences of a language in files of a limited size."""

import dataclasses
import itertools
import pathlib
from collections.abc import Iterator, Sequence

from data_pipeline.cleaning.job.bits import Bits
from data_pipeline.cleaning.job.cleaning_job import (
    CleaningJob,
    file_name,
    read_json,
    write_json,
)
from data_pipeline.cleaning.job.compare_units import BITS, KEPT
from data_pipeline.cleaning.job.read_unit import COUNTS, READ
from data_pipeline.cleaning.job.sentence_files import SentenceFile
from labse import features
from labse.files.formats.jsonl import JsonlWriter
from labse.files.reading import Fields

WRITTEN = "written"
URL = "url"
COLUMNS = (features.TEXT, features.LANGUAGE, features.CORPUS, URL)


@dataclasses.dataclass(frozen=True)
class ShardUnit:
    """Writes one output file.

    Attributes:
      language: of the sentences.
      number: of the file.
      input: the number of the input where its sentences begin.
      skip: kept sentences of that input that belong to files before.
      count: sentences to write.
    """

    language: str
    number: int
    input: int
    skip: int
    count: int

    @property
    def name(self) -> str:
        """Of the note in the work folder that the file is there."""
        return file_name(WRITTEN, self.language, self.number)

    @property
    def size(self) -> int:
        """As others count bytes."""
        return self.count

    def run(self, job: CleaningJob) -> None:
        """Writes OUT/LANGUAGE/NUMBER.jsonl.gz, unless it is there."""
        job.work.make(self.name, {}, lambda path: self._write(job, path))

    def _write(self, job: CleaningJob, note: pathlib.Path) -> None:
        path = job.out_path(self.language, self.number)
        writer = JsonlWriter(path, "gz", COLUMNS)
        writer.write(
            writer.format_row(row, str(path))
            for row in itertools.islice(self._rows(job), self.count)
        )
        write_json(note, self.count)

    def _rows(self, job: CleaningJob) -> Iterator[Fields]:
        skip = self.skip
        for number in range(self.input, len(job.paths)):
            counts = read_json(job.path(KEPT, number, COUNTS))["blocks"]
            file = SentenceFile(job.path(READ, number, "sentences"))
            kept = Bits.read(job.path(KEPT, number, BITS))
            for block in range(file.num_blocks):
                count = counts[block].get(self.language, 0)
                if count > skip:
                    rows = self._rows_of_block(file, block, kept)
                    yield from itertools.islice(rows, skip, None)
                skip = max(0, skip - count)

    def _rows_of_block(
        self, file: SentenceFile, block: int, kept: Bits
    ) -> Iterator[Fields]:
        section = file.read(block, self.language)
        is_kept = kept.get(section.numbers()).tolist()
        for source, text in itertools.compress(section, is_kept):
            yield {
                features.TEXT: text,
                features.LANGUAGE: self.language,
                features.CORPUS: source.corpus or None,
                URL: source.url or None,
            }


def plan_shards(
    counts: Sequence[dict[str, int]], shard_sentences: int
) -> list[ShardUnit]:
    """The output files, by the sentences of each language in each input."""
    units = []
    for language in sorted({name for count in counts for name in count}):
        units += _plan_language(
            language,
            [count.get(language, 0) for count in counts],
            shard_sentences,
        )
    return units


def _plan_language(
    language: str, counts: list[int], shard_sentences: int
) -> Iterator[ShardUnit]:
    left, number = sum(counts), 0
    position = before = 0  # in the input, and sentences of it in files
    while left:
        while before >= counts[position]:
            before -= counts[position]
            position += 1
        count = min(left, shard_sentences)
        yield ShardUnit(language, number, position, before, count)
        before += count
        left -= count
        number += 1
