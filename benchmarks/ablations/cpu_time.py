"""CPU seconds of a unit, over all processes that worked at it."""

import json
import os
import pathlib

from labse.files.atomic_write import write_text


class CpuTime:
    """Adds up the CPU time of a unit's processes in a file.

    A process that is killed cannot write its own, so the unit has no figure
    then: the file holds null while a process runs.
    """

    def __init__(self, path: pathlib.Path):
        """Reads what earlier processes took.

        Args:
          path: the unit's file; need not be there.
        """
        self._path = path
        self._before = 0.0
        if path.exists():
            self._before = json.loads(path.read_text(encoding="utf-8"))
        write_text(path, "null\n")

    def seconds(self) -> float | None:
        """So far, child processes included; None: not known."""
        if self._before is None:
            return None
        return round(self._before + sum(os.times()[:4]), 1)

    def save(self) -> None:
        """Writes the time for the process that resumes the unit."""
        write_text(self._path, json.dumps(self.seconds()) + "\n")
