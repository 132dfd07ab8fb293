"""Records of pairs to batches of model inputs, as a tf.data pipeline."""

import tensorflow as tf

from labse.data.record_reader import RecordReader
from labse.features import (
    HARD_NEGATIVES,
    HARD_NEGATIVES_IDS,
    HARD_NEGATIVES_LENGTHS,
    SOURCE,
    SOURCE_IDS,
    TARGET,
    TARGET_IDS,
    TRUNCATED,
)
from labse.preprocessing import packing
from labse.preprocessing.tokenizer import WordPieceTokenizer

_STEPS_AHEAD = 2


def batches(
    reader: RecordReader,
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
      reader: of records of pairs, texts or ids.
      tokenizer: text to pieces; of ids, only its vocabulary is used.
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
    parse = _parse_ids if reader.manifest.tokens else _parse_texts

    def make_batch(records):
        records = tf.ensure_shape(records, [replica_batch_size])
        texts, present = parse(records, hard_negatives)
        if not reader.manifest.tokens:
            texts = tokenizer.tokenize(texts)
        inputs, _, truncated = packing.pack(
            texts, tokenizer.vocabulary, max_length, max_length
        )
        batch = {side: {} for side in sides}
        for name, ids in inputs.items():
            ids = tf.ensure_shape(ids, [sum(sides.values()), max_length])
            parts = tf.split(ids, list(sides.values()))
            for side, part in zip(sides, parts, strict=True):
                batch[side][name] = part
        if hard_negatives:
            shape = [replica_batch_size, hard_negatives, max_length]
            for name, ids in batch[HARD_NEGATIVES].items():
                ids *= tf.cast(present, ids.dtype)[:, tf.newaxis]
                batch[HARD_NEGATIVES][name] = tf.reshape(ids, shape)
        cut = tf.reshape(truncated[: 2 * replica_batch_size], [2, -1])
        return {**batch, TRUNCATED: tf.cast(tf.reduce_any(cut, 0), tf.int32)}

    records = reader.records(steps, replica_batch_size, replicas)
    return records.map(
        make_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    ).prefetch(_STEPS_AHEAD * len(replicas))


def _parse_texts(
    records: tf.Tensor, hard_negatives: int
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """All texts of some records: sources, targets, hard negatives.

    Args:
      records: string [n], serialised examples.
      hard_negatives: of each pair.

    Returns:
      texts: string [n * (2 + hard_negatives)]; empty where there is none.
      present: bool [n * hard_negatives], where there is a hard negative.
    """
    text = tf.io.FixedLenFeature([], tf.string)
    features = {SOURCE: text, TARGET: text}
    if hard_negatives:
        features[HARD_NEGATIVES] = tf.io.RaggedFeature(tf.string)
    found = tf.io.parse_example(records, features)
    texts, present = [found[SOURCE], found[TARGET]], None
    if hard_negatives:
        shape = [records.shape[0], hard_negatives]
        padded = found[HARD_NEGATIVES].to_tensor("", shape=shape)
        texts.append(tf.reshape(padded, [-1]))
        present = texts[-1] != ""  # No text is empty.
    return tf.concat(texts, axis=0), present


def _parse_ids(
    records: tf.Tensor, hard_negatives: int
) -> tuple[tf.RaggedTensor, tf.Tensor | None]:
    """The same of pre-tokenized records: ids in place of texts.

    Returns:
      ids: int32 [n * (2 + hard_negatives), (ids)].
      present: bool [n * hard_negatives].
    """
    ids = tf.io.RaggedFeature(tf.int64)
    features = {SOURCE_IDS: ids, TARGET_IDS: ids}
    if hard_negatives:
        features[HARD_NEGATIVES] = tf.io.RaggedFeature(
            tf.int64,
            HARD_NEGATIVES_IDS,
            [tf.io.RaggedFeature.RowLengths(HARD_NEGATIVES_LENGTHS)],
        )
    found = tf.io.parse_example(records, features)
    rows, present = [found[SOURCE_IDS], found[TARGET_IDS]], None
    if hard_negatives:
        first = found[HARD_NEGATIVES][:, :hard_negatives]  # [n, (k), (ids)]
        lengths = first.with_values(first.values.row_lengths())
        shape = [records.shape[0], hard_negatives]
        lengths = lengths.to_tensor(0, shape=shape)
        rows.append(
            tf.RaggedTensor.from_row_lengths(
                first.flat_values, tf.reshape(lengths, [-1])
            )
        )
        present = tf.sequence_mask(first.row_lengths(), hard_negatives)
        present = tf.reshape(present, [-1])
    return tf.cast(tf.concat(rows, axis=0), tf.int32), present
