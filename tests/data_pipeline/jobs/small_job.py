"""A job for tests: each unit writes a number to a file, slowly or not at all.

    python small_job.py WORK WORKERS [SECONDS_OF_A_UNIT]

Run as a process, it ends as a program does.
"""

import os
import sys
import time

from data_pipeline.jobs import phases, run
from labse.bin.flags import program
from labse.errors import InputError
from labse.files.work_folder import WorkFolder

UNITS = 6


class Job:
    """The job of `Write`."""

    def __init__(self, work, seconds=0.0):
        self.work = WorkFolder(work)
        self.seconds = seconds


class Write:
    """Writes its number and the name of its process beside the work."""

    def __init__(self, number):
        self.number = number
        self.name = f"unit-{number}"
        self.size = 10 * (number + 1)

    def run(self, job):
        job.work.make(self.name, {"number": self.number}, self._write(job))

    def _write(self, job):
        def write(path):
            with open(job.work.folder / "log", "a") as log:
                log.write(f"{self.number} {os.getpid()}\n")
            time.sleep(job.seconds)
            if (job.work.folder / f"refuse-{self.number}").exists():
                raise InputError("A unit is even. Received: odd.")
            path.write_text(str(self.number))

        return write


def define_flags(flags):
    """None."""


def main(flags):
    """Runs the job."""
    work, workers, *seconds = ARGUMENTS
    run.run_units(
        # Unpickled by its name, in workers.
        sys.modules["small_job"].Job(work, *map(float, seconds)),
        "writing",
        [sys.modules["small_job"].Write(number) for number in range(UNITS)],
        phases.local_arguments(int(workers)),
    )


if __name__ == "__main__":
    import small_job  # noqa: F401

    ARGUMENTS = sys.argv[1:]
    program.run_as_process(sys.modules[__name__], [], "small_job")
