"""Softmax cross-entropy of masked tokens over a large vocabulary.

Pure functions of tensors. The logits are [masked tokens, pieces]: 8,192 x
501,153 floats are 16 GB. So a chunk of their columns is computed, reduced to a
few numbers a row and forgotten; for the gradient it is computed again. Chunks
of columns, not of rows: each has its own rows of the table, so the gradient of
the table, which is as large as the table, is written once, chunk by chunk.
Chunks of rows would add a gradient of the whole table for each of them.

What a row keeps from chunk to chunk is a running maximum and the sum of the
exponentials relative to it (Milakov and Gimelshein 2018, "Online normalizer
calculation for softmax").
"""

import functools
from typing import NamedTuple

import tensorflow as tf

from labse.losses.block_size import chunk_size
from labse.xla import (
    empty_rows,
    float32_matmul,
    rounded_matmul,
    with_rows,
)

# The bias of a column that does not count: exp(-1e9) is 0 in float32.
_MASKED = -1e9


def masked_lm_loss(
    hidden: tf.Tensor,
    table: tf.Tensor,
    bias: tf.Tensor,
    labels: tf.Tensor,
    *,
    compute_dtype: str = "float32",
    chunk: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The loss of each masked token, and whether its piece has the top logit.

    Args:
      hidden: float32 [n, D].
      table: float32 [V, D], the word embeddings.
      bias: float32 [V].
      labels: int32 [n], the pieces to be predicted.
      compute_dtype: of the products' inputs, "float32" or "bfloat16". With
        the latter, outside of XLA, the products are rounded to it as well:
        each logit, and each number in the gradient of the table and in a
        chunk's gradient of hidden has 8 bits. All else is float32.
      chunk: the number of pieces whose logits are computed at once. None:
        what `MASKED_LM_BLOCK_LOGITS` allows; all at once, by plain automatic
        differentiation, where there are few logits or n is not static.

    Returns:
      float32 [n], differentiable by hidden, table and bias; and float32 [n], 1
      where the label is the piece with the largest logit. Of equal ones, not
      rare where logits have 8 bits, that is the first.
    """
    if chunk is None:
        chunk = chunk_size(hidden.shape[0], table.shape[0])
    if chunk >= table.shape[0]:
        return _at_once(hidden, table, bias, labels, compute_dtype)
    chunks = _Chunks(chunk, table.shape[0], compute_dtype)
    loss, best = _recomputed_for_gradient(chunks, labels)(hidden, table, bias)
    return loss, tf.cast(tf.equal(best, labels), tf.float32)


def _at_once(hidden, table, bias, labels, compute_dtype):
    logits = _product(hidden, table, compute_dtype) + bias  # [n, V]
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=labels, logits=logits
    )
    best = tf.argmax(logits, axis=1, output_type=labels.dtype)
    return loss, tf.cast(tf.equal(best, labels), tf.float32)


def _product(hidden, table, compute_dtype) -> tf.Tensor:
    """Of float32 [n, D] and [c, D]: float32 [n, c]."""
    if compute_dtype == "float32":
        return float32_matmul(hidden, table, transpose_b=True)
    return rounded_matmul(hidden, table, compute_dtype, transpose_b=True)


class _Columns(NamedTuple):
    """A chunk's columns are `start` to `start + size`.

    Those below `first` belong to the chunk before: all chunks have the same
    size, so the last one begins earlier than the others would have it.
    """

    start: tf.Tensor
    first: tf.Tensor
    table: tf.Tensor  # [size, D]
    bias: tf.Tensor  # [size], `_MASKED` below `first`


class _Chunks(NamedTuple):
    """The chunks of a vocabulary's pieces, each of `size`."""

    size: int
    pieces: int
    compute_dtype: str

    @property
    def count(self) -> int:
        """Their number."""
        return -(-self.pieces // self.size)

    def columns(self, number, table, bias) -> _Columns:
        """Those of a chunk."""
        first = number * self.size
        start = tf.minimum(first, self.pieces - self.size)
        table = tf.slice(table, [start, 0], [self.size, table.shape[1]])
        bias = tf.slice(bias, [start], [self.size])
        bias = tf.where(start + tf.range(self.size) < first, _MASKED, bias)
        return _Columns(start, first, table, bias)

    def loop(self, body, state: list) -> list:
        """The state after `body(number, *state)` of each chunk."""
        return tf.while_loop(
            lambda number, *state: number < self.count,
            lambda number, *state: [number + 1, *body(number, *state)],
            [tf.constant(0), *state],
            # TensorFlow would otherwise begin up to ten chunks at once.
            parallel_iterations=1,
            maximum_iterations=self.count,
        )[1:]


def _recomputed_for_gradient(chunks: _Chunks, labels: tf.Tensor):
    """A function of hidden, table and bias: the loss, and the top pieces."""

    @tf.custom_gradient
    def compute(hidden, table, bias):
        log_sum, label_logits, best = _forward(
            chunks, hidden, table, bias, labels
        )
        gradient = functools.partial(
            _backward, chunks, hidden, table, bias, labels, log_sum
        )
        return (log_sum - label_logits, best), lambda of_loss, _: gradient(
            of_loss
        )

    return compute


def _forward(chunks: _Chunks, hidden, table, bias, labels):
    """Log-sum-exp, the label's logit and the top piece: [n] each."""

    def body(number, largest, total, label_logits, best):
        columns = chunks.columns(number, table, bias)
        logits = _product(hidden, columns.table, chunks.compute_dtype)
        logits += columns.bias  # [n, size]
        top = tf.reduce_max(logits, axis=1)
        place = tf.argmax(logits, axis=1, output_type=labels.dtype)
        best = tf.where(top > largest, columns.start + place, best)
        new = tf.maximum(largest, top)
        total *= tf.exp(largest - new)
        total += tf.reduce_sum(tf.exp(logits - new[:, None]), axis=1)
        places, inside = _places(labels, columns, chunks.size)
        own = tf.gather(logits, places, axis=1, batch_dims=1)
        return [new, total, tf.where(inside, own, label_logits), best]

    zeros = tf.zeros_like(hidden[:, 0])
    state = [zeros + zeros.dtype.min, zeros, zeros, tf.zeros_like(labels)]
    largest, total, label_logits, best = chunks.loop(body, state)
    return largest + tf.math.log(total), label_logits, best


def _places(labels, columns: _Columns, size: int):
    """Each label's place in a chunk, and whether it is there: [n] each."""
    places = labels - columns.start
    inside = (labels >= columns.first) & (places < size)
    return tf.clip_by_value(places, 0, size - 1), inside


def _backward(chunks: _Chunks, hidden, table, bias, labels, log_sum, upstream):
    """The gradients of hidden, table and bias for that of the loss, [n]."""

    def body(number, of_hidden, of_table, of_bias):
        # The last chunk first: the one before then overwrites their overlap.
        number = chunks.count - 1 - number
        columns = chunks.columns(number, table, bias)
        with tf.GradientTape() as tape:
            tape.watch([hidden, columns.table])
            logits = _product(hidden, columns.table, chunks.compute_dtype)
        change = tf.exp(logits + columns.bias - log_sum[:, None])
        places, inside = _places(labels, columns, chunks.size)
        places = tf.where(inside, places, -1)  # Nowhere.
        change -= tf.one_hot(places, chunks.size)
        change *= upstream[:, None]
        here, rows = tape.gradient(logits, [hidden, columns.table], change)
        start = columns.start
        return [
            of_hidden + here,
            with_rows(of_table, start, rows),
            with_rows(of_bias, start, tf.reduce_sum(change, axis=0)),
        ]

    state = [
        tf.zeros_like(hidden),
        empty_rows(table.shape),
        empty_rows(bias.shape),
    ]
    return chunks.loop(body, state)
