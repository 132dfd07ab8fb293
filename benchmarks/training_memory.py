"""Memory of one training step: measured here, beside the estimate.

    python benchmarks/training_memory.py
    python benchmarks/training_memory.py --config=labse_base \
        --override=training.global_batch_size=16

Each row runs in a process of its own. On a CPU the measure is the growth of the
process's resident memory during the second step, above what it has before, with
variables and slots in it; their bytes, which are exact, are added. On a GPU it
is the peak that TensorFlow's allocator reports. Random pieces, all texts of
full length.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

SMALL = (
    "encoder.vocab_size=20000",
    "encoder.max_positions=128",
    "training.num_steps=10",
    "training.warmup_steps=1",
)
BASE = (*SMALL, "encoder.num_layers=4")
DAN = (
    *SMALL,
    "encoder.num_layers=0",
    "encoder.pooling=mean",
    "encoder.vocab_size=300000",
)
ROWS = {
    "4 blocks of 768, float32": (
        *BASE,
        "training.global_batch_size=32",
        "training.compute_dtype=float32",
    ),
    "4 blocks of 768, bfloat16": (
        *BASE,
        "training.global_batch_size=48",
    ),
    "4 blocks of 768, bfloat16, rematerialised": (
        *BASE,
        "training.global_batch_size=96",
        "training.rematerialize=true",
    ),
    "4 blocks of 768, bfloat16, chunks of 32": (
        *BASE,
        "training.global_batch_size=96",
        "training.gradient_cache_chunk=32",
    ),
    "4 blocks of 768, mean_tanh": (
        *BASE,
        "training.global_batch_size=32",
        "encoder.pooling=mean_tanh",
    ),
    "4 blocks of 768, 32 tokens": (
        *BASE,
        "training.global_batch_size=128",
        "data.max_length=32",
    ),
    "1 block of 768": (
        *SMALL,
        "encoder.num_layers=1",
        "encoder.pooling=mean",
        "training.global_batch_size=96",
    ),
    "4 blocks of 256, no dropout": (
        *BASE,
        "encoder.hidden_size=256",
        "encoder.num_heads=4",
        "encoder.intermediate_size=1024",
        "encoder.dropout=0",
        "encoder.attention_dropout=0",
        "training.global_batch_size=128",
    ),
    "averaging network, 300,000 pieces": (
        *DAN,
        "training.global_batch_size=256",
    ),
    "averaging network, batch 4,096": (
        *DAN,
        "encoder.vocab_size=50000",
        "training.global_batch_size=4096",
        "data.max_length=16",
    ),
}


def main():
    """Prints the table, or measures one row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="labse_base")
    parser.add_argument("--override", action="append", default=[])
    parser.add_argument("--measure", action="store_true", help="one row's JSON")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.config, arguments.override)))
        return
    rows = {" ".join(arguments.override): arguments.override}
    if not arguments.override:
        rows = ROWS
    print("| step | measured | estimate | estimate / measured |")
    print("|---|---|---|---|")
    for name, overrides in rows.items():
        found = measure_apart(arguments.config, overrides)
        measured, estimate = found["measured"], found["estimate"]
        print(
            f"| {name} | {measured / 1e6:,.0f} MB | {estimate / 1e6:,.0f} MB | "
            f"{estimate / measured:.2f} |",
            flush=True,
        )


def measure_apart(config, overrides):
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", f"--config={config}"]
    command += [f"--override={override}" for override in overrides]
    # Freed blocks of more than 1 MB go back to the system, so that resident
    # memory is what is in use.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**20)}
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
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
    step, variables = make_step(config)
    step()
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        tf.config.experimental.reset_memory_stats("GPU:0")
        step()
        measured = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    else:
        with ResidentMemory() as resident:
            step()
        measured = resident.growth + variables
    return {
        "measured": measured,
        "estimate": sum(peak.parts.values()),
        "moment": peak.moment,
        "parts": peak.parts,
        "device": gpus[0].name if gpus else "cpu",
    }


def make_step(config):
    """The training step as `fit` runs it, and the bytes of the variables."""
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
    variables = [*model.variables, *model.optimizer.variables]
    size = sum(v.shape.num_elements() * v.dtype.size for v in variables)
    return lambda: function((batch,))["loss"].numpy(), size


class ResidentMemory:
    """The growth of this process's resident memory inside a `with`."""

    def __enter__(self):
        self._before = self._peak = _resident()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()
        self.growth = self._peak - self._before

    def _watch(self):
        while not self._is_over.is_set():
            self._peak = max(self._peak, _resident())
            time.sleep(0.0005)


def _resident() -> int:
    pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
