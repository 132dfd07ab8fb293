import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from labse.configs.schema import EncoderConfig
from labse.features import MODEL_INPUTS
from labse.modeling.sentence_encoder import SentenceEncoder

CONFIG = EncoderConfig(
    vocab_size=30,
    num_layers=1,
    num_heads=2,
    hidden_size=8,
    intermediate_size=16,
    max_positions=8,
    initializer_range=0.5,
)
IDS = np.array([[2, 7, 8, 9, 3], [2, 11, 3, 0, 0]], np.int32)
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)
INPUTS = dict(zip(MODEL_INPUTS, (IDS, MASK, np.zeros_like(IDS)), strict=True))


@functools.lru_cache
def make_encoder(pooling, compute_dtype="float32"):
    tf_keras.utils.set_random_seed(0)
    encoder = SentenceEncoder(
        dataclasses.replace(CONFIG, pooling=pooling), compute_dtype
    )
    encoder.build()
    return encoder


def pooled_by_numpy(pooling, encoder, sequence):
    """The pooled rows, from the last block's output."""
    if pooling == "mean":
        # Five tokens in the first row, three in the second.
        return np.stack([sequence[0].mean(axis=0), sequence[1, :3].mean(0)])
    if pooling == "cls":
        return sequence[:, 0]
    kernel, bias = encoder.transformer.pooler_layer.get_weights()
    return np.tanh(sequence[:, 0] @ kernel + bias)


@pytest.mark.parametrize("pooling", ["cls", "cls_tanh", "mean"])
def test_poolings_are_those_of_numpy(pooling):
    encoder = make_encoder(pooling)
    outputs = encoder.all_outputs(INPUTS)
    sequence = outputs["sequence_output"].numpy()
    pooled = pooled_by_numpy(pooling, encoder, sequence)
    np.testing.assert_allclose(outputs["pooled_output"], pooled, atol=1e-6)
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["default"], expected, atol=1e-6)
    embeddings = encoder(INPUTS)
    np.testing.assert_allclose(embeddings, outputs["default"], atol=1e-6)
    assert embeddings.dtype == tf.float32
    np.testing.assert_allclose(
        np.linalg.norm(embeddings, axis=1), [1, 1], rtol=1e-6
    )
    # The control of unit length: before, it is another.
    assert np.abs(np.linalg.norm(pooled, axis=1) - 1).min() > 0.01


def test_the_three_poolings_differ():
    one, two, three = (
        make_encoder(pooling)(INPUTS).numpy()
        for pooling in ("cls", "cls_tanh", "mean")
    )
    for a, b in ((one, two), (two, three), (one, three)):
        assert np.abs(a - b).max() > 0.01


def test_the_mean_of_no_token_is_no_nan():
    empty = {name: np.zeros([1, 4], np.int32) for name in MODEL_INPUTS}
    assert np.all(np.isfinite(make_encoder("mean")(empty)))


@pytest.mark.parametrize("pooling", ["cls", "cls_tanh", "mean"])
def test_the_pooler_learns_only_where_it_is_asked(pooling):
    encoder = make_encoder(pooling)
    trainable = {variable.name for variable in encoder.trainable_variables}
    pooler = {"pooler_transform/kernel:0", "pooler_transform/bias:0"}
    expected = pooler if pooling == "cls_tanh" else set()
    assert trainable & pooler == expected
    # It is in the checkpoint all the same.
    assert pooler <= {variable.name for variable in encoder.variables}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder(INPUTS)[:, 0])
    gradients = tape.gradient(loss, encoder.trainable_variables)
    assert all(gradient is not None for gradient in gradients)


def test_training_and_seed_reach_dropout():
    encoder = make_encoder("cls")
    plain = encoder(INPUTS).numpy()
    dropped = encoder(INPUTS, training=True, seed=[1, 1]).numpy()
    assert np.abs(plain - dropped).max() > 0.01
    again = encoder(INPUTS, training=True, seed=[1, 1])
    np.testing.assert_allclose(again, dropped, atol=1e-6)


def test_other_inputs_in_the_dict_are_left_alone():
    more = {**INPUTS, "language": np.zeros([2], np.int32)}
    encoder = make_encoder("cls")
    np.testing.assert_allclose(encoder(more), encoder(INPUTS), atol=1e-6)


def test_mixed_bfloat16_gives_float32_of_unit_length():
    encoder = make_encoder("cls_tanh", "mixed_bfloat16")
    exact_encoder = make_encoder("cls_tanh")
    encoder.set_weights(exact_encoder.get_weights())
    exact = exact_encoder(INPUTS).numpy()
    embeddings = encoder(INPUTS)
    assert embeddings.dtype == tf.float32
    np.testing.assert_allclose(
        np.linalg.norm(embeddings, axis=1), [1, 1], rtol=1e-6
    )
    cosines = np.sum(embeddings.numpy() * exact, axis=1)
    assert np.all(cosines > 0.999)
    assert np.any(embeddings.numpy() != exact)
    assert {variable.dtype for variable in encoder.variables} == {tf.float32}


def test_configuration_round_trip():
    encoder = make_encoder("mean", "mixed_bfloat16")
    saved = tf_keras.utils.serialize_keras_object(encoder)
    again = tf_keras.utils.deserialize_keras_object(saved)
    assert isinstance(again, SentenceEncoder)
    assert again.get_config() == encoder.get_config()
    assert again.config == encoder.config
    assert again.config.pooling == "mean"
    assert again.transformer.dtype_policy.name == "mixed_bfloat16"
    old = encoder.get_config()
    old["precision"] = old.pop("compute_dtype")
    before = SentenceEncoder.from_config(old)
    assert before.get_config() == encoder.get_config()
    again.build()
    again.set_weights(encoder.get_weights())
    # A bfloat16 number that falls to the other side is off by 2^-8.
    np.testing.assert_allclose(again(INPUTS), encoder(INPUTS), atol=0.02)
