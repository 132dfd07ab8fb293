"""Masks padding by its ids, whatever mask the caller passes."""

import tensorflow as tf

from labse.preprocessing.vocabulary import Vocabulary


def mask_padding(
    word_ids: tf.Tensor, mask: tf.Tensor, vocabulary: Vocabulary
) -> tf.Tensor:
    """`mask`, with 0 where the ids are padding: int32 [n, length].

    A server that batches ids pads the shorter rows of each input by itself:
    TensorFlow Serving (`pad_variable_length_inputs`) with the tensor's first
    element, so the ids with [CLS] and the mask with 1; others pad the ids with
    zeros and the mask with ones. Padding is every [PAD], and every [CLS] that
    is followed by nothing but [CLS] and [PAD], except a row's first token. No
    sentence ends like that, so a correct mask is returned unchanged.

    Uses only operations that are built into TensorFlow Lite.

    The ids are int32 [n, length], too.
    """
    is_pad = tf.equal(word_ids, vocabulary.pad_id)
    is_token = ~(is_pad | tf.equal(word_ids, vocabulary.cls_id))
    position = tf.range(tf.shape(word_ids)[1])  # [length]
    last_token = tf.reduce_max(
        position * tf.cast(is_token, tf.int32), axis=1, keepdims=True
    )  # [n, 1]
    keep = (position <= last_token) & ~is_pad
    return mask * tf.cast(keep, tf.int32)
