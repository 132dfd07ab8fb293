"""Pre-training on text and translation pairs, in stages (section 3.4)."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from labse.checkpoints import stored_model
from labse.checkpoints.stored_model import StoredModel
from labse.configs.pretraining import PretrainingConfig
from labse.data.packed_records import SAMPLE_RECORDS
from labse.data.pretraining_reader import (
    PretrainingReader,
    sample_readers,
    used_kinds,
)
from labse.errors import InputError
from labse.files.reading import ReadOptions
from labse.modeling import progressive_stacking
from labse.modeling.masked_lm import MaskedLanguageModel
from labse.training import run_records, run_setup, training_pairs
from labse.training.initial_model import open_init
from labse.training.lost_workers import lost_workers_reported
from labse.training.optimizer import make_optimizer
from labse.training.pretraining_validation import MaskedLMValidation
from labse.training.run import Run
from labse.training.run_records import GivenRecords
from labse.training.run_setup import Devices, RunSetup
from labse.training.same_records import BILINGUAL, MONOLINGUAL
from labse.training.task import Task


class PretrainingTask(Task):
    """One stage: masked and translation language modelling with some blocks."""

    unit = "sequences"
    counts = ("tokens",)
    opened_by = "labse train --init={run}"

    def __init__(
        self,
        config: PretrainingConfig,
        stage: int,
        reader: PretrainingReader,
        init: StoredModel | None = None,
        validation: MaskedLMValidation | None = None,
    ):
        """See `pretrain` for training from files.

        Args:
          config: of the run; its vocabulary size is the vocabulary's.
          stage: which of `config.stages`, from 0.
          reader: of the run's records.
          init: the first stage starts from this model's encoder, and its head
            if it has one; from random weights without.
          validation: of all stages.
        """
        self._config = config
        self._num_layers, self._steps = config.stages[stage]
        self._reader = reader
        self._init = init
        self._validation = validation
        self.num_steps = len(self._steps)
        self.step_cost = step_operations(config, self._num_layers)
        self.score = "accuracy" if validation else None
        self.shown_metrics = {"loss": ".4f", "accuracy": ".3f"}

    def make_model(self) -> MaskedLanguageModel:
        """The model with the stage's blocks, with random weights."""
        return MaskedLanguageModel.of_experiment(self._config, self._num_layers)

    def make_optimizer(self):
        """AdamW whose learning rate continues that of the stage before."""
        stacking = self._config.stacking
        start = self._steps.start
        return make_optimizer(
            self._config.training,
            first_step=start,
            stage_warmup_steps=stacking.warmup_steps if start else 0,
            moments_age=start if stacking.copy_moments else 0,
        )

    def batches(self, steps, batch_size, replicas):
        """Sequences and masks that follow from seed and step."""
        return self._reader.batches(steps, batch_size, replicas)

    def checkpointed(self, model):
        """The encoder and the head, as Model Garden's pre-trainer."""
        return model.checkpoint_items

    def initialize(self, model, previous):
        """Grows the model of the stage before, or takes over `init`."""
        if previous is not None:
            if self._validation is not None:
                self._validation.release()
            self._grow(previous, model)
        elif self._init is not None:
            stored_model.assign_weights(model.encoder, self._init)
            if self._init.head is not None:
                stored_model.assign_head(model.head, self._init)
            logging.info(
                "Starting from %s (%s), %s.",
                self._init.path,
                self._init.kind,
                "with its head" if self._init.head else "with a new head",
            )

    def _grow(self, small, large) -> None:
        progressive_stacking.grow(small, large)
        if self._config.stacking.copy_moments:
            # The pooler is not trained and has none.
            trained = {each.name for each in large.trainable_variables}
            pairs = progressive_stacking.paired_variables(small, large)
            large.optimizer.copy_moments(
                small.optimizer,
                [pair for pair in pairs if pair[0].name in trained],
            )
        logging.info(
            "Step %d: the model grows from %d to %d blocks.",
            self._steps.start,
            small.encoder.config.num_layers,
            self._num_layers,
        )

    def validate(self, model):
        """Loss and accuracy of masked tokens; see `MaskedLMValidation`."""
        return self._validation.evaluate(model)

    def check_data(self, step, error):
        """Raises `InputError` where the records are not as they were."""
        for reader in self._reader.readers:
            run_records.check_damage(reader, step, error)


