"""Sentences, or pairs, packed into full sequences, in the graph.

Most sentences are far shorter than the 512 tokens of section 3.4, so that
padding would be most of a batch. A unit of a few sequences gets a fixed number
of sentences instead. Where these have more tokens than the unit, the last ones
are left out: by chance, since sentences come in random order. Of the others the
longest ones get a sequence each, then the rest, one after the other from the
longest on, the first sequence with room (first fit decreasing).

What finds no room then is left out, too. These are short ones, but few: without
the first rule they would be all that is left out, and in each epoch many of the
short sentences would be, and of the languages that have them. All of it is a
function of the unit's sentences alone, so that it is the same wherever the unit
is computed.

How many sentences a unit gets is chosen once, by packing a sample:
`sentences_per_unit`.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from labse.errors import InputError
from labse.features import INPUT_POSITIONS, MODEL_INPUTS, SENTENCE_NUMBERS
from labse.preprocessing.sentence_tokens import Sentences
from labse.preprocessing.vocabulary import Vocabulary

# Of the sentences, or pairs, at most this share is left out in an epoch.
MAX_LEFT_OUT = 0.01


class Places(NamedTuple):
    """Where sentences stand, each int32 [units, sentences].

    `row`: of the unit, -1 for a sentence that is left out. `offset`: of its
    first token in the row. `number`: of the sentence in the row, from 1.
    """

    row: tf.Tensor
    offset: tf.Tensor
    number: tf.Tensor


def find_places(lengths: tf.Tensor, rows: int, capacity: int) -> Places:
    """Packs each unit's sentences into its rows.

    No row stays empty.

    Args:
      lengths: int32 [units, sentences], each at most `capacity`; as many
        sentences as rows, or more. In random order.
      rows: of a unit.
      capacity: tokens of a row.
    """
    lengths = _without_overflow(lengths, rows, capacity)
    # What is left out comes last.
    order = tf.argsort(
        tf.where(lengths > capacity, -1, lengths),
        direction="DESCENDING",
        stable=True,
    )
    ordered = tf.gather(lengths, order, batch_dims=1)
    sentences = tf.shape(ordered)[1]
    longest = ordered[:, :rows]  # A row each.
    zeros = tf.zeros_like(longest)
    first = Places(zeros + tf.range(rows), zeros, zeros + 1)
    found = [
        tf.TensorArray(
            tf.int32, sentences, element_shape=lengths.shape[:1]
        ).scatter(tf.range(rows), tf.transpose(values))
        for values in first
    ]

    def place(step, room, numbers, found):
        length = ordered[:, step, None]  # [units, 1]
        row, own = _first_with_room(room, length)
        numbers += own
        values = (
            row,
            capacity - tf.reduce_sum(room * own, axis=1),
            tf.reduce_sum(numbers * own, axis=1),
        )
        found = [
            array.write(step, value)
            for array, value in zip(found, values, strict=True)
        ]
        return step + 1, room - own * length, numbers, found

    *_, found = tf.while_loop(
        lambda step, *_: step < sentences,
        place,
        (rows, capacity - longest, zeros + 1, found),
    )
    inverse = tf.argsort(order)
    return Places(
        *(
            tf.gather(tf.transpose(array.stack()), inverse, batch_dims=1)
            for array in found
        )
    )


def _without_overflow(lengths, rows: int, capacity: int) -> tf.Tensor:
    """The lengths; of sentences after the unit is full, more than a row has."""
    fits = tf.cumsum(lengths, axis=1) <= rows * capacity
    # So many have a row each in any case.
    fits |= tf.range(tf.shape(lengths)[1]) < rows
    return tf.where(fits, lengths, capacity + 1)


def _first_with_room(room, length) -> tuple[tf.Tensor, tf.Tensor]:
    """The first row of each unit with room for a length, or -1.

    Args:
      room: int32 [units, rows].
      length: int32 [units, 1].

    Returns:
      int32 [units]; and 1 for that row, int32 [units, rows].
    """
    fits = room >= length
    row = tf.argmax(fits, axis=1, output_type=tf.int32)
    row = tf.where(tf.reduce_any(fits, axis=1), row, -1)
    # Of -1, all are 0.
    return row, tf.one_hot(row, tf.shape(room)[1], dtype=tf.int32)


def pack_sentences(
    sentences: Sentences,
    places: Places,
    rows: int,
    length: int,
    vocabulary: Vocabulary,
) -> dict[str, tf.Tensor]:
    """The model inputs of sentences at their places.

    Args:
      sentences: n of them, those of a unit one after the other.
      places: of n sentences in all.
      rows: of a unit.
      length: of a row.
      vocabulary: has the id of [PAD].

    Returns:
      `MODEL_INPUTS`, `SENTENCE_NUMBERS` and `INPUT_POSITIONS`, int32
      [units * rows, length].
    """
    units = places.row.shape[0] or tf.shape(places.row)[0]
    total = units * rows
    unit = tf.range(units)[:, None]
    start = (unit * rows + places.row) * length + places.offset
    # What is left out goes to one place more, which is cut off.
    left_out = tf.reshape(places.row < 0, [-1])
    sentence = tf.cast(sentences.ids.value_rowids(), tf.int32)  # [tokens]
    starts = tf.cast(sentences.ids.row_starts(), tf.int32)
    position = tf.range(tf.size(sentence)) - tf.gather(starts, sentence)
    token_place = tf.where(
        tf.gather(left_out, sentence),
        total * length,
        tf.gather(tf.reshape(start, [-1]), sentence) + position,
    )
    values = [
        sentences.ids.flat_values - vocabulary.pad_id,
        tf.cast(
            position >= tf.gather(sentences.first_length, sentence), tf.int32
        ),
        tf.gather(tf.reshape(places.number, [-1]), sentence),
        position,
    ]
    packed = tf.scatter_nd(
        token_place[:, None],
        tf.stack(values, axis=1),
        [total * length + 1, len(values)],
    )[:-1]
    ids, types, numbers, positions = tf.unstack(
        tf.reshape(packed, [total, length, len(values)]), axis=2
    )
    ids += vocabulary.pad_id
    mask = tf.cast(numbers > 0, tf.int32)
    return {
        **dict(zip(MODEL_INPUTS, (ids, mask, types), strict=True)),
        SENTENCE_NUMBERS: numbers,
        INPUT_POSITIONS: positions,
    }


class PackingChoice(NamedTuple):
    """How many sentences a unit gets, and what that gives on the sample.

    `left_out`: share of the sentences that find no room. `padding`: share of
    the packed tokens.
    """

    sentences: int
    left_out: float
    padding: float


def sentences_per_unit(
    lengths: np.ndarray, rows: int, capacity: int
) -> PackingChoice:
    """The most sentences of which few enough are left out.

    Args:
      lengths: int [n], tokens of a sample of sentences, in random order.
      rows: of a unit.
      capacity: tokens of a row.

    Raises:
      InputError: the sample is smaller than a unit.
    """
    if len(lengths) < rows:
        raise InputError(
            f"A sample has at least the {rows} sequences of a unit. Received "
            f"{len(lengths)} lengths."
        )

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.int32)],
        autograph=False,
    )
    def count_kept(units):
        kept = find_places(units, rows, capacity).row >= 0
        tokens = tf.reduce_sum(tf.where(kept, units, 0))
        return tf.math.count_nonzero(kept), tokens

    def pack(sentences: int) -> PackingChoice:
        units = len(lengths) // sentences
        sample = np.reshape(lengths[: units * sentences], [units, sentences])
        kept, tokens = map(int, count_kept(sample.astype(np.int32)))
        return PackingChoice(
            sentences,
            1 - kept / sample.size,
            1 - tokens / (units * rows * capacity),
        )

    low, best = rows, pack(rows)
    # With twice what fits on average, far more than 1 % is left out.
    high = int(2 * rows * capacity / max(np.mean(lengths), 1)) + 1
    high = min(max(high, low + 1), len(lengths) + 1)
    while high - low > 1:
        middle = (low + high) // 2
        found = pack(middle)
        if found.left_out <= MAX_LEFT_OUT:
            low, best = middle, found
        else:
            high = middle
    return best
