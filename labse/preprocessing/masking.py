"""The tokens that a masked language model has to predict, in the graph.

BERT's rule (Devlin et al. 2019, section 3.1) with the numbers of section 3.4:
20 % of a sequence's tokens, at most 80, are chosen; of these 80 % become [MASK]
and 10 % a random piece, and the others stay.

Never chosen are [CLS], [SEP], [PAD], [MASK] and, as with Hugging Face's
`DataCollatorForLanguageModeling`, [UNK]: to predict that a word is missing in
the vocabulary says nothing of its meaning, and a language with many such words
would seem to be the best known. (Google's `create_pretraining_data.py` chooses
[UNK] too.)
"""

import numpy as np
import tensorflow as tf

from labse.configs.pretraining import MaskingConfig
from labse.features import MASKED_IDS, MASKED_POSITIONS, MASKED_WEIGHTS
from labse.preprocessing.random_integers import random_integers
from labse.preprocessing.vocabulary import Vocabulary

# What a random number is for.
_ORDER, _KIND, _PIECE = range(3)
_KIND_BITS = 24
# A random piece is chosen with a bias below the number of pieces / 2**32.
_PIECE_BITS = 32


def mask_tokens(
    ids: tf.Tensor,
    vocabulary: Vocabulary,
    masking: MaskingConfig,
    seed: int,
    step: tf.Tensor,
    rows: tf.Tensor,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Chooses the tokens to be predicted, uniformly, and replaces them.

    Of a row with n tokens that can be chosen, round(share * n) are, half to
    even, but at least 1 and at most `max_masked`; none if n is 0. Which, and by
    what they are replaced, is a function of the row's ids, `seed`, `step` and
    its number alone.

    Args:
      ids: int32 [batch, length].
      vocabulary: of the ids.
      masking: the shares.
      seed: of the run.
      step: int64 [].
      rows: int [batch], the number of each row in the global batch.

    Returns:
      the ids with the tokens replaced, int32 [batch, length]; and
      `MASKED_POSITIONS`, ascending, and `MASKED_IDS`, the ids before, int32
      [batch, max_masked], and `MASKED_WEIGHTS`, float32, 1. Unused entries
      come last: position, id and weight are 0.
    """
    length, width = ids.shape[1], masking.max_masked
    keys = (seed, tf.cast(step, tf.int64), tf.cast(rows, tf.int64)[:, None])
    chosen = _choose(ids, vocabulary, masking, keys)  # [batch, width]
    weights = tf.cast(chosen < length, tf.float32)
    positions = tf.where(chosen < length, chosen, 0)
    originals = tf.gather(ids, positions, batch_dims=1)
    pieces = _replacements(originals, positions, vocabulary, masking, keys)
    # Unused entries change nothing.
    change = tf.where(chosen < length, pieces - originals, 0)
    batch = tf.range(tf.shape(ids)[0])[:, None] + tf.zeros_like(positions)
    masked = tf.tensor_scatter_nd_add(
        ids, tf.stack([batch, positions], axis=-1), change
    )
    return tf.ensure_shape(masked, ids.shape), {
        MASKED_POSITIONS: tf.ensure_shape(positions, [ids.shape[0], width]),
        MASKED_IDS: tf.where(chosen < length, originals, 0),
        MASKED_WEIGHTS: weights,
    }


def can_be_masked(ids: tf.Tensor, vocabulary: Vocabulary) -> tf.Tensor:
    """Whether each token is a piece of a word, and not special: bool."""
    special = (
        *(vocabulary.pad_id, vocabulary.unk_id, vocabulary.cls_id),
        *(vocabulary.sep_id, vocabulary.mask_id),
    )
    return tf.reduce_all([ids != each for each in special], axis=0)


def _choose(ids, vocabulary, masking, keys) -> tf.Tensor:
    """The positions of the chosen tokens, ascending: int32 [batch, width].

    `length` stands in unused entries, which come last.
    """
    length, width = ids.shape[1], masking.max_masked
    maskable = can_be_masked(ids, vocabulary)
    total = tf.reduce_sum(tf.cast(maskable, tf.int32), axis=1)
    # In float64, as Python rounds.
    count = tf.round(masking.share * tf.cast(total, tf.float64))
    count = tf.clip_by_value(tf.cast(count, tf.int32), 1, width)
    count = tf.minimum(count, total)  # [batch]
    order = random_integers(
        (*keys, _ORDER, tf.range(length, dtype=tf.int64)), 62
    )
    # The smallest numbers win; of `top_k`, the largest do.
    order = tf.where(maskable, -order, tf.int64.min)
    found = tf.math.top_k(order, min(width, length)).indices
    entry = tf.range(min(width, length))
    found = tf.sort(tf.where(entry < count[:, None], found, length), axis=1)
    missing = width - min(width, length)
    return tf.pad(found, [[0, 0], [0, missing]], constant_values=length)


def _replacements(originals, positions, vocabulary, masking, keys) -> tf.Tensor:
    """What stands in the place of chosen tokens: int32 [batch, width]."""
    positions = tf.cast(positions, tf.int64)
    kind = random_integers((*keys, _KIND, positions), _KIND_BITS)
    mask_below = round(masking.mask_share * 2**_KIND_BITS)
    random_below = mask_below + round(masking.random_share * 2**_KIND_BITS)
    piece = random_integers((*keys, _PIECE, positions), _PIECE_BITS)
    piece = tf.where(
        kind < random_below, _word_piece(piece, vocabulary), originals
    )
    return tf.where(kind < mask_below, vocabulary.mask_id, piece)


def _word_piece(numbers: tf.Tensor, vocabulary: Vocabulary) -> tf.Tensor:
    """Random numbers to pieces of words, each equally likely: int32."""
    reserved = np.array(vocabulary.reserved_ids, np.int32)
    count = len(vocabulary) - len(reserved)
    index = tf.bitwise.right_shift(
        numbers * count, tf.constant(_PIECE_BITS, tf.int64)
    )
    index = tf.cast(index, tf.int32)
    # Piece `index` of those that are not reserved comes after as many that are.
    before = tf.searchsorted(
        reserved - np.arange(len(reserved), dtype=np.int32),
        tf.reshape(index, [-1]),
        side="right",
    )
    return index + tf.reshape(before, tf.shape(index))
