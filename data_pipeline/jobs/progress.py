"""How far a phase is: a line that is written over in a terminal, else rarely.

Units that are done are found by their notes in the work folder, so it is the
same with every runner.
"""

import sys
import threading
import time
from collections.abc import Sequence
from typing import IO

from labse.files.work_folder import WorkFolder

_POLL_SECONDS = 0.5
# Where the output is no terminal.
_FIRST_LINE_SECONDS, _LINE_SECONDS = 10, 60
_SIZES = ("B", "kB", "MB", "GB", "TB")


class Progress:
    """Reports in its block which units are done, and the rate and time left."""

    def __init__(
        self,
        label: str,
        units: Sequence,
        work: WorkFolder,
        file: IO[str] | None = None,
    ):
        """Takes units with a `name` and a `size`; writes to stderr."""
        self._label, self._work = label, work
        self._file = file or sys.stderr
        self._count = len(units)
        self._bytes = sum(unit.size for unit in units)
        self._waiting = {
            unit.name: unit.size
            for unit in units
            if not work.is_made(unit.name)
        }
        self._before = sum(self._waiting.values())
        self._began = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._report, daemon=True)

    def __enter__(self) -> "Progress":
        if self._waiting:
            self._thread.start()
        return self

    def __exit__(self, kind, *_) -> None:
        if not self._thread.is_alive():
            return
        self._end.set()
        self._thread.join()
        self._find_done()
        if self._file.isatty():
            self._file.write(f"\r\x1b[K{self.line()}\n")
        elif kind is None:
            self._file.write(f"{self.line()}\n")
        self._file.flush()

    def line(self) -> str:
        """Units and bytes that are done, of all; rate and time left."""
        seconds = time.monotonic() - self._began
        waiting = sum(self._waiting.values())
        done = self._bytes - waiting
        text = (
            f"{self._label}: {self._count - len(self._waiting):,} of "
            f"{self._count:,} units, {_shown_size(done)} of "
            f"{_shown_size(self._bytes)}"
        )
        rate = (self._before - waiting) / max(seconds, 1e-3)
        if not rate:
            return text
        text += f", {_shown_size(rate)}/s"
        if waiting:
            return f"{text}, {_shown_time(waiting / rate)} left"
        return f"{text}, {_shown_time(seconds)}"

    def _find_done(self) -> None:
        done = [name for name in self._waiting if self._work.is_made(name)]
        for name in done:
            del self._waiting[name]

    def _report(self) -> None:
        next_line = self._began + _FIRST_LINE_SECONDS
        while not self._end.wait(_POLL_SECONDS):
            self._find_done()
            if self._file.isatty():
                self._file.write(f"\r\x1b[K{self.line()}")
                self._file.flush()
            elif time.monotonic() >= next_line:
                self._file.write(f"{self.line()}\n")
                self._file.flush()
                next_line = time.monotonic() + _LINE_SECONDS


def _shown_size(size: float) -> str:
    """As 1.2 GB."""
    for unit in _SIZES:
        if size < 1000 or unit == _SIZES[-1]:
            break
        size /= 1000
    return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"


def _shown_time(seconds: float) -> str:
    """As 3 s, 12 min or 4 h 5 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
