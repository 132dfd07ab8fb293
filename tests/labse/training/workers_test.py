"""Several workers as processes of this machine, stopped and lost for real."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

WORDS = ["rot", "blau", "Haus", "Baum", "Hund", "Katze", "läuft", "singt"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
PIECES += [word.upper() for word in WORDS]
# Each worker has its own masks of dropout, so without it.
CONFIG = {
    "encoder.num_layers": 1,
    "encoder.num_heads": 2,
    "encoder.hidden_size": 16,
    "encoder.intermediate_size": 32,
    "encoder.max_positions": 16,
    "encoder.dropout": 0,
    "encoder.attention_dropout": 0,
    "tokenizer.max_length": 8,
    "data.length_buckets": "[8]",
    "data.length_chunks": 1,
    "training.global_batch_size": 8,
    "training.num_steps": 60,
    "training.warmup_steps": 5,
    "training.log_every": 2,
    "training.checkpoint_every": 4,
    "training.validate_every": 10,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    choose = random.Random(0)
    rows = ["source\ttarget\tsource_language\ttarget_language"]
    for _ in range(100):
        words = choose.choices(WORDS, k=choose.randint(1, 5))
        target = " ".join(word.upper() for word in words)
        rows.append(f"{' '.join(words)}\t{target}\tde\tde-UPPER")
    (folder / "pairs.tsv").write_text("\n".join(rows) + "\n")
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return folder


def free_addresses(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def start(files, out, workers, **overrides):
    """The processes of `labse train`; one needs no strategy."""
    overrides = {**CONFIG, **overrides}
    command = [
        *(sys.executable, "-m", "labse.bin.cli", "train"),
        "--config=labse_tiny",
        f"--train={files / 'pairs.tsv'}",
        f"--validation={files / 'pairs.tsv'}",
        f"--vocab={files / 'vocab.txt'}",
        f"--out={out}",
        *(f"--override={key}={value}" for key, value in overrides.items()),
    ]
    cluster = {"worker": free_addresses(workers)}
    processes = []
    for index in range(workers):
        environment = dict(os.environ)
        if workers > 1:
            task = {"type": "worker", "index": index}
            environment["TF_CONFIG"] = json.dumps(
                {"cluster": cluster, "task": task}
            )
        processes.append(
            subprocess.Popen(
                command, stderr=subprocess.PIPE, text=True, env=environment
            )
        )
    return processes


def end(processes):
    """The exit codes, and what each wrote."""
    errors = [process.communicate(timeout=300)[1] for process in processes]
    return [process.returncode for process in processes], errors


def wait_for_step(processes, out, step):
    """Until the chief has logged it."""
    while all(process.poll() is None for process in processes):
        if max(logged_steps(out), default=0) >= step:
            return
        time.sleep(0.02)
    pytest.fail("\n".join(end(processes)[1]))


def logged_steps(out):
    try:
        lines = (out / "history.jsonl").read_text().splitlines()
        return [json.loads(line)["step"] for line in lines]
    except (FileNotFoundError, ValueError):
        return []  # Not there yet, or half a line.


def weights(out):
    prefix = tf.train.latest_checkpoint(out / "checkpoints" / "last")
    reader = tf.train.load_checkpoint(prefix)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH" and "save_counter" not in name
    }


def assert_same_weights(one, other):
    expected, found = weights(one), weights(other)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name], value, rtol=0, atol=1e-6, err_msg=name
        )


@pytest.fixture(scope="module")
def whole(files, tmp_path_factory):
    """A run that nothing interrupted, in one process."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    codes, errors = end(start(files, out, 1))
    assert codes == [0], errors[0]
    return out


def resumed_from(errors):
    """The same step on all workers."""
    [step] = {
        int(re.search(r"Resuming from step (\d+)\.", text)[1])
        for text in errors
    }
    return step


@pytest.mark.slow
def test_a_lost_worker_and_another_number_of_workers(files, whole, tmp_path):
    """SIGKILL to one of two; resumed by one process."""
    out = tmp_path / "run"
    processes = start(files, out, 2)
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
    codes, errors = end(start(files, out, 1))
    assert codes == [0], errors[0]
    assert 4 <= resumed_from(errors) < 60
    assert_same_weights(whole, out)


@pytest.mark.slow
def test_stopped_and_killed_two_and_four_end_as_one(files, whole, tmp_path):
    """SIGTERM to a worker that is not the chief, SIGKILL to the chief."""
    out = tmp_path / "run"
    processes = start(files, out, 2)
    wait_for_step(processes, out, 6)
    processes[1].terminate()
    codes, errors = end(processes)
    assert codes == [143, 143], "\n".join(errors)
    saved = [
        int(re.search(r"saved a checkpoint at step (\d+)", text)[1])
        for text in errors
    ]
    assert saved[0] == saved[1] < 40

    processes = start(files, out, 4)
    wait_for_step(processes, out, saved[0] + 6)
    processes[0].kill()
    codes, errors = end(processes)
    assert codes == [-signal.SIGKILL, 75, 75, 75], "\n".join(errors)
    assert resumed_from(errors) == saved[0]

    codes, errors = end(start(files, out, 4))
    assert codes == [0] * 4, "\n".join(errors)
    assert saved[0] < resumed_from(errors) < 60
    assert_same_weights(whole, out)


def test_sigterm_ends_a_worker_that_has_not_begun():
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
    process = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TF_CONFIG": configuration},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.returncode == 143, process.stderr
