"""One post-norm transformer block as a plain graph of few large operations.

Rows of all sentences lie one below the other, [batch * length, D], so that
each dense layer is one two-dimensional matmul. Below, B is the batch, L the
length, D the hidden size, I the intermediate size, H the number of heads.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from labse.modeling.rematerialization import rematerialize

LAYER_NORM_EPSILON = 1e-12  # BERT.
# The tokens of each row that a block computes: the first ones, a number, those
# at positions int32 [B, n], or all.
Tokens = int | tf.Tensor | None
# Added to the scores of masked keys: exp(-1e9) is 0 in float32.
_MASKED_SCORE = -1e9


class BlockWeights(NamedTuple):
    """The weights of a block as its matmuls take them.

    Matrices are in the compute dtype, layer norms in float32.
    """

    query_key_value: tf.Tensor  # [D, 3 D]
    query_key_value_bias: tf.Tensor  # [3 D]
    attention_output: tf.Tensor  # [D, D]
    attention_output_bias: tf.Tensor  # [D]
    attention_norm_gamma: tf.Tensor  # [D]
    attention_norm_beta: tf.Tensor  # [D]
    intermediate: tf.Tensor  # [D, I]
    intermediate_bias: tf.Tensor  # [I]
    output: tf.Tensor  # [I, D]
    output_bias: tf.Tensor  # [D]
    output_norm_gamma: tf.Tensor  # [D]
    output_norm_beta: tf.Tensor  # [D]


class Dropout:
    """Dropout whose masks follow from a seed; each call draws another mask.

    Attributes:
      seed: int32 [2]; None: nothing is dropped.
      num_calls: the masks drawn so far.
    """

    def __init__(self, seed: tf.Tensor | None, num_calls: int = 0):
        self.seed = seed
        self.num_calls = num_calls

    def __call__(self, x: tf.Tensor, rate: float) -> tf.Tensor:
        """Drops entries of `x`; none without a seed."""
        if self.seed is None or rate == 0:
            return x
        self.num_calls += 1
        seed = tf.random.experimental.stateless_fold_in(
            self.seed, self.num_calls
        )
        return tf.nn.experimental.stateless_dropout(x, rate, seed)


class TransformerBlocks:
    """Applies the blocks of an encoder to one batch."""

    def __init__(
        self,
        mask: tf.Tensor,
        config: dict,
        activation: Callable[[tf.Tensor], tf.Tensor] | None,
        dropout: Dropout,
        rematerialize: bool = False,
        sentence_numbers: tf.Tensor | None = None,
    ):
        """Prepares the blocks for a batch.

        Args:
          mask: int32 [B, L].
          config: that of Model Garden's encoder.
          activation: of the intermediate layers.
          dropout: draws the masks.
          rematerialize: a block's activations are computed again for its
            gradients; needs a seed.
          sentence_numbers: int32 [B, L]; a token attends only to those with
            its own number, whatever the mask. None: to all that the mask has.
        """
        self._mask = mask
        self._shape = tf.shape(mask)
        self._num_heads = config["num_attention_heads"]
        self._output_dropout = config["output_dropout"]
        self._attention_dropout = config["attention_dropout"]
        self._activation = activation
        self._dropout = dropout
        self._rematerialize = rematerialize
        if sentence_numbers is None:
            # Not `mask[:, None, None]`, which TensorFlow Lite has no built-in
            # operation for.
            keys = tf.expand_dims(tf.expand_dims(mask, 1), 1)  # [B, 1, 1, L]
        else:
            keys = tf.equal(
                sentence_numbers[:, None, :, None],
                sentence_numbers[:, None, None, :],
            )  # [B, 1, L, L]
        self._score_bias = (1.0 - tf.cast(keys, tf.float32)) * _MASKED_SCORE

    def __call__(
        self, x: tf.Tensor, weights: BlockWeights, tokens: Tokens = None
    ) -> tf.Tensor:
        """Attention and feed-forward layers, each with a residual and norm.

        Args:
          x: float32 [B * L, D].
          weights: of the block.
          tokens: those that are computed; the others are keys and values only.

        Returns:
          float32 [B * n, D], n the number of `tokens`.
        """
        if not self._rematerialize:
            return self._compute(x, weights, tokens)
        num_calls = self._dropout.num_calls

        def compute(seed, x, *weights):
            # Each time from the same mask on.
            self._dropout = Dropout(seed, num_calls)
            return self._compute(x, BlockWeights(*weights), tokens)

        return rematerialize(compute, self._dropout.seed, [x, *weights])

    def _compute(
        self, x: tf.Tensor, weights: BlockWeights, tokens: Tokens
    ) -> tf.Tensor:
        rows = self._rows(x, tokens)
        attended = self._attend(x, rows, weights, tokens)
        attended = dense(
            attended, weights.attention_output, weights.attention_output_bias
        )
        x = self._add_and_norm(
            rows,
            attended,
            weights.attention_norm_gamma,
            weights.attention_norm_beta,
        )
        hidden = dense(
            tf.cast(x, weights.intermediate.dtype),
            weights.intermediate,
            weights.intermediate_bias,
        )  # [B * L, I]
        hidden = dense(
            self._activation(hidden), weights.output, weights.output_bias
        )
        return self._add_and_norm(
            x, hidden, weights.output_norm_gamma, weights.output_norm_beta
        )

    def _add_and_norm(self, x, change, gamma, beta) -> tf.Tensor:
        change = self._dropout(
            tf.cast(change, tf.float32), self._output_dropout
        )
        return layer_norm(x + change, gamma, beta)

    def _rows(self, x: tf.Tensor, tokens: Tokens) -> tf.Tensor:
        """[B * L, D] to [B * n, D]."""
        if tokens is None:
            return x
        size = x.shape[-1]
        if isinstance(tokens, int):
            x = tf.reshape(x, [self._shape[0], self._shape[1], size])
            return tf.reshape(x[:, :tokens], [-1, size])
        starts = tf.range(self._shape[0])[:, None] * self._shape[1]
        return tf.gather(x, tf.reshape(starts + tokens, [-1]))

    def _attend(
        self,
        x: tf.Tensor,
        rows: tf.Tensor,
        weights: BlockWeights,
        tokens: Tokens,
    ) -> tf.Tensor:
        """Self-attention before its output layer: [B * n, D]."""
        query, key, value = self._project(x, rows, weights, tokens)
        query *= tf.cast(query.shape[-1] ** -0.5, query.dtype)
        scores = tf.matmul(query, key, transpose_b=True)  # [B, H, n, L]
        bias = self._score_bias
        if isinstance(tokens, tf.Tensor) and bias.shape[2] != 1:
            bias = tf.gather(bias[:, 0], tokens, batch_dims=1)[:, None]
        attention = tf.nn.softmax(tf.cast(scores, tf.float32) + bias)
        attention = self._dropout(attention, self._attention_dropout)
        attended = tf.matmul(tf.cast(attention, value.dtype), value)
        return tf.reshape(
            tf.transpose(attended, [0, 2, 1, 3]), [-1, x.shape[-1]]
        )

    def _project(
        self, x: tf.Tensor, rows: tf.Tensor, weights, tokens: Tokens
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Queries of the rows; keys and values: [B, H, n or L, D / H]."""
        kernel, bias = weights.query_key_value, weights.query_key_value_bias
        size = x.shape[-1]
        x = tf.cast(x, kernel.dtype)
        if not isinstance(tokens, tf.Tensor):
            query, key, value = self._heads(dense(x, kernel, bias), 3)
            return query[:, :, :tokens], key, value
        query = dense(
            tf.cast(rows, kernel.dtype), kernel[:, :size], bias[:size]
        )
        query = self._heads(query, 1, tf.shape(tokens)[1])
        others = dense(x, kernel[:, size:], bias[size:])
        return *query, *self._heads(others, 2)

    def _heads(
        self, projected: tf.Tensor, parts: int, length: tf.Tensor | None = None
    ) -> list[tf.Tensor]:
        """[B * L, parts * D] to parts of [B, H, L, D / H]."""
        if length is None:
            length = self._shape[1]
        head_size = projected.shape[-1] // (parts * self._num_heads)
        shape = [self._shape[0], length, parts, self._num_heads, head_size]
        projected = tf.reshape(projected, shape)
        return tf.unstack(tf.transpose(projected, [2, 0, 3, 1, 4]))

    def unflatten(self, x: tf.Tensor, tokens: Tokens) -> tf.Tensor:
        """[B * n, D] to [B, n, D]."""
        static_batch, length = self._mask.shape
        if tokens is None:
            number = self._shape[1]
        elif isinstance(tokens, int):
            length = number = tokens
        else:
            length, number = tokens.shape[1], tf.shape(tokens)[1]
        x = tf.reshape(x, [self._shape[0], number, x.shape[-1]])
        x.set_shape([static_batch, length, None])
        return x


