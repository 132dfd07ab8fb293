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
import os
import pathlib
import shutil
from collections.abc import Iterable, Sequence

from data_pipeline.cleaning.compare_units import (
    KEPT,
    KeepUnit,
    NearUnit,
    RepeatedUnit,
)
from data_pipeline.cleaning.job import (
    CleaningJob,
    count_partitions,
    read_json,
)
from data_pipeline.cleaning.read_unit import READ, ReadUnit
from data_pipeline.cleaning.settings import NEAR_DUPLICATES, CleaningSettings
from data_pipeline.cleaning.shard_unit import plan_shards
from data_pipeline.corpora.documents import find_corpora
from data_pipeline.jobs.run import run_units
from labse.errors import InputError
from labse.files.reading import ReadOptions

_REPORT = "report.json"


def clean_monolingual(
    patterns: Iterable[str | os.PathLike],
    out: str | os.PathLike,
    settings: CleaningSettings,
    options: ReadOptions,
    arguments: Sequence[str],
    num_partitions: int | None = None,
) -> dict:
    """Writes the sentences of corpora by language, unless they are there.

    The same call resumes what was killed.

    Args:
      patterns: corpora, or globs; see `find_corpora`.
      out: a new folder, or that of the same call.
      settings: what is kept.
      options: how rows are read.
      arguments: Beam's flags.
      num_partitions: of keys; by default as many as the inputs' size needs.

    Returns:
      the report.

    Raises:
      InputError: an input breaks a rule; `out` holds something else, or what
        was made from something else; or the disk is full.
    """
    paths = find_corpora(patterns)
    job = CleaningJob(
        tuple(paths),
        options,
        settings,
        pathlib.Path(out).absolute(),
        num_partitions or count_partitions(paths),
    )
    made_from = job.made_from()
    report = _find_finished(job, made_from)
    if report is None:
        job.work.make(
            "job.json",
            {**made_from, "partitions": job.num_partitions},
            lambda path: path.write_text("{}"),
        )
        _run_phases(job, arguments)
        report = _write_report(job, made_from)
    shutil.rmtree(job.work.folder, ignore_errors=True)
    return report


def _run_phases(job: CleaningJob, arguments: Sequence[str]) -> None:
    sizes = [os.path.getsize(path) for path in job.paths]
    share = sum(sizes) // job.num_partitions

    def run(label: str, units: list) -> None:
        run_units(job, label, units, arguments)

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
    for block in read_json(job.path(KEPT, number, "counts.json"))["blocks"]:
        found.update(block)
    return found
