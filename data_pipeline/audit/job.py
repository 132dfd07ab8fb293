"""The job: files are read one by one, hashes are counted by partition.

Phases, each on any runner of Beam: the texts of evaluation sets; the files;
the partitions. The memory needed is that of one partition and of the hashes of
the evaluation sets, whatever the size of the input.
"""

import dataclasses
import json
import os
from collections.abc import Sequence

import numpy as np

from data_pipeline.audit.counts import Counts
from data_pipeline.audit.evaluation_texts import (
    find_evaluation_files,
    read_keys,
)
from data_pipeline.audit.hashes import KINDS, count_repeats, read_records
from data_pipeline.audit.reading import ReadFile
from data_pipeline.audit.settings import Settings
from data_pipeline.jobs.run import run_units
from labse.errors import InputError
from labse.files.kinds import files_of
from labse.files.pairs import PairFiles
from labse.files.reading import Tally
from labse.files.texts import Texts
from labse.files.work_folder import WorkFolder

# A hash takes 12 bytes of each text of a few dozen.
_PARTITION_BYTES = 2**28
_MAX_PARTITIONS = 1024


@dataclasses.dataclass
class AuditJob:
    """What all workers know.

    Attributes:
      work: the work folder.
      settings: what to find out.
      partitions: of the hashes.
      evaluation_files: of evaluation sets.
      made_from: all that the counts of a file depend on, but the file.
    """

    work: WorkFolder
    settings: Settings
    partitions: int
    evaluation_files: list[str]
    made_from: dict[str, object]

    def evaluation(self) -> np.ndarray:
        """The keys of all evaluation sets, uint64, sorted, each once."""
        parts = [
            np.load(self.work.path(f"evaluation/{number}.npy"))
            for number in range(len(self.evaluation_files))
        ]
        return np.unique(np.concatenate(parts)) if parts else np.empty(0, "u8")


@dataclasses.dataclass(frozen=True)
class ReadEvaluation:
    """The unit of work that reads a file of an evaluation set."""

    name: str
    path: str
    size: int
    changed: int

    def run(self, job: AuditJob) -> None:
        """Reads the file, unless that is done."""

        def write(to) -> None:
            with open(to, "wb") as file:
                np.save(file, read_keys(self.path))

        made_from = {
            "path": os.path.abspath(self.path),
            "size": self.size,
            "changed": self.changed,
        }
        job.work.make(self.name, made_from, write)


@dataclasses.dataclass(frozen=True)
class CountPartition:
    """The unit of work that counts what repeats in a partition.

    Attributes:
      name: of the file that it makes.
      number: of the partition.
      files: number of files that were read.
      size: of its hashes, about.
    """

    name: str
    number: int
    files: int
    size: int

    def run(self, job: AuditJob) -> None:
        """Counts, unless that is done."""
        folders = [job.work.path(f"read/{each}") for each in range(self.files)]
        made_from = {
            "files": [
                job.work.require(f"read/{each}", "reading").sha256
                for each in range(self.files)
            ]
        }

        def write(to) -> None:
            found = {}
            of_units, names = languages_of(folders)
            for kind in KINDS:
                records = np.concatenate(
                    [
                        read_records(folder / f"{kind}-{self.number}", numbers)
                        for folder, numbers in zip(
                            folders, of_units, strict=True
                        )
                    ]
                )
                equal, repeats = count_repeats(records, len(names))
                found[kind] = {"equal": equal, "repeats": repeats.tolist()}
            to.write_text(json.dumps(found), encoding="utf-8")

        job.work.make(self.name, made_from, write)


@dataclasses.dataclass
class Found:
    """All that was counted.

    Attributes:
      counts: by language.
      equal: ordered pairs of different rows with the same text: by kind.
      evaluation: (file, its different texts, those in the data).
      settings: what was to be found out.
      files: that were read.
    """

    counts: dict[str, Counts]
    equal: dict[str, int]
    evaluation: list[tuple[str, int, int]]
    settings: Settings
    files: list[str]


