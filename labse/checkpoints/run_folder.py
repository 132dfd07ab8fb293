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

from labse.configs import loading
from labse.configs.schema import ExperimentConfig
from labse.errors import InputError
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.preprocessing.vocabulary import Vocabulary

CONFIG = "config.yaml"
VOCABULARY = "vocab.txt"
INDEX = "index"
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
        return folder
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
    saved = loading.load(str(folder / CONFIG))
    differences = loading.differences(saved, config)
    if differences:
        raise InputError(
            f"{folder} holds a run with another configuration. Choose another "
            f"--out, or the saved values: {'; '.join(differences)}."
        )
    if (folder / VOCABULARY).read_bytes() != vocabulary:
        raise InputError(
            f"{folder} holds a run with another vocabulary. Choose another "
            f"--out, or --vocab={folder / VOCABULARY}."
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


def load_encoder(
    path: str, precision: str = "float32"
) -> tuple[SentenceEncoder, ExperimentConfig, Vocabulary]:
    """The trained encoder of a run, with its configuration and vocabulary.

    Raises:
      InputError: this is no run, or its checkpoint does not fit its
        configuration.
    """
    folder = pathlib.Path(path)
    if not is_run_folder(path):
        raise InputError(f"A run folder holds {CONFIG}. Received: {path}.")
    config = loading.load(str(folder / CONFIG))
    vocabulary = Vocabulary.read(str(folder / VOCABULARY))
    encoder = SentenceEncoder(config.encoder, precision)
    restore_encoder(encoder, best_or_last(folder))
    return encoder, config, vocabulary


def restore_encoder(encoder: SentenceEncoder, prefix: str) -> None:
    """Fills every variable of `encoder` from a checkpoint.

    An encoder that is not built yet gets its variables made from the
    checkpoint's values, so that the weights are never in memory twice.

    Raises:
      InputError: the checkpoint holds a variable less or more, or one of
        another shape, or is damaged.
    """
    try:
        # To expect only a part is to leave out the optimizer, not a weight:
        # every existing variable must be found.
        status = tf.train.Checkpoint(encoder=encoder).read(prefix)
        status.expect_partial()
        encoder.build()
        status.assert_existing_objects_matched()
        _check_variables(encoder, prefix)
    except UNREADABLE as error:
        raise InputError(
            f"The checkpoint {prefix} does not fit its configuration, or is "
            f"damaged: {error}"
        ) from error


def _check_variables(encoder: SentenceEncoder, prefix: str) -> None:
    """Raises ValueError where the checkpoint holds another encoder.

    TensorFlow leaves out variables that it does not need, and gives one that
    is not built yet the checkpoint's value, whatever its shape.
    """
    saved = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    count = sum(name.startswith("encoder/") for name in saved)
    if count != len(encoder.variables):
        raise ValueError(
            f"it holds {count} variables of an encoder, the configuration "
            f"means {len(encoder.variables)}"
        )
    for variable in encoder.variables:
        received = variable.read_value().shape
        if received != variable.shape:
            raise ValueError(
                f"{variable.name} has the shape {received}, the configuration "
                f"means {variable.shape}"
            )
