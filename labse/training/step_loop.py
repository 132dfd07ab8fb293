"""What happens between the optimizer's steps: logs, validation, checkpoints."""

import functools
from typing import NamedTuple

import tf_keras
from absl import logging

from labse.configs.schema import TrainingConfig
from labse.errors import InputError
from labse.files.remote_path import AnyPath
from labse.modeling.trainable_model import TrainableModel
from labse.progress import ProgressBar
from labse.training import history
from labse.training.checkpoints import RunCheckpoints, best_figures
from labse.training.distribution import Workers
from labse.training.progress import TrainingProgress
from labse.training.signals import DelayedSignals
from labse.training.task import Task


class Stage(NamedTuple):
    """A task with its model, and its part of the run's steps."""

    task: Task
    model: TrainableModel
    checkpoints: RunCheckpoints
    steps: range  # of the run
    is_final: bool  # no stage follows

    def current_step(self) -> int:
        """How many of the run's steps are done; waits for the one running."""
        return self.steps.start + int(self.model.optimizer.iterations.numpy())


class Stop(NamedTuple):
    """Why training stops before the stage's last step."""

    by_signal: bool = False
    early: bool = False  # Several validations were no better than the best.


class StepLoop(tf_keras.callbacks.Callback):
    """A callback of `fit` that works with the run's step.

    It reads a metric only where that is logged, so that the device never
    waits for Python between two steps.

    Attributes:
      signals: to be entered around `fit`.
      stop: why training stopped before the stage's last step, if it did.
      next_step: the first step, from 0, that has not ended.
    """

    _supports_tf_logs = True  # Keras then fetches no metric at each step.

    def __init__(
        self,
        stage: Stage,
        folder: AnyPath,
        config: TrainingConfig,
        workers: Workers,
        progress: TrainingProgress,
    ):
        super().__init__()
        self._stage = stage
        self._folder = folder
        self._config = config
        self._workers = workers
        self._progress = progress
        self._start = self.next_step = stage.current_step()
        self._saved_step = None
        self.signals = DelayedSignals()
        self.stop = Stop()

    @property
    def remaining_steps(self) -> range:
        """The steps that are left of the stage when it is begun or resumed."""
        return range(self._start, self._stage.steps.stop)

    def validate_if_missed(self) -> None:
        """Validates the checkpoint to resume from, where a signal kept that."""
        step = self._start
        if (
            self._workers.is_chief
            and step > self._stage.steps.start
            and self._is_validated(step)
            and not history.has_validation(self._folder, step)
        ):
            self._validate(step)

    def stops_before_first_step(self) -> bool:
        """Whether a signal or earlier validations have stopped the run."""
        self.stop = self._agree(
            Stop(
                by_signal=self.signals.received is not None,
                early=self._should_stop_early(self._start),
            )
        )
        return any(self.stop)

    def on_train_batch_end(self, batch, logs=None):
        """Called by Keras after each `steps_per_execution` steps."""
        # Counted, not read from the optimizer: that would wait for the step.
        step = self.next_step = self._start + batch + 1
        self._progress.update(step)
        if step % self._config.log_every == 0:
            self._log(step)
        if self._is_validated(step) and self._workers.is_chief:
            self._validate(step)
        self.stop = self._should_stop(step)
        if any(self.stop) or step % self._config.checkpoint_every == 0:
            self._save(step)
        if self.stop.by_signal:
            self._report(
                logging.WARNING,
                "Received %s: saved a checkpoint at step %d. The same command "
                "resumes from there.",
                # With several workers the signal may have come to another one.
                self.signals.received or "a signal",
                step,
            )
        self.model.stop_training = any(self.stop)

    def on_train_end(self, logs=None):
        """Logs and saves the last step."""
        step = self._stage.current_step()
        if not self._progress.is_logged(step):
            self._log(step)
        self._save(step)

    def _report(self, level: int, message: str, *values) -> None:
        """Logs a line above the progress bar, not at its end."""
        with ProgressBar.external_write_mode():
            logging.log(level, message, *values)

    def _log(self, step: int) -> None:
        self._check_finite()
        self._progress.log_metrics(step, self._stage.task, self._stage.model)

    def _is_validated(self, step: int) -> bool:
        if self._stage.task.score is None:
            return False
        is_last = step == self._stage.steps.stop
        return is_last or step % self._config.validate_every == 0

    def _validate(self, step: int) -> None:
        self._check_finite()
        task = self._stage.task
        validate = functools.partial(task.validate, self._stage.model)
        if step != self._start and not self._agrees_at(step):
            figures = validate()  # The other workers take further steps.
        else:
            figures = self.signals.call_unless_received(validate)
        if figures is None:
            return
        # The run folder's configuration describes the last stage's model.
        if self._stage.is_final:
            self._stage.checkpoints.save_if_best(step, figures, task.score)
        # After it: what is logged is not validated again by a resumed run.
        self._progress.log_validation(step, figures)
        self._report(
            logging.INFO,
            "Step %d: validation %s %.4f.",
            step,
            task.score,
            figures[task.score],
        )

    def _save(self, step: int) -> None:
        if self._saved_step == step:
            return
        self._check_finite()
        if self._workers.is_chief:
            self._stage.checkpoints.save_last(step)
        self._saved_step = step

    def _check_finite(self) -> None:
        step = int(self._stage.model.non_finite_step.numpy())
        if step >= 0:
            raise InputError(
                "The loss or a gradient was not finite at step "
                f"{self._stage.steps.start + step}. The last good checkpoint "
                "is kept. Start a new run from it, with a lower "
                "training.learning_rate or with training.gradient_clip_norm."
            )

    def _should_stop(self, step: int) -> Stop:
        """Whether and why to stop; the same answer on all workers."""
        if not self._agrees_at(step):
            return Stop()
        several = self._workers.are_several
        validated = several or step % self._config.validate_every == 0
        return self._agree(
            Stop(
                by_signal=self.signals.received is not None,
                early=validated and self._should_stop_early(step),
            )
        )

    def _agrees_at(self, step: int) -> bool:
        """Whether the workers may stop: a collective, so not at each step."""
        several = self._workers.are_several
        return not several or step % self._config.log_every == 0

    def _agree(self, stop: Stop) -> Stop:
        return Stop(*self._workers.any_of_each(stop))

    def _should_stop_early(self, step: int) -> bool:
        """Whether enough validations in a row were no better than the best."""
        patience = self._config.early_stopping_patience
        score = self._stage.task.score
        # The chief alone: others could read a line that it is appending.
        if not (self._workers.is_chief and self._stage.is_final):
            return False
        best = best_figures(self._folder)
        if not (patience and score and best):
            return False
        worse = history.validations_after(self._folder, best["step"])
        if worse < patience:
            return False
        self._report(
            logging.INFO,
            "Stopping early at step %d: the last %d validations were no better "
            "than that of step %d, %s %.4f (training.early_stopping_patience).",
            step,
            worse,
            best["step"],
            score,
            best[score],
        )
        return True
