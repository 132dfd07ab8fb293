"""What TensorFlow raises where another process or machine is gone."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from labse.errors import LostWorkerError

# For a worker of a collective operation, a host of a TPU, or the storage of a
# run folder or of records.
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


@contextlib.contextmanager
def lost_workers_reported() -> Iterator[None]:
    """Raises `LostWorkerError` where something is gone in the block.

    For all that a training does, also before its first step: a TPU may still
    be on its way back, or the storage be away for a while.
    """
    try:
        yield
    except _LOST as error:
        raise LostWorkerError(
            "Training stopped: another worker, a host of the TPU or the "
            f"storage is gone ({type(error).__name__}: {_reason(error)}). "
            "The last checkpoint is kept: the same command, on all workers, "
            "resumes from it."
        ) from error


def _reason(error: tf.errors.OpError) -> str:
    """The first line that is neither a title nor part of a stack."""
    beginnings = (" ", "\t", "Graph execution error", "Detected at node")
    lines = [
        line
        for line in error.message.splitlines()
        if line and not line.startswith(beginnings)
    ]
    return lines[0][:300] if lines else "no reason is given"
