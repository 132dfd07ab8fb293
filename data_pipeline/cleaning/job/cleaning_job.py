"""A cleaning job: what it reads and writes, and where its files stand.

    OUT/LANGUAGE/00000.jsonl.gz    sentences
    OUT/report.json, report.txt    what was kept and dropped
    OUT/work/                      while it runs:
      read/00012/                  of each input: sentences, keys, drops
      repeated/KIND/00003          of each partition of the keys of a kind:
                                   positions of those that came before
      near/00012                   of each input: sentences of near pages
      kept/00012/                  of each input: sentences that are kept
      written/LANGUAGE/00000       a note of each output file

A kind is near_duplicates (of pages), spans or exact_duplicates (of sentences).
"""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator, Sequence

from data_pipeline.cleaning import duplicates
from data_pipeline.cleaning.settings import (
    COMPARISONS,
    NEAR_DUPLICATES,
    CleaningSettings,
)
from data_pipeline.jobs.drops import Drops
from data_pipeline.jobs.rejects import open_rejects
from data_pipeline.jobs.report import Counts
from labse.files.compression import compression_of
from labse.files.kinds import files_of, kind_by_name
from labse.files.reading import ReadOptions
from labse.files.work_folder import WorkFolder

# Text that one partition of keys stands for. It has about 400,000 sentences,
# whose keys take 40 MB of memory.
_PARTITION_BYTES = 2**24
_UNPACKED = 4  # times the size of a compressed file


@dataclasses.dataclass(frozen=True)
class CleaningJob:
    """What the units of a job share; it is sent to the workers.

    Attributes:
      paths: the inputs in their order, which decides what is a repetition.
      options: how they are read.
      settings: what is kept.
      out: the folder to write.
      num_partitions: of keys; the sentences that are kept do not depend on it.
      rejects: a folder for what is dropped; None: it is counted only.
    """

    paths: tuple[str, ...]
    options: ReadOptions
    settings: CleaningSettings
    out: pathlib.Path
    num_partitions: int
    rejects: pathlib.Path | None = None

    @property
    def work(self) -> WorkFolder:
        """The folder of files that pass from phase to phase."""
        return WorkFolder(self.out / "work")

    @property
    def kinds(self) -> list[str]:
        """Of keys that are compared."""
        return [kind for kind in COMPARISONS if self.settings.uses(kind)]

    def made_from(self) -> dict[str, object]:
        """What the output depends on, as JSON values."""
        return {
            "inputs": [_described(path) for path in self.paths],
            "options": dataclasses.asdict(self.options),
            "settings": self.settings.made_from(),
            "minhash": duplicates.minhash_version()
            if NEAR_DUPLICATES in self.kinds
            else None,
            "rejects": str(self.rejects) if self.rejects else None,
        }

    @contextlib.contextmanager
    def counting(self, unit: str) -> Iterator[Counts]:
        """The counts of a unit, which keep what is dropped."""
        if self.rejects is None:
            yield Counts()
            return
        name = unit.replace("/", "-")
        with open_rejects(self.rejects, name) as rejects:
            yield Counts(Drops(rejects.keep))

    def path(self, name: str, *parts: int | str) -> pathlib.Path:
        """The path of a file of the work folder."""
        return self.work.path(file_name(name, *parts))

    def out_path(self, language: str, shard: int) -> pathlib.Path:
        """The path of an output file."""
        return self.out / language / f"{shard:05}.jsonl.gz"


def file_name(name: str, *parts: int | str) -> str:
    """`read/00012/sentences` of read, 12 and sentences."""
    found = [f"{part:05}" if isinstance(part, int) else part for part in parts]
    return "/".join([name, *found])


def count_partitions(paths: Sequence[str]) -> int:
    """Partitions of the keys of so much text."""
    size = sum(
        os.path.getsize(path) * (_UNPACKED if compression_of(path) else 1)
        for path in paths
    )
    return size // _PARTITION_BYTES + 1


def _described(path: str) -> list:
    kind = kind_by_name(path)
    files = files_of(path) if kind else [path]
    found = [os.stat(each) for each in files]
    return [
        path,
        *(value for one in found for value in (one.st_size, one.st_mtime_ns)),
    ]


def write_json(path: pathlib.Path, value: object) -> None:
    """Writes a JSON file."""
    path.write_text(json.dumps(value), "utf-8")


def read_json(path: pathlib.Path):
    """What `write_json` wrote."""
    return json.loads(path.read_text("utf-8"))