def step_operations(config: PretrainingConfig, num_layers: int) -> float:
    """Multiplications of a forward pass of one sequence, about.

    The products with matrices of weights, and attention's own.
    """
    encoder, length = config.encoder, config.tokenizer.max_length
    hidden = encoder.hidden_size
    of_token = 4 * hidden**2 + 2 * hidden * encoder.intermediate_size
    of_token += 2 * length * hidden
    masked = min(config.masking.max_masked, config.masking.share * length)
    head = masked * hidden * (hidden + encoder.vocab_size)
    return num_layers * length * of_token + head


class PretrainingFiles(NamedTuple):
    """What is trained on, or validated on.

    Attributes:
      monolingual: files of texts, or globs; or a folder of records.
      bilingual: the same of translation pairs.
    """

    monolingual: Sequence[str] = ()
    bilingual: Sequence[str] = ()


@lost_workers_reported()
def pretrain(
    config: PretrainingConfig,
    files: PretrainingFiles,
    vocabulary_path: str,
    out: str,
    *,
    init: str = "",
    validation: PretrainingFiles | None = None,
    distribution: str = "auto",
    tpu: str = "",
    reading: ReadOptions | None = None,
) -> bool:
    """Pre-trains from files to a run folder; `labse pretrain` as a function.

    Args:
      config: the experiment.
      files: to train on, written into the run folder as records first; or
        folders of records.
      vocabulary_path: a vocab.txt.
      out: the run folder; a run that it holds is resumed.
      init: a new run starts from the encoder of this model, and its head if it
        has one.
      validation: files only; the best checkpoint of the last stage is kept.
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
    files = PretrainingFiles(
        *(each or () for each in used_kinds(config, *files, "files"))
    )
    if init and config.stacking.num_layers:
        raise InputError(
            "Progressive stacking begins with new models of few blocks. "
            f"Received init={init} and stacking.num_layers="
            f"{list(config.stacking.num_layers)}. Leave init out, or set "
            "stacking.num_layers=[] and stacking.num_steps=[]."
        )
    validation = validation or PretrainingFiles()
    run_setup.check_patience(
        config.training, any(validation), "validation texts or pairs"
    )
    setup = run_setup.set_up(
        config,
        vocabulary_path,
        out,
        Devices(distribution, tpu),
        init,
        open_init,
    )
    config = setup.config
    config.check_replicas(setup.strategy.num_replicas_in_sync)
    run = Run(setup.folder, config.training, setup.strategy)
    reading = dataclasses.replace(
        reading or ReadOptions(),
        max_malformed_share=config.data.max_malformed_share,
    )
    validates = None
    if any(validation):
        validates = MaskedLMValidation(
            *validation, setup.tokenizer, config, reading
        )
    reader = _open_reader(setup, files, reading)
    return run.train(
        [
            PretrainingTask(config, stage, reader, setup.init, validates)
            for stage in range(len(config.stages))
        ]
    )


def _open_reader(
    setup: RunSetup, files: PretrainingFiles, reading: ReadOptions
) -> PretrainingReader:
    """The records of the files; all workers must call it."""
    config, opened = setup.config, []
    for records, patterns in zip((MONOLINGUAL, BILINGUAL), files, strict=True):
        if not patterns:
            opened.append(None)
            continue
        opened.append(
            run_records.open_records(
                records,
                GivenRecords(patterns, reading, config.training.seed),
                setup.folder,
                setup.tokenizer,
                config.tokenizer.max_length,
                setup.workers,
            )
        )
    training_pairs.check_corpora(
        [manifest for _, manifest in filter(None, opened)],
        config.data.corpus_weights,
    )
    try:
        return PretrainingReader(*opened, setup.tokenizer, config)
    except tf.errors.OpError as error:
        for reader in sample_readers(*opened, config):
            run_records.check_sample_damage(reader, SAMPLE_RECORDS, error)
        raise
