"""Cleans text of any kind into sentences by language; section 3.1 of the paper.

The phases, each a list of units for `data_pipeline.jobs.run`:

    1  each input is read, cleaned and split; keys of its sentences, spans and
       pages go to partitions
    2  in each partition: which pages have a band in common with one before
    3  of each input: the sentences of such pages
    4  in each partition: which sentences and spans came before
    5  of each input: what is kept
    6  each output file is written

What is kept depends on the inputs and the settings alone. Of what is equal, the
first stays: the first in the order of the inputs, and in an input.
"""

import collections
import json
import os
import pathlib
from collections.abc import Iterable, Sequence

from data_pipeline.cleaning.job.cleaning_job import (
    CleaningJob,
    count_partitions,
    read_json,
    write_json,
)
from data_pipeline.cleaning.job.compare_units import (
    KEPT,
    KeepUnit,
    NearUnit,
    RepeatedUnit,
)
from data_pipeline.cleaning.job.read_unit import COUNTS, READ, ReadUnit
from data_pipeline.cleaning.job.shard_unit import plan_shards
from data_pipeline.cleaning.settings import NEAR_DUPLICATES, CleaningSettings
from data_pipeline.corpora.documents import find_corpora
from data_pipeline.jobs.phases import LOCAL_RUNNER, local_arguments
from data_pipeline.jobs.report import Counts, write_report
from data_pipeline.jobs.run import run_units
from labse.errors import InputError
from labse.files.atomic_write import check_new_folder, remove
from labse.files.reading import ReadOptions

# Bytes of input, or sentences to write, that take some seconds.
_SMALL_PHASE = 5e7
_SMALL_PHASES = {"clean": 2e6, "near pages": 1e9, "write": 3e5}
REPORT = "report.json"
_JOB = "job.json"


def clean_monolingual(
    patterns: Iterable[str | os.PathLike],
    out: str | os.PathLike,
    settings: CleaningSettings,
    options: ReadOptions,
    arguments: Sequence[str],
    rejects: str | os.PathLike | None = None,
    num_partitions: int | None = None,
) -> str:
    """Writes the sentences of corpora by language, unless they are there.

    The same call resumes what was killed.

    Args:
      patterns: corpora, or globs; see `find_corpora`.
      out: a new folder, or that of the same call.
      settings: what is kept.
      options: how rows are read.
      arguments: Beam's flags.
      rejects: a new folder for what is dropped, by step and reason.
      num_partitions: of keys; by default as many as the inputs' size needs.

    Returns:
      the report, in short; or that all is there already.

    Raises:
      InputError: an input breaks a rule; `out` or `rejects` holds something
        else, or what was made from something else; or the disk is full.
    """
    paths = find_corpora(patterns)
    job = CleaningJob(
        tuple(paths),
        options,
        settings,
        pathlib.Path(out).absolute(),
        num_partitions or count_partitions(paths),
        pathlib.Path(rejects).absolute() if rejects else None,
    )
    if _is_finished(job):
        remove(job.work.folder)
        return f"{job.out} holds these sentences; see {REPORT} there.\n"
    _begin(job)
    _run_phases(job, arguments)
    report = _write_report(job)
    remove(job.work.folder)
    return report


def _is_finished(job: CleaningJob) -> bool:
    """Whether the report is there, of the same inputs and settings.

    Raises:
      InputError: it is of others.
    """
    report = job.out / REPORT
    if report.exists():
        made_from = read_json(report).get("settings")
        if made_from == json.loads(json.dumps(job.made_from())):
            return True
        raise InputError(
            f"out: {job.out} holds sentences that were cleaned from other "
            f"inputs or with other settings, as {report} says. Choose another "
            "folder, or remove this one."
        )
    return False


def _begin(job: CleaningJob) -> None:
    """Notes what the job is made from, or compares it with what is noted.

    Raises:
      InputError: `out` or `rejects` holds something else.
    """
    # Its first file. OUT/work alone may be of another program.
    if not job.work.path(f"locks/{_JOB}").exists():
        check_new_folder(job.out)
        if job.rejects:
            check_new_folder(job.rejects, "rejects")
    made_from = {**job.made_from(), "partitions": job.num_partitions}
    made_from = json.loads(json.dumps(made_from))
    note = job.work.note(_JOB)
    if note and note.made_from != made_from:
        changed = [
            key for key in made_from if made_from[key] != note.made_from[key]
        ]
        raise InputError(
            f"out: the job that was begun in {job.out} had other values of "
            f"{' and '.join(changed)}. Start it as before, choose another "
            "folder, or remove this one."
        )
    job.work.make(_JOB, made_from, lambda path: write_json(path, None))


def _run_phases(job: CleaningJob, arguments: Sequence[str]) -> None:
    sizes = [os.path.getsize(path) for path in job.paths]
    share = sum(sizes) // job.num_partitions

    def run(label: str, units: list) -> None:
        size = sum(unit.size for unit in units)
        is_small = size < _SMALL_PHASES.get(label, _SMALL_PHASE)
        is_local = f"--runner={LOCAL_RUNNER}" in arguments
        # To start processes would take longer than to do the work.
        here = local_arguments(1) if is_small and is_local else arguments
        run_units(job, label, units, here)

    def repeated(kinds: list[str]) -> list[RepeatedUnit]:
        return [
            RepeatedUnit(kind, partition, share)
            for kind in kinds
            for partition in range(job.num_partitions)
        ]

    run("clean", [ReadUnit(*each) for each in enumerate(sizes)])
    if NEAR_DUPLICATES in job.kinds:
        run("compare pages", repeated([NEAR_DUPLICATES]))
        run("near pages", [NearUnit(*each) for each in enumerate(sizes)])
    kinds = [kind for kind in job.kinds if kind != NEAR_DUPLICATES]
    run("compare sentences", repeated(kinds))
    run("select", [KeepUnit(*each) for each in enumerate(sizes)])
    counts = [_kept(job, number) for number in range(len(job.paths))]
    run("write", plan_shards(counts, job.settings.shard_sentences))


def _kept(job: CleaningJob, number: int) -> dict[str, int]:
    """Sentences of an input that are kept, by language."""
    found = collections.Counter()
    for block in read_json(job.path(KEPT, number, COUNTS))["blocks"]:
        found.update(block)
    return found


def _write_report(job: CleaningJob) -> str:
    total = Counts()
    for number in range(len(job.paths)):
        for phase in (READ, KEPT):
            total.add_json(read_json(job.path(phase, number, COUNTS)))
    title = "labse clean-monolingual"
    return write_report(job.out, title, total, job.made_from())
