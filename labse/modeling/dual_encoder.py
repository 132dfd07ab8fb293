"""The dual encoder: one encoder over both sides of a pair (Figure 1)."""

import dataclasses

import tensorflow as tf
import tf_keras

from labse.configs.schema import ExperimentConfig, LossConfig
from labse.errors import InputError
from labse.features import (
    HARD_NEGATIVES,
    MODEL_INPUTS,
    SOURCE,
    TARGET,
    TRUNCATED,
)
from labse.losses.additive_margin_softmax import (
    Candidates,
    rank_both_directions,
)
from labse.losses.duplicate_texts import text_fingerprints
from labse.modeling.cross_replica import (
    cross_replica_concat,
    num_replicas,
    replica_id,
)
from labse.modeling.gradient_cache import cached_gradients
from labse.modeling.length_buckets import (
    buckets_below,
    encode_at_bucket,
    encode_in_buckets,
    sort_by_length,
    unsort,
)
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.modeling.trainable_model import TrainableModel

METRICS = ("loss", "in_batch_accuracy", "negatives", "truncated")


@tf_keras.utils.register_keras_serializable(package="labse")
class DualEncoder(TrainableModel):
    """Trains a `SentenceEncoder` with plain Keras `compile` and `fit`.

    A batch is a dict: `source` and `target`, each a dict of `MODEL_INPUTS`,
    int32 [batch, length], and optionally `hard_negatives`, the same with int32
    [batch, negatives, length]; one whose `input_mask` is all 0 is padding.
    Negatives come from all replicas, so loss and gradients depend on the global
    batch alone, not on its distribution. Every replica must get the same number
    of pairs.

    Args:
      encoder: shared by sources, targets and hard negatives.
      loss: margin, scale and direction.
      seed: with the optimizer's step it determines dropout, so that a restored
        run draws the masks that an uninterrupted one would have drawn.
      length_buckets: padding is cut to the smallest of these lengths that
        fits the longest text; empty: not cut. Shapes stay static.
      length_chunks: with buckets, the texts of a batch are sorted by length
        and encoded in this many parts, each at its own bucket. Embeddings,
        loss and negatives are those of the whole batch.
      gradient_cache_chunk: the number of pairs embedded at once in training,
        with their hard negatives; it must divide a replica's batch. Memory is
        then that of a chunk, while embeddings, loss and negatives are those of
        the whole batch (`gradient_cache`). Chunks of texts sorted by length
        take the place of `length_chunks`. 0: the whole batch at once.
    """

    def __init__(
        self,
        encoder: SentenceEncoder,
        loss: LossConfig | None = None,
        seed: int = 0,
        length_buckets: tuple[int, ...] = (),
        length_chunks: int = 1,
        gradient_cache_chunk: int = 0,
        name="dual_encoder",
        **kwargs,
    ):
        super().__init__(METRICS, name=name, **kwargs)
        self.encoder = encoder
        self.loss_config = loss or LossConfig()
        self.seed = seed
        self.length_buckets = tuple(length_buckets)
        self.length_chunks = length_chunks
        self.gradient_cache_chunk = gradient_cache_chunk

    @classmethod
    def of_experiment(cls, config: ExperimentConfig) -> "DualEncoder":
        """The built model that a configuration describes, random weights."""
        training = config.training
        model = cls(
            SentenceEncoder(
                config.encoder, training.compute_dtype, training.rematerialize
            ),
            config.loss,
            training.seed,
            config.data.length_buckets,
            config.data.length_chunks,
            training.gradient_cache_chunk,
        )
        model.build()
        return model

    def build(self, input_shape=None):
        """Creates every variable."""
        self.encoder.build()
        self.built = True

    def call(self, inputs, training=None, seed=None):
        """Embeds both sides, in one call of the encoder.

        Returns:
          dict of `source` and `target`, float32 [batch, dim], and, if given,
          `hard_negatives`, float32 [batch * negatives, dim].
        """
        flat = {side: _flatten(inputs[side]) for side in _sides(inputs)}
        joined, rows = _concat(list(flat.values()))
        embeddings = encode_in_buckets(
            self.encoder,
            joined,
            self.length_buckets,
            chunks=self.length_chunks,
            training=training,
            seed=seed,
        )
        return dict(zip(flat, tf.split(embeddings, rows), strict=True))

    def loss_and_gradients(self, inputs):
        """By the gradient cache, if a chunk is less than the batch."""
        pairs = inputs[SOURCE]["input_mask"].shape[0]
        if self.gradient_cache_chunk in (0, pairs):
            return super().loss_and_gradients(inputs)
        self._check_chunk(pairs)
        return self._loss_and_gradients_of_chunks(
            inputs, pairs // self.gradient_cache_chunk
        )

    def _loss_and_gradients_of_chunks(self, inputs, chunks):
        sides = _sides(inputs)
        texts, rows = _concat([_flatten(inputs[side]) for side in sides])
        buckets = buckets_below(
            texts["input_mask"].shape[1], self.length_buckets
        )
        order = None
        if buckets:
            # Over the whole batch, so that each chunk has a bucket of its own.
            texts, order = sort_by_length(texts)

        def loss_function(embeddings):
            if order is not None:
                embeddings = unsort(embeddings, order)
            parts = tf.split(embeddings, rows)
            return self._loss(inputs, dict(zip(sides, parts, strict=True)))

        return self._cached_gradients(texts, buckets, chunks, loss_function)

    def _cached_gradients(self, texts, buckets, chunks, loss_function):
        """Loss and gradients of texts that are embedded in equal chunks."""
        total, length = texts["input_mask"].shape
        rows = total // chunks
        parts = {
            name: tf.reshape(ids, [chunks, rows, length])
            for name, ids in texts.items()
        }
        seed = self.seed_of_step(self.seed)

        def embed(blocks, number):
            return encode_at_bucket(
                self.encoder,
                {name: part[number] for name, part in parts.items()},
                buckets,
                training=True,
                # Pure: the second pass draws the masks of the first.
                seed=tf.random.experimental.stateless_fold_in(seed, number),
                blocks=blocks,
            )

        return cached_gradients(
            self.encoder.transformer.block_weights,
            embed,
            loss_function,
            self.trainable_variables,
            chunks=chunks,
            chunk_shape=[rows, self.encoder.config.hidden_size],
        )

    def _check_chunk(self, pairs: int | None) -> None:
        if pairs is None or pairs % self.gradient_cache_chunk:
            raise InputError(
                "gradient_cache_chunk must divide the number of pairs of a "
                "replica's batch, which must be static (drop_remainder=True). "
                f"Received: {self.gradient_cache_chunk} and {pairs}."
            )

    def _rank(self, inputs, embeddings):
        """Both directions' `Ranking` of this replica's pairs."""
        texts = {}
        if self.loss_config.mask_duplicates:
            for side in embeddings:
                ids = _flatten(inputs[side])
                texts[side] = cross_replica_concat(
                    text_fingerprints(ids["input_word_ids"], ids["input_mask"])
                )
        source, target = embeddings[SOURCE], embeddings[TARGET]
        negatives, present = embeddings.get(HARD_NEGATIVES), None
        if negatives is not None:
            mask = _flatten(inputs[HARD_NEGATIVES])["input_mask"]
            present = cross_replica_concat(tf.reduce_max(mask, axis=1))
        candidates = Candidates(
            source=cross_replica_concat(source),
            target=cross_replica_concat(target),
            source_texts=texts.get(SOURCE),
            target_texts=texts.get(TARGET),
            hard_negatives=(
                None if negatives is None else cross_replica_concat(negatives)
            ),
            hard_negative_texts=texts.get(HARD_NEGATIVES),
            hard_negative_mask=present,
        )
        return rank_both_directions(
            source,
            target,
            candidates,
            first_row=replica_id() * tf.shape(source)[0],
            logit_scale=self.loss_config.logit_scale,
            margin=self.loss_config.margin,
        )

    def replica_loss(self, inputs, training):
        """The sum of this replica's pair losses over the global batch size."""
        seed = self.seed_of_step(self.seed) if training else None
        return self._loss(inputs, self(inputs, training=training, seed=seed))

    def _loss(self, inputs, embeddings):
        """`replica_loss` of the embeddings that `call` returns."""
        forward, backward = self._rank(inputs, embeddings)
        losses = forward.loss  # float32 [batch]
        if self.loss_config.bidirectional:
            losses += backward.loss
        self.means["loss"].update_state(losses)
        correct = tf.cast(forward.correct, tf.float32)
        self.means["in_batch_accuracy"].update_state(correct)
        self.means["negatives"].update_state(forward.num_negatives)
        truncated = inputs.get(TRUNCATED, tf.zeros([1], tf.int32))
        self.means["truncated"].update_state(truncated)
        # Not the local batch: see `cross_replica` ("Average").
        global_batch = tf.shape(losses)[0] * num_replicas()
        return tf.reduce_sum(losses) / tf.cast(global_batch, tf.float32)

    def get_config(self):
        """The arguments of `from_config`."""
        return {
            "name": self.name,
            "encoder": tf_keras.utils.serialize_keras_object(self.encoder),
            "loss": dataclasses.asdict(self.loss_config),
            "seed": self.seed,
            "length_buckets": list(self.length_buckets),
            "length_chunks": self.length_chunks,
            "gradient_cache_chunk": self.gradient_cache_chunk,
        }

    @classmethod
    def from_config(cls, config):
        """The inverse of `get_config`."""
        encoder = tf_keras.utils.deserialize_keras_object(config["encoder"])
        loss = LossConfig(**config["loss"])
        return cls(**{**config, "encoder": encoder, "loss": loss})


