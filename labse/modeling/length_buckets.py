"""Texts embedded at a padding that fits their length, with static shapes."""

from collections.abc import Sequence

import tensorflow as tf

from labse.modeling.sentence_encoder import SentenceEncoder
from labse.modeling.transformer_encoder import WORD_EMBEDDINGS

Texts = dict[str, tf.Tensor]  # `MODEL_INPUTS`, int32 [rows, length].


def encode_in_buckets(
    encoder: SentenceEncoder,
    inputs: Texts,
    buckets: Sequence[int],
    *,
    chunks: int = 1,
    training=None,
    seed=None,
) -> tf.Tensor:
    """Embeds texts, sorted by length, in chunks of about equal size.

    Args:
      encoder: embeds the texts.
      inputs: the texts.
      buckets: lengths to which texts are cut, those below the inputs' own; the
        smallest that fits a chunk is used. Without any, or if the inputs'
        length is not static, nothing is cut.
      chunks: number of chunks, with buckets.
      training: whether dropout is on.
      seed: int32 [2], determines dropout's masks.

    Returns:
      float32 [rows, dim], in the order of the inputs.
    """
    rows, length = inputs["input_mask"].shape
    buckets = buckets_below(length, buckets)
    chunks = min(chunks, rows or 1)
    if not buckets or chunks == 1:
        return encode_at_bucket(encoder, inputs, buckets, training, seed)
    inputs, order = sort_by_length(inputs)
    sizes = [rows // chunks + (i < rows % chunks) for i in range(chunks)]
    parts = {name: tf.split(ids, sizes) for name, ids in inputs.items()}
    embeddings = []
    for number in range(chunks):
        # Different chunks must not draw the same dropout masks.
        own_seed = seed
        if seed is not None:
            own_seed = tf.random.experimental.stateless_fold_in(seed, number)
        chunk = {name: part[number] for name, part in parts.items()}
        embeddings.append(
            encode_at_bucket(encoder, chunk, buckets, training, own_seed)
        )
    return unsort(tf.concat(embeddings, axis=0), order)


def buckets_below(length: int | None, buckets: Sequence[int]) -> list[int]:
    """Those shorter than the length; none if that is not static."""
    return [bucket for bucket in buckets if bucket < (length or 0)]


def encode_at_bucket(
    encoder: SentenceEncoder,
    inputs: Texts,
    buckets,
    training,
    seed,
    blocks=None,
) -> tf.Tensor:
    """Embeds texts at the smallest bucket that fits them all.

    Buckets are shorter than the inputs; without any nothing is cut. `blocks` is
    `transformer.block_weights()`, if computed before.
    """
    options = {"training": training, "seed": seed, "blocks": blocks}
    if not buckets:
        return encoder(inputs, **options)
    return _encode_at_smallest(encoder, inputs, buckets, options)


def _encode_at_smallest(encoder, inputs, buckets, options) -> tf.Tensor:
    # Looked up at full length: a lookup inside the branches would have a
    # gradient with a different number of rows in each, which XLA rejects.
    words = encoder.transformer.word_embeddings(inputs["input_word_ids"])
    whole = {**inputs, WORD_EMBEDDINGS: words}
    length = inputs["input_mask"].shape[1]

    def encode_at(bucket):
        cut = {name: part[:, :bucket] for name, part in whole.items()}
        return encoder(cut, **options)

    longest = tf.reduce_max(tf.reduce_sum(inputs["input_mask"], axis=1))

    def encode_at_first_of(lengths):
        if len(lengths) == 1:
            return encode_at(lengths[0])
        # Not tf.switch_case: to compile its gradient, XLA would look for
        # constants among all that the branches keep, by evaluating them.
        return tf.cond(
            longest <= lengths[0],
            lambda: encode_at(lengths[0]),
            lambda: encode_at_first_of(lengths[1:]),
        )

    return encode_at_first_of([*buckets, length])


def sort_by_length(inputs: Texts) -> tuple[Texts, tf.Tensor]:
    """The texts, shortest first; and their places before, int32 [rows]."""
    lengths = tf.reduce_sum(inputs["input_mask"], axis=1)
    order = tf.argsort(lengths, stable=True)
    texts = {name: tf.gather(ids, order) for name, ids in inputs.items()}
    return texts, order


def unsort(rows: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """The inverse of `tf.gather(x, order)`, given its result: [n, dim].

    The gradient of a permutation is the inverse permutation. That of
    `tf.gather` would be sparse, with a number of rows that XLA cannot know.
    """

    @tf.custom_gradient
    def permute(rows):
        places = tf.argsort(order, stable=True)
        return tf.gather(rows, places), lambda grad: tf.gather(grad, order)

    return permute(rows)
