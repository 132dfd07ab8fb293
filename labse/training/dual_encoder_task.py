"""Training of the dual encoder on translation pairs (sections 2 and 3)."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import logging

from labse.checkpoints import stored_model
from labse.checkpoints.stored_model import StoredModel
from labse.configs.schema import ExperimentConfig
from labse.data.batches import batches
from labse.data.record_reader import RecordReader
from labse.files.reading import ReadOptions
from labse.inference.encoder_model import EncoderModel
from labse.inference.replicated_encoder import ReplicatedEncoder
from labse.modeling.dual_encoder import DualEncoder
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.training import run_records, run_setup
from labse.training.initial_model import open_init
from labse.training.lost_workers import lost_workers_reported
from labse.training.optimizer import make_optimizer
from labse.training.run import Run
from labse.training.run_setup import Devices
from labse.training.task import Task

# Takes an encode function; returns figures, `accuracy` among them.
Validate = Callable[[Callable[[list[str]], np.ndarray]], dict]


class DualEncoderTask(Task):
    """Additive-margin softmax over the pairs of the global batch."""

    unit = "pairs"

    def __init__(
        self,
        config: ExperimentConfig,
        reader: RecordReader,
        tokenizer: WordPieceTokenizer,
        init: StoredModel | None = None,
        validate: Validate | None = None,
    ):
        """See `train_dual_encoder` for training from files.

        The configuration's vocabulary size is the vocabulary's. Without `init`
        the weights are random.
        """
        self._config = config
        self._reader = reader
        self._tokenizer = tokenizer
        self._init = init
        self._validate = validate
        self.num_steps = config.training.num_steps
        self.score = "accuracy" if validate else None
        self.shown_metrics = {
            "loss": ".4f",
            "in_batch_accuracy": ".3f",
            "negatives": ".0f",
        }
        self._warned = False
        self._replicated = None, None

    def make_model(self) -> DualEncoder:
        """The dual encoder, with random weights."""
        return DualEncoder.of_experiment(self._config)

    def make_optimizer(self):
        """AdamW with the run's learning rates."""
        return make_optimizer(self._config.training)

    def batches(self, steps, batch_size, replicas):
        """Pairs in the order that follows from seed and step."""
        return batches(
            self._reader,
            self._tokenizer,
            self._config.training_length,
            steps=steps,
            replica_batch_size=batch_size,
            replicas=replicas,
            hard_negatives=self._config.data.hard_negatives,
        )

    def checkpointed(self, model):
        """The encoder; the dual encoder has no weights besides."""
        return {"encoder": model.encoder}

    def initialize(self, model, previous):
        """Takes over the encoder of `init`, if there is one."""
        if self._init is not None:
            stored_model.assign_weights(model.encoder, self._init)
            logging.info(
                "Starting from %s (%s).", self._init.path, self._init.kind
            )

    def validate(self, model):
        """The figures of the `validate` function for the current encoder."""
        encoder = self._encoder_model(model)
        return self._validate(
            functools.partial(encoder.encode, on_truncation="ignore")
        )

    def _encoder_model(self, model) -> EncoderModel:
        """The encoder with its present weights, on all devices in use here."""
        parts = (
            model.encoder,
            self._tokenizer,
            self._config.tokenizer.max_length,
        )
        strategy = model.distribute_strategy
        if not isinstance(
            strategy, tf.distribute.MirroredStrategy | tf.distribute.TPUStrategy
        ):
            return EncoderModel(*parts)
        # Kept for the next validation, so that its graphs are.
        if self._replicated[0] is not model:
            self._replicated = model, ReplicatedEncoder(*parts, strategy)
        return self._replicated[1]

    def check_data(self, step, error):
        """Raises `InputError` where the records are not as they were."""
        run_records.check_damage(self._reader, step, error)

    def check_metrics(self, step, metrics):
        """Warns once if the pairs are no negatives of each other."""
        if metrics["negatives"] >= 1 or self._warned:
            return
        self._warned = True
        logging.warning(
            "Step %d: a pair has %.2f negatives on average, so loss and "
            "accuracy mean nothing. The pairs of a batch are copies of each "
            "other, or the vocabulary turns them into the same pieces.",
            step,
            metrics["negatives"],
        )


@lost_workers_reported()
def train_dual_encoder(
    config: ExperimentConfig,
    train_patterns: list[str],
    vocabulary_path: str,
    out: str,
    *,
    init: str = "",
    validate: Validate | None = None,
    distribution: str = "auto",
    tpu: str = "",
    reading: ReadOptions | None = None,
) -> bool:
    """Trains from files to a run folder; `labse train` as a function.

    Args:
      config: the experiment.
      train_patterns: files of translation pairs, or globs, of which records
        are written into the run folder first; or a folder of records.
      vocabulary_path: a vocab.txt.
      out: the run folder; a run that it holds is resumed.
      init: a new run starts from the encoder of this model.
      validate: evaluates an encode function; its figures hold `accuracy`.
      distribution: one of `distribution.CHOICES`.
      tpu: name or address of a TPU.
      reading: what the files do not say by themselves.

    Returns:
      whether training is finished; see `Run.train`.

    Raises:
      InputError: anything the user gave breaks a rule.
      LostWorkerError: another worker, a host of the TPU or the storage is
        gone, or not there yet.
    """
    setup = run_setup.set_up(
        config,
        vocabulary_path,
        out,
        Devices(distribution, tpu),
        init,
        open_init,
    )
    config = setup.config
    run_setup.check_patience(
        config.training, validate is not None, "validation pairs"
    )
    reader = run_records.open_pairs(
        config,
        train_patterns,
        setup.folder,
        setup.tokenizer,
        dataclasses.replace(
            reading or ReadOptions(),
            max_malformed_share=config.data.max_malformed_share,
        ),
        setup.workers,
    )
    task = DualEncoderTask(
        config, reader, setup.tokenizer, setup.init, validate
    )
    return Run(setup.folder, config.training, setup.strategy).train([task])