def _sides(inputs) -> list[str]:
    sides = [SOURCE, TARGET]
    return sides + [HARD_NEGATIVES] * (HARD_NEGATIVES in inputs)


def _flatten(inputs) -> dict[str, tf.Tensor]:
    """[batch, negatives, length] to [batch * negatives, length]."""
    return {
        name: tf.reshape(inputs[name], [-1, tf.shape(inputs[name])[-1]])
        if inputs[name].shape.rank == 3
        else inputs[name]
        for name in MODEL_INPUTS
    }


def _concat(parts: list[dict]) -> tuple[dict, list]:
    """Concatenates batches, padded to the longest; and each one's rows."""
    lengths = [tf.shape(part["input_mask"])[1] for part in parts]
    static = {part["input_mask"].shape[1] for part in parts}
    longest = max(static) if None not in static else None
    length = tf.reduce_max(lengths) if longest is None else longest

    def pad(ids):
        padded = tf.pad(ids, [[0, 0], [0, length - tf.shape(ids)[1]]])
        padded.set_shape([ids.shape[0], longest])
        return padded

    joined = {
        name: tf.concat([pad(part[name]) for part in parts], axis=0)
        for name in MODEL_INPUTS
    }
    return joined, [tf.shape(part["input_mask"])[0] for part in parts]
