"""Padding is masked by what it is, not by what the caller says of it."""

import tensorflow as tf

from labse.preprocessing.vocabulary import Vocabulary


def mask_padding(
    word_ids: tf.Tensor, mask: tf.Tensor, vocabulary: Vocabulary
) -> tf.Tensor:
    """`mask` with 0 where the ids say that padding stands.

    A server that batches ids fills the shorter rows of each input by itself:
    TensorFlow Serving (`pad_variable_length_inputs`) with the tensor's first
    element, so ids with [CLS] and the mask with 1; others fill the ids with
    zeros and the mask with ones. Padding is each [PAD], and each [CLS] after
    which nothing but [CLS] and [PAD] comes; a row's first token is none. No
    sentence ends like that, so a right mask stays as it is, bit by bit.

    Only operations that TensorFlow Lite has built in.

    Args:
      word_ids: int32 [n, length].
      mask: int32 [n, length].
      vocabulary: tells the ids of [PAD] and [CLS].

    Returns:
      int32 [n, length].
    """
    is_pad = tf.equal(word_ids, vocabulary.pad_id)
    is_token = ~(is_pad | tf.equal(word_ids, vocabulary.cls_id))
    position = tf.range(tf.shape(word_ids)[1])  # [length]
    last_token = tf.reduce_max(
        position * tf.cast(is_token, tf.int32), axis=1, keepdims=True
    )  # [n, 1]
    keep = (position <= last_token) & ~is_pad
    return mask * tf.cast(keep, tf.int32)
