"""Runs the phases of a job, says how far it is, and resumes.

    run_units(job, "clean", units, beam_arguments(flags))

A unit of these has, beside `run(job)`:

    name    of the file that it makes in `job.work`: once that is noted, the
            unit is done
    size    of what it reads, in bytes
"""

from collections.abc import Sequence
from typing import Protocol

from data_pipeline.jobs import phases
from data_pipeline.jobs.progress import Progress


class MakingUnit(phases.Unit, Protocol):
    """A unit of work that makes one file."""

    name: str
    size: int


def run_units(
    job, label: str, units: Sequence[MakingUnit], arguments: Sequence[str]
) -> None:
    """Runs the units of a phase that are not done.

    Args:
      job: is sent to the workers, pickled; `job.work` is its work folder.
      label: of the phase, a word or two, in front of the progress.
      units: of the phase.
      arguments: Beam's flags.

    Raises:
      InputError, OSError, LostWorkerError: see `phases.run_phase`; or a file
        was made from something else.
    """
    made = [unit for unit in units if job.work.is_made(unit.name)]
    if job.work.restart:  # Some may be of something else: those are made again.
        made = []
    for unit in made:
        unit.run(job)  # Compares what it was made from.
    names = {unit.name for unit in made}
    rest = [unit for unit in units if unit.name not in names]
    with Progress(label, units, job.work):
        phases.run_phase(job, label, rest, arguments)
