"""Flags of programs that run on Apache Beam."""

import os

from labse.bin.flags.flag_set import FlagSet
from labse.errors import InputError


def define_beam_flags(flags: FlagSet) -> None:
    """Flags of the runner."""
    flags.integer(
        "workers",
        None,
        "Processes on this machine. Default: one for each core. The result is "
        "the same.",
        lower_bound=1,
    )
    flags.string(
        "runner",
        None,
        "Beam runner of a cluster, such as FlinkRunner, in place of "
        "--workers; --work and the input must be on a file system that all "
        "workers share.",
    )
    flags.strings(
        "beam",
        [],
        "A flag of Beam's, such as --beam=--parallelism=8; repeatable.",
    )


def define_rejects_flag(flags: FlagSet) -> None:
    """The flag that keeps what is dropped."""
    flags.string(
        "rejects",
        None,
        "New folder for what is dropped, by step and reason, as .jsonl.gz.",
    )


def count_workers(flags: FlagSet) -> int:
    """Processes on this machine."""
    return flags.workers or len(os.sched_getaffinity(0))


def beam_arguments(flags: FlagSet) -> list[str]:
    """Beam's flags.

    Raises:
      InputError: Beam is not installed, has no such runner, or flags exclude
        each other.
    """
    if flags.runner and flags.workers:
        raise InputError(
            "--workers is the number of processes on this machine, --runner "
            "names a cluster's runner. Received both. Give one of them."
        )
    try:
        from data_pipeline.jobs import phases
    except ModuleNotFoundError as error:
        raise InputError(
            f"This program needs Apache Beam ({error}). Install labse[corpora]."
        ) from error

    if flags.runner:
        arguments = [f"--runner={flags.runner}", *flags.beam]
    else:
        arguments = [
            *phases.local_arguments(count_workers(flags)),
            *flags.beam,
        ]
    phases.check_runner(arguments)
    return arguments
