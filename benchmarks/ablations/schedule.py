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
_POLL_SECONDS = 1


def next_unit(
    units: Sequence[Unit], done: set[str], running: set[str]
) -> Unit | None:
    """The first unit that can start now."""
    for unit in units:
        if unit.name not in done | running and done.issuperset(unit.needs):
            return unit
    return None


def run_all(
    units: Sequence[Unit],
    is_done: Callable[[Unit], bool],
    arguments: Sequence[str],
    logs: pathlib.Path,
    processes: int,
    on_done: Callable[[], None],
) -> bool:
    """Runs all units that have no result yet.

    SIGTERM and SIGINT are passed on; the units save their state and end.

    Args:
      units: in order.
      is_done: whether a unit has a result.
      arguments: of `run_unit`, besides --unit.
      logs: folder for what the processes print.
      processes: at a time.
      on_done: called after each unit.

    Returns:
      whether all are done.

    Raises:
      RuntimeError: a unit failed; no other one was started after it.
    """
    logs.mkdir(parents=True, exist_ok=True)
    done = {unit.name for unit in units if is_done(unit)}
    running: dict[str, subprocess.Popen] = {}
    stopped, failed, passed_on = [], [], False
    before = {
        number: signal.signal(number, lambda *caught: stopped.append(caught[0]))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        while running or not (stopped or failed):
            if stopped and not passed_on:
                passed_on = True
                for process in running.values():
                    process.send_signal(signal.SIGTERM)
            while not (stopped or failed) and len(running) < processes:
                unit = next_unit(units, done, set(running))
                if unit is None:
                    break
                running[unit.name] = _start(unit, arguments, logs)
                print(f"{time.strftime('%H:%M:%S')} {unit.name}", flush=True)
            if not running:
                break
            time.sleep(_POLL_SECONDS)
            for name, process in list(running.items()):
                if process.poll() is None:
                    continue
                del running[name]
                if process.returncode == 0:
                    done.add(name)
                    on_done()
                elif not stopped:
                    failed.append(name)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if failed:
        raise RuntimeError(f"Failed: {', '.join(failed)}. See {logs}.")
    return all(unit.name in done for unit in units)


def _start(
    unit: Unit, arguments: Sequence[str], logs: pathlib.Path
) -> subprocess.Popen:
    command = [
        *(sys.executable, "-m", "benchmarks.ablations.run_unit"),
        *(*arguments, f"--unit={unit.name}"),
    ]
    with open(logs / f"{unit.name}.txt", "a") as log:
        # A session of its own: Ctrl-C reaches it by way of this process alone.
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **_ENVIRONMENT},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
