"""How an error of a worker reaches the program: through the work folder.

Runners pass on exceptions as text, among many lines of their own, and try a
unit again that fails each time.
"""

import json
import pathlib
import shutil
import uuid

from labse.errors import InputError
from labse.files.atomic_write import write_text
from labse.files.work_folder import WorkFolder


class Failures:
    """Units of a phase that could not be done."""

    def __init__(self, work: WorkFolder):
        """Of the job with this work folder."""
        self._folder = work.path("failed")

    def clear(self) -> None:
        """Forgets those of an earlier run."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, error: InputError | OSError) -> None:
        """Notes the error of a unit."""
        known = {"message": str(error)}
        if isinstance(error, OSError):
            known["system"] = [error.errno, error.strerror, error.filename]
        path = self._folder / f"{uuid.uuid4().hex}.json"
        write_text(path, json.dumps(known, default=str))

    def found(self) -> list[pathlib.Path]:
        """A file for each failure."""
        return list(self._folder.glob("*.json"))

    def raise_first(self) -> None:
        """Raises the first error, in the order of the messages, if any."""
        errors = [json.loads(path.read_text("utf-8")) for path in self.found()]
        for error in sorted(errors, key=lambda error: error["message"]):
            if "system" in error:
                raise OSError(*error["system"])
            raise InputError(error["message"])


def run_unit(job, unit) -> None:
    """Runs a unit, unless another one failed; notes where this one does."""
    failures = Failures(job.work)
    if failures.found():
        return
    try:
        unit.run(job)
    except (InputError, OSError) as error:
        failures.add(error)
