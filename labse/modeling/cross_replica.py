"""Gathers every replica's rows, with gradients (section 3.3, Figure 3)."""

import tensorflow as tf


def replica_id() -> int | tf.Tensor:
    """This replica's place in the order of `cross_replica_concat`."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group


def num_replicas() -> int:
    """How many replicas compute this step together."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def cross_replica_concat(x: tf.Tensor) -> tf.Tensor:
    """Concatenates `x` of all replicas along the first axis.

    To be called in replica context, by all replicas, outside any tf.cond. Each
    replica puts its rows into its own slot of a zero tensor and all slots are
    summed. Unlike `ReplicaContext.all_gather`, the sum is a collective of
    TPU, of XLA on GPU and of several workers alike, keeps static shapes and
    multiplies by the replica's own slot, so that a tensor that all replicas
    share is gathered as well. Its gradient is the sum of all replicas'
    gradients, cut to the own slot. A sum of one number and zeros is exact.

    Args:
      x: float32 or int32 [local, ...], of the same shape on every replica.

    Returns:
      [replicas * local, ...], rows in the order of the replicas.
    """
    replicas = num_replicas()
    if replicas == 1:
        return x
    context = tf.distribute.get_replica_context()
    slot = tf.one_hot(context.replica_id_in_sync_group, replicas, dtype=x.dtype)
    slot = tf.reshape(slot, [replicas] + [1] * x.shape.rank)
    gathered = context.all_reduce(tf.distribute.ReduceOp.SUM, slot * x[None])
    rows = None if x.shape[0] is None else replicas * x.shape[0]
    gathered = tf.reshape(gathered, tf.concat([[-1], tf.shape(x)[1:]], axis=0))
    gathered.set_shape([rows, *x.shape[1:]])
    return gathered
