"""Pieces to model inputs."""

import numpy as np
import tensorflow as tf

from labse.errors import InputError
from labse.features import MODEL_INPUTS
from labse.preprocessing.vocabulary import Vocabulary

# [CLS], at least one piece, [SEP].
MIN_LENGTH = 3


def pack(
    pieces: tf.RaggedTensor,
    vocabulary: Vocabulary,
    max_length: int,
    padded_length: int | None = None,
) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
    """Packs each row as [CLS] pieces [SEP] and pads it.

    Args:
      pieces: int32 [n, (pieces)], without special pieces.
      vocabulary: has the ids of the special pieces.
      max_length: most tokens of a row, [CLS] and [SEP] included. Longer ones
        are truncated at the end.
      padded_length: the length of every row, which is then static; the
        longest row of the batch (2 for an empty batch) if None.

    Returns:
      inputs: `input_word_ids`, `input_mask`, `input_type_ids`, int32
        [n, length].
      num_tokens: int32 [n], tokens kept, [CLS] and [SEP] included.
      truncated: bool [n], whether pieces were dropped.

    Raises:
      InputError: max_length is less than 3 or more than padded_length.
    """
    _check_lengths(max_length, padded_length)
    wanted = tf.cast(pieces.row_lengths(), tf.int32) + 2
    num_tokens = tf.minimum(wanted, max_length)  # [n]
    if padded_length is None:
        length = tf.reduce_max(tf.pad(num_tokens, [[1, 0]], constant_values=2))
    else:
        length = tf.convert_to_tensor(padded_length, tf.int32)
    # [n, length - 1]: one place is left for [CLS].
    ids = pieces.to_tensor(
        vocabulary.pad_id, shape=tf.stack([tf.shape(wanted)[0], length - 1])
    )
    ids = tf.pad(ids, [[0, 0], [1, 0]], constant_values=vocabulary.cls_id)
    # From the shape of `ids`: with a length that depends on the texts, XLA ends
    # the process instead of reporting that it does not support strings.
    position = tf.range(tf.shape(ids)[1])[tf.newaxis]  # [1, length]
    last = num_tokens[:, tf.newaxis] - 1  # [n, 1]
    # The position of [SEP] has a dropped piece or padding so far, and more
    # dropped pieces may follow.
    ids = tf.where(position == last, vocabulary.sep_id, ids)
    ids = tf.where(position > last, vocabulary.pad_id, ids)
    mask = tf.cast(position <= last, tf.int32)
    static = tf.TensorShape([pieces.shape[0], tf.get_static_value(length)])
    ids = tf.ensure_shape(ids, static)
    mask = tf.ensure_shape(mask, static)
    inputs = dict(
        zip(MODEL_INPUTS, (ids, mask, tf.zeros_like(ids)), strict=True)
    )
    return inputs, num_tokens, wanted > max_length


def checked_max_length(value, num_positions: int) -> int:
    """A user's `max_length`, if it is valid for an encoder.

    Raises:
      InputError: it is not a whole number, or beyond the encoder's positions.
    """
    is_number = isinstance(value, int | np.integer)
    if (
        isinstance(value, bool)
        or not is_number
        or not MIN_LENGTH <= value <= num_positions
    ):
        raise InputError(
            f"max_length must be a whole number from {MIN_LENGTH} ([CLS], "
            f"a piece, [SEP]) to {num_positions}, the encoder's "
            f"positions. Received: {value!r}."
        )
    return int(value)


def _check_lengths(max_length: int, padded_length: int | None) -> None:
    """Checks the lengths that are known when the graph is built."""
    max_length = tf.get_static_value(max_length)
    padded_length = tf.get_static_value(padded_length)
    if max_length is None:
        return
    if max_length < MIN_LENGTH:
        raise InputError(
            f"max_length is at least {MIN_LENGTH}: [CLS], a piece and [SEP]. "
            f"Received {max_length}."
        )
    if padded_length is not None and padded_length < max_length:
        raise InputError(
            "padded_length is at least max_length. Received "
            f"padded_length={padded_length}, max_length={max_length}."
        )
