"""Memory and time of a training step with blocks rematerialised and without.

    python benchmarks/rematerialize.py [--pairs=32] [--length=128] [--layers=12]

BERT Base's blocks with dropout in bfloat16, random pieces, a table of 30,000
words; each variant in a process of its own. Memory is the peak of the process
during the steps beyond what it was before them.
"""

import argparse
import json
import os
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from machine import machine, memory, peak_memory


def make_step(options):
    """The whole training step, as `fit` runs it."""
    import numpy as np
    import tensorflow as tf

    from labse.configs.schema import EncoderConfig, TrainingConfig
    from labse.features import MODEL_INPUTS
    from labse.modeling.dual_encoder import DualEncoder
    from labse.modeling.sentence_encoder import SentenceEncoder
    from labse.training.optimizer import make_optimizer

    config = EncoderConfig(vocab_size=30_000, num_layers=options.layers)
    model = DualEncoder(
        SentenceEncoder(
            config, options.compute_dtype, options.variant == "rematerialised"
        )
    )
    model.build()
    optimizer = make_optimizer(TrainingConfig())
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer)
    random = np.random.default_rng(0)
    shape = (options.pairs, options.length)

    def side():
        ids = random.integers(5, config.vocab_size, shape).astype(np.int32)
        arrays = (ids, np.ones_like(ids), np.zeros_like(ids))
        return dict(zip(MODEL_INPUTS, map(tf.constant, arrays), strict=True))

    batch = {"source": side(), "target": side()}
    function = tf.function(lambda: model.train_step((batch,)), autograph=False)
    return lambda: function()["loss"].numpy()


def measure(options) -> dict:
    """GiB of the steps, seconds of the fastest one."""
    step = make_step(options)
    before = memory("self")["VmRSS"]
    seconds = []
    for _ in range(options.steps):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return {
        "gib": (peak_memory() - before) / 2**30,
        "seconds": min(seconds),
    }


def main() -> None:
    """Prints a line for each variant."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--compute_dtype", default="mixed_bfloat16")
    parser.add_argument("--variant", help="of a process of its own")
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure(options)))
        return
    print(machine(), flush=True)
    for variant in ("kept", "rematerialised"):
        output = subprocess.run(
            [sys.executable, *sys.argv, f"--variant={variant}"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        result = json.loads(output.splitlines()[-1])
        print(
            f"activations {variant}: {result['gib']:.2f} GiB, "
            f"{result['seconds']:.1f} s a step"
        )


if __name__ == "__main__":
    main()
