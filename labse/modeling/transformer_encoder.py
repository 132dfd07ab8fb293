"""Model Garden's BERT encoder, computed by a plain graph.

The variables, their names, the configuration and so the checkpoints are those
of `official.nlp.modeling.networks.BertEncoderV2`. What differs is how the
same function is computed: one matmul for query, key and value, two-dimensional
matmuls for all dense layers, layer normalisation and softmax in float32, and
stateless dropout, whose masks are a pure function of a seed. That is faster on
CPU, most of all in bfloat16 (docs/design/), and lets a run be resumed bit by
bit.
"""

import tensorflow as tf
import tf_keras
from official.modeling import activations
from official.nlp.modeling import networks

from labse.configs.schema import EncoderConfig
from labse.errors import InputError
from labse.features import INPUT_POSITIONS, MODEL_INPUTS, SENTENCE_NUMBERS
from labse.modeling.transformer_block import (
    BlockWeights,
    Dropout,
    TransformerBlocks,
    block_weights,
    layer_norm,
)
from labse.xla import float32_matmul

WORD_EMBEDDINGS = "input_word_embeddings"  # Model Garden's name.

_ACTIVATIONS = {
    "gelu": tf_keras.activations.gelu,
    "gelu_tanh": activations.gelu,
}


@tf_keras.utils.register_keras_serializable(package="labse")
class TransformerEncoder(networks.BertEncoderV2):
    """BERT, Model Garden's variables, a graph of few large operations.

    `dtype="mixed_bfloat16"` computes the matmuls in bfloat16 from float32
    variables.
    """

    def __init__(self, rematerialize: bool = False, **kwargs):
        """Takes `BertEncoderV2`'s arguments.

        `rematerialize`: in training, the activations of a block are computed
        again for its gradients instead of kept.
        """
        super().__init__(**kwargs)
        self._rematerialize = rematerialize
        # Keras would round `input_word_embeddings` to bfloat16.
        self._autocast = False

    def build(self, input_shape=None, word_table: bool = True):
        """Creates every variable, by tracing Model Garden's own `call`.

        Without `word_table` every call must supply `input_word_embeddings`.
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
            else self._call_layers_without_blocks,
            autograph=False,  # It would take a second.
        )
        trace.get_concrete_function(inputs)

    def _call_of_model_garden(self, inputs):
        return networks.BertEncoderV2.call(self, inputs)

    def _call_layers_without_blocks(self, inputs):
        """Model Garden's `call` without blocks, positions and types."""
        words = inputs.get(WORD_EMBEDDINGS)
        if words is None:
            words = self._embedding_layer(inputs["input_word_ids"])
        return self._pooler_layer(words[:, 0])

    def block_weights(self) -> list[BlockWeights]:
        """The blocks' weights in the compute dtype, ready for `call`."""
        dtype = self.compute_dtype
        return [
            block_weights(layer, dtype) for layer in self._transformer_layers
        ]

    def call(
        self, inputs, training=None, seed=None, blocks=None, output_range=None
    ):
        """Computes every output of the encoder.

        Args:
          inputs: dict of `MODEL_INPUTS`, int32 [batch, length]. If it holds
            `input_word_embeddings`, float32 [batch, length, D], these are used
            in place of the table's rows. Packed sequences have
            `SENTENCE_NUMBERS` and `INPUT_POSITIONS` besides: each sentence is
            computed as if it stood alone.
          training: whether dropout is on.
          seed: int32 [2], determines dropout's masks; random if None.
          blocks: `block_weights()`, if computed before.
          output_range: the number of first tokens for which the last block is
            computed, or the positions of tokens, int32 [batch, n] (needs
            blocks); None: all. The other tokens are keys and values only. For
            [CLS] alone this saves most of the block.

        Returns:
          `sequence_output` float32 [batch, length, D] (those of
          `output_range` in place of length; without blocks, the embeddings),
          `pooled_output` float32 [batch, D] (dense and tanh of [CLS], or of
          the first of the positions) and `encoder_outputs`, each block's
          output.

        Raises:
          InputError: the inputs are longer than the table of positions
            (checked if their length is static).
        """
        self._check_length(inputs["input_mask"].shape[1])
        if not training:
            seed = None
        elif seed is None:
            seed = tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
        dropout = Dropout(seed)
        blocks = self.block_weights() if blocks is None else blocks
        apply_block = TransformerBlocks(
            inputs["input_mask"],
            self._config,
            self.activation,
            dropout,
            rematerialize=self._rematerialize and seed is not None,
            sentence_numbers=inputs.get(SENTENCE_NUMBERS),
        )
        x = dropout(self._embed(inputs), self._config["output_dropout"])
        outputs = []
        for number, weights in enumerate(blocks, start=1):
            tokens = output_range if number == len(blocks) else None
            x = apply_block(x, weights, tokens)
            outputs.append(apply_block.unflatten(x, tokens))
        if outputs:
            last = outputs[-1]
        else:
            last = apply_block.unflatten(x, None)[:, :output_range]
        return {
            "sequence_output": last,
            "pooled_output": self.pooler(last[:, 0]),
            "encoder_outputs": outputs,
        }

    def pooler(self, x: tf.Tensor) -> tf.Tensor:
        """BERT's dense layer and tanh, in float32: [n, D] to [n, D]."""
        pooler = self._pooler_layer
        return tf.tanh(float32_matmul(x, pooler.kernel) + pooler.bias)

    def _check_length(self, length: int | None) -> None:
        longest = self._config["max_sequence_length"]
        if length is not None and length > longest:
            raise InputError(
                f"The encoder has {longest} positions (encoder.max_positions). "
                f"Received inputs of length {length}. Truncate them."
            )

    @property
    def word_table(self) -> tf.Tensor:
        """The word embeddings, float32 [V, D]."""
        return tf.convert_to_tensor(self._embedding_layer.embeddings)

    @property
    def activation(self):
        """That of the blocks' intermediate layers; None without blocks."""
        layers = self._transformer_layers
        return layers[0]._inner_activation if layers else None

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
        # A static length, if there is one: XLA needs it for the gradient, and
        # would find it by evaluating the whole branch of a bucket.
        positions = table[: words.shape[1] or tf.shape(words)[1]]
        if INPUT_POSITIONS in inputs:
            positions = tf.gather(positions, inputs[INPUT_POSITIONS])
        types = self._type_embedding_layer.embeddings
        # A one-hot matmul: the gradient of a gather would be a scatter-add of
        # batch * length rows (tens of thousands) into two.
        ids = tf.reshape(inputs["input_type_ids"], [-1])
        by_type = float32_matmul(tf.one_hot(ids, types.shape[0]), types)
        x = tf.reshape(words + positions, [-1, types.shape[1]]) + by_type
        norm = self._embedding_norm_layer
        return layer_norm(x, norm.gamma, norm.beta)


def build_transformer_encoder(
    config: EncoderConfig, dtype: str = "float32", rematerialize: bool = False
) -> TransformerEncoder:
    """The encoder that `config` describes, not yet built."""
    return TransformerEncoder(
        rematerialize=rematerialize,
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
