"""The gradient cache against a direct step that draws the same masks."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from labse.configs.schema import EncoderConfig
from labse.errors import InputError
from labse.features import MODEL_INPUTS
from labse.losses import additive_margin_softmax as loss_module
from labse.modeling import dual_encoder as dual_encoder_module
from labse.modeling import gradient_cache
from labse.modeling.dual_encoder import DualEncoder
from labse.modeling.sentence_encoder import SentenceEncoder

PAIRS = 8
LENGTH = 6
ENCODER = EncoderConfig(
    vocab_size=50,
    num_layers=1,
    num_heads=2,
    hidden_size=8,
    intermediate_size=16,
    max_positions=16,
    dropout=0.3,
    attention_dropout=0.3,
    # Weights large enough for embeddings that differ.
    initializer_range=0.1,
)
AVERAGING = dataclasses.replace(ENCODER, num_layers=0, pooling="mean_tanh")


def texts(random, *rows):
    lengths = random.integers(3, LENGTH + 1, size=(*rows, 1))
    mask = (np.arange(LENGTH) < lengths).astype(np.int32)
    ids = random.integers(5, 50, size=mask.shape).astype(np.int32) * mask
    return dict(zip(MODEL_INPUTS, (ids, mask, np.zeros_like(ids)), strict=True))


def batch(negatives=2):
    """Pairs 0 and 5 have the same source; one hard negative is absent."""
    random = np.random.default_rng(0)
    sides = {"source": texts(random, PAIRS), "target": texts(random, PAIRS)}
    for name in MODEL_INPUTS:
        sides["source"][name][5] = sides["source"][name][0]
    if negatives:
        sides["hard_negatives"] = texts(random, PAIRS, negatives)
        for name in MODEL_INPUTS:
            # The translation of pair 5, whose source pair 0 has too.
            sides["hard_negatives"][name][0, 0] = sides["target"][name][5]
            sides["hard_negatives"][name][3, 1] = 0
    return sides


def mirrored(replicas):
    if replicas == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def make_model(encoder=ENCODER, compute_dtype="float32", **options):
    tf_keras.utils.set_random_seed(3)
    model = DualEncoder(
        SentenceEncoder(encoder, compute_dtype), seed=4, **options
    )
    model.build()
    optimizer = tf_keras.optimizers.SGD(1.0)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer)
    return model


def step(replicas=1, data=None, jit_compile=False, **options):
    """Metrics, and gradients as the change of weights by SGD."""
    strategy = mirrored(replicas)
    with strategy.scope():
        model = make_model(**options)
    before = [w.numpy() for w in model.trainable_variables]

    def local(value):
        parts = tf.split(tf.constant(value), replicas)
        return strategy.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group]
        )

    data = tf.nest.map_structure(
        tf.constant if replicas == 1 else local, data or batch()
    )
    tf.function(
        lambda data: strategy.run(model.train_step, (data,)),
        jit_compile=jit_compile,
    )(data)
    gradients = [
        start - end.numpy()
        for start, end in zip(before, model.trainable_variables, strict=True)
    ]
    assert max(np.abs(g).max() for g in gradients) > 0.01
    metrics = [float(mean.result()) for mean in model.metrics]
    return metrics, gradients


def direct(embed, loss_function, variables, *, chunks, chunk_shape):
    """`cached_gradients` without a cache: all chunks under one tape."""
    with tf.GradientTape() as tape:
        embeddings = [embed(tf.constant(number)) for number in range(chunks)]
        loss = loss_function(tf.concat(embeddings, axis=0))
    return loss, tape.gradient(loss, variables)


@pytest.fixture
def direct_step(monkeypatch):
    """As `step`, but without the cache, whatever the options say."""

    def call(**options):
        with monkeypatch.context() as patch:
            patch.setattr(dual_encoder_module, "cached_gradients", direct)
            return step(**options)

    return call


def assert_same(one, other):
    (metrics, gradients), (expected_metrics, expected) = one, other
    np.testing.assert_allclose(metrics, expected_metrics, rtol=1e-6)
    largest = max(1.0, *(np.abs(g).max() for g in expected))
    assert largest_difference(gradients, expected) < 1e-6 * largest


def largest_difference(gradients, expected):
    return max(
        np.abs(a - b).max() for a, b in zip(gradients, expected, strict=True)
    )


@pytest.mark.parametrize("replicas, chunk", [(1, 1), (1, 2), (1, 4), (2, 2)])
def test_gradients_are_those_of_the_direct_step(direct_step, replicas, chunk):
    options = {"replicas": replicas, "gradient_cache_chunk": chunk}
    assert_same(step(**options), direct_step(**options))