def run_audit(
    inputs: Sequence[str],
    evaluation: Sequence[str],
    settings: Settings,
    work: WorkFolder,
    arguments: Sequence[str],
) -> Found:
    """Counts everything.

    Args:
      inputs: files of pairs or texts, or globs.
      evaluation: files, globs or folders of evaluation sets.
      settings: what to find out.
      work: is used again by the same command.
      arguments: Beam's flags.

    Raises:
      InputError: a file breaks a rule, or too many rows do.
    """
    kind = Texts if settings.is_monolingual else PairFiles
    files = kind(inputs, settings.options)
    partitions = min(_MAX_PARTITIONS, 1 + files.num_bytes // _PARTITION_BYTES)
    job = _make_job(
        settings, find_evaluation_files(evaluation), work, partitions
    )
    evaluation_units = [
        ReadEvaluation(f"evaluation/{number}.npy", path, *_size_of(path))
        for number, path in enumerate(job.evaluation_files)
    ]
    reading_units = [
        ReadFile(f"read/{number}", path, *_size_of(path))
        for number, path in enumerate(files.files)
    ]
    size = files.num_bytes // partitions
    counting_units = [
        CountPartition(
            f"partitions/{number}.json", number, len(files.files), size
        )
        for number in range(partitions)
    ]
    run_units(job, "evaluation sets", evaluation_units, arguments)
    run_units(job, "reading", reading_units, arguments)
    run_units(job, "duplicates", counting_units, arguments)
    return _collect(job, files.files)


def _make_job(
    settings: Settings,
    evaluation_files: list[str],
    work: WorkFolder,
    partitions: int,
) -> AuditJob:
    counted = settings.to_json()
    del counted["batch"]  # Of what is made of the counts.
    vocab = settings.vocab
    made_from = {
        "settings": counted,
        "evaluation": [
            [os.path.abspath(path), *_size_of(path)]
            for path in evaluation_files
        ],
        "vocab": list(_size_of(vocab)) if vocab else [],
    }
    return AuditJob(work, settings, partitions, evaluation_files, made_from)


def _size_of(path: str) -> tuple[int, int]:
    """The size of a file in bytes, and when it was changed."""
    found = [os.stat(each) for each in files_of(path)]
    return (
        sum(each.st_size for each in found),
        max(each.st_mtime_ns for each in found),
    )


def languages_of(folders) -> tuple[list[np.ndarray], list[str]]:
    """The job's number of each language of each unit, and all languages."""
    by_unit = [
        json.loads((folder / "counts.json").read_text("utf-8"))["languages"]
        for folder in folders
    ]
    names = sorted({name for found in by_unit for name in found})
    numbers = {name: number for number, name in enumerate(names)}
    return [
        np.array([numbers[name] for name in found], np.uint32)
        for found in by_unit
    ], names


def _collect(job: AuditJob, files: list[str]) -> Found:
    folders = [job.work.path(f"read/{each}") for each in range(len(files))]
    counts: dict[str, Counts] = {}
    tally = Tally()
    seen: set[int] = set()
    for folder in folders:
        found = json.loads((folder / "counts.json").read_text("utf-8"))
        tally.add(Tally.from_json(found["tally"]))
        seen.update(np.load(folder / "found.npy").tolist())
        for name, values in zip(
            found["languages"], found["counts"], strict=True
        ):
            counts.setdefault(name, Counts()).add_json(values)
    tally.check(job.settings.options.max_malformed_share)
    tally.log()
    if not counts:
        raise InputError(
            "There must be rows to audit. Received none in: "
            f"{', '.join(files[:3])}."
        )
    equal = dict.fromkeys(KINDS, 0)
    names = sorted(counts)
    for number in range(job.partitions):
        path = job.work.path(f"partitions/{number}.json")
        for kind, values in json.loads(path.read_text("utf-8")).items():
            equal[kind] += values["equal"]
            for name, repeats in zip(names, values["repeats"], strict=True):
                counts[name].numbers[f"repeated {kind}s"] += repeats
    return Found(
        {name: counts[name] for name in names},
        equal,
        _by_evaluation_file(job, seen),
        job.settings,
        files,
    )


def _by_evaluation_file(
    job: AuditJob, seen: set[int]
) -> list[tuple[str, int, int]]:
    keys = job.evaluation()[sorted(seen)]
    rows = []
    for number, path in enumerate(job.evaluation_files):
        of_file = np.load(job.work.path(f"evaluation/{number}.npy"))
        rows.append((path, len(of_file), int(np.isin(of_file, keys).sum())))
    return rows
