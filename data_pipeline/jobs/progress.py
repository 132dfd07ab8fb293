"""How far a phase is: units and bytes done, the rate and the time left.

Units that are done are found by their notes in the work folder, so it is the
same with every runner.
"""

import threading
from collections.abc import Sequence
from typing import IO

from labse.files.work_folder import WorkFolder
from labse.progress import ProgressBar

_POLL_SECONDS = 0.5


class Progress:
    """Reports in its block which units are done."""

    def __init__(
        self,
        label: str,
        units: Sequence,
        work: WorkFolder,
        file: IO[str] | None = None,
    ):
        """Takes units with a `name` and a `size`; writes to stderr."""
        self._label, self._work, self._file = label, work, file
        self._count = len(units)
        self._bytes = sum(unit.size for unit in units)
        self._waiting = {
            unit.name: unit.size
            for unit in units
            if not work.is_made(unit.name)
        }
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._report, daemon=True)

    def __enter__(self) -> "Progress":
        if self._waiting:
            # `initial` is not counted in the rate.
            self._bar = ProgressBar(
                desc=self._label,
                total=self._bytes,
                initial=self._bytes - sum(self._waiting.values()),
                unit="B",
                unit_scale=True,
                file=self._file,
            )
            self._thread.start()
        return self

    def __exit__(self, kind, *_) -> None:
        if not self._thread.is_alive():
            return
        self._end.set()
        self._thread.join()
        self._show()
        self._bar.leave = kind is None  # An error stands by itself.
        self._bar.close()

    def _report(self) -> None:
        while not self._end.wait(_POLL_SECONDS):
            self._show()

    def _show(self) -> None:
        for name in [
            each for each in self._waiting if self._work.is_made(each)
        ]:
            del self._waiting[name]
        done = self._count - len(self._waiting)
        self._bar.set_postfix_str(
            f"{done:,} of {self._count:,} units", refresh=False
        )
        self._bar.update(
            self._bytes - sum(self._waiting.values()) - self._bar.n
        )
        self._bar.refresh()
