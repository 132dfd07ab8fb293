"""Speed and memory of `encode` against sentence-transformers, in one run.

    python benchmarks/encode.py --peer_python=.venv-peer/bin/python [--memory]

Both sides have BERT Base's shape, random weights, the same vocabulary, the
same sentences and the same longest length, and encode with their default
settings. A round times ours and the peer's one after the other, so that a busy
machine hurts both; the best round counts.

Sentences are Tatoeba's, all languages mixed, and the vocabulary is mBERT's,
both from LABSE_DATA_DIR; --input and --vocab name others.

With --memory, what is measured instead is the peak of resident memory of a
process that loads a model of LaBSE's real size (501,153 pieces) and encodes.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from machine import machine, peak_memory

NUM_SENTENCES = 1500
ROUNDS = 3
MAX_LENGTH = 128
LABSE_PIECES = 501_153  # Section 3.2 of the paper.
COMPUTE_DTYPES = ("float32", "bfloat16")
PEER = pathlib.Path(__file__).with_name("encode_peer.py")


def read_sentences(path: str | None) -> list[str]:
    """The sentences of a file, or Tatoeba's, mixed; the seed is fixed."""
    if path:
        files = [pathlib.Path(path)]
    else:
        files = sorted(_data_dir().glob("tatoeba_v1/tatoeba.*-eng.*"))
    lines = [line for file in files for line in _lines(file) if line]
    if not lines:
        sys.exit("No sentences: --input or LABSE_DATA_DIR/tatoeba_v1.")
    return random.Random(0).sample(lines, min(NUM_SENTENCES, len(lines)))


def read_pieces(path: str | None) -> list[str]:
    """The pieces of a vocab.txt, or of mBERT's."""
    default = "vocabs/bert_multi_cased.vocab.txt"
    return _lines(pathlib.Path(path or _data_dir() / default))


def _lines(path: pathlib.Path) -> list[str]:
    r"""The lines of a file; nothing but \n ends one."""
    return path.read_bytes().decode().removesuffix("\n").split("\n")


def _data_dir() -> pathlib.Path:
    if "LABSE_DATA_DIR" not in os.environ:
        sys.exit("Give --input and --vocab, or set LABSE_DATA_DIR.")
    return pathlib.Path(os.environ["LABSE_DATA_DIR"])


def make_run(folder: str, vocabulary: str, vocab_size: int) -> None:
    """A run folder with an untrained encoder of BERT Base's shape."""
    import tensorflow as tf

    from labse.checkpoints import run_folder
    from labse.configs.schema import (
        EncoderConfig,
        ExperimentConfig,
        TokenizerConfig,
    )
    from labse.modeling.sentence_encoder import SentenceEncoder

    config = ExperimentConfig(
        encoder=EncoderConfig(vocab_size=vocab_size),
        tokenizer=TokenizerConfig(max_length=MAX_LENGTH),
    )
    run = run_folder.create(folder, config, vocabulary)
    encoder = SentenceEncoder(config.encoder)
    encoder.build()
    tf.train.CheckpointManager(
        tf.train.Checkpoint(encoder=encoder),
        str(run / run_folder.LAST),
        max_to_keep=1,
    ).save(0)


def peer_command(options, job: str, folder: str) -> list[str]:
    """The command line of the peer's script."""
    return [
        *(options.peer_python, str(PEER), job, f"--folder={folder}/peer"),
        *(f"--vocab={folder}/vocab.txt", f"--sentences={folder}/text.json"),
        f"--max_length={MAX_LENGTH}",
    ]


def run_json(command: list[str]):
    """Runs a command; returns the JSON in the last line that it prints."""
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return json.loads(output.strip().split("\n")[-1])


def measure_speed(options, folder: str, sentences: list[str]) -> list[str]:
    """Lines of a table: sentences a second, ours and the peer's."""
    import labse

    models = {
        compute_dtype: labse.load(f"{folder}/run", compute_dtype)
        for compute_dtype in COMPUTE_DTYPES
    }
    seconds = {}
    with subprocess.Popen(
        peer_command(options, "serve", folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as peer:
        for round_number in range(ROUNDS + 1):  # The first warms up.
            for compute_dtype, model in models.items():
                start = time.perf_counter()
                model.encode(sentences)
                ours = time.perf_counter() - start
                peer.stdin.write(compute_dtype + "\n")
                peer.stdin.flush()
                theirs = json.loads(peer.stdout.readline())
                if round_number:
                    seconds.setdefault(compute_dtype, []).append((ours, theirs))
        peer.stdin.close()
    lines = [f"{'sentences/s':<12}{'labse':>9}{'peer':>9}{'ratio':>8}"]
    for compute_dtype, times in seconds.items():
        ours, theirs = (
            len(sentences) / min(side) for side in zip(*times, strict=True)
        )
        lines.append(
            f"{compute_dtype:<12}{ours:9.1f}{theirs:9.1f}{ours / theirs:8.2f}"
        )
    return lines


def measure_own_memory(folder: str) -> None:
    """Loads and encodes; prints the peak before and after, in bytes."""
    import tensorflow_hub  # noqa: F401
    import tensorflow_text  # noqa: F401

    import labse

    sentences = json.loads(pathlib.Path(folder, "text.json").read_text())
    load = labse.load  # Imports TensorFlow.
    before = peak_memory()
    load(f"{folder}/run").encode(sentences)
    print(json.dumps([before, peak_memory()]))


def measure_memory(options, folder: str, vocab_size: int) -> list[str]:
    """Lines of a table: peak memory of load and encode."""
    weights = 4 * (vocab_size * 768 + 512 * 768 + 2 * 768 + 2 * 768)
    weights += 4 * (12 * (12 * 768**2 + 13 * 768) + 768**2 + 768)
    commands = {
        "labse": [sys.executable, __file__, f"--own_memory={folder}"],
        "peer": peer_command(options, "memory", folder),
    }
    lines = [
        f"weights: {weights / 1e9:.3f} GB",
        f"{'peak, GB':<12}{'libraries':>10}{'total':>8}{'above':>8}"
        f"{'total/weights':>15}{'above/weights':>15}",
    ]
    for name, command in commands.items():
        before, after = run_json(command)
        above = after - before
        lines.append(
            f"{name:<12}{before / 1e9:10.2f}{after / 1e9:8.2f}"
            f"{above / 1e9:8.2f}{after / weights:15.2f}{above / weights:15.2f}"
        )
    return lines


def main() -> None:
    """Prepares both sides, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer_python")
    parser.add_argument("--input")
    parser.add_argument("--vocab")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--own_memory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.own_memory:
        measure_own_memory(options.own_memory)
        return
    if not options.peer_python:
        parser.error("--peer_python: a Python with sentence-transformers")
    sentences = read_sentences(options.input)
    pieces = read_pieces(options.vocab)
    if options.memory:
        # Pieces that no text has stand for those that are not at hand.
        pieces += [f"##\ue000{i}" for i in range(LABSE_PIECES - len(pieces))]
    lines = [f"{machine()} before the measurement"]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = pathlib.Path(folder, "vocab.txt")
        vocabulary.write_text("".join(f"{p}\n" for p in pieces), "utf-8")
        pathlib.Path(folder, "text.json").write_text(json.dumps(sentences))
        make_run(f"{folder}/run", str(vocabulary), len(pieces))
        os.makedirs(f"{folder}/peer")
        subprocess.run(peer_command(options, "make", folder), check=True)
        if options.memory:
            lines += measure_memory(options, folder, len(pieces))
        else:
            lines += measure_speed(options, folder, sentences)
    lines.append(f"{len(sentences)} sentences, {len(pieces)} pieces")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
