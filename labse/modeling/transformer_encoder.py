"""Model Garden's BERT encoder, computed by a plain graph.

The variables, their names, the configuration and so the checkpoints are those
of `official.nlp.modeling.networks.BertEncoderV2`. What differs is how the
same function is computed: one matmul for query, key and value, two-dimensional
matmuls for all dense layers, layer normalisation and softmax in float32, and
stateless dropout, whose masks are a pure function of a seed. That is faster on
CPU, most of all in bfloat16 (docs/design/), and lets a run be resumed bit by
bit.
"""

from typing import NamedTuple

import tensorflow as tf
import tf_keras
from official.modeling import activations
from official.nlp.modeling import networks

from labse.configs.schema import EncoderConfig
from labse.errors import InputError
from labse.features import MODEL_INPUTS

LAYER_NORM_EPSILON = 1e-12  # BERT.
WORD_EMBEDDINGS = "input_word_embeddings"  # Model Garden's name.

_ACTIVATIONS = {
    "gelu": tf_keras.activations.gelu,
    "gelu_tanh": activations.gelu,
}


class BlockWeights(NamedTuple):
    """The weights of one transformer block as its matmuls take them.

    D is the hidden size and I the intermediate size. Matrices are in the
    compute dtype, layer norms in float32.
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


class _Dropout:
    """Dropout whose masks follow from a seed; site after site differs."""

    def __init__(self, seed: tf.Tensor | None):
        self._seed = seed
        self._site = 0

    def __call__(self, x: tf.Tensor, rate: float) -> tf.Tensor:
        if self._seed is None or rate == 0:
            return x
        self._site += 1
        seed = tf.random.experimental.stateless_fold_in(self._seed, self._site)
        return tf.nn.experimental.stateless_dropout(x, rate, seed)


@tf_keras.utils.register_keras_serializable(package="labse")
class TransformerEncoder(networks.BertEncoderV2):
    """BERT, Model Garden's variables, a graph of few large operations.

    `dtype="mixed_bfloat16"` computes the matmuls in bfloat16 from float32
    variables.
    """

    def __init__(self, **kwargs):
        """Takes `BertEncoderV2`'s arguments."""
        super().__init__(**kwargs)
        # Keras would round `input_word_embeddings` to bfloat16.
        self._autocast = False

    def build(self, input_shape=None, word_table: bool = True):
        """Creates every variable, by tracing Model Garden's own `call`.

        Args:
          input_shape: not used; Keras' own.
          word_table: whether to create the table of word embeddings; without
            it every call has to give `input_word_embeddings`.
        """
        if self.built:
            return
        self.built = True
        ids = tf.TensorSpec([1, 3], tf.int32)
        inputs = dict.fromkeys(MODEL_INPUTS, ids)
        if not word_table:
            size = self._config["hidden_size"]
            inputs[WORD_EMBEDDINGS] = tf.TensorSpec([1, 3, size])
        trace = tf.function(
            self._call_of_model_garden
            if self._transformer_layers
            else self._call_layers_without_blocks
        )
        trace.get_concrete_function(inputs)

    def _call_of_model_garden(self, inputs):
        return networks.BertEncoderV2.call(self, inputs)

    def _call_layers_without_blocks(self, inputs):
        """What Model Garden's `call` has beside the blocks and BERT's sums."""
        words = inputs.get(WORD_EMBEDDINGS)
        if words is None:
            words = self._embedding_layer(inputs["input_word_ids"])
        return self._pooler_layer(words[:, 0])

    def block_weights(self) -> list[BlockWeights]:
        """The blocks' weights in the compute dtype, ready for `call`."""
        dtype = self.compute_dtype
        return [
            _block_weights(layer, dtype) for layer in self._transformer_layers
        ]

    def call(
        self,
        inputs,
        training=None,
        seed=None,
        blocks=None,
        output_range=None,
    ):
        """Computes every output of the encoder.

        Args:
          inputs: dict of `MODEL_INPUTS`, int32 [batch, length]; with Model
            Garden's `input_word_embeddings`, float32 [batch, length, D], the
            table is not looked up.
          training: whether dropout is on.
          seed: int32 [2], from which dropout's masks follow; drawn at random
            if there is none.
          blocks: `block_weights()`, if they were made before.
          output_range: if given, the last block is computed for the first so
            many tokens only; there the others are keys and values. For [CLS]
            alone that saves most of the block.

        Returns:
          `sequence_output` float32 [batch, length, D] (the first
          `output_range` of length; without blocks, the embeddings),
          `pooled_output` float32 [batch, D] (dense and tanh of [CLS]) and
          `encoder_outputs`, each block's output.

        Raises:
          InputError: the inputs are longer than there are positions (told
            where their length is static).
        """
        self._check_length(inputs["input_mask"].shape[1])
        if not training:
            seed = None
        elif seed is None:
            seed = tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
        dropout = _Dropout(seed)
        mask = inputs["input_mask"]
        shape = tf.shape(mask)
        blocks = self.block_weights() if blocks is None else blocks
        # A masked key gets no attention: exp(-1e9) is 0 in float32. Not
        # `mask[:, None, None]`, which TensorFlow Lite has not built in.
        keys = tf.expand_dims(tf.expand_dims(mask, 1), 1)  # [batch, 1, 1, L]
        bias = (1.0 - tf.cast(keys, tf.float32)) * -1e9
        x = dropout(self._embed(inputs), self._config["output_dropout"])
        outputs = []
        for number, weights in enumerate(blocks, start=1):
            tokens = output_range if number == len(blocks) else None
            x = self._block(x, weights, bias, shape, dropout, tokens)
            outputs.append(_unflatten(x, mask, shape, tokens))
        if outputs:
            last = outputs[-1]
        else:
            last = _unflatten(x, mask, shape, None)[:, :output_range]
        return {
            "sequence_output": last,
            "pooled_output": self.pooler(last[:, 0]),
            "encoder_outputs": outputs,
        }

    def pooler(self, x: tf.Tensor) -> tf.Tensor:
        """BERT's dense layer and tanh, in float32: [n, D] to [n, D]."""
        pooler = self._pooler_layer
        return tf.tanh(tf.matmul(x, pooler.kernel) + pooler.bias)

    def _check_length(self, length: int | None) -> None:
        longest = self._config["max_sequence_length"]
        if length is not None and length > longest:
            raise InputError(
                f"The encoder has {longest} positions (encoder.max_positions). "
                f"Received inputs of length {length}. Cut them."
            )

    def word_embeddings(self, word_ids: tf.Tensor) -> tf.Tensor:
        """The table's rows for int32 [batch, length] pieces."""
        return tf.gather(self._embedding_layer.embeddings, word_ids)

    def _embed(self, inputs) -> tf.Tensor:
        """Word, position and type, normalised: float32 [batch * length, D].

        Without blocks, words alone: layer normalisation would make all pieces
        weigh the same in their average (docs/design/).
        """
        words = inputs.get(WORD_EMBEDDINGS)
        if words is None:
            words = self.word_embeddings(inputs["input_word_ids"])
        if not self._transformer_layers:
            return tf.reshape(words, [-1, words.shape[-1]])
        table = self._position_embedding_layer._position_embeddings
        positions = table[: tf.shape(words)[1]]
        types = self._type_embedding_layer.embeddings
        # A one-hot matmul: the gradient of a gather would add up tens of
        # thousands of rows into two.
        one_hot = tf.one_hot(inputs["input_type_ids"], types.shape[0])
        x = words + positions + tf.einsum("blt,td->bld", one_hot, types)
        norm = self._embedding_norm_layer
        x = tf.reshape(x, [-1, types.shape[1]])
        return layer_norm(x, norm.gamma, norm.beta)

    def _block(
        self, x, weights: BlockWeights, bias, shape, dropout, output_range
    ):
        """One post-norm transformer block; `x` float32 [batch * length, D].

        With `output_range`, only so many tokens of each row come out.
        """
        rate = self._config["output_dropout"]
        attended = self._attend(x, weights, bias, shape, dropout, output_range)
        if output_range:
            x = tf.reshape(x, [shape[0], shape[1], x.shape[-1]])[
                :, :output_range
            ]
            x = tf.reshape(x, [-1, x.shape[-1]])
        attended = tf.nn.bias_add(
            tf.matmul(attended, weights.attention_output),
            weights.attention_output_bias,
        )
        x = layer_norm(
            x + dropout(tf.cast(attended, tf.float32), rate),
            weights.attention_norm_gamma,
            weights.attention_norm_beta,
        )
        hidden = tf.nn.bias_add(
            tf.matmul(
                tf.cast(x, weights.intermediate.dtype), weights.intermediate
            ),
            weights.intermediate_bias,
        )
        hidden = self._transformer_layers[0]._inner_activation(hidden)
        hidden = tf.nn.bias_add(
            tf.matmul(hidden, weights.output), weights.output_bias
        )
        return layer_norm(
            x + dropout(tf.cast(hidden, tf.float32), rate),
            weights.output_norm_gamma,
            weights.output_norm_beta,
        )

    def _attend(
        self, x, weights: BlockWeights, bias, shape, dropout, output_range
    ):
        """Self-attention before its output layer: [batch * length, D]."""
        heads = self._config["num_attention_heads"]
        dtype = weights.query_key_value.dtype
        size = x.shape[-1]
        projected = tf.nn.bias_add(
            tf.matmul(tf.cast(x, dtype), weights.query_key_value),
            weights.query_key_value_bias,
        )
        projected = tf.reshape(
            projected, [shape[0], shape[1], 3, heads, size // heads]
        )
        # [3, batch, heads, length, D / heads]
        query, key, value = tf.unstack(tf.transpose(projected, [2, 0, 3, 1, 4]))
        query = query[:, :, :output_range]
        query *= tf.cast((size // heads) ** -0.5, dtype)
        scores = tf.matmul(query, key, transpose_b=True)
        attention = tf.nn.softmax(tf.cast(scores, tf.float32) + bias)
        attention = dropout(attention, self._config["attention_dropout"])
        attended = tf.matmul(tf.cast(attention, dtype), value)
        return tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [-1, size])


def _unflatten(x, mask, shape, tokens: int | None) -> tf.Tensor:
    """[batch * length, D] to [batch, `tokens` or length, D]."""
    x = tf.reshape(x, [shape[0], tokens or shape[1], x.shape[-1]])
    x.set_shape([mask.shape[0], tokens or mask.shape[1], None])
    return x


def layer_norm(x: tf.Tensor, gamma, beta) -> tf.Tensor:
    """Layer normalisation over the last axis; float32 in and out."""
    mean = tf.reduce_mean(x, axis=-1, keepdims=True)
    centred = x - mean
    variance = tf.reduce_mean(centred * centred, axis=-1, keepdims=True)
    scale = tf.math.rsqrt(variance + LAYER_NORM_EPSILON)
    return centred * (scale * gamma) + beta


def _block_weights(layer, dtype) -> BlockWeights:
    attention = layer._attention_layer
    projections = (
        attention._query_dense,
        attention._key_dense,
        attention._value_dense,
    )
    size = projections[0].kernel.shape[0]
    output = attention._output_dense
    matrices = (
        tf.concat([tf.reshape(p.kernel, [size, size]) for p in projections], 1),
        tf.concat([tf.reshape(p.bias, [size]) for p in projections], 0),
        tf.reshape(output.kernel, [size, size]),
        output.bias,
    )
    dense = (
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
        *(tf.cast(matrix, dtype) for matrix in dense),
        tf.convert_to_tensor(output_norm.gamma),
        tf.convert_to_tensor(output_norm.beta),
    )


def build_transformer_encoder(
    config: EncoderConfig, dtype: str = "float32"
) -> TransformerEncoder:
    """The encoder that `config` describes, not yet built."""
    return TransformerEncoder(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        num_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        max_sequence_length=config.max_positions,
        type_vocab_size=config.type_vocab_size,
        inner_dim=config.intermediate_size,
        inner_activation=_ACTIVATIONS[config.activation],
        output_dropout=config.dropout,
        attention_dropout=config.attention_dropout,
        initializer=tf_keras.initializers.TruncatedNormal(
            stddev=config.initializer_range
        ),
        dtype=dtype,
        name="bert_encoder",
    )
