"""Runs units in their order, some at a time, each with one thread."""

import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks.ablations.units import Unit

ROOT = pathlib.Path(__file__).parents[2]
# Each of two units at a time has a core of its own.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TQDM_DISABLE": "1",  # What is printed goes to a file.
}
_POLL_SECONDS = 0.2


def next_unit(
    units: Sequence[Unit], done: set[str], running: set[str]
) -> Unit | None:
    """The first unit that can start now."""
    for unit in units:
        if unit.name not in done | running and done.issuperset(unit.needs):
            return unit
    return None


class Schedule:
    """Runs all units that have no result yet.

    SIGTERM and SIGINT are passed on; the units save their state and end.
    """

    def __init__(
        self,
        units: Sequence[Unit],
        is_done: Callable[[Unit], bool],
        arguments: Sequence[str],
        logs: pathlib.Path,
        processes: int,
    ):
        """Starts nothing yet.

        Args:
          units: in order.
          is_done: whether a unit has a result.
          arguments: of `run_unit`, besides --unit.
          logs: folder for what the processes print.
          processes: at a time.
        """
        self._units = units
        self._arguments = arguments
        self._logs = logs
        self._processes = processes
        self._done = {unit.name for unit in units if is_done(unit)}
        self._running: dict[str, subprocess.Popen] = {}
        self._failed: list[str] = []
        self._stopped = False

    def run(self, on_done: Callable[[], None]) -> bool:
        """Runs to the end, a signal or a failure.

        Args:
          on_done: called after each unit.

        Returns:
          whether all units are done.

        Raises:
          RuntimeError: a unit failed; no other one was started after it.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        before = {
            number: signal.signal(number, self._stop)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            self._start()
            while self._running:
                time.sleep(_POLL_SECONDS)
                if self._collect():
                    on_done()
                self._start()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._failed:
            raise RuntimeError(
                f"Failed: {', '.join(self._failed)}. See {self._logs}."
            )
        return all(unit.name in self._done for unit in self._units)

    def _stop(self, number: int, frame: object) -> None:
        if not self._stopped:
            self._stopped = True
            for process in self._running.values():
                # Its group: `prepare` has processes of its own.
                os.killpg(process.pid, signal.SIGTERM)

    def _start(self) -> None:
        """Starts what can be started."""
        while len(self._running) < self._processes:
            unit = next_unit(self._units, self._done, set(self._running))
            if unit is None or self._stopped or self._failed:
                return
            self._running[unit.name] = self._process(unit)
            print(f"{time.strftime('%H:%M:%S')} {unit.name}", flush=True)

    def _process(self, unit: Unit) -> subprocess.Popen:
        command = [
            *(sys.executable, "-m", "benchmarks.ablations.run_unit"),
            *(*self._arguments, f"--unit={unit.name}"),
        ]
        with open(self._logs / f"{unit.name}.txt", "a") as log:
            # A session of its own: Ctrl-C reaches it through this process only.
            return subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **_ENVIRONMENT},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _collect(self) -> bool:
        """Takes note of the processes that ended; whether a unit is done."""
        ended = {
            name: process.returncode
            for name, process in self._running.items()
            if process.poll() is not None
        }
        for name, code in ended.items():
            del self._running[name]
            if code == 0:
                self._done.add(name)
            elif not self._stopped:
                self._failed.append(name)
        return 0 in ended.values()
