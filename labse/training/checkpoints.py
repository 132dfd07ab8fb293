"""The checkpoints that a run writes: the last ones, and the best one."""

import json
import pathlib

import tensorflow as tf
import tf_keras

from labse.checkpoints import run_folder
from labse.errors import InputError
from labse.files.atomic_write import write_text
from labse.files.remote_path import AnyPath

BEST_FIGURES = pathlib.Path("checkpoints", "best.json")
_PREFIX = "step"


def last_step(folder: AnyPath) -> int | None:
    """The step of the run's last checkpoint; None where it has none."""
    latest = tf.train.latest_checkpoint(str(folder / run_folder.LAST))
    return int(latest.rpartition("-")[2]) if latest else None


def best_figures(folder: AnyPath) -> dict | None:
    """The figures of the best validation so far, with its `step`."""
    path = folder / BEST_FIGURES
    return json.loads(path.read_text()) if path.exists() else None


class RunCheckpoints:
    """Reads and writes the checkpoints of one model in a run folder."""

    def __init__(
        self,
        folder: AnyPath,
        parts: dict,
        optimizer: tf_keras.optimizers.Optimizer,
    ):
        """Finds the run's checkpoints; several workers must do it together.

        The best checkpoint holds only the `parts` of the model; the optimizer
        is built, i.e. has all its variables.
        """
        self._folder = folder
        self._last = self._manager(
            run_folder.LAST, keep=2, **parts, optimizer=optimizer
        )
        self._best = self._manager(run_folder.BEST, keep=1, **parts)

    def _manager(self, place: pathlib.Path, keep: int, **tracked):
        checkpoint = tf.train.Checkpoint(**tracked)
        # Creates this variable on all workers at once. If one worker created
        # it alone, on its first save, it would wait for the others for ever.
        _ = checkpoint.save_counter
        return tf.train.CheckpointManager(
            checkpoint,
            str(self._folder / place),
            max_to_keep=keep,
            checkpoint_name=_PREFIX,
        )

    def restore_last(self) -> None:
        """Restores the last checkpoint.

        Raises:
          InputError: it is damaged or belongs to another model.
        """
        latest = self._last.latest_checkpoint
        try:
            status = self._last.checkpoint.restore(latest)
            status.assert_existing_objects_matched()
        except run_folder.UNREADABLE as error:
            raise InputError(
                f"The checkpoint {latest} is damaged or belongs to another "
                f"model: {error}"
            ) from error

    def save_last(self, step: int) -> None:
        """Saves everything that the run needs to resume from `step`."""
        self._last.save(checkpoint_number=step)

    def save_if_best(self, step: int, figures: dict, score: str) -> None:
        """Saves the model's parts if the `score` is the highest so far."""
        best = best_figures(self._folder)
        # A validation of this step or a later one is from before a resume.
        if best and best["step"] < step and best[score] >= figures[score]:
            return
        self._best.save(checkpoint_number=step)
        figures = {"step": step, **figures}
        write_text(self._folder / BEST_FIGURES, json.dumps(figures))
