"""Processes of `labse train`, killed and started again for real."""

import json
import os
import re
import signal
import time

import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture
def start(toy, start_python):
    """A function that starts `labse train` with its arguments."""

    def call(*arguments, environment=None, **overrides):
        return start_python(
            *("-m", "labse.bin.cli", "train"),
            *toy.arguments(*arguments, **overrides),
            env={**os.environ, **(environment or {})},
        )

    return call


@pytest.fixture
def stop_after(start, run_reader):
    """Starts a run and sends a signal once it has logged a step."""

    def call(out, step, signal_number, **overrides):
        process = start(out, **overrides)
        while process.poll() is None and (
            max(run_reader.logged_steps(out), default=0) < step
        ):
            time.sleep(0.01)
        process.send_signal(signal_number)
        _, errors = process.communicate()
        return process.returncode, errors

    return call


def assert_same_bits(weights, expected):
    assert expected.keys() == weights.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)


def test_killed_and_stopped_it_ends_with_the_same_bits(
    toy, whole_run, stop_after, train_here, run_reader, tmp_path
):
    """Twice SIGKILL, once SIGTERM, each followed by the same command."""
    out = tmp_path / "interrupted"
    code, errors = stop_after(out, 12, signal.SIGKILL, **toy.buckets)
    assert code == -signal.SIGKILL
    assert "Resuming from step" not in errors
    # Five steps more than were ever logged, so that it has surely begun.
    more = max(run_reader.logged_steps(out)) + 5
    code, errors = stop_after(out, more, signal.SIGKILL, **toy.buckets)
    assert code == -signal.SIGKILL
    assert "Resuming from step" in errors
    more = max(run_reader.logged_steps(out)) + 5
    assert more < 60
    code, errors = stop_after(out, more, signal.SIGTERM, **toy.buckets)
    assert code == 143
    assert "Traceback" not in errors
    assert "Resuming from step" in errors
    stopped_at = int(re.search(r"saved a checkpoint at step (\d+)", errors)[1])
    assert more <= stopped_at < 60
    prefix = tf.train.latest_checkpoint(out / "checkpoints" / "last")
    assert prefix.endswith(f"step-{stopped_at}")
    result = train_here(toy, out, **toy.buckets)
    assert result.returncode == 0, result.stderr
    assert f"Resuming from step {stopped_at}." in result.stderr
    assert_same_bits(
        run_reader.last_weights(out), run_reader.last_weights(whole_run)
    )
    # SIGTERM may have logged one step more; the others are the whole run's.
    logged = run_reader.logged_steps(out)
    expected = set(run_reader.logged_steps(whole_run))
    assert logged == sorted(logged)
    assert expected <= set(logged)
    assert set(logged) - expected <= {stopped_at}


def test_ctrl_c_saves_and_the_run_resumes(
    toy, whole_run, stop_after, train_here, run_reader, tmp_path
):
    """Resumed with other values of what changes no weight."""
    out = tmp_path / "interrupted"
    # Soon, since on a busy machine the signal comes late.
    seldom = {"training.checkpoint_every": 60, "training.log_every": 2}
    code, errors = stop_after(out, 2, signal.SIGINT, **toy.buckets, **seldom)
    assert code == 130
    assert "Traceback" not in errors
    stopped_at = int(re.search(r"saved a checkpoint at step (\d+)", errors)[1])
    prefix = tf.train.latest_checkpoint(out / "checkpoints" / "last")
    assert prefix.endswith(f"step-{stopped_at}")
    free = {
        "training.log_every": 1,
        "training.checkpoint_every": 30,
        "training.validate_every": 60,
        "training.early_stopping_patience": 3,
        "data.max_malformed_share": 0.5,
    }
    result = train_here(toy, out, **toy.buckets, **free)
    assert result.returncode == 0, result.stderr
    assert f"Resuming from step {stopped_at}." in result.stderr
    assert_same_bits(
        run_reader.last_weights(out), run_reader.last_weights(whole_run)
    )
    assert set(range(stopped_at + 1, 61)) <= set(run_reader.logged_steps(out))
    saved = (out / "config.yaml").read_text()
    assert "log_every: 1\n" in saved


def test_two_workers_end_as_one(toy, start, train_here, run_reader, tmp_path):
    """MultiWorkerMirroredStrategy, two processes of this machine."""
    out, alone = tmp_path / "workers", tmp_path / "alone"
    ports = [f"localhost:{20000 + os.getpid() % 20000 + i}" for i in range(2)]
    settings = {
        "encoder.dropout": 0,
        "encoder.attention_dropout": 0,
        "training.num_steps": 10,
    }

    def worker(index):
        task = {"type": "worker", "index": index}
        cluster = {"worker": ports}
        return start(
            out,
            "--distribution=multi_worker",
            environment={
                "TF_CONFIG": json.dumps({"cluster": cluster, "task": task})
            },
            **settings,
        )

    processes = [worker(index) for index in range(2)]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [p.returncode for p in processes] == [0, 0], "\n".join(errors)
    result = train_here(toy, alone, **settings)
    assert result.returncode == 0, result.stderr
    weights = run_reader.last_weights(out)
    for name, value in run_reader.last_weights(alone).items():
        np.testing.assert_allclose(weights[name], value, atol=1e-5)
