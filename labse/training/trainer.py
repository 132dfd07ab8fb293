"""Training of the dual encoder (sections 2 and 3): pairs in, a run folder out.

A run is a pure function of its configuration, files and seed: the order of
the pairs follows from seed and step, dropout follows from seed and step, and
a checkpoint holds the weights, the optimizer and the step. So a run that is
killed and started again ends as if it had not been.
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras
from absl import logging

from labse.checkpoints import recognition, run_folder, stored_model
from labse.checkpoints.stored_model import ModelOptions, StoredModel
from labse.configs.schema import ExperimentConfig
from labse.data.batches import batches
from labse.data.pair_store import PairStore
from labse.errors import InputError
from labse.files.reading import ReadOptions
from labse.inference.encoder_model import EncoderModel
from labse.modeling.dual_encoder import DualEncoder
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary
from labse.training import callbacks, history, training_pairs
from labse.training.distribution import is_chief, make_strategy
from labse.training.optimizer import make_optimizer

_BEST_FIGURES = pathlib.Path("checkpoints", "best.json")
Encode = Callable[[list[str]], np.ndarray]


class Trainer:
    """One run: the model in its strategy, its data and its checkpoints."""

    def __init__(
        self,
        config: ExperimentConfig,
        folder: pathlib.Path,
        store: PairStore,
        vocabulary: Vocabulary,
        strategy: tf.distribute.Strategy,
        init: StoredModel | None = None,
    ):
        """Makes the model, restored from the run's last checkpoint if any.

        Args:
          config: the experiment; its vocabulary size is the vocabulary's.
          folder: the run folder, made by `run_folder.create`.
          store: the training pairs.
          vocabulary: the pieces.
          strategy: the devices.
          init: from whose encoder a new run starts.

        Raises:
          InputError: the global batch does not divide by the replicas, or a
            checkpoint does not fit.
        """
        self.config = config
        self.folder = folder
        self._strategy = strategy
        self._is_chief = is_chief(strategy)
        self._workers = strategy.extended._in_multi_worker_mode()
        self._vocabulary = vocabulary
        self._store = store
        training = config.training
        replicas = strategy.num_replicas_in_sync
        if training.global_batch_size % replicas:
            raise InputError(
                "training.global_batch_size must be a multiple of the number "
                f"of replicas. Received: {training.global_batch_size} and "
                f"{replicas}."
            )
        tf_keras.utils.set_random_seed(training.seed)
        if training.deterministic:
            tf.config.experimental.enable_op_determinism()
        with strategy.scope():
            encoder = SentenceEncoder(config.encoder, training.precision)
            self.model = DualEncoder(
                encoder,
                config.loss,
                training.seed,
                config.data.length_buckets,
                config.data.length_chunks,
            )
            self.model.build()
            optimizer = make_optimizer(training)
            optimizer.build(self.model.trainable_variables)
            self.model.compile(
                optimizer=optimizer,
                steps_per_execution=training.steps_per_execution,
            )
        self._last = self._manager(
            run_folder.LAST, 2, encoder=encoder, optimizer=optimizer
        )
        self._best = self._manager(run_folder.BEST, 1, encoder=encoder)
        self._start(init)

    @property
    def step(self) -> int:
        """How many steps are done."""
        return int(self.model.optimizer.iterations.numpy())

    def _manager(self, place, keep: int, **tracked):
        checkpoint = tf.train.Checkpoint(**tracked)
        # Made here, by all workers together: a variable that one worker made
        # alone, when it first saves, would wait for the others for ever.
        _ = checkpoint.save_counter
        return tf.train.CheckpointManager(
            checkpoint,
            str(self.folder / place),
            max_to_keep=keep,
            checkpoint_name="step",
        )

    def _start(self, init: StoredModel | None) -> None:
        latest = self._last.latest_checkpoint
        if latest:
            try:
                status = self._last.checkpoint.restore(latest)
                status.assert_existing_objects_matched()
            except run_folder.UNREADABLE as error:
                raise InputError(
                    f"The checkpoint {latest} is damaged or of another "
                    f"program: {error}"
                ) from error
            logging.info("Goes on from step %d.", self.step)
        elif init is not None:
            stored_model.assign_weights(self.model.encoder, init)
            logging.info("Starts from %s, a %s.", init.path, init.kind)
        if self._is_chief:
            history.truncate(self.folder, self.step)

    def save(self, step: int) -> None:
        """Saves everything the run needs to go on from `step`.

        Raises:
          InputError: the weights are not good any more.
        """
        callbacks.check_finite(self.model)
        if self._is_chief:
            self._last.save(checkpoint_number=step)

    def save_best(self, figures: dict) -> None:
        """Keeps the encoder if its validation accuracy is the best so far."""
        best = self._best_figures()
        if best is not None:
            earlier = best["step"] < figures["step"]
            if (
                earlier
                and best[callbacks.ACCURACY] >= figures[callbacks.ACCURACY]
            ):
                return
        self._best.save(checkpoint_number=figures["step"])
        run_folder.write_atomically(
            self.folder / _BEST_FIGURES, json.dumps(figures).encode()
        )

    def _best_figures(self) -> dict | None:
        """The figures of the best validation so far, with its `step`."""
        path = self.folder / _BEST_FIGURES
        return json.loads(path.read_text()) if path.exists() else None

    def encode_model(self) -> EncoderModel:
        """The encoder as it is now, to be asked with `encode`."""
        tokenizer = self.config.tokenizer
        return EncoderModel(
            self.model.encoder,
            WordPieceTokenizer.from_config(self._vocabulary, tokenizer),
            tokenizer.max_length,
        )

    def dataset(self):
        """The batches from the current step on, for `fit`."""
        config = self.config
        order = training_pairs.example_order(self._store, config)
        tokenizer = WordPieceTokenizer.from_config(
            self._vocabulary, config.tokenizer
        )
        total = self._strategy.num_replicas_in_sync

        def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
            count = total // context.num_input_pipelines
            first = context.input_pipeline_id * count
            return batches(
                self._store,
                order,
                tokenizer,
                config.training_length,
                steps=range(self.step, config.training.num_steps),
                replica_batch_size=config.training.global_batch_size // total,
                replicas=range(first, first + count),
                hard_negatives=config.data.hard_negatives,
            )

        if total == 1:
            return make(tf.distribute.InputContext())
        return self._strategy.distribute_datasets_from_function(make)

    def train(self, validate: Callable[[Encode], dict] | None = None) -> bool:
        """Runs `fit` to the last step, until a signal, or until it stops early.

        SIGTERM and SIGINT take effect after the step in progress is saved.

        Args:
          validate: evaluates an encode function; its figures hold `accuracy`.

        Returns:
          whether training is finished. False: a signal stopped it, or another
          worker.

        Raises:
          InputError: the loss was not finite.
        """
        training = self.config.training
        remaining = training.num_steps - self.step
        early = callbacks.Stop(early=self._stops_early(validate))
        if remaining <= 0 or self._agree(early).early:
            self._say_which_checkpoint()
            return True
        with callbacks.DelayedSignals() as signals:
            added = self._callbacks(validate, signals)
            self.model.fit(
                self.dataset(),
                steps_per_epoch=remaining,
                epochs=1,
                verbose=0,
                callbacks=added,
            )
        finished = self.step >= training.num_steps or added[-1].stop.early
        if finished:
            self._say_which_checkpoint()
        return finished

    def _say_which_checkpoint(self) -> None:
        if not self._is_chief:
            return
        best = self._best_figures()
        if best is None:
            logging.info(
                "labse.load(%r) opens the checkpoint of the last step, %d. "
                "With validation pairs the best one on these would be kept "
                "as well, and opened.",
                str(self.folder),
                self.step,
            )
            return
        logging.info(
            "labse.load(%r) opens the checkpoint that was best on the "
            "validation pairs: that of step %d, accuracy %.4f (last step: %d).",
            str(self.folder),
            best["step"],
            best[callbacks.ACCURACY],
            self.step,
        )

    def _callbacks(
        self, validate, signals: callbacks.DelayedSignals
    ) -> list[tf_keras.callbacks.Callback]:
        training, first_step = self.config.training, self.step
        writer = tf.summary.create_noop_writer()
        if self._is_chief:
            writer = tf.summary.create_file_writer(str(self.folder / "logs"))
        result = [
            callbacks.LogProgress(
                first_step,
                self.folder,
                writer,
                training.num_steps,
                training.log_every,
                training.global_batch_size,
                writes=self._is_chief,
            ),
        ]
        if self._is_chief and validate:
            result.append(
                callbacks.ValidateRetrieval(
                    first_step,
                    self.folder,
                    writer,
                    lambda: validate(
                        functools.partial(
                            self.encode_model().encode, on_truncation="ignore"
                        )
                    ),
                    self.save_best,
                    training.validate_every,
                    training.num_steps,
                )
            )
        result.append(
            callbacks.SaveCheckpoints(
                first_step,
                self.save,
                training.checkpoint_every,
                lambda step: self._should_stop(step, validate, signals),
            )
        )
        return result

    def _stops_early(self, validate) -> bool:
        """Whether as many validations as it takes were no better."""
        patience = self.config.training.early_stopping_patience
        best = self._best_figures()
        if not (patience and validate and self._is_chief and best):
            return False
        worse = history.validations_after(self.folder, best["step"])
        if worse < patience:
            return False
        logging.info(
            "Stops early at step %d: %d validations were no better than step "
            "%d's, %.4f (training.early_stopping_patience).",
            self.step,
            worse,
            best["step"],
            best[callbacks.ACCURACY],
        )
        return True

    def _should_stop(self, step: int, validate, signals) -> callbacks.Stop:
        """Whether and why to stop; the same answer for all workers."""
        training = self.config.training
        if self._workers and step % training.log_every:
            return callbacks.Stop()
        validated = self._workers or step % training.validate_every == 0
        return self._agree(
            callbacks.Stop(
                by_signal=signals.received is not None,
                early=validated and self._stops_early(validate),
            )
        )

    def _agree(self, stop: callbacks.Stop) -> callbacks.Stop:
        """What any worker has; all have to call it."""
        if not self._workers:
            return stop
        flags = tf.constant(stop, tf.int32)
        of_all = self._strategy.reduce(
            tf.distribute.ReduceOp.SUM,
            self._strategy.run(lambda: flags + 0),
            None,
        )
        return callbacks.Stop(*(bool(flag) for flag in of_all.numpy()))


# On these an encoder's vectors depend; the rest is training's choice.
_INIT_MUST_EQUAL = (
    "encoder.num_layers",
    "encoder.hidden_size",
    "encoder.pooling",
    "tokenizer.lower_case",
    "tokenizer.ids",
    "tokenizer.max_bytes_per_word",
)
# On these, too, if it has blocks.
_INIT_MUST_EQUAL_WITH_BLOCKS = (
    "encoder.num_heads",
    "encoder.intermediate_size",
    "encoder.max_positions",
    "encoder.type_vocab_size",
    "encoder.activation",
)


def open_init(
    path: str, config: ExperimentConfig, vocabulary_path: str
) -> StoredModel:
    """The model that `--init` names, if the run can start from it.

    Args:
      path: a model of any kind that `labse convert` takes.
      config: the run's; it also holds for what the model does not record.
      vocabulary_path: the run's, also for a model that comes without one.

    Raises:
      InputError: it is no model, or the run is configured otherwise.
    """
    stated = ModelOptions(vocabulary=vocabulary_path, fallback=config)
    try:
        source = recognition.open_model(path, stated)
    except InputError as error:
        raise InputError(f"--init={path}: {error}") from error
    for note in source.notes:
        logging.info("--init: %s", note)
    theirs, ours = (
        stored_model.config_values(each) for each in (source.config, config)
    )
    keys = _INIT_MUST_EQUAL
    if config.encoder.num_layers or source.config.encoder.num_layers:
        keys += _INIT_MUST_EQUAL_WITH_BLOCKS
    differences = [
        f"--override={key}={theirs[key]}"
        for key in keys
        if theirs[key] != ours[key]
    ]
    if differences:
        raise InputError(
            f"--init={path} is another encoder than the configuration "
            f"describes. Add {' '.join(differences)}, or change the model with "
            "labse convert."
        )
    lengths = (theirs["tokenizer.max_length"], ours["tokenizer.max_length"])
    if lengths[0] != lengths[1]:
        logging.info("--init: max_length %d there, %d here.", *lengths)
    return source


def train(
    config: ExperimentConfig,
    train_patterns: list[str],
    vocabulary_path: str,
    out: str,
    *,
    init: str = "",
    validate: Callable[[Encode], dict] | None = None,
    distribution: str = "auto",
    tpu: str = "",
    reading: ReadOptions | None = None,
) -> bool:
    """Trains from files to a run folder; `labse train` as a function.

    Returns:
      whether training is finished; see `Trainer.train`.

    Raises:
      InputError: anything the user gave breaks a rule.
    """
    # Collectives of several workers have to be set up before anything else.
    strategy = make_strategy(distribution, tpu)
    vocabulary = Vocabulary.read(vocabulary_path)
    config = dataclasses.replace(
        config,
        encoder=dataclasses.replace(
            config.encoder, vocab_size=len(vocabulary.pieces)
        ),
    )
    folder = pathlib.Path(out)
    source = open_init(init, config, vocabulary_path) if init else None
    if is_chief(strategy):
        run_folder.create(out, config, vocabulary_path)
    else:
        run_folder.wait_for(out)
        run_folder.check_same_run(out, config, vocabulary_path)
    if config.training.early_stopping_patience and not validate:
        raise InputError(
            "training.early_stopping_patience needs validation pairs. "
            "Received none: give --validation, or set 0."
        )
    store = PairStore(
        train_patterns,
        folder / run_folder.INDEX,
        dataclasses.replace(
            reading or ReadOptions(),
            max_malformed_share=config.data.max_malformed_share,
        ),
    )
    training_pairs.check_hard_negatives(store, config.data.hard_negatives)
    training_pairs.check_corpora(store, config.data.corpus_weights)
    if is_chief(strategy):
        training_pairs.check_same_pairs(
            folder, store.identity(bool(config.data.corpus_weights))
        )
    logging.info(
        "%d pairs in %d pairs of languages, %d replicas.",
        len(store),
        len(store.language_names),
        strategy.num_replicas_in_sync,
    )
    order = training_pairs.example_order(store, config)
    training_pairs.check_negatives(store, order, config)
    trainer = Trainer(config, folder, store, vocabulary, strategy, source)
    return trainer.train(validate)
