"""The dual encoder: one encoder over both sides of a pair (Figure 1)."""

import dataclasses

import tensorflow as tf
import tf_keras

from labse.configs.schema import LossConfig
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
    text_fingerprints,
)
from labse.modeling.cross_replica import (
    cross_replica_concat,
    num_replicas,
    replica_id,
)
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.modeling.trainable_model import TrainableModel
from labse.modeling.transformer_encoder import WORD_EMBEDDINGS

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
    """

    def __init__(
        self,
        encoder: SentenceEncoder,
        loss: LossConfig | None = None,
        seed: int = 0,
        length_buckets: tuple[int, ...] = (),
        length_chunks: int = 1,
        name="dual_encoder",
        **kwargs,
    ):
        super().__init__(METRICS, name=name, **kwargs)
        self.encoder = encoder
        self.loss_config = loss or LossConfig()
        self.seed = seed
        self.length_buckets = tuple(length_buckets)
        self.length_chunks = length_chunks

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
        embeddings = self._encode(joined, training, seed)
        return dict(zip(flat, tf.split(embeddings, rows), strict=True))

    def _encode(self, inputs, training, seed):
        """Embeds the texts, sorted by length, in chunks: [rows, dim]."""
        rows, length = inputs["input_mask"].shape
        buckets = [b for b in self.length_buckets if b < (length or b + 1)]
        if not buckets or length is None:
            return self.encoder(inputs, training=training, seed=seed)
        chunks = min(self.length_chunks, rows or 1)
        if chunks == 1:
            return self._encode_chunk(inputs, buckets, training, seed)
        lengths = tf.reduce_sum(inputs["input_mask"], axis=1)
        order = tf.argsort(lengths, stable=True)
        sizes = [
            rows // chunks + (number < rows % chunks)
            for number in range(chunks)
        ]
        parts = {
            name: tf.split(tf.gather(ids, order), sizes)
            for name, ids in inputs.items()
        }
        embeddings = []
        for number in range(chunks):
            # Different chunks must not draw the same dropout masks.
            own_seed = seed
            if seed is not None:
                own_seed = tf.random.experimental.stateless_fold_in(
                    seed, number
                )
            chunk = {name: part[number] for name, part in parts.items()}
            embeddings.append(
                self._encode_chunk(chunk, buckets, training, own_seed)
            )
        return _unsort(tf.concat(embeddings, axis=0), order)

    def _encode_chunk(self, inputs, buckets, training, seed):
        """Embeds texts at the smallest bucket that fits them all."""
        # Looked up at full length: a lookup inside the branches would have a
        # gradient with a different number of rows in each, which XLA rejects.
        words = self.encoder.transformer.word_embeddings(
            inputs["input_word_ids"]
        )
        whole = {**inputs, WORD_EMBEDDINGS: words}
        length = inputs["input_mask"].shape[1]

        def encode_at(bucket):
            cut = {name: part[:, :bucket] for name, part in whole.items()}
            return self.encoder(cut, training=training, seed=seed)

        longest = tf.reduce_max(tf.reduce_sum(inputs["input_mask"], axis=1))
        index = tf.reduce_sum(tf.cast(longest > buckets, tf.int32))
        return tf.switch_case(
            index,
            [lambda b=bucket: encode_at(b) for bucket in [*buckets, length]],
        )

    def _rank(self, inputs, training):
        """Both directions' `Ranking` of this replica's pairs."""
        seed = None
        if training:
            seed = tf.random.experimental.stateless_fold_in(
                [self.seed, replica_id()],
                tf.cast(self.optimizer.iterations, tf.int32),
            )
        embeddings = self(inputs, training=training, seed=seed)
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
        forward, backward = self._rank(inputs, training)
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
        }

    @classmethod
    def from_config(cls, config):
        """The inverse of `get_config`."""
        encoder = tf_keras.utils.deserialize_keras_object(config["encoder"])
        loss = LossConfig(**config["loss"])
        return cls(**{**config, "encoder": encoder, "loss": loss})


def _unsort(rows: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """The inverse of `tf.gather(x, order)`, given its result: [n, dim].

    The gradient of a permutation is the inverse permutation. That of
    `tf.gather` would be sparse, with a number of rows that XLA cannot know.
    """

    @tf.custom_gradient
    def unsort(rows):
        places = tf.argsort(order, stable=True)
        return tf.gather(rows, places), lambda grad: tf.gather(grad, order)

    return unsort(rows)


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
