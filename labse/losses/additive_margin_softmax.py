"""Additive-margin softmax over a batch of translation pairs (Eq. 1-4).

Pure functions of tensors. The rows are this replica's pairs, the columns the
candidates of the whole global batch, so the logits take O(local batch x
global batch) memory. Who gathers the columns is `modeling.cross_replica`'s
business.
"""

from typing import NamedTuple

import tensorflow as tf

# A masked logit; exp(-1e9) is 0 in float32, and 0 x -1e9 is not NaN.
_MASKED = -1e9


class Candidates(NamedTuple):
    """The columns: every replica's embeddings, in the order of the replicas.

    `source_texts` and `target_texts` are fingerprints, int32 [global, k]; two
    texts are taken as equal if all k numbers are; k is 1 or 2.
    """

    source: tf.Tensor  # [global, dim]
    target: tf.Tensor  # [global, dim]
    source_texts: tf.Tensor | None = None  # int32 [global, k]
    target_texts: tf.Tensor | None = None  # int32 [global, k]
    hard_negatives: tf.Tensor | None = None  # [global negatives, dim]
    hard_negative_texts: tf.Tensor | None = None  # int32 [negatives, k]
    # int32 [negatives]; 0 where a pair had no hard negative to give.
    hard_negative_mask: tf.Tensor | None = None


class Ranking(NamedTuple):
    """What one direction gives for each local row."""

    loss: tf.Tensor  # float32 [local]
    correct: tf.Tensor  # bool [local]; the positive has the highest cosine
    # float32 [local]; distinct texts that compete. Without the candidates'
    # texts, candidates that compete.
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
      first_row: the column at which the local rows stand in `candidates`.
      logit_scale: factor of the cosines (footnote 11: 10).
      margin: taken from the positives' cosines (footnote 11: 0.3).
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

    Arguments as in `additive_margin_softmax`. An off-diagonal pair that has
    the positive's source text or target text is a translation as well, so it
    is no negative in either direction. Neither is a hard negative that has
    the target text of the positive or of such a pair.
    """
    local = tf.shape(source)[0]
    positives = first_row + tf.range(local)
    by_source, by_target = _same_texts(candidates, positives)
    same = tf.maximum(by_source, by_target)
    negatives = candidates.hard_negatives
    forward_candidates, forward_same = candidates.target, same
    if negatives is not None:
        forward_candidates = tf.concat([candidates.target, negatives], axis=0)
        forward_same = tf.concat(
            [same, _no_hard_negatives(candidates, same)], axis=1
        )
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
    cosines = tf.matmul(rows, candidates, transpose_b=True)  # [local, columns]
    positive = tf.one_hot(positives, tf.shape(candidates)[0])  # 1 at the pair's
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
    """1.0 where the source, and where the target, is the positive's text.

    Both [local, global].
    """
    if candidates.target_texts is None:
        columns = tf.shape(candidates.target)[0]
        nowhere = tf.zeros([tf.shape(positives)[0], columns])
        return nowhere, nowhere
    by_source, by_target = (
        _equal(tf.gather(texts, positives), texts)
        for texts in (candidates.source_texts, candidates.target_texts)
    )
    return by_source, by_target


def _distinct_negatives(
    texts: tf.Tensor, partners: tf.Tensor, same_partner, positives
) -> tf.Tensor:
    """How many distinct texts compete with each positive: float32 [local].

    All do but those of which every column is left out: the positive's own,
    and those that stand in the batch with the positive's partner alone.

    Args:
      texts: int64 [global], the columns' texts.
      partners: int64 [global], the other sides of their pairs.
      same_partner: float32 [local, global], 1.0 where that is the positive's.
      positives: int32 [local], the positives' columns.
    """
    first, copies = _copies(texts)
    _, pair_copies = _copies(_mixed(texts, partners))
    one_partner = tf.cast(tf.equal(copies, pair_copies), tf.float32)
    left_out = tf.linalg.matvec(same_partner, first * one_partner)
    # The positive's own text, unless that is counted already.
    left_out += 1.0 - tf.gather(one_partner, positives)
    return tf.reduce_sum(first) - left_out


def _distinct_hard_negatives(
    candidates: Candidates, targets: tf.Tensor
) -> tf.Tensor:
    """How many texts the hard negatives add to the targets: float32 scalar."""
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
    """Whether each is the first of its kind, and how many are equal to it.

    Returns:
      float32 [n] of 1.0 and 0.0, and int32 [n].
    """
    order = tf.argsort(texts, stable=True)
    ranks = tf.argsort(order, stable=True)
    texts_in_order = tf.gather(texts, order)
    start, stop = (
        tf.searchsorted(texts_in_order, texts, side)
        for side in ("left", "right")
    )
    return tf.cast(tf.equal(ranks, start), tf.float32), stop - start


def _mixed(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """A hash of two numbers: int64 [n]; products wrap around."""
    return one * -7046029254386353131 + other


def _no_hard_negatives(candidates: Candidates, same: tf.Tensor) -> tf.Tensor:
    """1.0 where a hard negative is none for a row: [local, negatives].

    It is the text of one of the row's translations in the batch (`same`, the
    positive among them), or it is not there at all.
    """
    columns = tf.shape(candidates.hard_negatives)[0]
    result = tf.zeros([tf.shape(same)[0], columns])
    if candidates.target_texts is not None:
        # By sorting: the table of equal texts would be as large as the global
        # batch squared.
        texts = _joined(candidates.target_texts)
        wanted = _joined(candidates.hard_negative_texts)
        order = tf.argsort(texts, stable=True)
        texts = tf.gather(texts, order)
        # Of the targets up to each place, how many are a row's translations.
        counts = tf.cumsum(tf.gather(same, order, axis=1), axis=1)
        counts = tf.pad(counts, [[0, 0], [1, 0]])
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
    """Two 32-bit hashes of each text's pieces, computed in the graph.

    Padding does not count, so a text has one fingerprint whatever its batch.
    Two of n different texts agree with a chance of about n^2 / 2^65.

    Args:
      word_ids: int32 [batch, length].
      mask: int32 [batch, length].

    Returns:
      int32 [batch, 2].
    """
    positions = tf.range(1, tf.shape(word_ids)[1] + 1)
    hashes = []
    for multiplier, offset in (
        (-1640531535, 374761393),
        (-2048144777, 668265263),
    ):
        # int32 products wrap around, on every device alike.
        mixed = word_ids * multiplier + positions * offset
        for shift in (15, 13):
            mixed ^= tf.bitwise.right_shift(mixed, shift)
            mixed *= multiplier
        hashes.append(tf.reduce_sum(mixed * mask, axis=1))
    return tf.stack(hashes, axis=1)
