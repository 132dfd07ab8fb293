"""Several workers as processes of this machine, stopped and lost for real."""

import json
import os
import re
import signal
import time

import numpy as np
import pytest

# Each worker has its own masks of dropout, so without it.
SETTINGS = {
    "encoder.dropout": 0,
    "encoder.attention_dropout": 0,
    "training.log_every": 2,
    "training.checkpoint_every": 4,
    "training.validate_every": 10,
}


@pytest.fixture
def start(toy, free_addresses, start_python):
    """Starts a number of processes of `labse train` for a run folder."""

    def call(out, workers):
        command = ["-m", "labse.bin.cli", "train"]
        command += toy.arguments(out, **SETTINGS)
        cluster = {"worker": free_addresses(workers)}
        processes = []
        for index in range(workers):
            environment = dict(os.environ)
            if workers > 1:  # One needs no strategy.
                task = {"type": "worker", "index": index}
                environment["TF_CONFIG"] = json.dumps(
                    {"cluster": cluster, "task": task}
                )
            processes.append(start_python(*command, env=environment))
        return processes

    return call


def end(processes):
    """The exit codes, and what each wrote."""
    errors = [process.communicate(timeout=300)[1] for process in processes]
    return [process.returncode for process in processes], errors


@pytest.fixture
def wait_for_step(run_reader):
    """Until the chief has logged it."""

    def call(processes, out, step):
        while all(process.poll() is None for process in processes):
            if max(run_reader.logged_steps(out), default=0) >= step:
                return
            time.sleep(0.02)
        pytest.fail("\n".join(end(processes)[1]))

    return call


@pytest.fixture
def ends_as_one(toy, train_here, run_reader, tmp_path):
    """A check of a run against one that nothing interrupted."""

    def check(out):
        alone = tmp_path / "alone"
        result = train_here(toy, alone, **SETTINGS)
        assert result.returncode == 0, result.stderr
        expected = run_reader.last_weights(alone)
        found = run_reader.last_weights(out)
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(
                found[name], value, rtol=0, atol=1e-6, err_msg=name
            )

    return check


def resumed_from(errors):
    """The same step on all workers."""
    [step] = {
        int(re.search(r"Resuming from step (\d+)\.", text)[1])
        for text in errors
    }
    return step


@pytest.mark.slow
def test_a_lost_worker_and_another_number_of_workers(
    start, wait_for_step, ends_as_one, tmp_path
):
    """SIGKILL to one of two; resumed by one process."""
    out = tmp_path / "run"
    processes = start(out, 2)
    wait_for_step(processes, out, 6)
    processes[1].kill()
    codes, errors = end(processes)
    assert codes == [75, -signal.SIGKILL], errors[0]
    assert "Traceback" not in errors[0]
    [line] = [
        line
        for line in errors[0].splitlines()
        if line.startswith("labse train:")
    ]
    assert "another worker, a host of the TPU or the storage is gone" in line
    assert line.endswith("the same command, on all workers, resumes from it.")
    codes, errors = end(start(out, 1))
    assert codes == [0], errors[0]
    assert 4 <= resumed_from(errors) < 60
    ends_as_one(out)


@pytest.mark.slow
def test_stopped_and_killed_two_and_four_end_as_one(
    start, wait_for_step, ends_as_one, tmp_path
):
    """SIGTERM to a worker that is not the chief, SIGKILL to the chief."""
    out = tmp_path / "run"
    processes = start(out, 2)
    wait_for_step(processes, out, 6)
    processes[1].terminate()
    codes, errors = end(processes)
    assert codes == [143, 143], "\n".join(errors)
    saved = [
        int(re.search(r"saved a checkpoint at step (\d+)", text)[1])
        for text in errors
    ]
    assert saved[0] == saved[1] < 40

    processes = start(out, 4)
    wait_for_step(processes, out, saved[0] + 6)
    processes[0].kill()
    codes, errors = end(processes)
    assert codes == [-signal.SIGKILL, 75, 75, 75], "\n".join(errors)
    assert resumed_from(errors) == saved[0]

    codes, errors = end(start(out, 4))
    assert codes == [0] * 4, "\n".join(errors)
    assert saved[0] < resumed_from(errors) < 60
    ends_as_one(out)


def test_sigterm_ends_a_worker_that_has_not_begun(free_addresses, run_python):
    """TensorFlow puts a handler in place that would swallow it."""
    code = """
import os, signal, time
def stop(number, frame):
    raise SystemExit(128 + number)
signal.signal(signal.SIGTERM, stop)
from labse.training.distribution import make_strategy
make_strategy("multi_worker")
assert signal.getsignal(signal.SIGTERM) is stop
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(5)
"""
    task = {"type": "worker", "index": 0}
    cluster = {"worker": free_addresses(1)}
    configuration = json.dumps({"cluster": cluster, "task": task})
    process = run_python(
        "-c", code, env={**os.environ, "TF_CONFIG": configuration}
    )
    assert process.returncode == 143, process.stderr
