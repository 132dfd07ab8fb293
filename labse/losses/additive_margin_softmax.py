"""Additive-margin softmax over a batch of translation pairs (Eq. 1-4).

Pure functions of tensors. Rows are this replica's pairs, columns are the
candidates of the whole global batch, which the caller has gathered
(`modeling.cross_replica`). The logits are [local, global]: 128 x 4096 floats,
2 MiB, for the paper's batch on each of 32 cores. Row i's positive is column
`first_row + i`; all other columns are negatives, except for duplicates.

Duplicate masking: one sentence often occurs in several pairs of a batch (the
same English sentence with many languages). The other pair's translation is then
a correct one, an accidental negative. So a column is masked if its pair has the
source text or the target text of the row's pair. Texts are compared by 64-bit
fingerprints of their pieces, because the texts of other replicas are not here.
"""

from typing import NamedTuple

import tensorflow as tf

from labse.xla import float32_matmul

# Added to masked logits: exp(-1e9) is 0 in float32. Not -inf, since 0 * -inf is
# NaN.
_MASKED = -1e9


class Candidates(NamedTuple):
    """The columns: all replicas' embeddings, in the order of the replicas.

    Texts are `text_fingerprints`, int32 [n, k] with k 1 or 2; two texts are
    equal if all k numbers are. Without them no duplicates are masked.
    """

    source: tf.Tensor  # [global, dim]
    target: tf.Tensor  # [global, dim]
    source_texts: tf.Tensor | None = None  # int32 [global, k]
    target_texts: tf.Tensor | None = None  # int32 [global, k]
    hard_negatives: tf.Tensor | None = None  # [global negatives, dim]
    hard_negative_texts: tf.Tensor | None = None  # int32 [negatives, k]
    # int32 [negatives]; 0 where a pair had too few hard negatives.
    hard_negative_mask: tf.Tensor | None = None


class Ranking(NamedTuple):
    """The results of one direction for each local row."""

    loss: tf.Tensor  # float32 [local]
    correct: tf.Tensor  # bool [local]; the positive has the highest cosine
    # float32 [local]; the number of distinct texts among the row's negatives
    # (of negatives, if the candidates' texts are not given).
    num_negatives: tf.Tensor


def additive_margin_softmax(
    source: tf.Tensor,
    target: tf.Tensor,
    *,
    candidates: Candidates | None = None,
    first_row: int | tf.Tensor = 0,
    logit_scale: float = 10.0,
    margin: float = 0.3,
    bidirectional: bool = True,
) -> tf.Tensor:
    """The loss of each pair: Eq. 3, or Eq. 4 (the sum of both directions).

    Args:
      source: [local, dim], unit rows; row i and `target` row i are a pair.
      target: [local, dim], unit rows.
      candidates: the columns; by default the rows themselves.
      first_row: the column of the first local row's positive.
      logit_scale: factor of the cosines (footnote 11: 10).
      margin: subtracted from the positives' cosines (footnote 11: 0.3).
      bidirectional: whether target -> source is added.

    Returns:
      float32 [local], whatever the dtype of the embeddings.
    """
    if candidates is None:
        candidates = Candidates(source, target)
    forward, backward = rank_both_directions(
        source,
        target,
        candidates,
        first_row=first_row,
        logit_scale=logit_scale,
        margin=margin,
    )
    return forward.loss + backward.loss if bidirectional else forward.loss


def rank_both_directions(
    source, target, candidates: Candidates, *, first_row, logit_scale, margin
) -> tuple[Ranking, Ranking]:
    """Source -> target with the hard negatives, and target -> source.

    Arguments as in `additive_margin_softmax`. Duplicate masking is the same in
    both directions. A hard negative is masked if its text is the target of the
    row's own pair or of a masked one.
    """
    local = tf.shape(source)[0]
    positives = first_row + tf.range(local)
    by_source, by_target = _same_texts(candidates, positives)
    same = tf.maximum(by_source, by_target)  # [local, global]
    negatives = candidates.hard_negatives
    forward_candidates, forward_same = candidates.target, same
    if negatives is not None:
        forward_candidates = tf.concat([candidates.target, negatives], axis=0)
        forward_same = tf.concat(
            [same, _masked_hard_negatives(candidates, same)], axis=1
        )  # [local, global + negatives]
    forward = _rank(
        source, forward_candidates, positives, forward_same, logit_scale, margin
    )
    backward = _rank(
        target, candidates.source, positives, same, logit_scale, margin
    )
    if candidates.target_texts is None:
        return forward, backward
    sources, targets = (
        _joined(texts)
        for texts in (candidates.source_texts, candidates.target_texts)
    )
    forward_texts = _distinct_negatives(targets, sources, by_source, positives)
    if negatives is not None:
        forward_texts += _distinct_hard_negatives(candidates, targets)
    backward_texts = _distinct_negatives(sources, targets, by_target, positives)
    return (
        forward._replace(num_negatives=forward_texts),
        backward._replace(num_negatives=backward_texts),
    )


