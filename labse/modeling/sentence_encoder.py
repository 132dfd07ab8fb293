"""One encoder for all languages: pieces in, unit vectors out."""

import dataclasses

import tensorflow as tf
import tf_keras

from labse.configs.schema import EncoderConfig
from labse.modeling.transformer_encoder import build_transformer_encoder


@tf_keras.utils.register_keras_serializable(package="labse")
class SentenceEncoder(tf_keras.Model):
    """BERT, pooled and l2-normalised (section 3.2).

    Without blocks (`num_layers` 0) it is a deep averaging network.

    Args:
      config: the encoder's shape and pooling.
      compute_dtype: "float32" or "mixed_bfloat16", the dtype of the matmuls;
        variables and embeddings are float32 either way.
      rematerialize: in training, the activations of a block are computed again
        for its gradients instead of kept: less memory, about a third more time.
    """

    def __init__(
        self,
        config: EncoderConfig,
        compute_dtype: str = "float32",
        rematerialize: bool = False,
        name="sentence_encoder",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.config = config
        self.rematerialize = rematerialize
        self.transformer = build_transformer_encoder(
            config, compute_dtype, rematerialize
        )
        # BERT's pooler is in every checkpoint, but learns only where it is
        # part of the embedding.
        self.transformer.pooler_layer.trainable = config.uses_pooler

    def build(self, input_shape=None, word_table: bool = True):
        """Creates every variable; `word_table`: also the word embeddings."""
        self.transformer.build(word_table=word_table)
        self.built = True

    def call(self, inputs, training=None, seed=None, blocks=None):
        """Embeds sentences.

        Args:
          inputs: dict of `MODEL_INPUTS`, int32 [batch, length].
          training: whether dropout is on.
          seed: int32 [2], determines dropout's masks; random if None.
          blocks: `transformer.block_weights()`, if computed before.

        Returns:
          float32 [batch, hidden_size], each row of length 1.
        """
        # Only [CLS] of the last block's output is used.
        output_range = 1 if self.config.pooling.startswith("cls") else None
        return self.all_outputs(inputs, training, seed, blocks, output_range)[
            "default"
        ]

    def all_outputs(
        self, inputs, training=None, seed=None, blocks=None, output_range=None
    ) -> dict:
        """The outputs of TF Hub's transformer encoder API.

        Returns:
          `default` float32 [batch, hidden_size], rows of length 1;
          `pooled_output`, the same before normalisation; `sequence_output`
          float32 [batch, length, hidden_size]; `encoder_outputs`, the output
          of each block, of the same shape.
        """
        outputs = self.transformer(
            inputs,
            training=training,
            seed=seed,
            blocks=blocks,
            output_range=output_range,
        )
        pooled = self._pool(outputs, inputs["input_mask"])
        return {
            **outputs,
            "pooled_output": pooled,
            "default": tf.math.l2_normalize(pooled, axis=-1),
        }

    def _pool(self, outputs: dict, mask: tf.Tensor) -> tf.Tensor:
        if self.config.pooling == "cls":
            return outputs["sequence_output"][:, 0]
        if self.config.pooling == "cls_tanh":
            return outputs["pooled_output"]
        weights = tf.expand_dims(tf.cast(mask, tf.float32), -1)  # [B, L, 1]
        total = tf.reduce_sum(outputs["sequence_output"] * weights, axis=1)
        mean = total / tf.maximum(tf.reduce_sum(weights, axis=1), 1.0)
        if self.config.pooling == "mean":
            return mean
        return self.transformer.pooler(mean)

    def get_config(self):
        """The arguments of `from_config`, the configuration as a dict."""
        return {
            "name": self.name,
            "config": dataclasses.asdict(self.config),
            "compute_dtype": self.transformer.dtype_policy.name,
            "rematerialize": self.rematerialize,
        }

    @classmethod
    def from_config(cls, config):
        """The encoder that `get_config` described."""
        config = dict(config)
        if "precision" in config:  # Models saved before it was renamed.
            config["compute_dtype"] = config.pop("precision")
        return cls(**{**config, "config": EncoderConfig(**config["config"])})
