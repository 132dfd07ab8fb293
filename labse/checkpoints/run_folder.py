"""A run folder: configuration, vocabulary and checkpoints of one training run.

    RUN/config.yaml          the resolved configuration
    RUN/vocab.txt            the vocabulary
    RUN/checkpoints/last/    everything needed to go on training
    RUN/checkpoints/best/    the encoder that did best on validation pairs

Checkpoints are TensorFlow's object-based ones; the encoder stands under
`encoder` in both.
"""

import pathlib
import time

import tensorflow as tf

from labse.checkpoints import model_source, tensor_bundle
from labse.checkpoints.model_source import (
    ModelSource,
    Stated,
    check_vocabulary,
    own_or_stated_vocabulary,
    resolve,
)
from labse.checkpoints.weights import match
from labse.configs import loading
from labse.configs.schema import FREE_ON_RESUME, ExperimentConfig
from labse.errors import InputError
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.preprocessing.vocabulary import Vocabulary

CONFIG = "config.yaml"
VOCABULARY = "vocab.txt"
INDEX = "index"
SOURCE_RECORD = "source.json"  # Only where the weights were converted.
LAST = pathlib.Path("checkpoints", "last")
BEST = pathlib.Path("checkpoints", "best")
# What TensorFlow raises for a checkpoint of other variables, or damaged.
UNREADABLE = (AssertionError, ValueError, IndexError, tf.errors.OpError)


def is_run_folder(path: str) -> bool:
    """Whether `path` looks like a run folder."""
    return (pathlib.Path(path) / CONFIG).is_file()


def create(
    path: str, config: ExperimentConfig, vocabulary_path: str
) -> pathlib.Path:
    """Makes the folder, or checks that it holds the same run.

    Raises:
      InputError: the folder holds a run with another configuration or
        vocabulary, or something that is not a run.
    """
    folder = pathlib.Path(path)
    vocabulary = pathlib.Path(vocabulary_path).read_bytes()
    if is_run_folder(path) and tf.train.latest_checkpoint(folder / LAST):
        check_same_run(path, config, vocabulary_path)
        write_atomically(folder / CONFIG, loading.to_yaml(config).encode())
        return folder
    if (folder / SOURCE_RECORD).exists():
        raise InputError(
            f"{folder} holds a converted model, not a run to go on with. "
            f"Start from it: --init={folder} and another --out."
        )
    # What a run that was killed before its first checkpoint leaves behind.
    ours = {VOCABULARY, CONFIG, INDEX, "checkpoints", "logs"}
    others = [
        entry.name
        for entry in (folder.iterdir() if folder.exists() else ())
        if entry.name not in ours and not entry.name.endswith(".tmp")
    ]
    if others:
        raise InputError(
            f"--out must be a new folder or a run to go on with. {folder} "
            f"holds no checkpoint, but {', '.join(sorted(others)[:5])}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / VOCABULARY, vocabulary)
    # The configuration comes last: with it the folder is a run.
    write_atomically(folder / CONFIG, loading.to_yaml(config).encode())
    return folder


def wait_for(path: str, seconds: int = 120) -> None:
    """Waits until another process has made the run folder.

    Raises:
      InputError: it is not there in time.
    """
    for _ in range(seconds * 10):
        if is_run_folder(path):
            return
        time.sleep(0.1)
    raise InputError(
        f"The first worker makes the run folder {path}, which all workers "
        f"have to see. It was not there after {seconds} seconds. Put --out on "
        "a file system that they share."
    )


def check_same_run(
    path: str, config: ExperimentConfig, vocabulary_path: str
) -> None:
    """Raises `InputError` where the run folder holds another run."""
    folder = pathlib.Path(path)
    vocabulary = pathlib.Path(vocabulary_path).read_bytes()
    saved, removed = loading.load_saved(str(folder / CONFIG))
    if removed:
        raise InputError(
            f"{folder} holds a run of an earlier version, which took the pairs "
            f"in another order ({', '.join(removed)}). Finish it with that "
            "version, or begin a new run that starts from its encoder: "
            f"--init={folder} and another --out."
        )
    differences = loading.differences(saved, config, FREE_ON_RESUME)
    if differences:
        raise InputError(
            f"{folder} holds a run with another configuration: "
            f"{'; '.join(differences)}. Resume it with the saved values, or "
            "begin a new run that starts from its encoder: "
            f"--init={folder} and another --out."
        )
    if (folder / VOCABULARY).read_bytes() != vocabulary:
        raise InputError(
            f"{folder} holds a run with another vocabulary. Resume it with "
            f"--vocab={folder / VOCABULARY}. For a larger vocabulary, make a "
            "model of it with labse grow-vocab, for a smaller one with labse "
            "prune-vocab, and begin a new run from that: --init and another "
            "--out."
        )


def write_atomically(path: pathlib.Path, content: bytes) -> None:
    """Writes to a temporary name beside `path`, then renames."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def best_or_last(folder: pathlib.Path) -> str:
    """The prefix of the checkpoint to ask: the best one, else the last.

    Raises:
      InputError: the run has no checkpoint yet.
    """
    for place in (BEST, LAST):
        prefix = tf.train.latest_checkpoint(folder / place)
        if prefix:
            return prefix
    raise InputError(
        f"{folder} has no checkpoint. Train it first: labse train "
        f"--out={folder} ..."
    )


def open_source(
    path: str, stated: Stated | None = None, prefix: str | None = None
) -> ModelSource:
    """The trained encoder of a run as a model on disk.

    Args:
      path: the run folder.
      stated: what the user says about it.
      prefix: of the checkpoint; by default the best one, else the last.

    Raises:
      InputError: this is no run, or its checkpoint does not fit its
        configuration.
    """
    folder = pathlib.Path(path)
    if not is_run_folder(path):
        raise InputError(f"A run folder holds {CONFIG}. Received: {path}.")
    saved, _ = loading.load_saved(str(folder / CONFIG))
    recorded = model_source.record(saved)
    stated = stated or Stated()
    config, notes = resolve(recorded, stated, {}, path, saved)
    own = Vocabulary.read(str(folder / VOCABULARY))
    vocabulary = own_or_stated_vocabulary(own, stated, path)
    check_vocabulary(vocabulary, config.encoder.vocab_size, path)
    prefix = prefix or best_or_last(folder)
    found = {
        name: tensor
        for name, (key, tensor) in tensor_bundle.read_variables(prefix).items()
        if key.startswith("encoder/")
    }
    return ModelSource(
        kind="run folder",
        path=path,
        config=config,
        recorded=recorded,
        vocabulary=vocabulary,
        weights=match(found, config.encoder, "name", (), prefix),
        files=(
            folder / CONFIG,
            folder / VOCABULARY,
            pathlib.Path(f"{prefix}.index"),
        ),
        notes=notes,
    )


def load_encoder(
    path: str, precision: str = "float32"
) -> tuple[SentenceEncoder, ExperimentConfig, Vocabulary]:
    """The trained encoder of a run, with its configuration and vocabulary.

    Raises:
      InputError: see `open_source`.
    """
    source = open_source(path)
    encoder = model_source.load_encoder(source, precision)
    return encoder, source.config, source.vocabulary
