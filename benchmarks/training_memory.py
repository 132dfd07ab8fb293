"""Memory of one training step: measured here, beside the estimate.

    python benchmarks/training_memory.py
    python benchmarks/training_memory.py --config=labse_base \
        --override=training.global_batch_size=16

Each row runs in a process of its own. The measure is the peak that TensorFlow's
allocator reports, on CPU as on GPU; the process's resident memory has Python,
the libraries and gaps between tensors besides. Random pieces, all texts of full
length.
"""

import argparse
import json
import os
import resource
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

SMALL = ("training.num_steps=10", "training.warmup_steps=1")
BASE = (*SMALL, "encoder.vocab_size=20000", "encoder.num_layers=4")
DAN = (*SMALL, "encoder.num_layers=0", "encoder.pooling=mean")
ROWS = {
    "4 blocks of 768, float32, 16 pairs": (
        *BASE,
        "training.global_batch_size=16",
        "training.compute_dtype=float32",
    ),
    "4 blocks of 768, 32 pairs": (*BASE, "training.global_batch_size=32"),
    "the same, rematerialised": (
        *BASE,
        "training.global_batch_size=32",
        "training.rematerialize=true",
    ),
    "the same, chunks of 8 pairs": (
        *BASE,
        "training.global_batch_size=32",
        "training.gradient_cache_chunk=8",
    ),
    "4 blocks of 768, mean_tanh, 16 pairs": (
        *BASE,
        "training.global_batch_size=16",
        "encoder.pooling=mean_tanh",
    ),
    "4 blocks of 768, 64 pairs of 32 tokens": (
        *BASE,
        "training.global_batch_size=64",
        "data.max_length=32",
    ),
    "1 block of 768, mean, 48 pairs": (
        *SMALL,
        "encoder.vocab_size=20000",
        "encoder.num_layers=1",
        "encoder.pooling=mean",
        "training.global_batch_size=48",
    ),
    "4 blocks of 256, without dropout, 64 pairs": (
        *BASE,
        "encoder.hidden_size=256",
        "encoder.num_heads=4",
        "encoder.intermediate_size=1024",
        "encoder.dropout=0",
        "encoder.attention_dropout=0",
        "training.global_batch_size=64",
    ),
    "averaging network, 100,000 pieces, 256 pairs": (
        *DAN,
        "encoder.vocab_size=100000",
        "training.global_batch_size=256",
    ),
    "averaging network, 20,000 pieces, 2,048 pairs of 16 tokens": (
        *DAN,
        "encoder.vocab_size=20000",
        "training.global_batch_size=2048",
        "data.max_length=16",
    ),
}


def main():
    """Prints the table, or measures one row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="labse_base")
    parser.add_argument("--override", action="append", default=[])
    parser.add_argument("--row", action="append", choices=ROWS)
    parser.add_argument("--measure", action="store_true", help="one row's JSON")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.config, arguments.override)))
        return
    rows = {" ".join(arguments.override): arguments.override}
    if not arguments.override:
        rows = ROWS
    if arguments.row:
        rows = {name: ROWS[name] for name in arguments.row}
    print("| step | measured | estimate | ratio | resident memory |")
    print("|---|---|---|---|---|")
    for name, overrides in rows.items():
        found = measure_apart(arguments.config, overrides)
        measured, estimate = found["measured"], found["estimate"]
        print(
            f"| {name} | {measured / 1e6:,.0f} MB | {estimate / 1e6:,.0f} MB | "
            f"{estimate / measured:.2f} | {found['resident'] / 1e6:,.0f} MB |",
            flush=True,
        )


def measure_apart(config, overrides):
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", f"--config={config}"]
    command += [f"--override={override}" for override in overrides]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(result.stderr)
    return json.loads(result.stdout.splitlines()[-1])


def measure(config_name, overrides):
    """Bytes of a step: measured and estimated; and the estimate by part."""
    import tensorflow as tf

    from labse.configs import loading
    from labse.training.estimate import memory
    from labse.training.estimate.hardware import Hardware

    config = loading.load(config_name, overrides)
    peak = memory.peak(config, Hardware("here", 1, 0))
    step = make_step(config)
    step()
    gpus = tf.config.list_physical_devices("GPU")
    device = "GPU:0" if gpus else "CPU:0"
    return {
        "measured": tf.config.experimental.get_memory_info(device)["peak"],
        "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 2**10,
        "estimate": sum(peak.parts.values()),
        "moment": peak.moment,
        "parts": peak.parts,
    }


def make_step(config):
    """The training step as `fit` runs it."""
    import numpy as np
    import tensorflow as tf

    from labse.features import HARD_NEGATIVES, MODEL_INPUTS
    from labse.modeling.dual_encoder import DualEncoder
    from labse.modeling.sentence_encoder import SentenceEncoder
    from labse.training.optimizer import make_optimizer

    training = config.training
    model = DualEncoder(
        SentenceEncoder(
            config.encoder, training.compute_dtype, training.rematerialize
        ),
        config.loss,
        gradient_cache_chunk=training.gradient_cache_chunk,
    )
    model.build()
    model.compile(optimizer=make_optimizer(config.training))
    model.optimizer.build(model.trainable_variables)
    random = np.random.default_rng(0)
    pairs, length = training.global_batch_size, config.training_length

    def side(*shape):
        ids = random.integers(5, config.encoder.vocab_size, shape, np.int32)
        arrays = (ids, np.ones_like(ids), np.zeros_like(ids))
        return dict(zip(MODEL_INPUTS, map(tf.constant, arrays), strict=True))

    batch = {"source": side(pairs, length), "target": side(pairs, length)}
    if config.data.hard_negatives:
        negatives = config.data.hard_negatives
        batch[HARD_NEGATIVES] = side(pairs, negatives, length)
    function = tf.function(model.train_step, autograph=False)
    return lambda: function((batch,))["loss"].numpy()


if __name__ == "__main__":
    main()
