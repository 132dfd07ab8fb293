"""The phases of a job on Apache Beam: any runner, the same bytes.

A job is a sequence of phases, and a phase a list of units: small objects with
`run(job)`, which the runner gives to its workers in any order. What passes from
one phase to the next stands in the job's work folder, which all workers see
(`labse.files.work_folder`): a file is whole or not there and has a note of what
it was made from. So a job that was killed resumes, and its memory does not grow
with its input, also where the runner itself would group in memory
(docs/design/corpora.md).
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    StandardOptions,
)
from apache_beam.runners.runner import create_runner

from labse.errors import InputError

LOCAL_RUNNER = "DirectRunner"


class Unit(Protocol):
    """A unit of work."""

    def run(self, job) -> None:
        """Does the work, unless it is done."""


class DoUnit(beam.DoFn):
    """Runs each unit, and yields it."""

    def __init__(self, job):
        """Takes the job, which is sent to the workers."""
        self._job = job

    def process(self, unit) -> Iterable:
        """Runs one unit."""
        unit.run(self._job)
        yield unit


def run_phase(
    job,
    label: str,
    units: Sequence[Unit],
    arguments: Sequence[str],
    transform: beam.PTransform | None = None,
) -> None:
    """Runs the units of a phase as a pipeline.

    Args:
      job: is sent to the workers, pickled.
      label: of the phase, for the runner's pages.
      units: of the phase; none: nothing is done.
      arguments: Beam's flags, such as `--runner=FlinkRunner`.
      transform: from units to units that are done; by default `DoUnit`.

    Raises:
      InputError: a worker raised one.
    """
    if not units:
        return
    try:
        _run_pipeline(job, label, units, arguments, transform)
    except Exception as error:
        # A runner passes on a worker's error as text, if at all.
        found = [
            line.partition("InputError: ")[2]
            for line in str(error).splitlines()
            if "InputError: " in line
        ]
        if not found:
            raise
        message = found[-1].split(" [while running")[0]
        raise InputError(message) from error


def local_arguments(workers: int) -> list[str]:
    """Beam's flags for a number of processes on this machine."""
    arguments = [f"--runner={LOCAL_RUNNER}"]
    if workers > 1:
        arguments += [
            f"--direct_num_workers={workers}",
            "--direct_running_mode=multi_processing",
        ]
    return arguments


def check_runner(arguments: Sequence[str]) -> None:
    """Raises `InputError` if Beam has no such runner."""
    name = PipelineOptions(list(arguments)).view_as(StandardOptions).runner
    try:
        create_runner(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise InputError(
            f"The runner must be one of Beam's. Received: {name} ({error})."
        ) from error


def _run_pipeline(job, label, units, arguments, transform) -> None:
    with beam.Pipeline(options=PipelineOptions(list(arguments))) as pipeline:
        _ = (
            pipeline
            | f"{label}, units" >> beam.Create(units)
            | "one worker each" >> beam.Reshuffle()
            | label >> (transform or beam.ParDo(DoUnit(job)))
            | "count" >> beam.combiners.Count.Globally()
            | "all are done" >> beam.Map(_check_count, len(units))
        )


def _check_count(done: int, expected: int) -> None:
    if done != expected:
        raise ValueError(f"{done} of {expected} units of work are done.")
