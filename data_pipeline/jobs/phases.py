"""The phases of a job on Apache Beam: any runner, the same bytes.

A job is a sequence of phases, and a phase a list of units: small objects with
`run(job)`, which the runner gives to its workers in any order. What passes from
one phase to the next stands in the job's work folder, `job.work`, which all
workers see (`labse.files.work_folder`): a file is whole or not there and has a
note of what it was made from. So a job that was killed resumes, and its memory
does not grow with its input, also where the runner itself would group in memory
(docs/design/corpora.md).
"""

import contextlib
from collections.abc import Iterable, Sequence
from typing import Protocol

from data_pipeline.jobs import local_runner

# isort: split
import apache_beam as beam
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    StandardOptions,
)
from apache_beam.runners.runner import create_runner

from data_pipeline.jobs.failures import Failures, run_unit
from data_pipeline.jobs.local_runner import LOCAL_RUNNER
from labse.errors import InputError


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
        run_unit(self._job, unit)
        yield unit


def run_phase(
    job,
    label: str,
    units: Sequence[Unit],
    arguments: Sequence[str],
    transform: beam.PTransform | None = None,
) -> None:
    """Runs the units of a phase as a pipeline.

    Where the units have a `size`, the largest are done first, and processes on
    this machine get about the same size in all.

    Args:
      job: is sent to the workers, pickled; `job.work` is its work folder.
      label: of the phase, for the runner's pages.
      units: of the phase; none: nothing is done.
      arguments: Beam's flags, such as `--runner=FlinkRunner`.
      transform: from units to units that are done; by default `DoUnit`.

    Raises:
      InputError, OSError: a worker raised one. Units that others had begun are
        finished, no more are begun.
      LostWorkerError: a worker process of this machine was killed.
    """
    if not units:
        return
    failures = Failures(job.work)
    failures.clear()
    transform = transform or beam.ParDo(DoUnit(job))
    try:
        _run_pipeline(label, units, arguments, transform)
    except Exception as error:
        failures.raise_first()
        # A runner passes on the error of a setup as text, if at all.
        found = [
            line.partition("InputError: ")[2]
            for line in str(error).splitlines()
            if "InputError: " in line
        ]
        if not found:
            raise
        message = found[-1].split(" [while running")[0]
        raise InputError(message) from error
    failures.raise_first()


def local_arguments(workers: int) -> list[str]:
    """Beam's flags for a number of processes on this machine.

    A phase starts no more of them than it has units.
    """
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


def deal(units: Sequence[Unit], workers: int) -> list[tuple[int, Unit]]:
    """Deals units to workers: (worker, unit), the largest unit first.

    Each goes to the worker that has the least to do, by the units' `size`;
    those without one count as equal.
    """
    loads = [0] * workers
    dealt = []
    for unit in sorted(units, key=_size, reverse=True):
        worker = loads.index(min(loads))
        loads[worker] += max(_size(unit), 1)
        dealt.append((worker, unit))
    return dealt


def _size(unit: Unit) -> int:
    return getattr(unit, "size", 1)


def _run_pipeline(label, units, arguments, transform) -> None:
    options = PipelineOptions(list(arguments))
    runner, workers = None, len(units)
    with contextlib.ExitStack() as stack:
        if _is_local(options):
            workers = min(workers, local_runner.count_workers(options))
            runner = stack.enter_context(
                local_runner.local_runner(options, workers)
            )
        # By `with`, a pipeline would also run after an exception.
        pipeline = beam.Pipeline(runner=runner, options=options)
        _ = (
            pipeline
            | f"{label}, units" >> beam.Create(deal(units, workers))
            # The runner of this machine gives each key to another process.
            | "by worker" >> beam.GroupByKey()
            | "units" >> beam.Values()
            | "one by one" >> beam.FlatMap(iter)
            | label >> transform
            | "count" >> beam.combiners.Count.Globally()
            | "all are done" >> beam.Map(_check_count, len(units))
        )
        pipeline.run().wait_until_finish()


def _is_local(options: PipelineOptions) -> bool:
    runner = options.view_as(StandardOptions).runner
    return (runner or LOCAL_RUNNER) == LOCAL_RUNNER


def _check_count(done: int, expected: int) -> None:
    if done != expected:
        raise ValueError(f"{done} of {expected} units of work are done.")
