"""Sentences and pairs with the special pieces of pre-training."""

from typing import NamedTuple

import tensorflow as tf

from labse.preprocessing.vocabulary import Vocabulary


class Sentences(NamedTuple):
    """Sentences, or pairs, with their special pieces.

    `ids`: int32 [n, (length)]. `first_length`: int32 [n], the tokens of type 0;
    those that follow are of type 1.
    """

    ids: tf.RaggedTensor
    first_length: tf.Tensor


def of_texts(
    pieces: tf.RaggedTensor, vocabulary: Vocabulary, max_length: int
) -> Sentences:
    """[CLS] text [SEP], truncated at the end.

    Args:
      pieces: int32 [n, (pieces)], without special pieces.
      vocabulary: has the ids of the special pieces.
      max_length: most tokens, [CLS] and [SEP] included.
    """
    ids = _join(
        [vocabulary.cls_id, pieces[:, : max_length - 2], vocabulary.sep_id]
    )
    return Sentences(ids, tf.cast(ids.row_lengths(), tf.int32))


def of_pairs(
    source: tf.RaggedTensor,
    target: tf.RaggedTensor,
    vocabulary: Vocabulary,
    max_length: int,
) -> Sentences:
    """[CLS] source [SEP] target [SEP], of type 0 up to the first [SEP], then 1.

    A pair that is too long loses tokens at the end of its longer side (at equal
    length, of the target), one by one, as by BERT's `truncate_seq_pair`:
    https://github.com/google-research/bert/blob/master/create_pretraining_data.py

    Args:
      source: int32 [n, (pieces)], without special pieces.
      target: the same.
      vocabulary: has the ids of the special pieces.
      max_length: most tokens, [CLS] and both [SEP] included.
    """
    room = max_length - 3
    source_length, target_length = source.row_lengths(), target.row_lengths()
    half = room - room // 2  # Of an odd number, the source has one more.
    kept_source = tf.minimum(
        source_length, tf.maximum(room - target_length, half)
    )
    kept_target = tf.minimum(target_length, room - kept_source)
    ids = _join(
        [
            *(vocabulary.cls_id, _first(source, kept_source)),
            *(vocabulary.sep_id, _first(target, kept_target)),
            vocabulary.sep_id,
        ]
    )
    return Sentences(ids, tf.cast(kept_source, tf.int32) + 2)


def _first(pieces: tf.RaggedTensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    """The first pieces of each row, so many: [n, (lengths)]."""
    position = tf.ragged.range(pieces.row_lengths())
    kept = position.flat_values < tf.gather(lengths, pieces.value_rowids())
    return tf.ragged.boolean_mask(pieces, pieces.with_values(kept))


def _join(parts: list) -> tf.RaggedTensor:
    """Ragged rows and single ids, one after the other: int32 [n, (length)].

    Not `tf.concat` along axis 1: of its assertions TensorFlow's optimizer warns
    on standard error, whatever the level of its log.
    """
    rows = next(part for part in parts if isinstance(part, tf.RaggedTensor))
    column = tf.zeros([rows.nrows(), 1], tf.int32)
    parts = [
        part
        if isinstance(part, tf.RaggedTensor)
        else tf.RaggedTensor.from_tensor(
            column + part, row_splits_dtype=rows.row_splits.dtype
        )
        for part in parts
    ]
    stacked = tf.concat(parts, axis=0)  # [parts * n, (length)]
    shape = [len(parts), rows.nrows()]
    places = tf.reshape(tf.range(stacked.nrows()), shape)
    row_by_row = tf.gather(stacked, tf.reshape(tf.transpose(places), [-1]))
    lengths = tf.reduce_sum(tf.reshape(stacked.row_lengths(), shape), axis=0)
    return tf.RaggedTensor.from_row_lengths(
        row_by_row.flat_values, lengths, validate=False
    )
