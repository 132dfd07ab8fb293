"""What happens between the steps of `fit`: logs, checkpoints, validation.

All callbacks work with the optimizer's step, not with Keras' batch and epoch,
and read a metric only when it is logged, so that a step never waits for them.
"""

import pathlib
import signal
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf
import tf_keras
from absl import logging
from tqdm import tqdm

from labse.errors import InputError
from labse.modeling.dual_encoder import DualEncoder
from labse.training import history

# Of validation's figures this one chooses the best checkpoint.
ACCURACY = "accuracy"


class _StepCallback(tf_keras.callbacks.Callback):
    """A callback that is told the number of steps done."""

    _supports_tf_logs = True  # Keras then fetches no metric at each step.

    def __init__(self, first_step: int):
        super().__init__()
        self._first_step = first_step

    def on_train_batch_end(self, batch, logs=None):
        # Counted, not read from the optimizer: that would wait for the step.
        self.on_step(self._first_step + batch + 1)

    def on_step(self, step: int) -> None:
        raise NotImplementedError


def check_finite(model: DualEncoder) -> None:
    """Raises `InputError` if a loss or gradient was not finite."""
    step = int(model.non_finite_step.numpy())
    if step >= 0:
        raise InputError(
            f"The loss or a gradient was not finite at step {step}. The last "
            "good checkpoint is kept. Lower training.learning_rate or set "
            "training.gradient_clip_norm in a new run, which --init can start "
            "from this one."
        )


class LogProgress(_StepCallback):
    """The progress bar, history.jsonl and TensorBoard.

    With several workers it runs on each, because to read a metric is a
    collective; only the first one writes.
    """

    def __init__(
        self,
        first_step: int,
        folder: pathlib.Path,
        writer: tf.summary.SummaryWriter,
        num_steps: int,
        every: int,
        batch_size: int,
        writes: bool,
    ):
        super().__init__(first_step)
        self._folder = folder
        self._every = every
        self._batch_size = batch_size
        self._writes = writes
        self._bar = tqdm(
            total=num_steps,
            initial=first_step,
            unit="step",
            disable=not writes,
        )
        self._writer = writer
        self._last = (first_step, time.monotonic())
        self._last_bar = first_step
        self._warned = False

    def on_step(self, step: int) -> None:
        """Moves the bar; logs at every `every`-th step."""
        self._bar.update(step - self._last_bar)
        self._last_bar = step
        if step % self._every == 0:
            self._log(step)

    def on_train_end(self, logs=None):
        """Logs the rest."""
        step = int(self.model.optimizer.iterations.numpy())
        if step > self._last[0]:
            self._log(step)
        self._bar.close()

    def _log(self, step: int) -> None:
        check_finite(self.model)
        last_step, last_time = self._last
        now = time.monotonic()
        rate = (step - last_step) * self._batch_size / (now - last_time)
        self._last = (step, now)
        record = {
            metric.name: float(metric.result()) for metric in self.model.metrics
        }
        for metric in self.model.metrics:
            metric.reset_state()
        if not self._writes:
            return
        schedule = self.model.optimizer._learning_rate
        record["learning_rate"] = float(schedule(step - 1))
        record["pairs_per_second"] = rate
        if record["negatives"] < 1 and not self._warned:
            self._warned = True
            logging.warning(
                "Step %d: a pair has %.2f negatives on average, so that loss "
                "and accuracy say nothing. The pairs of a batch are copies of "
                "each other, or read as the same pieces of the vocabulary.",
                step,
                record["negatives"],
            )
        self._bar.set_postfix(
            loss=f"{record['loss']:.4f}",
            accuracy=f"{record['in_batch_accuracy']:.3f}",
            negatives=f"{record['negatives']:.0f}",
            pairs_per_second=f"{rate:.0f}",
        )
        write_scalars(self._writer, record, step)
        history.append(self._folder, {"step": step, **record})


def write_scalars(writer, figures: dict, step: int, prefix: str = "") -> None:
    """Writes numbers, and dicts of numbers, to TensorBoard."""
    with writer.as_default(step=step):
        for name, value in figures.items():
            if isinstance(value, dict):
                write_scalars(writer, value, step, f"{prefix}{name}/")
            elif isinstance(value, int | float):
                tf.summary.scalar(prefix + name, value)
    writer.flush()


class DelayedSignals:
    """Holds SIGTERM and SIGINT back until training has saved.

    At the end of the `with` block the signal takes effect as it would have
    without. A second signal takes effect at once.

    Attributes:
      received: the signal that came, or None.
    """

    def __init__(self):
        self.received = None
        self._handlers = {}

    def __enter__(self):
        # Signals come to the main thread; no other one may ask for them.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._handlers[number] = signal.signal(
                        number, self._receive
                    )
        return self

    def _receive(self, number, frame):
        if self.received is not None:
            self._give_back()
            signal.raise_signal(number)
        self.received = number
        logging.warning(
            "%s: training saves and stops after this step. A second signal "
            "stops it at once.",
            signal.Signals(number).name,
        )

    def _give_back(self):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def __exit__(self, kind, error, trace):
        self._give_back()
        if error is None and self.received is not None:
            signal.raise_signal(self.received)


class Stop(NamedTuple):
    """Why training stops before its last step."""

    by_signal: bool = False
    early: bool = False  # No validation was better for a while.


class SaveCheckpoints(_StepCallback):
    """Saves every so many steps, where training stops and at the end.

    Attributes:
      stop: why training stopped before its last step, if it did.
    """

    def __init__(
        self,
        first_step: int,
        save: Callable[[int], None],
        every: int,
        should_stop: Callable[[int], Stop],
    ):
        """Keeps what it needs.

        Args:
          first_step: steps done before.
          save: saves everything that goes on from a step.
          every: steps between checkpoints.
          should_stop: takes the step and says whether to stop; all workers
            call it at the same steps and get the same answer.
        """
        super().__init__(first_step)
        self._save = save
        self._every = every
        self._should_stop = should_stop
        self._saved = None
        self.stop = Stop()

    def on_step(self, step: int) -> None:
        """Saves if it is time to."""
        self.stop = self._should_stop(step)
        if any(self.stop) or step % self._every == 0:
            self._save_once(step)
        if self.stop.by_signal:
            logging.warning(
                "Told to stop: saved at step %d. The same command resumes "
                "from there.",
                step,
            )
        self.model.stop_training = any(self.stop)

    def on_train_end(self, logs=None):
        """Saves the last step."""
        self._save_once(int(self.model.optimizer.iterations.numpy()))

    def _save_once(self, step: int) -> None:
        if self._saved != step:
            self._save(step)
            self._saved = step


class ValidateRetrieval(_StepCallback):
    """Judges the encoder on validation pairs and keeps the best one."""

    def __init__(
        self,
        first_step: int,
        folder: pathlib.Path,
        writer: tf.summary.SummaryWriter,
        validate: Callable[[], dict],
        save_best: Callable[[dict], None],
        every: int,
        num_steps: int,
    ):
        super().__init__(first_step)
        self._folder = folder
        self._writer = writer
        self._validate = validate
        self._save_best = save_best
        self._every = every
        self._num_steps = num_steps

    def on_step(self, step: int) -> None:
        """Validates at every `every`-th step and at the last."""
        if step % self._every and step != self._num_steps:
            return
        check_finite(self.model)
        figures = self._validate()
        write_scalars(self._writer, figures, step, "validation/")
        history.append(self._folder, {"step": step, "validation": figures})
        self._save_best({"step": step, **figures})
        logging.info(
            "Step %d: validation accuracy %.4f", step, figures[ACCURACY]
        )
