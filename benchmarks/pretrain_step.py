"""Tokens a second of a step of pre-training, beside Hugging Face's in PyTorch.

    python benchmarks/pretrain_step.py
    python benchmarks/pretrain_step.py --vocab_sizes 120000 --layers 12

The whole step in bfloat16: encoder, head, loss, backward pass, clipping, AdamW.
Same layers (BERT Base's blocks), batch, length, masked tokens, dropout and
optimizer (PyTorch's fused one); random weights and random pieces.
`BertForMaskedLM` computes the logits of all tokens; the second peer is the same
model, whose head is given the masked tokens only.

Each turn is a process of its own, since two do not fit into memory; they take
turns, several rounds, and the best step counts. CPU time is that of all
threads: on a busy machine the steadier figure, with --threads=1 most of all,
since several threads also spend it on waiting for each other.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from machine import limit_threads, machine, peak_memory

FLAGS = ("batch", "length", "masked", "layers", "steps", "threads")
PEER = pathlib.Path(__file__).with_name("pretrain_step_peer.py")
CONTENDERS = {
    "labse": (pathlib.Path(__file__), "ours"),
    "Hugging Face": (PEER, "all"),
    "Hugging Face, masked only": (PEER, "masked"),
}


def make_step(arguments):
    """Our whole training step, as `fit` runs it."""
    import numpy as np
    import tensorflow as tf

    from labse import features
    from labse.configs.schema import EncoderConfig, TrainingConfig
    from labse.modeling.masked_lm import MaskedLanguageModel
    from labse.modeling.sentence_encoder import SentenceEncoder
    from labse.training.optimizer import make_optimizer

    limit_threads(arguments.threads)
    config = EncoderConfig(
        vocab_size=arguments.vocab_size, num_layers=arguments.layers
    )
    model = MaskedLanguageModel(SentenceEncoder(config, "mixed_bfloat16"))
    model.build()
    optimizer = make_optimizer(TrainingConfig())
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer)
    random = np.random.default_rng(0)
    batch, length = arguments.batch, arguments.length
    ids = random.integers(5, config.vocab_size, [batch, length], np.int32)
    positions = np.argsort(random.random([batch, length]), axis=1)
    positions = positions[:, : arguments.masked].astype(np.int32)
    labels = np.take_along_axis(ids, positions, axis=1)
    inputs = (ids, np.ones_like(ids), np.zeros_like(ids))
    data = {
        **dict(zip(features.MODEL_INPUTS, inputs, strict=True)),
        features.MASKED_POSITIONS: positions,
        features.MASKED_IDS: labels,
        features.MASKED_WEIGHTS: np.ones(labels.shape, np.float32),
        features.BILINGUAL: np.zeros(batch, np.int32),
    }
    data = {name: tf.constant(value) for name, value in data.items()}
    function = tf.function(lambda: model.train_step((data,)), autograph=False)
    return lambda: function()["loss"].numpy()


def measure(step, steps: int) -> dict:
    """Seconds and CPU seconds of the best step after the first; the peak."""
    step()
    seconds, cpu_seconds = [], []
    for _ in range(steps):
        started, cpu_started = time.perf_counter(), time.process_time()
        step()
        seconds.append(time.perf_counter() - started)
        cpu_seconds.append(time.process_time() - cpu_started)
    return {
        "seconds": min(seconds),
        "cpu_seconds": min(cpu_seconds),
        "peak": peak_memory(),
    }


def run(name, vocab_size, arguments) -> dict:
    """`measure` in a process of its own."""
    program, variant = CONTENDERS[name]
    python = sys.executable if variant == "ours" else arguments.peer_python
    flags = [f"--{flag}={getattr(arguments, flag)}" for flag in FLAGS]
    flags += [f"--variant={variant}", f"--vocab_size={vocab_size}"]
    output = subprocess.run(
        [python, str(program), *flags],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return json.loads(output.splitlines()[-1])


def compare(vocab_size, arguments) -> None:
    """Prints a line for each contender."""
    best = {}
    for _ in range(arguments.rounds):
        for name in arguments.contenders:
            found = run(name, vocab_size, arguments)
            print(f"  {name}: {found}", file=sys.stderr, flush=True)
            best[name] = {
                key: min(value, best.get(name, found)[key])
                for key, value in found.items()
            }
    tokens = arguments.batch * arguments.length
    first = next(iter(best.values()))
    print(f"{vocab_size} pieces")
    for name, found in best.items():
        print(
            f"  {name:<26} {tokens / found['seconds']:7.0f} tokens/s; "
            f"{found['seconds']:.2f} s a step, "
            f"{found['seconds'] / first['seconds']:.2f} of the first; "
            f"CPU {found['cpu_seconds']:.2f} s, "
            f"{found['cpu_seconds'] / first['cpu_seconds']:.2f}; peak "
            f"{found['peak'] / 1e9:.1f} GB",
            flush=True,
        )


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer_python", default=sys.executable)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--masked", type=int, default=80)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument(
        "--vocab_sizes", type=int, nargs="+", default=[120_000, 501_153]
    )
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS)
    )
    parser.add_argument("--vocab_size", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--variant", help="of a process of its own")
    return parser.parse_args()


def main() -> None:
    """Prints the table, or measures one contender."""
    arguments = parse_arguments()
    if arguments.variant:
        step = make_step(arguments)
        print(json.dumps(measure(step, arguments.steps)))
        return
    print(
        f"{machine()}; {arguments.batch} x {arguments.length} tokens, "
        f"{arguments.masked} masked in each, {arguments.layers} layers of 768, "
        f"bfloat16, {arguments.threads or 'all'} threads",
        flush=True,
    )
    for vocab_size in arguments.vocab_sizes:
        compare(vocab_size, arguments)


if __name__ == "__main__":
    main()
