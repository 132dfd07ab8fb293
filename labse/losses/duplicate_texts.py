"""Which texts of a global batch are the same, and so no negatives.

Texts are compared by fingerprints, because those of other replicas are not
here. Below, columns are the pairs of the global batch and rows are some of
them. Whatever sorts the columns is computed once for all rows.
"""

import functools
from typing import NamedTuple

import tensorflow as tf


class DuplicateTexts:
    """The texts of the columns, ready to be compared with those of rows."""

    def __init__(
        self,
        source_texts: tf.Tensor,
        target_texts: tf.Tensor,
        hard_negative_texts: tf.Tensor | None = None,
        hard_negative_mask: tf.Tensor | None = None,
    ):
        """Takes the fields of `Candidates`."""
        self._source_texts = source_texts
        self._target_texts = target_texts
        sources, targets = _joined(source_texts), _joined(target_texts)
        self._sources = _distinct(sources, targets)
        self._targets = _distinct(targets, sources)
        self._num_hard_negatives = 0.0
        if hard_negative_texts is not None:
            texts = _joined(hard_negative_texts)
            self._order = tf.argsort(targets, stable=True)
            in_order = tf.gather(targets, self._order)
            # Where a hard negative's text would stand among the targets.
            self._starts = tf.searchsorted(in_order, texts, "left")
            self._ends = tf.searchsorted(in_order, texts, "right")
            self._num_hard_negatives = self._count_hard_negatives(
                texts, hard_negative_mask
            )

    def same(self, positives: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Where a column has the row's source text; and its target text.

        Args:
          positives: int32 [rows], the columns of the rows' own pairs.

        Returns:
          float32 [rows, columns] each, 1.0 where it has, its own included.
        """
        by_source, by_target = (
            _equal(tf.gather(texts, positives), texts)
            for texts in (self._source_texts, self._target_texts)
        )
        return by_source, by_target

    def same_as_hard_negatives(self, same: tf.Tensor) -> tf.Tensor:
        """Where a hard negative's text translates the row in the batch.

        Args:
          same: float32 [rows, columns], 1.0 where a column is the row's pair
            or has one of its texts.

        Returns:
          float32 [rows, hard negatives], 1.0 where it does.
        """
        # By sorting the targets: comparing each with each hard negative would
        # take [columns, hard negatives], 4096 x 12288 for 3 a pair.
        # The number of the row's translations among the first i targets, so
        # that a difference of two is the number among equal targets.
        counts = tf.cumsum(tf.gather(same, self._order, axis=1), axis=1)
        counts = tf.pad(counts, [[0, 0], [1, 0]])  # [rows, columns + 1]
        found = tf.gather(counts, self._ends, axis=1) - tf.gather(
            counts, self._starts, axis=1
        )
        return tf.minimum(found, 1.0)

    def num_negatives(
        self, by_source: tf.Tensor, by_target: tf.Tensor, positives: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The number of distinct texts among the negatives of each row.

        Returns:
          float32 [rows] each, from source to target and back.
        """
        forward = self._targets.num_negatives(by_source, positives)
        backward = self._sources.num_negatives(by_target, positives)
        return forward + self._num_hard_negatives, backward

    def _count_hard_negatives(self, texts, mask) -> tf.Tensor:
        """The number of hard negatives' texts that are no targets: []."""
        present = tf.ones_like(texts)
        if mask is not None:
            present = tf.cast(mask, texts.dtype)
        first, _ = _copies(_mixed(texts, present))
        new = tf.cast(tf.equal(self._starts, self._ends), tf.float32)
        return tf.reduce_sum(first * new * tf.cast(present, tf.float32))


class _Distinct(NamedTuple):
    """The distinct texts of one side, for counting them.

    A text is not a negative of a row if all its columns are masked. These are
    the positive's text, and texts whose only partner in the batch is the row's
    own: masking by the partner then covers every column of the text. Counting
    them this way takes sorts of [columns]; comparing all texts with each other
    would take [columns, columns].
    """

    total: tf.Tensor  # float32 [], the number of distinct texts
    one_partner: tf.Tensor  # float32 [columns], 1.0 where it has no other
    counted: tf.Tensor  # the same, but at the first of equal texts only

    def num_negatives(self, same_partner, positives) -> tf.Tensor:
        """Float32 [rows]; `same_partner` is [rows, columns]."""
        masked = tf.linalg.matvec(same_partner, self.counted)
        # The positive's own text, unless that is counted already.
        masked += 1.0 - tf.gather(self.one_partner, positives)
        return self.total - masked


def _distinct(texts: tf.Tensor, partners: tf.Tensor) -> _Distinct:
    """Takes int64 [columns]: texts, and the other sides of their pairs."""
    first, copies = _copies(texts)
    _, pair_copies = _copies(_mixed(texts, partners))
    # A text has one partner if its pair occurs as often as the text itself.
    one_partner = tf.cast(tf.equal(copies, pair_copies), tf.float32)
    return _Distinct(tf.reduce_sum(first), one_partner, first * one_partner)


def _equal(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """1.0 where all numbers of two fingerprints are equal: [rows, columns]."""
    equal = [
        tf.equal(rows[:, None, number], columns[None, :, number])
        for number in range(columns.shape[1])
    ]
    return tf.cast(functools.reduce(tf.logical_and, equal), tf.float32)


def _copies(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Float32 [n], 1.0 at a text's first occurrence; int32 [n], its copies."""
    order = tf.argsort(texts, stable=True)
    ranks = tf.argsort(order, stable=True)
    texts_in_order = tf.gather(texts, order)
    start, stop = (
        tf.searchsorted(texts_in_order, texts, side)
        for side in ("left", "right")
    )
    return tf.cast(tf.equal(ranks, start), tf.float32), stop - start


def _mixed(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """A hash of two numbers: int64 [n]; the product wraps around."""
    return one * -7046029254386353131 + other


def _joined(texts: tf.Tensor) -> tf.Tensor:
    """Fingerprints int32 [n, 1 or 2] as one number each: int64 [n]."""
    first, last = (tf.cast(texts[:, i], tf.int64) for i in (0, -1))
    return first * 2**32 + last


def text_fingerprints(word_ids: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Two 32-bit hashes of each text's pieces: int32 [batch, 2].

    Padding does not count, so a text has the same fingerprint in every batch.
    Any two of n different texts collide with a probability of about n^2 / 2^65
    (4e-13 for 4096 texts).
    """
    positions = tf.range(1, tf.shape(word_ids)[1] + 1)
    hashes = []
    for multiplier, offset in (
        (-1640531535, 374761393),
        (-2048144777, 668265263),
    ):
        # int32 products wrap around on all devices.
        mixed = word_ids * multiplier + positions * offset
        for shift in (15, 13):
            mixed ^= tf.bitwise.right_shift(mixed, shift)
            mixed *= multiplier
        hashes.append(tf.reduce_sum(mixed * mask, axis=1))
    return tf.stack(hashes, axis=1)
