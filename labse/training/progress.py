"""What a run reports while it trains: bar, history.jsonl and TensorBoard."""

import time

import tensorflow as tf
from tqdm import tqdm

from labse.files.remote_path import AnyPath
from labse.modeling.trainable_model import TrainableModel
from labse.training import history
from labse.training.task import Task


class TrainingProgress:
    """The progress bar, history.jsonl and TensorBoard of a run.

    With several workers it exists on each, because reading a metric is a
    collective operation; only the chief (`writes`) shows and writes anything.
    """

    def __init__(
        self,
        folder: AnyPath,
        num_steps: int,
        batch_size: int,
        writes: bool,
    ):
        """Shows nothing yet; only the chief `writes`."""
        self._folder = folder
        self._num_steps = num_steps
        self._batch_size = batch_size
        self._writes = writes
        self._writer = tf.summary.create_noop_writer()
        if writes:
            logs = str(folder / "logs")
            self._writer = tf.summary.create_file_writer(logs)
        self._bar = None
        self._last_log = (0, time.monotonic())

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self._bar is not None:
            self._bar.close()

    def start(self, step: int) -> None:
        """Starts the clock of a stage at `step`: making its model took time."""
        self._last_log = (step, time.monotonic())
        if self._bar is None:
            self._bar = tqdm(
                total=self._num_steps,
                initial=step,
                unit="step",
                disable=not self._writes,
            )

    def update(self, step: int) -> None:
        """Moves the bar to `step`; it shows the rate and the time left."""
        self._bar.update(step - self._bar.n)

    def is_logged(self, step: int) -> bool:
        """Whether the metrics up to `step` have been logged."""
        return step <= self._last_log[0]

    def log_metrics(self, step: int, task: Task, model: TrainableModel) -> None:
        """Logs the means since the last call, and resets them."""
        last_step, last_time = self._last_log
        now = time.monotonic()
        rate = (step - last_step) * self._batch_size / (now - last_time)
        self._last_log = (step, now)
        record = {}
        for metric in model.metrics:
            record[metric.name] = float(metric.result())
            metric.reset_state()
        if not self._writes:
            return
        record["learning_rate"] = float(model.optimizer.learning_rate.numpy())
        rate_name = f"{task.unit}_per_second"
        record[rate_name] = rate
        task.check_metrics(step, record)
        shown = {
            name: f"{record[name]:{style}}"
            for name, style in {**task.shown_metrics, rate_name: ".0f"}.items()
        }
        self._bar.set_postfix(shown)
        self._write(step, record)

    def log_validation(self, step: int, figures: dict) -> None:
        """Logs the figures of a validation."""
        self._write(step, {"validation": figures})

    def _write(self, step: int, record: dict) -> None:
        _write_scalars(self._writer, record, step)
        self._writer.flush()
        history.append(self._folder, {"step": step, **record})


def _write_scalars(writer, figures: dict, step: int, prefix: str = "") -> None:
    """Writes numbers, and dicts of numbers, to TensorBoard."""
    with writer.as_default(step=step):
        for name, value in figures.items():
            if isinstance(value, dict):
                _write_scalars(writer, value, step, f"{prefix}{name}/")
            elif isinstance(value, int | float):
                tf.summary.scalar(prefix + name, value)
