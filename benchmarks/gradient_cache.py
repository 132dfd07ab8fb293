"""Large batches on one device: peak memory, and pairs a second beside a peer.

    python benchmarks/gradient_cache.py --peer_python=.venv-peer/bin/python
    python benchmarks/gradient_cache.py --memory --batches 256 2048 8192
    python benchmarks/gradient_cache.py --averaging

The first: a whole training step of BERT Base's shape on one batch, direct, with
the gradient cache, and by sentence-transformers'
CachedMultipleNegativesRankingLoss (the same layers, batch, lengths, dropout,
clipping and optimizer; one direction of the loss, where ours has two). Each is
a process of its own; in a round they take turns, the best round counts. CPU
time is that of all threads: on a busy machine the steadier figure.

--memory: the peak of a process that takes one step with the gradient cache, for
each batch size. --averaging: labse_dan, 1,024 pairs directly and 32,768 in
chunks of 1,024.

Random weights and random pieces; all texts have the same length. The word table
is smaller than labse_base's; with its optimizer's slots and gradient it takes
the same memory whatever the batch.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from machine import machine, peak_memory

COMPUTE_DTYPES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
SETTINGS = ("chunk", "length", "layers", "vocab_size", "compute_dtype")
AVERAGING_PAIRS, AVERAGING_CHUNK = 32_768, 1024


def encoder_config(arguments):
    """BERT Base's shape, or labse_dan's."""
    from labse.configs import loading
    from labse.configs.schema import EncoderConfig

    if arguments.averaging:
        return loading.load(
            "labse_dan", [f"encoder.vocab_size={arguments.vocab_size}"]
        ).encoder
    return EncoderConfig(
        vocab_size=arguments.vocab_size,
        num_layers=arguments.layers,
        max_positions=max(64, arguments.length),
    )


def make_step(arguments):
    """Our whole training step, as `fit` runs it."""
    import tensorflow as tf

    from labse.configs.schema import TrainingConfig
    from labse.features import MODEL_INPUTS
    from labse.modeling.dual_encoder import DualEncoder
    from labse.modeling.sentence_encoder import SentenceEncoder
    from labse.training.optimizer import make_optimizer

    model = DualEncoder(
        SentenceEncoder(
            encoder_config(arguments), COMPUTE_DTYPES[arguments.compute_dtype]
        ),
        gradient_cache_chunk=arguments.chunk,
    )
    model.build()
    model.compile(optimizer=make_optimizer(TrainingConfig()))
    model.optimizer.build(model.trainable_variables)
    random = np.random.default_rng(0)
    shape = (arguments.pairs, arguments.length)

    def side():
        ids = random.integers(5, arguments.vocab_size, shape).astype(np.int32)
        arrays = (ids, np.ones_like(ids), np.zeros_like(ids))
        return dict(zip(MODEL_INPUTS, map(tf.constant, arrays), strict=True))

    batch = {"source": side(), "target": side()}
    function = tf.function(model.train_step, autograph=False)
    return lambda: function((batch,))["loss"].numpy()


def serve(arguments) -> None:
    """Answers each line of stdin, a number of seconds, with what it took."""
    step = make_step(arguments)
    for line in sys.stdin:
        print(json.dumps(measure(step, float(line))), flush=True)


def measure(step, seconds: float) -> dict:
    """Seconds of a step over at least `seconds`, and the peak so far."""
    begun, cpu_begun, count = time.monotonic(), time.process_time(), 0
    while not count or time.monotonic() - begun < seconds:
        step()
        count += 1
    return {
        "seconds": (time.monotonic() - begun) / count,
        "cpu_seconds": (time.process_time() - cpu_begun) / count,
        "peak": peak_memory(),
    }


class Contender:
    """A process that takes training steps of one kind."""

    def __init__(self, python, program, arguments, **settings):
        names = ("pairs", *SETTINGS)
        values = {**vars(arguments), **settings}
        flags = ["--serve", *(f"--{name}={values[name]}" for name in names)]
        if arguments.averaging:
            flags.append("--averaging")
        self.pairs = values["pairs"]
        self.seconds = self.cpu_seconds = float("inf")
        self._process = subprocess.Popen(
            [python, program, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def warm_up(self) -> float:
        """Builds, traces and takes a step; returns seconds."""
        return self._take_steps(0)["seconds"]

    def turn(self, seconds: float) -> None:
        """A round, of which the best one counts."""
        answer = self._take_steps(seconds)
        self.seconds = min(self.seconds, answer["seconds"])
        self.cpu_seconds = min(self.cpu_seconds, answer["cpu_seconds"])

    def _take_steps(self, seconds: float) -> dict:
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        self.peak = answer["peak"]
        return answer

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()


def ours(arguments, **settings) -> Contender:
    """Our step in a process of its own."""
    return Contender(
        sys.executable, str(pathlib.Path(__file__)), arguments, **settings
    )


def compare_speed(contenders: dict[str, Contender], arguments) -> None:
    """Prints pairs a second, CPU time and the peak of each contender."""
    for contender in contenders.values():
        contender.warm_up()
    for _ in range(arguments.rounds):
        for contender in contenders.values():
            contender.turn(arguments.seconds)
    first = next(iter(contenders.values()))
    for name, contender in contenders.items():
        ratio = contender.seconds / contender.pairs / first.seconds
        cpu_ratio = contender.cpu_seconds / contender.pairs / first.cpu_seconds
        print(
            f"{name:<30} {contender.pairs / contender.seconds:8.1f} pairs/s; "
            f"time a pair {first.pairs * ratio:.2f}, CPU time "
            f"{first.pairs * cpu_ratio:.2f} of the first; peak "
            f"{contender.peak / 2**30:.2f} GiB",
            flush=True,
        )
        contender.close()


def compare_memory(arguments) -> None:
    """Prints the peak of one step for each batch size."""
    for pairs in arguments.batches:
        contender = ours(arguments, pairs=pairs)
        seconds = contender.warm_up()
        print(
            f"{pairs:6} pairs: peak {contender.peak / 2**30:.2f} GiB, "
            f"{seconds:.0f} s with tracing",
            flush=True,
        )
        contender.close()


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer_python")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--averaging", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[256, 2048, 8192]
    )
    parser.add_argument("--chunk", type=int, default=64)
    parser.add_argument("--length", type=int, default=16)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--vocab_size", type=int, default=30000)
    parser.add_argument("--compute_dtype", default="bfloat16")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def main():
    """Prints the table."""
    arguments = parse_arguments()
    if arguments.serve:
        serve(arguments)
        return
    print(f"{machine()}; {arguments.compute_dtype}", flush=True)
    if arguments.memory:
        compare_memory(arguments)
        return
    if arguments.averaging:
        large = {"pairs": AVERAGING_PAIRS, "chunk": AVERAGING_CHUNK}
        contenders = {
            "direct, 1,024 pairs": ours(arguments, pairs=1024, chunk=0),
            "gradient cache, 32,768 pairs": ours(arguments, **large),
        }
    else:
        contenders = {
            "direct": ours(arguments, chunk=0),
            "gradient cache": ours(arguments),
        }
    if arguments.peer_python and not arguments.averaging:
        contenders["sentence-transformers, cached"] = Contender(
            arguments.peer_python,
            str(pathlib.Path(__file__).with_name("gradient_cache_peer.py")),
            arguments,
        )
    compare_speed(contenders, arguments)


if __name__ == "__main__":
    main()
