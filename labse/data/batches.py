"""Pairs to batches of model inputs, as a tf.data pipeline."""

import numpy as np
import tensorflow as tf

from labse.data.example_order import ExampleOrder
from labse.data.pair_store import PairStore
from labse.features import SOURCE, TARGET, TRUNCATED
from labse.preprocessing.tokenizer import WordPieceTokenizer


def batches(
    store: PairStore,
    order: ExampleOrder,
    tokenizer: WordPieceTokenizer,
    max_length: int,
    steps: range,
    replica_batch_size: int,
    replicas: range = range(1),
) -> tf.data.Dataset:
    """The batches of `steps`, for each step one batch for each replica.

    The dataset has no state that would have to be saved: started at another
    step it gives what it would have given there.

    Args:
      store: where the pairs are read.
      order: which pairs a step takes.
      tokenizer: text to pieces.
      max_length: every row is padded or cut to this length.
      steps: consecutive steps.
      replica_batch_size: pairs in one replica's batch.
      replicas: the replicas, of all in the job, that this pipeline feeds.

    Returns:
      dataset of dicts of `source` and `target`, each the model inputs, int32
      [replica_batch_size, max_length], and of `truncated`, int32
      [replica_batch_size], 1 where either side was cut.
    """

    def read(step, replica):
        rows = slice(
            replica * replica_batch_size, (replica + 1) * replica_batch_size
        )
        sources, targets = store.read(order.batch(step)[rows])
        return np.array(sources + targets, dtype=object)

    def tokenize(texts):
        texts = tf.ensure_shape(texts, [2 * replica_batch_size])
        inputs, _, truncated = tokenizer(texts, max_length, max_length)
        sides = {SOURCE: {}, TARGET: {}}
        for name, ids in inputs.items():
            ids = tf.ensure_shape(ids, [2 * replica_batch_size, max_length])
            sides[SOURCE][name], sides[TARGET][name] = tf.split(ids, 2)
        either = tf.reduce_any(tf.reshape(truncated, [2, -1]), axis=0)
        return {**sides, TRUNCATED: tf.cast(either, tf.int32)}

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
