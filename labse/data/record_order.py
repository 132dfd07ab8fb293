"""The order of the examples of a part, as a graph; see `lane_order`.

A group goes through all its records in a round, in a random order, before it
repeats one; an epoch takes the next examples of the round, and begins others.
Examples of a group are spread evenly over the part, so that copies stand apart
and every batch has the same share of a language, give or take chance.

Only stateless ops: a dataset of them can be placed on another host.
"""

import tensorflow as tf

from labse.data.lane_order import RATE_BITS, LaneOrder, phase
from labse.preprocessing.random_integers import random_integers

# Of each random number for a place.
_BITS = 20


def example_order(
    groups: tf.Tensor, part: tf.Tensor, epoch: tf.Tensor, order: LaneOrder
) -> tf.Tensor:
    """The records of a part in the order of an epoch.

    Args:
      groups: int64 [n], the group of each record.
      part: int64 [], the part's number among all.
      epoch: int64 [].
      order: has seed, rates and blocks.

    Returns:
      int64 [examples], indices of records.
    """
    sizes = group_sizes(groups, len(order.rates))  # [G]
    start, count = _examples(sizes, part, epoch, order)  # [G], [G]
    some = tf.maximum(sizes, 1)
    first = start // some
    rounds = tf.where(count > 0, (start + count - 1) // some - first + 1, 0)
    record, copy = _repeat(tf.gather(rounds, groups))  # each [candidates]
    group = tf.gather(groups, record)
    # Sorted by group, round, block and chance.
    stretch = group * tf.reduce_max(rounds) + copy
    if order.blocks > 1:
        block = _blocks(groups, sizes, order.blocks)
        stretch = stretch * order.blocks + tf.gather(block, record)
    chance = random_integers(
        (order.seed, part, tf.gather(first, group) + copy, record), 32
    )
    sorting = tf.argsort(tf.bitwise.left_shift(stretch, _int64(32)) | chance)
    record, group = tf.gather(record, sorting), tf.gather(group, sorting)
    # Number of the candidate among those of its group; then of the example
    # among those of the epoch.
    number = _numbers(group, rounds * sizes)
    number -= tf.gather(start - first * sizes, group)
    taken = (number >= 0) & (number < tf.gather(count, group))
    record, group, number = (
        tf.boolean_mask(each, taken) for each in (record, group, number)
    )
    jitter = random_integers(
        (order.seed + 1, part, epoch, group, number), _BITS
    )
    place = number * 2**_BITS + jitter
    spread = tf.cast(place, tf.float64) / tf.cast(
        tf.gather(count, group), tf.float64
    )
    return tf.gather(record, tf.argsort(spread))


def group_sizes(groups: tf.Tensor, num_groups: int) -> tf.Tensor:
    """The number of records of each group: int64 [num_groups]."""
    return tf.math.unsorted_segment_sum(
        tf.ones_like(groups), groups, num_groups
    )


def _examples(sizes, part, epoch, order) -> tuple[tf.Tensor, tf.Tensor]:
    """Each group's examples before an epoch, and in it: int64 [G]."""
    quotas = sizes * order.rates
    phases = phase(part, tf.range(len(order.rates), dtype=tf.int64))
    start, stop = (
        tf.bitwise.right_shift(each * quotas + phases, _int64(RATE_BITS))
        for each in (epoch, epoch + 1)
    )
    return start, stop - start


def _repeat(counts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Each index as often as its count, and which of its copies it is.

    `tf.repeat` would need memory for the largest count times the indices.
    """
    copy = tf.ragged.range(counts).flat_values
    index = tf.where(counts > 0)[:, 0]
    new = tf.cast(copy == 0, tf.int32)
    return tf.gather(index, tf.cumsum(new) - 1), copy


def _blocks(groups, sizes, blocks: int) -> tf.Tensor:
    """Divides the records of each group, as they stand, into blocks: [n]."""
    n = tf.size(groups, tf.int64)
    by_group = tf.argsort(groups * n + tf.range(n))  # stable
    number = tf.gather(
        _numbers(tf.gather(groups, by_group), sizes),
        tf.math.invert_permutation(by_group),
    )
    return number * blocks // tf.gather(sizes, groups)


def _numbers(sorted_groups, sizes) -> tf.Tensor:
    """Each element's number among those of its group."""
    starts = tf.cumsum(sizes, exclusive=True)
    return tf.range(tf.size(sorted_groups, tf.int64)) - tf.gather(
        starts, sorted_groups
    )


def _int64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.int64)
