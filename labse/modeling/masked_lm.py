"""Masked and translation language modelling (section 3.4).

BERT's head: a dense layer with activation, layer normalisation, and the product
with the table of word embeddings (tied) plus a bias. It is computed for masked
tokens only; so is the last block, beside its keys and values. The variables and
their names are those of Model Garden's `official.nlp.modeling.layers.MaskedLM`.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf
import tf_keras

from labse.configs.pretraining import PretrainingConfig
from labse.features import (
    BILINGUAL,
    MASKED_IDS,
    MASKED_POSITIONS,
    MASKED_WEIGHTS,
)
from labse.losses.masked_lm_loss import masked_lm_loss
from labse.modeling.cross_replica import cross_replica_sum
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.modeling.trainable_model import TrainableModel
from labse.modeling.transformer_block import (
    LAYER_NORM_EPSILON,
    dense,
    layer_norm,
)
from labse.modeling.transformer_encoder import WORD_EMBEDDINGS

METRICS = (
    "loss",
    "accuracy",
    "mlm_loss",
    "mlm_accuracy",
    "tlm_loss",
    "tlm_accuracy",
    "tokens",
)


class MaskedLMHead(tf_keras.layers.Layer):
    """BERT's head for masked tokens, without the table that it is tied to.

    Checkpoints hold that table with the encoder.

    Args:
      vocab_size: pieces of the table.
      hidden_size: of the encoder.
      activation: of the dense layer.
      initializer_range: standard deviation of its kernel.
      compute_dtype: "float32" or "bfloat16", of the products.
    """

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        activation: Callable[[tf.Tensor], tf.Tensor],
        initializer_range: float,
        compute_dtype: str = "float32",
        name="cls/predictions",
    ):
        super().__init__(name=name)
        self._vocab_size = vocab_size
        self._hidden_size = hidden_size
        self._activation = activation
        self._product_dtype = compute_dtype
        self.dense = tf_keras.layers.Dense(
            hidden_size,
            kernel_initializer=tf_keras.initializers.TruncatedNormal(
                stddev=initializer_range
            ),
            name="transform/dense",
        )
        self.layer_norm = tf_keras.layers.LayerNormalization(
            epsilon=LAYER_NORM_EPSILON, name="transform/LayerNorm"
        )

    def build(self, input_shape=None):
        """Creates every variable, with Model Garden's names."""
        with tf.name_scope(self.name):
            for layer in (self.dense, self.layer_norm):
                with tf.name_scope(layer.name):
                    layer.build([None, self._hidden_size])
            self.bias = self.add_weight(
                "output_bias/bias", [self._vocab_size], initializer="zeros"
            )
        self.built = True

    def transform(self, hidden: tf.Tensor) -> tf.Tensor:
        """What is multiplied with the table: float32 [n, D] to [n, D]."""
        dtype = self._product_dtype
        weights = (self.dense.kernel, self.dense.bias)
        hidden = dense(*(tf.cast(x, dtype) for x in (hidden, *weights)))
        hidden = tf.cast(self._activation(hidden), tf.float32)
        return layer_norm(hidden, self.layer_norm.gamma, self.layer_norm.beta)

    def call(self, hidden, table, labels):
        """The loss of each masked token, and whether it is predicted rightly.

        Args:
          hidden: float32 [n, D], the encoder's outputs at masked positions.
          table: float32 [V, D], the word embeddings.
          labels: int32 [n].

        Returns:
          float32 [n] each; see `masked_lm_loss`.
        """
        return masked_lm_loss(
            self.transform(hidden),
            table,
            tf.convert_to_tensor(self.bias),
            labels,
            compute_dtype=self._product_dtype,
        )


