"""What a run reports while it trains: bar, history.jsonl and TensorBoard."""

import time
from collections.abc import Sequence

import tensorflow as tf

from labse.files.remote_path import AnyPath
from labse.modeling.trainable_model import TrainableModel
from labse.progress import ProgressBar
from labse.training import history
from labse.training.task import Task

# tqdm's own, but for the time left.
_BAR = (
    "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{time_left}, "
    "{rate_fmt}{postfix}]"
)


class _StepBar(ProgressBar):
    """A progress bar of steps, some of which take longer than others."""

    def __init__(self, tasks: Sequence[Task], **kwargs):
        # Before the bar shows itself for the first time.
        self._tasks = tasks
        super().__init__(bar_format=_BAR, **kwargs)

    @property
    def format_dict(self):
        """Adds `time_left`; tqdm calls it."""
        values = super().format_dict
        taken = values["n"] - (values["initial"] or 0)
        rate = values["rate"]
        if not rate and values["elapsed"]:
            rate = taken / values["elapsed"]
        left = "?"
        if rate:
            seconds = seconds_left(self._tasks, values["n"], 1 / rate)
            left = self.format_interval(seconds)
        return {**values, "time_left": left}


def seconds_left(
    tasks: Sequence[Task], step: int, seconds_per_step: float
) -> float:
    """The time that the rest of a run's steps take.

    Args:
      tasks: the stages of the run.
      step: how many steps are done.
      seconds_per_step: of the last of them.
    """
    start, left, cost = 0, 0.0, None
    for task in tasks:
        stop = start + task.num_steps
        # That of the stage which the last step was of, from 1.
        if cost is None and step <= stop:
            cost = task.step_cost
        left += max(stop - max(start, step), 0) * task.step_cost
        start = stop
    return left / cost * seconds_per_step


class TrainingProgress:
    """The progress bar, history.jsonl and TensorBoard of a run.

    With several workers it exists on each, because reading a metric is a
    collective operation; only the chief (`writes`) shows and writes anything.
    """

    def __init__(
        self,
        folder: AnyPath,
        tasks: Sequence[Task],
        batch_size: int,
        writes: bool,
    ):
        """Shows nothing yet; `tasks` are the stages; the chief `writes`."""
        self._folder = folder
        self._tasks = tasks
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
            self._bar = _StepBar(
                self._tasks,
                total=sum(task.num_steps for task in self._tasks),
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
        """Logs the means since the last call, and resets them.

        Without those of nothing.
        """
        last_step, last_time = self._last_log
        now = time.monotonic()
        seconds_per_step = (now - last_time) / (step - last_step)
        self._last_log = (step, now)
        record = {}
        for metric in model.metrics:
            # A mean of nothing, such as that of pairs where there are none,
            # would be logged as 0.
            if float(tf.convert_to_tensor(metric.count)):
                record[metric.name] = float(metric.result())
            metric.reset_state()
        if not self._writes:
            return
        record["learning_rate"] = float(model.optimizer.learning_rate.numpy())
        rate = self._batch_size / seconds_per_step
        rates = {f"{task.unit}_per_second": rate} | {
            f"{name}_per_second": rate * record[name] for name in task.counts
        }
        record |= rates
        record["seconds_left"] = seconds_left(
            self._tasks, step, seconds_per_step
        )
        task.check_metrics(step, record)
        styles = {**task.shown_metrics, **dict.fromkeys(rates, ".0f")}
        shown = {
            name: f"{record[name]:{style}}"
            for name, style in styles.items()
            if name in record
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
