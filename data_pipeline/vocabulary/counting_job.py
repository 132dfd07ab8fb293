"""Counts words in two phases of units of work: any runner, the same words.

    WORK/counted/N/counts.tsv   words, languages and counts of the file N, in
                                runs; a run has each word once, by partition
    WORK/counted/N/index.json   where partitions begin; what the reading found
    WORK/words/P/words.tsv      of all files, partition P, sorted
    WORK/words/P/totals.json    words of each language; distinct words

A word's partition is a hash of it. So a worker holds a part of the words only:
of a file those of one run, of all files those of one partition.
"""

import collections
import dataclasses
import hashlib
import importlib.util
import json
import pathlib
import shutil
import zlib
from collections.abc import Iterator, Sequence

from data_pipeline.jobs.progress import Progress
from data_pipeline.vocabulary import word_table
from data_pipeline.vocabulary.word_counts import Counts, WordCounter
from data_pipeline.vocabulary.word_table import Rows, WordTable
from labse.errors import InputError
from labse.files.reading import Tally
from labse.files.texts import Texts
from labse.files.work_folder import WorkFolder

PARTITIONS = 64
# Distinct words in the memory of a worker, about 0.4 GB.
_RUN_WORDS = 2_000_000


@dataclasses.dataclass(frozen=True)
class CountingJob:
    """What to count, and where.

    Attributes:
      texts: the input.
      work: the folder of intermediate files.
      partitions: of words; the result is the same.
    """

    texts: Texts
    work: WorkFolder
    partitions: int = PARTITIONS

    def count_units(self) -> list["CountFile"]:
        """The first phase."""
        return [
            CountFile(number, path, pathlib.Path(path).stat().st_size)
            for number, path in enumerate(self.texts.files)
        ]

    def merge_units(self) -> list["MergePartition"]:
        """The second phase, after the first."""
        size = sum(
            self.work.require(unit.name, "count").size
            for unit in self.count_units()
        )
        return [
            MergePartition(number, size // self.partitions)
            for number in range(self.partitions)
        ]


@dataclasses.dataclass(frozen=True)
class CountFile:
    """Counts the words of one file."""

    number: int
    path: str
    size: int

    @property
    def name(self) -> str:
        """The folder that it makes."""
        return f"counted/{self.number:05}"

    def run(self, job: CountingJob) -> None:
        """Counts, unless it is done."""
        made_from = {
            "file": [
                str(pathlib.Path(self.path).absolute()),
                self.size,
                pathlib.Path(self.path).stat().st_mtime_ns,
            ],
            "options": dataclasses.asdict(job.texts.options),
            "partitions": job.partitions,
        }
        job.work.make(
            self.name, made_from, lambda folder: self._count(job, folder)
        )

    def _count(self, job: CountingJob, folder: pathlib.Path) -> None:
        _empty_folder(folder)
        job.texts.tally = Tally()
        runs = []
        with open(folder / "counts.tsv", "wb") as file:

            def write(counts: Counts) -> None:
                begins = [file.tell()]
                for lines in _by_partition(counts, job.partitions):
                    file.writelines(lines)
                    begins.append(file.tell())
                runs.append(begins)

            WordCounter(write, _RUN_WORDS).count(
                (language, text.encode())
                for language, text, _ in job.texts.open(self.path)
            )
        found = job.texts.tally.to_json()
        index = {"runs": runs, "tally": found}
        (folder / "index.json").write_text(json.dumps(index), "utf-8")


@dataclasses.dataclass(frozen=True)
class MergePartition:
    """Adds up a partition's counts of all files."""

    number: int
    size: int

    @property
    def name(self) -> str:
        """The folder that it makes."""
        return f"words/{self.number:03}"

    def run(self, job: CountingJob) -> None:
        """Merges, unless it is done."""
        digest = hashlib.sha256()
        for unit in job.count_units():
            digest.update(job.work.require(unit.name, "count").sha256.encode())
        made_from = {
            "counts": digest.hexdigest(),
            "partition": [self.number, job.partitions],
        }
        job.work.make(
            self.name, made_from, lambda folder: self._merge(job, folder)
        )

    def _merge(self, job: CountingJob, folder: pathlib.Path) -> None:
        _empty_folder(folder)
        counts = {}
        for unit in job.count_units():
            for line in _lines(job.work.path(unit.name), self.number):
                row, _, count = line.rpartition(b"\t")
                counts[row] = counts.get(row, 0) + int(count)
        languages = collections.Counter()
        words, last = 0, None
        with open(folder / "words.tsv", "wb") as file:
            # A tab is less than what a word can have: the order is by word.
            for row in sorted(counts):
                word, _, language = row.partition(b"\t")
                languages[language.decode()] += counts[row]
                words += word != last
                last = word
                file.write(b"%b\t%d\n" % (row, counts[row]))
        totals = {"languages": languages, "words": words}
        text = json.dumps(totals, sort_keys=True)
        (folder / "totals.json").write_text(text, "utf-8")


def count_in_phases(
    job: CountingJob, exponent: float, arguments: Sequence[str] | None
) -> WordTable:
    """Counts what is not counted yet, and reads the words.

    Args:
      job: what to count.
      exponent: see `smoothing.smoothing_coefficients`.
      arguments: Beam's flags; None: in this process, without Beam.

    Raises:
      InputError: of reading files, as iterating `Texts` does.
    """
    _run_units(job, "count words", job.count_units(), arguments)
    _check_files(job)
    units = job.merge_units()
    _run_units(job, "add up", units, arguments)
    totals = [
        json.loads(
            (job.work.path(unit.name) / "totals.json").read_text("utf-8")
        )
        for unit in units
    ]
    languages = collections.Counter()
    for total in totals:
        languages.update(total["languages"])
    return word_table.make_table(
        (_rows(job.work.path(unit.name) / "words.tsv") for unit in units),
        dict(sorted(languages.items())),
        sum(total["words"] for total in totals),
        exponent,
    )


def has_beam() -> bool:
    """Whether Beam is installed."""
    return importlib.util.find_spec("apache_beam") is not None


def _run_units(job, label, units, arguments) -> None:
    if arguments is not None:
        from data_pipeline.jobs import run

        run.run_units(job, label, units, arguments)
        return
    with Progress(label, units, job.work):
        for unit in units:
            unit.run(job)


def _check_files(job: CountingJob) -> None:
    """Raises what reading all files at once would raise."""
    tally = Tally()
    for unit in job.count_units():
        index = (job.work.path(unit.name) / "index.json").read_text("utf-8")
        found = Tally.from_json(json.loads(index)["tally"])
        if not found.num_found and len(job.texts.files) > 1:
            raise InputError(
                f"{unit.path}: the file has no rows. Make or fetch it again, "
                "or leave it out."
            )
        tally.add(found)
    tally.check(job.texts.options.max_malformed_share)
    tally.log()


def _by_partition(counts: Counts, partitions: int) -> list[list[bytes]]:
    """Lines of words, languages and counts, by partition."""
    lines = [[] for _ in range(partitions)]
    for language, words in counts.items():
        name = language.encode()
        for word, count in words.items():
            row = b"%b\t%b\t%d\n" % (word, name, count)
            lines[zlib.crc32(word) % partitions].append(row)
    return lines


def _lines(folder: pathlib.Path, partition: int) -> Iterator[bytes]:
    """The lines of a partition in all runs of a file."""
    index = json.loads((folder / "index.json").read_text("utf-8"))
    with open(folder / "counts.tsv", "rb") as file:
        for begins in index["runs"]:
            file.seek(begins[partition])
            size = begins[partition + 1] - begins[partition]
            yield from file.read(size).splitlines()


def _rows(path: pathlib.Path) -> Rows:
    cells = path.read_bytes().replace(b"\n", b"\t").split(b"\t")[:-1]
    languages = [language.decode() for language in cells[1::3]]
    return cells[0::3], languages, list(map(int, cells[2::3]))


def _empty_folder(folder: pathlib.Path) -> None:
    """Without what a killed process left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