def _rank(rows, candidates, positives, same, logit_scale, margin) -> Ranking:
    rows, candidates = (
        tf.cast(rows, tf.float32),
        tf.cast(candidates, tf.float32),
    )
    cosines = float32_matmul(rows, candidates, transpose_b=True)
    positive = tf.one_hot(positives, tf.shape(candidates)[0])
    masked = same * (1.0 - positive) * _MASKED
    logits = logit_scale * (cosines - margin * positive) + masked
    loss = tf.reduce_logsumexp(logits, axis=1) - tf.reduce_sum(
        logits * positive, axis=1
    )
    competing = cosines + masked
    return Ranking(
        loss=loss,
        correct=tf.equal(
            tf.argmax(competing, axis=1, output_type=tf.int32), positives
        ),
        num_negatives=tf.reduce_sum((1.0 - same) * (1.0 - positive), axis=1),
    )


def _equal(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """1.0 where all numbers of two fingerprints are equal: [rows, columns]."""
    equal = tf.equal(rows[:, None, :], columns[None, :, :])
    return tf.cast(tf.reduce_all(equal, axis=-1), tf.float32)


def _same_texts(
    candidates: Candidates, positives: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """1.0 where a column has the row's source text; and its target text.

    The row's own column included. Both [local, global].
    """
    if candidates.target_texts is None:
        columns = tf.shape(candidates.target)[0]
        none = tf.zeros([tf.shape(positives)[0], columns])
        return none, none
    by_source, by_target = (
        _equal(tf.gather(texts, positives), texts)
        for texts in (candidates.source_texts, candidates.target_texts)
    )
    return by_source, by_target


def _distinct_negatives(
    texts: tf.Tensor, partners: tf.Tensor, same_partner, positives
) -> tf.Tensor:
    """The number of distinct texts among a row's negatives: float32 [local].

    A text is not a negative if all its columns are masked. These are the
    positive's text, and texts whose only partner in the batch is the row's
    own: masking by the partner then covers every column of the text. Counting
    them this way takes sorts of [global]; comparing all texts with each other
    would take [global, global].

    Args:
      texts: int64 [global], the columns' texts.
      partners: int64 [global], the other sides of their pairs.
      same_partner: float32 [local, global], 1.0 where that is the row's own.
      positives: int32 [local], the positives' columns.
    """
    first, copies = _copies(texts)
    _, pair_copies = _copies(_mixed(texts, partners))
    # A text has one partner if its pair occurs as often as the text itself.
    one_partner = tf.cast(tf.equal(copies, pair_copies), tf.float32)
    masked = tf.linalg.matvec(same_partner, first * one_partner)
    # The positive's own text, unless that is counted already.
    masked += 1.0 - tf.gather(one_partner, positives)
    return tf.reduce_sum(first) - masked


def _distinct_hard_negatives(
    candidates: Candidates, targets: tf.Tensor
) -> tf.Tensor:
    """The number of hard negatives' texts that are no targets: float32 []."""
    texts = _joined(candidates.hard_negative_texts)
    present = tf.ones_like(texts)
    if candidates.hard_negative_mask is not None:
        present = tf.cast(candidates.hard_negative_mask, texts.dtype)
    first, _ = _copies(_mixed(texts, present))
    targets = tf.sort(targets)
    is_target = tf.searchsorted(targets, texts, "right") - tf.searchsorted(
        targets, texts, "left"
    )
    new = tf.cast(tf.equal(is_target, 0), tf.float32)
    return tf.reduce_sum(first * new * tf.cast(present, tf.float32))


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


def _masked_hard_negatives(
    candidates: Candidates, same: tf.Tensor
) -> tf.Tensor:
    """1.0 where a hard negative is masked for a row: [local, negatives].

    It has the target text of one of the row's translations in the batch
    (`same`, which includes the positive), or it is padding.
    """
    columns = tf.shape(candidates.hard_negatives)[0]
    result = tf.zeros([tf.shape(same)[0], columns])
    if candidates.target_texts is not None:
        # By sorting the targets: comparing each with each hard negative would
        # take [global, negatives], 4096 x 12288 for 3 hard negatives a pair.
        texts = _joined(candidates.target_texts)
        wanted = _joined(candidates.hard_negative_texts)
        order = tf.argsort(texts, stable=True)
        texts = tf.gather(texts, order)
        # The number of the row's translations among the first i targets, so
        # that a difference of two is the number among equal targets.
        counts = tf.cumsum(tf.gather(same, order, axis=1), axis=1)
        counts = tf.pad(counts, [[0, 0], [1, 0]])  # [local, global + 1]
        ends, starts = (
            tf.gather(counts, tf.searchsorted(texts, wanted, side), axis=1)
            for side in ("right", "left")
        )
        result = tf.minimum(ends - starts, 1.0)
    if candidates.hard_negative_mask is not None:
        present = tf.cast(candidates.hard_negative_mask, tf.float32)
        result = tf.maximum(result, 1.0 - present)
    return result


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
