"""AdamW's step over a table of word embeddings: ours and Keras', in turns.

    python benchmarks/optimizer.py [--pieces=60000] [--size=256] [--rows=65536]

The gradient is that of a lookup: `rows` rows, many of them of the same piece.
The best round counts; the tables must be equal at the end within rounding.
"""

import argparse
import time

import numpy as np
import tensorflow as tf
import tf_keras
from machine import machine

from labse.configs.schema import TrainingConfig
from labse.training.optimizer import make_optimizer

ROUNDS = 20


def keras_optimizer() -> tf_keras.optimizers.Optimizer:
    """Keras' AdamW with our settings."""
    ours = make_optimizer(TrainingConfig()).get_config()
    for ours_alone in ("is_legacy_optimizer", "moments_age"):
        ours.pop(ours_alone)
    optimizer = tf_keras.optimizers.AdamW.from_config(ours)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def stepper(optimizer, table: np.ndarray):
    """A variable initialized with `table`, and a function that trains it."""
    variable = tf.Variable(table)
    optimizer.build([variable])

    @tf.function
    def step(ids, gradient):
        shape = tf.shape(variable)
        slices = tf.IndexedSlices(gradient, ids, shape)
        optimizer.apply_gradients([(slices, variable)])

    return variable, step


def main() -> None:
    """Prints both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pieces", type=int, default=60_000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rows", type=int, default=65_536)
    options = parser.parse_args()
    print(machine(), flush=True)
    random = np.random.default_rng(0)
    table = random.normal(0, 0.02, [options.pieces, options.size])
    # Word frequencies follow Zipf's law approximately; piece 0 is the padding.
    ids = np.minimum(random.zipf(1.2, options.rows) - 1, options.pieces - 1)
    # Too small to be clipped: Keras takes the norm of the rows, before those of
    # one piece are added up.
    gradient = random.normal(0, 1e-5, [options.rows, options.size])
    inputs = tf.constant(ids), tf.constant(gradient.astype(np.float32))
    contenders = {
        name: stepper(optimizer, table.astype(np.float32))
        for name, optimizer in (
            ("labse", make_optimizer(TrainingConfig())),
            ("Keras", keras_optimizer()),
        )
    }
    best = dict.fromkeys(contenders, float("inf"))
    for round_number in range(ROUNDS + 1):
        for name, (_, step) in contenders.items():
            start = time.perf_counter()
            step(*inputs)
            if round_number:  # The first one traces.
                seconds = time.perf_counter() - start
                best[name] = min(best[name], seconds)
    ours, theirs = (variable.numpy() for variable, _ in contenders.values())
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    for name, seconds in best.items():
        print(f"{name}: {1000 * seconds:.0f} ms")
    print(f"Keras / labse: {best['Keras'] / best['labse']:.2f}")


if __name__ == "__main__":
    main()
