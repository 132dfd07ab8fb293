"""Without blocks: the pieces' embeddings, averaged."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from labse.configs.schema import EncoderConfig
from labse.errors import InputError
from labse.features import MODEL_INPUTS
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.modeling.transformer_encoder import WORD_EMBEDDINGS

CONFIG = EncoderConfig(
    vocab_size=30,
    num_layers=0,
    num_heads=1,
    hidden_size=8,
    max_positions=8,
    initializer_range=0.5,
    pooling="mean_tanh",
)
IDS = np.array([[2, 7, 8, 9, 3], [2, 11, 3, 12, 13]], np.int32)
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)
TYPES = np.array([[0, 0, 0, 1, 1], [0, 1, 0, 0, 0]], np.int32)
INPUTS = dict(zip(MODEL_INPUTS, (IDS, MASK, TYPES), strict=True))


@functools.lru_cache
def make_encoder(pooling="mean_tanh", compute_dtype="float32"):
    """An encoder whose biases and layer norms are not zeros and ones."""
    tf_keras.utils.set_random_seed(0)
    config = dataclasses.replace(CONFIG, pooling=pooling)
    encoder = SentenceEncoder(config, compute_dtype)
    encoder.build()
    random = np.random.default_rng(2)
    for variable in encoder.variables:
        noise = random.normal(0, 0.2, size=variable.shape)
        variable.assign_add(noise.astype(np.float32))
    return encoder


def weights_of(encoder):
    return {v.name.removesuffix(":0"): v.numpy() for v in encoder.variables}


def embeddings_by_numpy(weights):
    """The rows of the table: float64 [2, 5, 8]."""
    return weights["word_embeddings/embeddings"][IDS].astype(np.float64)


def pooled_by_numpy(weights, pooling):
    x = embeddings_by_numpy(weights)
    # Five tokens in the first row, three in the second.
    mean = np.stack([x[0].mean(axis=0), x[1, :3].mean(axis=0)])
    if pooling == "mean":
        return mean
    kernel = weights["pooler_transform/kernel"]
    return np.tanh(mean @ kernel + weights["pooler_transform/bias"])


@pytest.mark.parametrize("pooling", ["mean", "mean_tanh"])
def test_vectors_are_those_of_numpy(pooling):
    encoder = make_encoder(pooling)
    weights = weights_of(encoder)
    pooled = pooled_by_numpy(weights, pooling)
    outputs = encoder.all_outputs(INPUTS)
    np.testing.assert_allclose(outputs["pooled_output"], pooled, atol=1e-6)
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["default"], expected, atol=1e-6)
    np.testing.assert_allclose(encoder(INPUTS), expected, atol=1e-6)
    np.testing.assert_allclose(
        outputs["sequence_output"], embeddings_by_numpy(weights), atol=2e-6
    )
    assert outputs["encoder_outputs"] == []


def test_the_two_poolings_differ():
    """The negative control: the layer after the average does count."""
    one, two = (make_encoder(p)(INPUTS).numpy() for p in ("mean", "mean_tanh"))
    assert np.abs(one - two).max() > 0.1


def test_variables_are_the_table_and_the_pooler():
    assert set(weights_of(make_encoder())) == {
        "word_embeddings/embeddings",
        "pooler_transform/kernel",
        "pooler_transform/bias",
    }


def test_order_and_types_are_not_seen():
    encoder = make_encoder("mean")
    moved = {
        **INPUTS,
        "input_word_ids": IDS[:, [0, 2, 1, 3, 4]],
        "input_type_ids": 1 - TYPES,
    }
    # The second text's third piece is [SEP]: it has moved as well.
    np.testing.assert_allclose(encoder(moved), encoder(INPUTS), atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "mean_tanh"])
def test_gradients_are_differences_of_the_numpy_form(pooling):
    encoder = make_encoder(pooling)
    direction = np.random.default_rng(5).normal(size=[2, 8])
    with tf.GradientTape() as tape:
        pooled = encoder.all_outputs(INPUTS)["pooled_output"]
        loss = tf.reduce_sum(pooled * direction.astype(np.float32))
    variables = encoder.trainable_variables
    assert len(variables) == (1 if pooling == "mean" else 3)
    gradients = tape.gradient(loss, variables)

    def value(weights):
        return np.sum(pooled_by_numpy(weights, pooling) * direction)

    random = np.random.default_rng(6)
    for variable, gradient in zip(variables, gradients, strict=True):
        name = variable.name.removesuffix(":0")
        gradient = tf.convert_to_tensor(gradient).numpy()
        step = random.normal(size=variable.shape)
        weights = {
            each: array.astype(np.float64)
            for each, array in weights_of(encoder).items()
        }
        ends = [
            value({**weights, name: weights[name] + sign * 1e-5 * step})
            for sign in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / 2e-5
        assert abs(slope) > 1e-3, name
        assert np.sum(gradient * step) == pytest.approx(slope, rel=1e-3), name


def test_padding_changes_nothing_and_dropout_something():
    encoder = make_encoder()
    expected = encoder(INPUTS).numpy()
    padded = {
        name: np.pad(ids, [(0, 0), (0, 2)], constant_values="ids" in name)
        for name, ids in INPUTS.items()
    }
    np.testing.assert_allclose(encoder(padded), expected, atol=1e-6)
    dropped = encoder(INPUTS, training=True, seed=[1, 2]).numpy()
    again = encoder(INPUTS, training=True, seed=[1, 2]).numpy()
    np.testing.assert_allclose(dropped, again, atol=1e-6)
    assert np.abs(dropped - expected).max() > 0.01


def test_without_a_table_the_words_are_given():
    encoder = make_encoder()
    twin = SentenceEncoder(encoder.config)
    twin.build(word_table=False)
    weights = weights_of(encoder)
    table = weights.pop("word_embeddings/embeddings")
    for variable in twin.variables:
        variable.assign(weights[variable.name.removesuffix(":0")])
    given = {**INPUTS, WORD_EMBEDDINGS: table[IDS]}
    np.testing.assert_allclose(twin(given), encoder(INPUTS), atol=1e-6)


def test_a_graph_for_any_length_knows_its_shapes():
    encoder = make_encoder()
    spec = tf.TensorSpec([None, None], tf.int32)
    function = tf.function(
        lambda inputs: encoder.all_outputs(inputs),
        input_signature=[dict.fromkeys(MODEL_INPUTS, spec)],
    )
    static = function.get_concrete_function().structured_outputs
    assert static["sequence_output"].shape.as_list() == [None, None, 8]
    assert static["default"].shape.as_list() == [None, 8]


def test_configuration_round_trip():
    encoder = make_encoder()
    again = SentenceEncoder.from_config(encoder.get_config())
    again.build()
    again.set_weights(encoder.get_weights())
    np.testing.assert_array_equal(again(INPUTS), encoder(INPUTS))


@pytest.mark.parametrize("pooling", ["cls", "cls_tanh"])
def test_cls_without_attention_is_refused(pooling):
    with pytest.raises(InputError) as error:
        dataclasses.replace(CONFIG, pooling=pooling)
    assert "needs encoder.pooling mean or mean_tanh" in str(error.value)
    assert "[CLS] sees no word" in str(error.value)
    assert repr(pooling) in str(error.value)
    with pytest.raises(InputError, match="at least 0. Received: -1"):
        dataclasses.replace(CONFIG, num_layers=-1)


def test_mean_tanh_works_over_blocks_as_well():
    config = dataclasses.replace(
        CONFIG, num_layers=1, num_heads=2, intermediate_size=16
    )
    tf_keras.utils.set_random_seed(0)
    encoder = SentenceEncoder(config)
    encoder.build()
    outputs = encoder.all_outputs(INPUTS)
    states = outputs["sequence_output"].numpy()
    mean = np.stack([states[0].mean(axis=0), states[1, :3].mean(axis=0)])
    kernel, bias = encoder.transformer.pooler_layer.get_weights()
    expected = np.tanh(mean @ kernel + bias)
    np.testing.assert_allclose(outputs["pooled_output"], expected, atol=1e-6)
