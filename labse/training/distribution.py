"""The devices and processes that train together."""

import contextlib
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from labse.errors import InputError
from labse.training.signals import end_process_at_once

CHOICES = ("auto", "none", "mirrored", "multi_worker", "tpu")


def make_strategy(choice: str, tpu: str = "") -> tf.distribute.Strategy:
    """The strategy of a choice.

    `auto` uses the TPU if `tpu` is given, else several workers if TF_CONFIG
    is set, else all GPUs if there are several, else one device.

    `tpu` is its name or address; "local" on a TPU VM.

    Raises:
      InputError: the choice does not fit the machine.
    """
    if choice == "auto":
        choice = "none"
        if tpu:
            choice = "tpu"
        elif "TF_CONFIG" in os.environ:
            choice = "multi_worker"
        elif len(tf.config.list_physical_devices("GPU")) > 1:
            choice = "mirrored"
    if choice == "none":
        return tf.distribute.get_strategy()
    if choice == "mirrored":
        # Not earlier: listing logical devices starts TensorFlow's runtime, and
        # MultiWorkerMirroredStrategy must be created before that.
        devices = tf.config.list_logical_devices("GPU")
        if not devices:
            logging.warning("No GPU found: the replicas share the CPU.")
            devices = tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([d.name for d in devices])
    if choice == "multi_worker":
        if "TF_CONFIG" not in os.environ:
            raise InputError(
                "distribution=multi_worker needs the environment variable "
                "TF_CONFIG on each worker, with the cluster's addresses and "
                "the worker's own index. It is not set."
            )
        with end_process_at_once():  # It waits for the other workers.
            return tf.distribute.MultiWorkerMirroredStrategy()
    if choice == "tpu":
        if not tpu:
            raise InputError(
                "distribution=tpu needs the TPU's name, tpu=NAME (on a TPU VM: "
                "tpu=local)."
            )
        return _connect_tpu(tpu)
    raise InputError(
        f"distribution must be one of {', '.join(CHOICES)}. "
        f"Received: {choice!r}."
    )


def _connect_tpu(tpu: str) -> tf.distribute.Strategy:
    """The strategy of a TPU.

    Raises:
      tf.errors.UnavailableError: it is not ready yet, such as one that is
        made again after a preemption.
    """
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except RuntimeError as error:
        # The resolver has no class of its own for it: 'TPU "x" is not yet
        # ready; state: "CREATING"', "The TPU might not be ready".
        if "ready" not in str(error):
            raise
        raise tf.errors.UnavailableError(None, None, str(error)) from error


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the run folder."""
    resolver = strategy.cluster_resolver
    if resolver is None or not isinstance(
        strategy, tf.distribute.MultiWorkerMirroredStrategy
    ):
        return True
    has_chief = "chief" in resolver.cluster_spec().jobs
    if has_chief:
        return resolver.task_type == "chief"
    return resolver.task_type in (None, "worker") and not resolver.task_id


class Workers:
    """The processes that train together; usually this one alone.

    Attributes:
      are_several: whether each worker has a process of its own.
      is_chief: whether this process writes the run folder.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self.are_several = strategy.extended._in_multi_worker_mode()
        self.is_chief = is_chief(strategy)
        self._strategy = strategy

    def any_of_each(self, flags: Sequence[bool]) -> tuple[bool, ...]:
        """For each flag, whether any worker has it.

        A collective operation: all workers must call it at the same step.
        """
        if not self.are_several:
            return tuple(flags)
        own = tf.constant(flags, tf.int32)
        total = self._strategy.reduce(
            tf.distribute.ReduceOp.SUM,
            self._strategy.run(lambda: own + 0),
            None,
        )
        return tuple(bool(count) for count in total.numpy())

    def from_chief(self, value: bytes) -> bytes:
        """The chief's value; the others wait until it gives one.

        They wait as long as it lives, and end at once by a signal. A
        collective operation: all workers must call it.

        Args:
          value: of the same number of bytes on all workers.

        Raises:
          tf.errors.UnavailableError: the chief is gone.
        """
        bits = np.unpackbits(np.frombuffer(value, np.uint8))
        waits = contextlib.nullcontext()
        if not self.is_chief:
            waits = end_process_at_once()
        with waits:
            found = self.any_of_each([bool(self.is_chief and x) for x in bits])
        return np.packbits(found).tobytes()
