"""Which devices train together."""

import os

import tensorflow as tf
from absl import logging

from labse.errors import InputError

CHOICES = ("auto", "none", "mirrored", "multi_worker", "tpu")


def make_strategy(choice: str, tpu: str = "") -> tf.distribute.Strategy:
    """The strategy for `--distribution`.

    `auto` takes TPU where `tpu` is given, several workers where TF_CONFIG
    names them, all GPUs where there are several, and otherwise none.

    Args:
      choice: one of `CHOICES`.
      tpu: name or address of the TPU; "local" on a TPU VM.

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
        # Looked up here and not above: to list logical devices starts
        # TensorFlow, and several workers have to be set up before that.
        devices = tf.config.list_logical_devices("GPU")
        if not devices:
            logging.warning("There is no GPU; the replicas share the CPU.")
            devices = tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([d.name for d in devices])
    if choice == "multi_worker":
        if "TF_CONFIG" not in os.environ:
            raise InputError(
                "--distribution=multi_worker needs the environment variable "
                "TF_CONFIG on each worker, with the cluster's addresses and "
                "the worker's own place. Received: none."
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    if choice == "tpu":
        if not tpu:
            raise InputError(
                "--distribution=tpu needs --tpu=NAME (on a TPU VM: local)."
            )
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    raise InputError(
        f"--distribution must be one of {', '.join(CHOICES)}. "
        f"Received: {choice!r}."
    )


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
