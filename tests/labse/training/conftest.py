"""Trainings from files that are over in seconds, and what they leave."""

import json
import pathlib
import random
import socket
import types
from typing import NamedTuple

import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from labse.bin import train
from labse.bin.flags import program

WORDS = "rot blau grün Haus Baum Hund Katze läuft schläft singt"
WORDS = WORDS.split(" ")
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
PIECES += [word.upper() for word in WORDS]
SETTINGS = {
    "encoder.num_layers": 1,
    "encoder.num_heads": 2,
    "encoder.hidden_size": 16,
    "encoder.intermediate_size": 32,
    "encoder.max_positions": 16,
    "tokenizer.max_length": 8,
    "data.length_buckets": "[8]",
    "data.length_chunks": 1,
    "training.global_batch_size": 8,
    "training.num_steps": 60,
    "training.warmup_steps": 5,
    "training.log_every": 5,
    "training.checkpoint_every": 5,
    "training.validate_every": 20,
    "training.learning_rate": 0.01,
    "data.language_exponent": 1.0,
}
# Runs that are compared with the uninterrupted one.
BUCKETS = {"data.length_buckets": "[4,8]", "data.length_chunks": 2}


class Toy:
    """`labse train` on words and the same words in capitals.

    Attributes:
      folder: with pairs.tsv.
      vocabulary: a vocab.txt, by default the folder's.
      words: of the sources.
      buckets: settings of two lengths, with which `whole_run` is trained.
    """

    words = WORDS
    buckets = BUCKETS

    def __init__(self, folder: pathlib.Path, vocabulary=None):
        self.folder = folder
        self.vocabulary = vocabulary or folder / "vocab.txt"

    def arguments(self, out, *more, **overrides) -> list[str]:
        """Of `labse train`, with `more` after them."""
        overrides = {**SETTINGS, **overrides}
        pairs = self.folder / "pairs.tsv"
        return [
            "--config=labse_tiny",
            f"--train={pairs}",
            f"--validation={pairs}",
            f"--vocab={self.vocabulary}",
            f"--out={out}",
            *(f"--override={key}={value}" for key, value in overrides.items()),
            *more,
        ]

    def train(self, out, *more, **overrides) -> int:
        """Trains in this process; returns the exit code of the program."""
        arguments = self.arguments(
            out, "--distribution=none", *more, **overrides
        )
        return program.run(train, arguments, "labse train")


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Toy:
    """100 pairs of up to five words."""
    folder = tmp_path_factory.mktemp("toy")
    choose = random.Random(0)
    rows = ["source\ttarget\tsource_language\ttarget_language"]
    for _ in range(100):
        words = choose.choices(WORDS, k=choose.randint(1, 5))
        target = " ".join(word.upper() for word in words)
        rows.append(f"{' '.join(words)}\t{target}\tde\tde-UPPER")
    (folder / "pairs.tsv").write_text("\n".join(rows) + "\n")
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return Toy(folder)


@pytest.fixture(scope="session")
def whole_run(toy, tmp_path_factory) -> pathlib.Path:
    """The folder of a run of 60 steps that nothing interrupted."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert toy.train(out, **BUCKETS) == 0
    disable_op_determinism()
    return out


@pytest.fixture(scope="session")
def pretraining_files(tmp_path_factory):
    """texts.jsonl, pairs.tsv and vocab.txt."""
    folder = tmp_path_factory.mktemp("pretraining")
    choose = random.Random(0)
    texts, pairs = [], ["source\ttarget\tsource_language\ttarget_language"]
    for _ in range(150):
        words = choose.choices(WORDS, k=choose.randint(4, 8))
        text = " ".join(words)
        pairs.append(f"{text}\t{text.upper()}\tde\tde-UPPER")
        texts += [
            f'{{"text": "{text}", "language": "de"}}',
            f'{{"text": "{text.upper()}", "language": "de-UPPER"}}',
        ]
    (folder / "texts.jsonl").write_text("\n".join(texts) + "\n", "utf-8")
    (folder / "pairs.tsv").write_text("\n".join(pairs) + "\n", "utf-8")
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", "utf-8")
    return folder


class Ended(NamedTuple):
    """A training in this process, as `subprocess.run` would give it."""

    returncode: int
    stderr: str


@pytest.fixture
def train_here(caplog, capsys):
    """A function that takes a `Toy` and the arguments of `Toy.train`."""

    def call(toy, *arguments, **overrides) -> Ended:
        caplog.set_level("INFO", logger="absl")
        caplog.clear()
        code = toy.train(*arguments, **overrides)
        logged = "\n".join(caplog.messages)
        return Ended(code, f"{logged}\n{capsys.readouterr().err}")

    yield call
    # It would hold for all later tests of this process.
    disable_op_determinism()


def history(out) -> list[dict]:
    """The lines of a run's history.jsonl, while it is written."""
    try:
        lines = (out / "history.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]
    except (FileNotFoundError, ValueError):
        return []  # Not there yet, or half a line.


def last_weights(out) -> dict:
    """The last checkpoint's weights, with the optimizer's, by name."""
    prefix = tf.train.latest_checkpoint(out / "checkpoints" / "last")
    reader = tf.train.load_checkpoint(prefix)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH" and "save_counter" not in name
    }


@pytest.fixture(scope="session")
def free_addresses():
    """Finds addresses of this machine for a number of workers."""

    def find(count):
        sockets = [socket.socket() for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
        for each in sockets:
            each.close()
        return addresses

    return find


@pytest.fixture(scope="session")
def run_reader():
    """Reads what a run folder holds."""
    return types.SimpleNamespace(
        history=history,
        last_weights=last_weights,
        logged_steps=lambda out: [each["step"] for each in history(out)],
    )