def dense(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """A dense layer, in the dtype of all three: [n, in] to [n, out]."""
    return tf.nn.bias_add(tf.matmul(x, kernel), bias)


def layer_norm(x: tf.Tensor, gamma, beta) -> tf.Tensor:
    """Layer normalisation over the last axis; float32 in and out."""
    mean = tf.reduce_mean(x, axis=-1, keepdims=True)
    centred = x - mean
    variance = tf.reduce_mean(centred * centred, axis=-1, keepdims=True)
    scale = tf.math.rsqrt(variance + LAYER_NORM_EPSILON)
    return centred * (scale * gamma) + beta


def block_weights(layer, dtype) -> BlockWeights:
    """The weights of one of Model Garden's `TransformerEncoderBlock`s."""
    attention = layer._attention_layer
    projections = (
        attention._query_dense,
        attention._key_dense,
        attention._value_dense,
    )
    size = projections[0].kernel.shape[0]
    output = attention._output_dense
    # Model Garden's kernels are [D, H, D / H], the output's [H, D / H, D].
    matrices = (
        tf.concat([tf.reshape(p.kernel, [size, size]) for p in projections], 1),
        tf.concat([tf.reshape(p.bias, [size]) for p in projections], 0),
        tf.reshape(output.kernel, [size, size]),
        output.bias,
    )
    feed_forward = (
        layer._intermediate_dense.kernel,
        layer._intermediate_dense.bias,
        layer._output_dense.kernel,
        layer._output_dense.bias,
    )
    norm, output_norm = layer._attention_layer_norm, layer._output_layer_norm
    return BlockWeights(
        *(tf.cast(matrix, dtype) for matrix in matrices),
        tf.convert_to_tensor(norm.gamma),
        tf.convert_to_tensor(norm.beta),
        *(tf.cast(matrix, dtype) for matrix in feed_forward),
        tf.convert_to_tensor(output_norm.gamma),
        tf.convert_to_tensor(output_norm.beta),
    )
