"""What every training from files does before it reads any."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from labse.checkpoints import run_folder
from labse.checkpoints.stored_model import StoredModel
from labse.configs.loading import Config
from labse.configs.schema import TrainingConfig
from labse.errors import InputError
from labse.files.remote_path import AnyPath, as_path
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary
from labse.training.distribution import Workers, make_strategy


class Devices(NamedTuple):
    """Where to train.

    Attributes:
      distribution: one of `distribution.CHOICES`.
      tpu: name or address of a TPU.
    """

    distribution: str = "auto"
    tpu: str = ""


class RunSetup(NamedTuple):
    """A run that is about to begin, or to be resumed.

    Attributes:
      config: with the vocabulary's size.
      folder: the run folder, which is there.
      tokenizer: of the run.
      init: the model to start from; None: random weights.
    """

    config: Config
    folder: AnyPath
    strategy: tf.distribute.Strategy
    workers: Workers
    tokenizer: WordPieceTokenizer
    init: StoredModel | None


def set_up(
    config: Config,
    vocabulary_path: str,
    out: str,
    devices: Devices,
    init: str,
    open_init: Callable[[str, Config, str], StoredModel],
) -> RunSetup:
    """Finds the devices and makes the run folder; all workers must call it.

    Args:
      config: of the run.
      vocabulary_path: a vocab.txt.
      out: the run folder; a run that it holds is resumed.
      devices: where to train.
      init: the path of the model to start from; empty: random weights.
      open_init: opens it for a configuration and a vocab.txt.

    Raises:
      InputError: the vocabulary, the model or the folder does not fit.
    """
    # Collectives of several workers have to be set up before anything else.
    strategy = make_strategy(*devices)
    workers = Workers(strategy)
    vocabulary = Vocabulary.read(vocabulary_path)
    config = config.with_vocab_size(len(vocabulary.pieces))
    model = open_init(init, config, vocabulary_path) if init else None
    if workers.is_chief:
        run_folder.create(out, config, vocabulary_path)
    else:
        run_folder.wait_for(out)
        run_folder.check_same_run(out, config, vocabulary_path)
    tokenizer = WordPieceTokenizer.from_config(vocabulary, config.tokenizer)
    logging.info("Replicas: %d.", strategy.num_replicas_in_sync)
    return RunSetup(config, as_path(out), strategy, workers, tokenizer, model)


def check_patience(config: TrainingConfig, validates: bool, what: str) -> None:
    """Raises `InputError` where early stopping has nothing to go by.

    Args:
      config: of the training.
      validates: whether there is validation data.
      what: that data, in words.
    """
    if config.early_stopping_patience and not validates:
        raise InputError(
            f"training.early_stopping_patience needs {what}. Received none: "
            "give some, or set 0."
        )
