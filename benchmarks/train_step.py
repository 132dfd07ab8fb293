"""Pairs a second of a training step, side by side with PyTorch.

    python benchmarks/train_step.py --peer_python=.venv-peer/bin/python

Same layers (BERT Base blocks), batch, length, dropout, loss, clipping and
optimizer; random weights and random pieces. The contenders take turns for
some seconds each, several rounds, and the best round counts.
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from labse.configs.schema import EncoderConfig, TrainingConfig
from labse.features import MODEL_INPUTS
from labse.modeling.dual_encoder import DualEncoder
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.training.optimizer import make_optimizer

COMPUTE_DTYPES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def make_step(arguments, compute_dtype):
    """Our whole training step, as `fit` runs it."""
    config = EncoderConfig(
        vocab_size=arguments.vocab_size,
        num_layers=arguments.layers,
        max_positions=64,
    )
    model = DualEncoder(SentenceEncoder(config, COMPUTE_DTYPES[compute_dtype]))
    model.build()
    model.compile(optimizer=make_optimizer(TrainingConfig()))
    random = np.random.default_rng(0)
    shape = (arguments.pairs, arguments.length)

    def side():
        ids = random.integers(5, arguments.vocab_size, shape).astype(np.int32)
        arrays = (ids, np.ones_like(ids), np.zeros_like(ids))
        return dict(zip(MODEL_INPUTS, map(tf.constant, arrays), strict=True))

    batch = {"source": side(), "target": side()}
    function = tf.function(lambda: model.train_step(batch), autograph=False)
    return lambda: function()["loss"].numpy()


def measure(step, pairs, seconds):
    """Pairs a second over `seconds`."""
    started, count = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        step()
        count += 1
    return pairs * count / (time.monotonic() - started)


def cpu_name():
    """The processor's name, for the table."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer_python", required=True)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--length", type=int, default=32)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocab_size", type=int, default=30000)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    names = ("pairs", "length", "layers", "vocab_size")
    peer = subprocess.Popen(
        [
            arguments.peer_python,
            str(pathlib.Path(__file__).with_name("train_step_peer.py")),
            *(f"--{name}={getattr(arguments, name)}" for name in names),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask_peer(compute_dtype, seconds):
        request = {"compute_dtype": compute_dtype, "seconds": seconds}
        peer.stdin.write(json.dumps(request) + "\n")
        peer.stdin.flush()
        return json.loads(peer.stdout.readline())["rate"]

    steps = {name: make_step(arguments, name) for name in COMPUTE_DTYPES}
    for name, step in steps.items():
        step()
        ask_peer(name, 0.1)
    best = {}
    for _ in range(arguments.rounds):
        for name, step in steps.items():
            ours = measure(step, arguments.pairs, arguments.seconds)
            theirs = ask_peer(name, arguments.seconds)
            for who, rate in (("labse", ours), ("PyTorch", theirs)):
                best[who, name] = max(rate, best.get((who, name), 0.0))
    peer.stdin.close()
    peer.wait()
    print(
        f"{cpu_name()}, {os.cpu_count()} cores; {arguments.pairs} pairs x "
        f"{arguments.length} tokens, {arguments.layers} layers of 768"
    )
    for name in COMPUTE_DTYPES:
        ours, theirs = best["labse", name], best["PyTorch", name]
        print(
            f"{name:<10} labse {ours:6.1f} pairs/s   PyTorch {theirs:6.1f} "
            f"pairs/s   ratio {ours / theirs:.2f}"
        )


if __name__ == "__main__":
    main()
