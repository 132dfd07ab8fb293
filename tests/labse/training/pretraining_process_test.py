"""`labse pretrain` as processes: killed while it grows, and two workers."""

import json
import os
import signal
import time

import numpy as np
import pytest

from labse.bin import pretrain
from labse.bin.flags import program

SETTINGS = {
    "encoder.num_layers": 2,
    "encoder.num_heads": 2,
    "encoder.hidden_size": 8,
    "encoder.intermediate_size": 12,
    "encoder.max_positions": 32,
    "tokenizer.max_length": 32,
    "masking.max_masked": 7,
    # Two replicas have a unit of eight of each kind.
    "training.global_batch_size": 32,
    "training.num_steps": 8,
    "training.warmup_steps": 2,
    "training.log_every": 1,
    "training.checkpoint_every": 2,
    "training.validate_every": 4,
    # It would hold for the whole process, and so for all later tests.
    "training.deterministic": "false",
    "stacking.num_layers": "[1]",
    "stacking.num_steps": "[4]",
    "stacking.warmup_steps": 1,
}


@pytest.fixture
def arguments(pretraining_files):
    """A function that makes those of `labse pretrain`."""

    def make(out, **overrides):
        texts, pairs = (
            pretraining_files / name for name in ("texts.jsonl", "pairs.tsv")
        )
        return [
            "--config=pretrain_tiny",
            f"--monolingual={texts}",
            f"--bilingual={pairs}",
            f"--validation_monolingual={texts}",
            f"--validation_bilingual={pairs}",
            f"--vocab={pretraining_files / 'vocab.txt'}",
            f"--out={out}",
            *(
                f"--override={key}={value}"
                for key, value in {**SETTINGS, **overrides}.items()
            ),
        ]

    return make


def run_here(arguments):
    arguments = [*arguments, "--distribution=none"]
    assert program.run(pretrain, arguments, "labse pretrain") == 0


@pytest.fixture
def start(start_python):
    """Starts `labse pretrain`."""

    def call(arguments, **environment):
        command = ["-m", "labse.bin.cli", "pretrain", *arguments]
        return start_python(*command, env={**os.environ, **environment})

    return call


def end(process):
    errors = process.communicate(timeout=300)[1]
    return process.returncode, errors


def compare(run_reader, one, other, atol):
    expected = run_reader.last_weights(one)
    found = run_reader.last_weights(other)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name], value, rtol=0, atol=atol, err_msg=name
        )


@pytest.mark.slow
def test_killed_at_the_last_step_of_a_stage(
    arguments, start, run_reader, tmp_path
):
    """Then it saves that step, or grows."""
    whole, out = tmp_path / "whole", tmp_path / "killed"
    run_here(arguments(whole))
    process = start([*arguments(out), "--distribution=none"])
    while max(run_reader.logged_steps(out), default=0) < 4:
        assert process.poll() is None, end(process)[1]
        time.sleep(0.01)
    process.kill()
    assert end(process)[0] == -signal.SIGKILL
    assert max(run_reader.logged_steps(out)) < 8
    process = start([*arguments(out), "--distribution=none"])
    code, errors = end(process)
    assert code == 0, errors
    assert "Resuming from step " in errors
    assert "the model grows from 1 to 2 blocks" in errors
    compare(run_reader, whole, out, atol=0)


@pytest.mark.slow
def test_two_workers_end_as_one(
    arguments, start, run_reader, free_addresses, tmp_path
):
    """They grow, and the chief validates while the other one waits."""
    settings = {
        # Each worker has its own masks of dropout.
        "encoder.dropout": 0,
        "encoder.attention_dropout": 0,
        # Adam would make steps of gradients that are 0 but for rounding.
        "training.adam_epsilon": 0.001,
    }
    alone, out = tmp_path / "alone", tmp_path / "two"
    run_here(arguments(alone, **settings))
    cluster = {"worker": free_addresses(2)}
    processes = [
        start(
            [*arguments(out, **settings), "--distribution=multi_worker"],
            TF_CONFIG=json.dumps(
                {
                    "cluster": cluster,
                    "task": {"type": "worker", "index": index},
                }
            ),
        )
        for index in range(2)
    ]
    codes, errors = zip(*map(end, processes), strict=True)
    assert codes == (0, 0), "\n".join(errors)
    compare(run_reader, alone, out, atol=1e-6)
    validations = [
        {
            each["step"]: each["validation"]["loss"]
            for each in run_reader.history(folder)
            if "validation" in each
        }
        for folder in (alone, out)
    ]
    assert list(validations[0]) == [4, 8]
    assert validations[1] == pytest.approx(validations[0], abs=1e-5)
    # The negative control: training changes it by more.
    assert abs(validations[0][4] - validations[0][8]) > 1e-4
