"""Estimates beside the peak that TensorFlow's allocator reports."""

import json
import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[4]
BENCHMARK = ROOT / "benchmarks" / "training_memory.py"
FAST = (
    "encoder.vocab_size=5000",
    "encoder.num_layers=3",
    "encoder.num_heads=2",
    "encoder.hidden_size=128",
    "encoder.intermediate_size=512",
    "data.max_length=32",
    "training.global_batch_size=64",
)
BLOCKS = ("encoder.vocab_size=20000", "encoder.num_layers=4")
SLOW = (
    (*BLOCKS, "training.global_batch_size=32"),
    (
        *BLOCKS,
        "training.global_batch_size=16",
        "training.compute_dtype=float32",
    ),
    (
        *BLOCKS,
        "training.global_batch_size=32",
        "training.rematerialize=true",
    ),
    (
        *BLOCKS,
        "training.global_batch_size=32",
        "training.gradient_cache_chunk=8",
    ),
    (
        *BLOCKS,
        "training.global_batch_size=16",
        "encoder.pooling=mean_tanh",
    ),
    (
        "encoder.num_layers=0",
        "encoder.pooling=mean",
        "encoder.vocab_size=100000",
        "training.global_batch_size=256",
    ),
)


@pytest.mark.parametrize(
    "overrides",
    [FAST, *(pytest.param(each, marks=pytest.mark.slow) for each in SLOW)],
    ids=" ".join,
)
def test_the_estimate_is_within_15_percent_of_the_peak(run_python, overrides):
    """In a process of its own, which has no tensors of other tests."""
    flags = [f"--override={override}" for override in overrides]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = run_python(BENCHMARK, "--measure", *flags, env=environment)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["estimate"] == pytest.approx(found["measured"], rel=0.15)