class MaskedLanguageModel(TrainableModel):
    """Trains a `SentenceEncoder` and its head to predict masked tokens.

    A batch is a dict: `MODEL_INPUTS`, int32 [batch, length]; where packed,
    `SENTENCE_NUMBERS` and `INPUT_POSITIONS` besides; the masked tokens'
    `MASKED_POSITIONS`, `MASKED_IDS` and `MASKED_WEIGHTS`, [batch, most masked];
    and `BILINGUAL`, int32 [batch].

    The loss is the mean over the masked tokens of all replicas, however they
    are spread. The encoder's pooler takes no part in it (there is no prediction
    of a next sentence), and is not trained.

    Args:
      encoder: its last block's outputs are used.
      seed: with the optimizer's step it determines dropout.
    """

    def __init__(
        self, encoder: SentenceEncoder, seed: int = 0, name="masked_lm"
    ):
        super().__init__(METRICS, name=name)
        self.encoder = encoder
        self.seed = seed
        encoder.transformer.pooler_layer.trainable = False
        self.head = MaskedLMHead(
            encoder.config.vocab_size,
            encoder.config.hidden_size,
            encoder.transformer.activation,
            encoder.config.initializer_range,
            encoder.transformer.compute_dtype,
        )

    @classmethod
    def of_experiment(
        cls, config: PretrainingConfig, num_layers: int | None = None
    ) -> "MaskedLanguageModel":
        """The built model that a configuration describes, random weights.

        `num_layers`: the blocks of a stage; None: those of the configuration.
        """
        encoder, training = config.encoder, config.training
        if num_layers is not None:
            encoder = dataclasses.replace(encoder, num_layers=num_layers)
        model = cls(
            SentenceEncoder(
                encoder, training.compute_dtype, training.rematerialize
            ),
            training.seed,
        )
        model.build()
        return model

    @property
    def checkpoint_items(self) -> dict:
        """What a checkpoint holds: Model Garden's encoder and its head.

        The names and the objects are those of `BertPretrainerV2`'s
        `checkpoint_items`, so that either model restores the other's.
        """
        return {"encoder": self.encoder.transformer, "masked_lm": self.head}

    def build(self, input_shape=None):
        """Creates every variable."""
        self.encoder.build()
        self.head.build()
        self.built = True

    def call(self, inputs, training=None, seed=None):
        """The loss of each masked token, and whether it is predicted rightly.

        Returns:
          dict of `loss` and `correct`, float32 [batch, most masked]; where the
          token's weight is 0 they mean nothing.
        """
        transformer = self.encoder.transformer
        words, table = tied_lookup(
            transformer.word_table, inputs["input_word_ids"]
        )
        positions = tf.convert_to_tensor(inputs[MASKED_POSITIONS])
        hidden = transformer(
            {**inputs, WORD_EMBEDDINGS: words},
            training=training,
            seed=seed,
            output_range=positions,
        )["sequence_output"]  # [batch, most masked, D]
        hidden = tf.reshape(hidden, [-1, hidden.shape[-1]])
        labels = tf.reshape(inputs[MASKED_IDS], [-1])
        results = self.head(hidden, table, labels)
        shape = tf.shape(positions)
        return {
            name: tf.reshape(result, shape)
            for name, result in zip(("loss", "correct"), results, strict=True)
        }

    def predict_masked(self, batch) -> dict[str, tf.Tensor]:
        """`call` without dropout, for validation."""
        return self(batch, training=False)

    def replica_loss(self, inputs, training):
        """This replica's sum over the number of all replicas' masked tokens."""
        seed = self.seed_of_step(self.seed) if training else None
        results = self(inputs, training=training, seed=seed)
        self._update_metrics(inputs, results)
        weights = inputs[MASKED_WEIGHTS]
        # Not this replica's: replicas mask different numbers of tokens, and
        # the mean of their means would be another number.
        count = cross_replica_sum(tf.reduce_sum(weights))
        return tf.reduce_sum(results["loss"] * weights) / tf.maximum(count, 1.0)

    def _update_metrics(self, inputs, results):
        weights = inputs[MASKED_WEIGHTS]
        bilingual = tf.cast(inputs[BILINGUAL], tf.float32)[:, None]
        kinds = {"": 1.0, "mlm_": 1.0 - bilingual, "tlm_": bilingual}
        for kind, share in kinds.items():
            for name, values in (
                ("loss", results["loss"]),
                ("accuracy", results["correct"]),
            ):
                self.means[kind + name].update_state(values, weights * share)
        tokens = tf.reduce_sum(inputs["input_mask"], axis=1)
        self.means["tokens"].update_state(tokens)


def tied_lookup(
    table: tf.Tensor, ids: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The rows of a table for int32 `ids`, and the table for another use.

    The gradient of the table is that of both uses. It is one dense tensor: the
    rows are added to what the other use has made. TensorFlow by itself would
    turn both into `tf.IndexedSlices` with a row for each of the table's.

    Args:
      table: float32 [V, D].
      ids: int32, any shape.

    Returns:
      float32 [*ids.shape, D], and [V, D].
    """

    @tf.custom_gradient
    def both(table):
        def gradient(of_rows, of_table):
            rows = tf.reshape(of_rows, [-1, table.shape[1]])
            places = tf.reshape(ids, [-1, 1])
            return tf.tensor_scatter_nd_add(of_table, places, rows)

        return (tf.gather(table, ids), tf.identity(table)), gradient

    return both(table)
