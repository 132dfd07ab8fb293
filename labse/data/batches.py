"""Pairs to batches of model inputs, as a tf.data pipeline."""

import numpy as np
import tensorflow as tf

from labse.data.example_order import ExampleOrder
from labse.data.pair_store import PairStore
from labse.features import HARD_NEGATIVES, SOURCE, TARGET, TRUNCATED
from labse.preprocessing.tokenizer import WordPieceTokenizer

# In place of a missing hard negative. No other text is empty.
_ABSENT = b""


def batches(
    store: PairStore,
    order: ExampleOrder,
    tokenizer: WordPieceTokenizer,
    max_length: int,
    steps: range,
    replica_batch_size: int,
    replicas: range = range(1),
    hard_negatives: int = 0,
) -> tf.data.Dataset:
    """The batches of `steps`, for each step one batch for each replica.

    The dataset has no state to save: its batches depend on the step alone.

    Args:
      store: the pairs.
      order: which pairs belong to the batch of a step.
      tokenizer: text to pieces.
      max_length: every row is padded or truncated to this length.
      steps: consecutive steps.
      replica_batch_size: pairs in one replica's batch.
      replicas: the replicas, of all in the job, that this pipeline feeds.
      hard_negatives: the number of hard negatives of each pair, the first ones
        of its record. If it has fewer, padding is added: entries whose
        `input_mask` is all 0, which the loss ignores.

    Returns:
      dataset of dicts of `source` and `target`, each the model inputs, int32
      [replica_batch_size, max_length], and `truncated`, int32
      [replica_batch_size], 1 where either side was truncated. With
      `hard_negatives` also an entry of that name, the model inputs, int32
      [replica_batch_size, hard_negatives, max_length].
    """
    sides = {SOURCE: replica_batch_size, TARGET: replica_batch_size}
    if hard_negatives:
        sides[HARD_NEGATIVES] = replica_batch_size * hard_negatives
    num_texts = sum(sides.values())

    def read(step, replica):
        rows = slice(
            replica * replica_batch_size, (replica + 1) * replica_batch_size
        )
        pairs = [store.pair(index) for index in order.batch(step)[rows]]
        texts = [pair.source for pair in pairs]
        texts += [pair.target for pair in pairs]
        for pair in pairs:
            found = pair.hard_negatives[:hard_negatives]
            texts += [*found, *[_ABSENT] * (hard_negatives - len(found))]
        return np.array(texts, dtype=object)

    def tokenize(texts):
        texts = tf.ensure_shape(texts, [num_texts])
        inputs, _, truncated = tokenizer(texts, max_length, max_length)
        batch = {side: {} for side in sides}
        for name, ids in inputs.items():
            ids = tf.ensure_shape(ids, [num_texts, max_length])
            parts = tf.split(ids, list(sides.values()))
            for side, part in zip(sides, parts, strict=True):
                batch[side][name] = part
        if hard_negatives:
            negatives = batch[HARD_NEGATIVES]
            present = texts[2 * replica_batch_size :] != _ABSENT
            for name, ids in negatives.items():
                ids *= tf.cast(present, ids.dtype)[:, None]
                negatives[name] = tf.reshape(
                    ids, [replica_batch_size, hard_negatives, max_length]
                )
        cut = truncated[: 2 * replica_batch_size]
        either = tf.reduce_any(tf.reshape(cut, [2, -1]), axis=0)
        return {**batch, TRUNCATED: tf.cast(either, tf.int32)}

    count = len(replicas)
    numbers = tf.data.Dataset.range(steps.start * count, steps.stop * count)
    texts = numbers.map(
        lambda number: tf.numpy_function(
            read,
            [number // count, replicas.start + number % count],
            tf.string,
            stateful=False,
        ),
        num_parallel_calls=2,
        deterministic=True,
    )
    return texts.map(
        tokenize, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    ).prefetch(tf.data.AUTOTUNE)
