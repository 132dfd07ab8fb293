"""Additive-margin softmax over a batch of translation pairs (Eq. 1-4).

Pure functions of tensors. Rows are this replica's pairs, columns are the
candidates of the whole global batch, which the caller has gathered
(`modeling.cross_replica`). Row i's positive is column `first_row + i`; all
other columns are negatives, except for duplicates. The logits are [local,
global]: 128 x 4096 floats, 2 MiB, for the paper's batch on each of 32 cores.
Where they are larger than `BLOCK_LOGITS`, as on one device, they are computed
block by block.

Duplicate masking: one sentence often occurs in several pairs of a batch (the
same English sentence with many languages). The other pair's translation is then
a correct one, an accidental negative. So a column is masked if its pair has the
source text or the target text of the row's pair. Texts are compared by 64-bit
fingerprints of their pieces, because the texts of other replicas are not here.
"""

from typing import NamedTuple

import tensorflow as tf

from labse.losses.block_size import BLOCK_LOGITS
from labse.losses.duplicate_texts import DuplicateTexts
from labse.losses.row_blocks import in_row_blocks
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
    targets = candidates.target
    if candidates.hard_negatives is not None:
        targets = tf.concat([targets, candidates.hard_negatives], axis=0)
    results = in_row_blocks(
        _RowRanking(candidates, logit_scale, margin),
        [tf.cast(x, tf.float32) for x in (source, target)],
        first_row + tf.range(tf.shape(source)[0]),
        [tf.cast(x, tf.float32) for x in (candidates.source, targets)],
        width=2 * len(Ranking._fields),
        most_rows=max(1, BLOCK_LOGITS // max(1, targets.shape[0] or 0)),
    )  # [local, 6]
    fields = tf.unstack(results, axis=1)
    forward, backward = (
        Ranking(loss, correct > 0.5, num_negatives)
        for loss, correct, num_negatives in (fields[:3], fields[3:])
    )
    return forward, backward


class _RowRanking:
    """Ranks the columns for some rows; see `in_row_blocks`."""

    def __init__(self, candidates: Candidates, logit_scale, margin):
        self._logit_scale = logit_scale
        self._margin = margin
        self._has_hard_negatives = candidates.hard_negatives is not None
        self._hard_negative_mask = candidates.hard_negative_mask
        self._duplicates = None
        if candidates.target_texts is not None:
            self._duplicates = DuplicateTexts(
                candidates.source_texts,
                candidates.target_texts,
                candidates.hard_negative_texts,
                candidates.hard_negative_mask,
            )

    def __call__(self, rows, positives, columns) -> tf.Tensor:
        """The fields of both directions' `Ranking`: float32 [rows, 6]."""
        source, target = rows
        sources, targets = columns
        if self._duplicates is None:
            shape = [tf.shape(source)[0], tf.shape(sources)[0]]
            by_source = by_target = tf.zeros(shape)
        else:
            by_source, by_target = self._duplicates.same(positives)
        same = tf.maximum(by_source, by_target)  # [rows, global]
        forward_same = same
        if self._has_hard_negatives:
            count = tf.shape(targets)[0] - tf.shape(sources)[0]
            masked = self._masked_hard_negatives(same, count)
            forward_same = tf.concat([same, masked], axis=1)
        forward = self._rank(source, targets, positives, forward_same)
        backward = self._rank(target, sources, positives, same)
        if self._duplicates is not None:
            forward[-1], backward[-1] = self._duplicates.num_negatives(
                by_source, by_target, positives
            )
        return tf.stack([*forward, *backward], axis=1)

    def _masked_hard_negatives(self, same, count) -> tf.Tensor:
        """1.0 where a hard negative does not count: [rows, negatives].

        It has the target text of one of the row's translations in the batch
        (`same`, which includes the positive), or it is padding.
        """
        result = tf.zeros([tf.shape(same)[0], count])
        if self._duplicates is not None:
            result = self._duplicates.same_as_hard_negatives(same)
        if self._hard_negative_mask is not None:
            present = tf.cast(self._hard_negative_mask, tf.float32)
            result = tf.maximum(result, 1.0 - present)
        return result

    def _rank(self, rows, columns, positives, same) -> list[tf.Tensor]:
        """The fields of one direction's `Ranking`, as float32 [rows]."""
        cosines = cosine_matrix(rows, columns)  # [rows, columns]
        positive = tf.one_hot(positives, tf.shape(columns)[0])
        masked = same * (1.0 - positive) * _MASKED
        logits = self._logit_scale * (cosines - self._margin * positive)
        logits += masked
        loss = tf.reduce_logsumexp(logits, axis=1) - tf.reduce_sum(
            logits * positive, axis=1
        )
        first = tf.argmax(cosines + masked, axis=1, output_type=tf.int32)
        correct = tf.cast(tf.equal(first, positives), tf.float32)
        num_negatives = tf.reduce_sum((1.0 - same) * (1.0 - positive), axis=1)
        return [loss, correct, num_negatives]


def cosine_matrix(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Of unit vectors float32 [n, dim] and [m, dim]: float32 [n, m]."""
    return float32_matmul(rows, columns, transpose_b=True)
