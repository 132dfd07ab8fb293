"""Random numbers that are a function of integers, in the graph."""

from collections.abc import Iterable

import tensorflow as tf

# SplitMix64's constants (Steele et al. 2014).
_GOLDEN = 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def random_integers(values: Iterable, bits: int) -> tf.Tensor:
    """Random numbers that are a function of integers.

    Not `tf.random.stateless_uniform`, which has one seed for a whole tensor:
    here an element depends on its own integers alone, wherever it stands. Not
    `index_shuffle` either: for a group of a hundred records it takes some
    hundred rounds for each.

    Args:
      values: integers, or int tensors that broadcast.
      bits: of each number, from 1 to 63.

    Returns:
      int64, from 0 to 2**bits - 1, of the shape that the values broadcast to.
    """
    state = tf.constant(0, tf.uint64)
    for value in values:
        state += tf.cast(value, tf.uint64)
        state += tf.constant(_GOLDEN, tf.uint64)
        for shift, factor in _MIX:
            state = _fold(state, shift) * tf.constant(factor, tf.uint64)
        state = _fold(state, 31)
    return tf.cast(
        tf.bitwise.right_shift(state, tf.constant(64 - bits, tf.uint64)),
        tf.int64,
    )


def _fold(state, shift: int) -> tf.Tensor:
    shifted = tf.bitwise.right_shift(state, tf.constant(shift, tf.uint64))
    return tf.bitwise.bitwise_xor(state, shifted)
