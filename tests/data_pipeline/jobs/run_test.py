"""Jobs of units: resumed, dealt, stopped, and their errors."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("apache_beam")

from data_pipeline.jobs import phases, run
from labse.errors import InputError
from labse.files.work_folder import WorkFolder
from tests.data_pipeline.jobs.small_job import UNITS, Job, Write

ROOT = pathlib.Path(__file__).parents[3]
HERE = pathlib.Path(__file__).parent
ALONE = phases.local_arguments(1)


def units():
    return [Write(number) for number in range(UNITS)]


def log(work):
    lines = (work / "log").read_text().splitlines()
    return [tuple(map(int, line.split())) for line in lines]


def start(work, workers, seconds=0.0):
    return subprocess.Popen(
        [sys.executable, HERE / "small_job.py", work, str(workers)]
        + [str(seconds)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{HERE}"},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_running(process):
    try:
        state = pathlib.Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def test_units_are_dealt_so_that_all_workers_end_together():
    # Sizes 60, 50, 40, 30, 20, 10: 60 | 50, then 40 to the second, and so on.
    dealt = phases.deal(units(), 2)
    assert [(worker, unit.size) for worker, unit in dealt] == [
        (0, 60),
        (1, 50),
        (1, 40),
        (0, 30),
        (0, 20),
        (1, 10),
    ]


def test_finished_units_are_not_done_again(tmp_path):
    job = Job(tmp_path)
    run.run_units(job, "writing", units()[:2], ALONE)
    run.run_units(job, "writing", units(), ALONE)
    assert sorted(number for number, _ in log(tmp_path)) == [*range(UNITS)]


def test_a_finished_unit_of_something_else_is_refused(tmp_path):
    run.run_units(Job(tmp_path), "writing", units(), ALONE)
    others = units()
    others[3].number = 33
    with pytest.raises(InputError, match="number was 3 and is 33"):
        run.run_units(Job(tmp_path), "writing", others, ALONE)
    job = Job(tmp_path)
    job.work = WorkFolder(tmp_path, restart=True)
    run.run_units(job, "writing", others, ALONE)
    assert [number for number, _ in log(tmp_path)][UNITS:] == [33]


def test_a_refusal_is_the_error_and_ends_the_job(tmp_path):
    (tmp_path / "refuse-4").touch()
    with pytest.raises(InputError, match="^A unit is even. Received: odd.$"):
        run.run_units(Job(tmp_path), "writing", units(), ALONE)
    # 60 first; then 50, which is refused.
    assert [number for number, _ in log(tmp_path)] == [5, 4]
    (tmp_path / "refuse-4").unlink()
    run.run_units(Job(tmp_path), "writing", units(), ALONE)
    assert {path.read_text() for path in tmp_path.glob("unit-*")} == {
        str(number) for number in range(UNITS)
    }


def test_a_bug_keeps_its_traceback(tmp_path):
    others = units()
    others[2].name = None
    with pytest.raises(TypeError, match="PosixPath"):
        phases.run_phase(Job(tmp_path), "writing", others, ALONE)


def test_two_processes_and_one_clear_error(tmp_path):
    (tmp_path / "refuse-0").touch()
    done = start(tmp_path, 2, 0.5)  # So that both have begun by then.
    errors = done.communicate()[1]
    assert done.returncode == 2
    assert errors == "small_job: A unit is even. Received: odd.\n"
    workers = {process for _, process in log(tmp_path)}
    assert len(workers) == 2 and done.pid not in workers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGINT, 128 + signal.SIGINT),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_a_signal_ends_the_workers_and_the_command_resumes(
    tmp_path, number, code
):
    begun = start(tmp_path, 2, 2)
    wait_for(lambda: len(list(tmp_path.glob("unit-*"))) >= 2)
    begun.send_signal(number)
    errors = begun.communicate()[1]
    assert begun.returncode == code
    if number != signal.SIGKILL:
        assert errors == f"small_job: stopped by {number.name}.\n"
    workers = {process for _, process in log(tmp_path)}
    assert len(workers) == 2
    wait_for(lambda: not any(map(is_running, workers)), 2)
    before = {int(path.name[-1]) for path in tmp_path.glob("unit-*")}
    again = start(tmp_path, 2)
    assert again.wait() == 0
    known = {number for number, by in log(tmp_path) if by not in workers}
    assert known == set(range(UNITS)) - before


@pytest.mark.slow
def test_a_lost_worker_is_one_clear_error(tmp_path):
    begun = start(tmp_path, 2, 3)
    wait_for(lambda: (tmp_path / "log").exists() and len(log(tmp_path)) == 2)
    workers = [process for _, process in log(tmp_path)]
    os.kill(workers[0], signal.SIGKILL)
    errors = begun.communicate(timeout=20)[1]
    assert begun.returncode == 75
    assert errors.startswith("small_job: A worker process was lost")
    assert errors.count("\n") == 1
    wait_for(lambda: not any(map(is_running, workers)), 2)
