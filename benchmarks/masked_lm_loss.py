"""Memory and time of the masked-LM loss and its gradients, in chunks or not.

    python benchmarks/masked_lm_loss.py [--rows 8192] [--pieces 501153]
    python benchmarks/masked_lm_loss.py --rows 1024 --chunks all default

A chunk is the number of pieces whose logits exist at once; "all" is the plain
form, "default" what `masked_lm_loss` chooses. Each variant runs in a process of
its own. Memory is the peak of TensorFlow's allocator during the steps beyond
what it held before them (the table), the gradient of the table among it (1.54
GB for 501,153 pieces of 768). CPU time is that of all threads: on a busy
machine the steadier figure, with --threads=1 most of all. Random values.
"""

import argparse
import json
import os
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from machine import limit_threads, machine


def make_step(options, chunk: str):
    """Loss and gradients of random values; and the chunk's size."""
    import tensorflow as tf

    from labse.losses.masked_lm_loss import chunk_size, masked_lm_loss

    limit_threads(options.threads)
    rows, pieces, size = options.rows, options.pieces, options.size
    number = {"all": pieces, "default": chunk_size(rows, pieces)}.get(chunk)
    number = number or int(chunk)
    hidden = tf.random.normal([rows, size])
    table = tf.Variable(tf.random.normal([pieces, size], stddev=0.02))
    bias = tf.zeros([pieces])
    labels = tf.random.uniform([rows], maxval=pieces, dtype=tf.int32)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            values = [hidden, tf.convert_to_tensor(table), bias]
            tape.watch(values)
            loss, _ = masked_lm_loss(
                *values,
                labels,
                compute_dtype=options.compute_dtype,
                chunk=number,
            )
            loss = tf.reduce_mean(loss)
        return loss, tape.gradient(loss, values)

    return lambda: step()[0].numpy(), number


def measure(options) -> dict:
    """GB of the steps, seconds and CPU seconds of the best one.

    The first one is traced as well.
    """
    import tensorflow as tf

    step, number = make_step(options, options.variant)
    device = "GPU:0" if tf.config.list_physical_devices("GPU") else "CPU:0"
    tf.config.experimental.reset_memory_stats(device)
    before = tf.config.experimental.get_memory_info(device)["current"]
    seconds, cpu_seconds = [], []
    for _ in range(options.steps):
        started, cpu_started = time.perf_counter(), time.process_time()
        step()
        seconds.append(time.perf_counter() - started)
        cpu_seconds.append(time.process_time() - cpu_started)
    peak = tf.config.experimental.get_memory_info(device)["peak"]
    return {
        "chunk": number,
        "gb": (peak - before) / 1e9,
        "seconds": min(seconds),
        "cpu_seconds": min(cpu_seconds),
    }


def main() -> None:
    """Prints a line for each chunk."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--pieces", type=int, default=501_153)
    parser.add_argument("--size", type=int, default=768)
    parser.add_argument("--chunks", nargs="+", default=["default"])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--compute_dtype", default="bfloat16")
    parser.add_argument("--variant", help="of a process of its own")
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure(options)))
        return
    print(
        f"{machine()}; {options.rows} masked tokens, {options.pieces} pieces "
        f"of {options.size}, {options.compute_dtype}",
        flush=True,
    )
    for variant in options.chunks:
        output = subprocess.run(
            [sys.executable, *sys.argv, f"--variant={variant}"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        result = json.loads(output.splitlines()[-1])
        print(
            f"{variant:>8} ({result['chunk']:6} pieces at once): "
            f"{result['gb']:6.2f} GB, {result['seconds']:.2f} s, "
            f"CPU {result['cpu_seconds']:.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
