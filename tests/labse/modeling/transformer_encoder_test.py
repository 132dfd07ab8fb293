"""Against Model Garden's own encoder on the very same variables."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.nlp.modeling import networks

from labse.configs.schema import EncoderConfig
from labse.errors import InputError
from labse.features import MODEL_INPUTS
from labse.modeling.transformer_block import Dropout, layer_norm
from labse.modeling.transformer_encoder import build_transformer_encoder

CONFIG = EncoderConfig(
    vocab_size=50,
    num_layers=2,
    num_heads=2,
    hidden_size=8,
    intermediate_size=16,
    max_positions=12,
    dropout=0.5,
    attention_dropout=0.5,
    # Weights large enough for attention that is far from even.
    initializer_range=0.5,
)
LENGTHS = [6, 3, 5]


def batch(length=6):
    random = np.random.default_rng(0)
    mask = np.int32(np.arange(length) < np.array(LENGTHS)[:, None])
    # Padding has ids and types as well, so that a leak would be seen.
    ids = random.integers(5, 50, size=mask.shape).astype(np.int32)
    types = random.integers(0, 2, size=mask.shape).astype(np.int32)
    values = [tf.constant(each) for each in (ids, mask, types)]
    return dict(zip(MODEL_INPUTS, values, strict=True))


def make_encoder(activation="gelu_tanh", dtype="float32"):
    """An encoder whose biases and layer norms are not zeros and ones."""
    tf_keras.utils.set_random_seed(1)
    config = dataclasses.replace(CONFIG, activation=activation)
    encoder = build_transformer_encoder(config, dtype)
    encoder.build()
    random = np.random.default_rng(2)
    for variable in encoder.variables:
        noise = random.normal(0, 0.2, size=variable.shape)
        variable.assign_add(noise.astype(np.float32))
    return encoder


cached_encoder = functools.lru_cache(make_encoder)


def model_garden(encoder, inputs):
    return networks.BertEncoderV2.call(encoder, inputs)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_outputs_are_those_of_model_garden(activation):
    encoder, inputs = cached_encoder(activation), batch()
    ours, theirs = encoder(inputs), model_garden(encoder, inputs)
    assert ours.keys() == theirs.keys()
    kept = inputs["input_mask"].numpy() == 1
    np.testing.assert_allclose(
        ours["pooled_output"], theirs["pooled_output"], atol=1e-5
    )
    np.testing.assert_allclose(
        ours["sequence_output"].numpy()[kept],
        theirs["sequence_output"].numpy()[kept],
        atol=1e-5,
    )
    assert len(ours["encoder_outputs"]) == len(theirs["encoder_outputs"]) == 2
    for one, other in zip(
        ours["encoder_outputs"], theirs["encoder_outputs"], strict=True
    ):
        np.testing.assert_allclose(
            one.numpy()[kept], other.numpy()[kept], atol=1e-5
        )


def test_the_two_activations_differ():
    """The negative control: 1e-5 tells exact gelu from its approximation."""
    exact, tanh = (
        cached_encoder(activation)(batch())["sequence_output"].numpy()
        for activation in ("gelu", "gelu_tanh")
    )
    assert np.abs(exact - tanh).max() > 1e-4


def gradients(encoder, call):
    """Of a loss that every output takes part in, at unmasked places."""
    inputs = batch()
    random = np.random.default_rng(4)
    shape = [3, 6, CONFIG.hidden_size]
    weights = random.normal(size=[2, *shape]).astype(np.float32)
    weights *= inputs["input_mask"].numpy()[:, :, None]
    pooled_weights = random.normal(size=[3, 8]).astype(np.float32)
    with tf.GradientTape() as tape:
        outputs = call(inputs)
        loss = tf.reduce_sum(outputs["pooled_output"] * pooled_weights)
        for each, weight in zip(
            outputs["encoder_outputs"], weights, strict=True
        ):
            loss += tf.reduce_sum(each * weight)
    variables = encoder.trainable_variables
    return {
        variable.name: tf.convert_to_tensor(gradient).numpy()
        for variable, gradient in zip(
            variables, tape.gradient(loss, variables), strict=True
        )
    }


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_gradients_are_those_of_model_garden(activation):
    encoder = cached_encoder(activation)
    ours = gradients(encoder, encoder)
    theirs = gradients(encoder, lambda inputs: model_garden(encoder, inputs))
    assert len(ours) == len(encoder.trainable_variables) == 5 + 2 * 16 + 2
    largest = max(np.abs(each).max() for each in theirs.values())
    for name, gradient in theirs.items():
        # A key's bias moves all of a query's scores alike, so its gradient is
        # zero but for rounding.
        scale = np.abs(gradient).max()
        if "key/bias" in name:
            assert scale < 1e-5 * largest
            scale = largest
        assert scale > 1e-3, name
        difference = np.abs(ours[name] - gradient).max()
        assert difference < 1e-5 * scale, name


def test_variables_have_the_names_of_the_published_model():
    """Converters of google/LaBSE/2 look for these names."""
    block = [
        "self_attention/query/kernel",
        "self_attention/query/bias",
        "self_attention/key/kernel",
        "self_attention/key/bias",
        "self_attention/value/kernel",
        "self_attention/value/bias",
        "self_attention/attention_output/kernel",
        "self_attention/attention_output/bias",
        "self_attention_layer_norm/gamma",
        "self_attention_layer_norm/beta",
        "intermediate/kernel",
        "intermediate/bias",
        "output/kernel",
        "output/bias",
        "output_layer_norm/gamma",
        "output_layer_norm/beta",
    ]
    expected = {
        "word_embeddings/embeddings:0",
        "position_embedding/embeddings:0",
        "type_embeddings/embeddings:0",
        "embeddings/layer_norm/gamma:0",
        "embeddings/layer_norm/beta:0",
        "pooler_transform/kernel:0",
        "pooler_transform/bias:0",
        *(f"transformer/layer_{i}/{n}:0" for i in (0, 1) for n in block),
    }
    variables = {v.name: v for v in cached_encoder().variables}
    assert set(variables) == expected
    kernel = variables["transformer/layer_0/self_attention/query/kernel:0"]
    assert kernel.shape == (8, 2, 4)  # [hidden, heads, hidden / heads]


def test_mixed_bfloat16_keeps_float32_variables_and_outputs():
    exact = cached_encoder()(batch())["sequence_output"].numpy()
    encoder = make_encoder(dtype="mixed_bfloat16")
    encoder.set_weights(cached_encoder().get_weights())
    assert {v.dtype for v in encoder.variables} == {tf.float32}
    assert {w.query_key_value.dtype for w in encoder.block_weights()} == {
        tf.bfloat16
    }
    outputs = encoder(batch())
    assert outputs["sequence_output"].dtype == tf.float32
    assert outputs["pooled_output"].dtype == tf.float32
    kept = batch()["input_mask"].numpy() == 1
    difference = (outputs["sequence_output"].numpy() - exact)[kept]
    # bfloat16 has 8 bits: each of the matmuls in a row is off by up to
    # 2^-8; the outputs of a layer norm are about 1.
    assert 0 < np.abs(difference).max() < 0.15
    assert np.sqrt(np.mean(difference**2)) < 0.03


def test_block_weights_made_before_change_nothing():
    encoder = cached_encoder()
    given = encoder(batch(), blocks=encoder.block_weights())
    np.testing.assert_allclose(
        given["sequence_output"],
        encoder(batch())["sequence_output"],
        atol=1e-6,
    )
    zeros = tf.nest.map_structure(tf.zeros_like, encoder.block_weights())
    other = encoder(batch(), blocks=zeros)["sequence_output"]
    np.testing.assert_array_equal(other, tf.zeros_like(other))


def test_without_training_nothing_is_dropped():
    encoder = cached_encoder()
    expected = encoder(batch())["pooled_output"]
    for training in (None, False):
        again = encoder(batch(), training=training, seed=[1, 2])
        np.testing.assert_allclose(again["pooled_output"], expected, atol=1e-6)


def test_masks_follow_from_the_seed():
    encoder = cached_encoder()

    def pooled(seed):
        outputs = encoder(batch(), training=True, seed=seed)
        return outputs["pooled_output"].numpy()

    first = pooled([1, 2])
    np.testing.assert_allclose(pooled([1, 2]), first, atol=1e-6)
    assert np.abs(pooled([1, 3]) - first).max() > 1e-3
    assert np.abs(pooled(None) - pooled(None)).max() > 1e-3
    plain = encoder(batch())["pooled_output"].numpy()
    assert np.abs(plain - first).max() > 1e-3


def test_dropout_keeps_its_share_and_the_mean():
    dropout = Dropout(tf.constant([3, 4]))
    first = dropout(tf.ones([100_000]), 0.2).numpy()
    # A kept number is divided by the share that is kept.
    np.testing.assert_allclose(np.unique(first), [0, 1.25])
    # Standard deviation sqrt(0.2 * 0.8 / 100,000) = 0.0013.
    assert np.mean(first > 0) == pytest.approx(0.8, abs=0.006)
    second = dropout(tf.ones([100_000]), 0.2).numpy()
    # Independent sites agree at 0.8^2 + 0.2^2 of the places.
    assert np.mean(first == second) == pytest.approx(0.68, abs=0.008)
    x = tf.ones([4])
    assert dropout(x, 0.0) is x
    assert Dropout(None)(x, 0.5) is x


def test_padding_and_neighbours_change_nothing():
    encoder, inputs = cached_encoder(), batch()
    together = encoder(inputs)["sequence_output"].numpy()
    padding = {
        name: np.pad(
            ids, [(0, 0), (0, 4)], constant_values=int("mask" not in name)
        )
        for name, ids in inputs.items()
    }
    padded = encoder(padding)["sequence_output"].numpy()
    for row, length in enumerate(LENGTHS):
        alone = encoder({n: i[row : row + 1] for n, i in inputs.items()})
        expected = alone["sequence_output"][0, :length]
        for other in (together, padded):
            np.testing.assert_allclose(other[row, :length], expected, atol=2e-6)
    # The control: an unmasked place more does count.
    longer = {**inputs, "input_mask": tf.ones_like(inputs["input_mask"])}
    changed = encoder(longer)["sequence_output"].numpy()
    assert np.abs(changed[1, :3] - together[1, :3]).max() > 0.01


def test_position_and_type_count():
    encoder, inputs = cached_encoder(), batch()
    plain = encoder(inputs)["sequence_output"].numpy()
    types = {**inputs, "input_type_ids": 1 - inputs["input_type_ids"]}
    assert np.abs(encoder(types)["sequence_output"] - plain).max() > 0.01
    same = {**inputs, "input_word_ids": tf.fill([3, 6], 7)}
    same["input_type_ids"] = tf.zeros([3, 6], tf.int32)
    by_place = encoder(same)["sequence_output"].numpy()[0]
    assert np.abs(by_place[0] - by_place[1]).max() > 0.01


def test_as_many_tokens_as_there_are_positions():
    encoder = cached_encoder()
    ids = tf.ones([1, CONFIG.max_positions], tf.int32)
    inputs = dict.fromkeys(MODEL_INPUTS, ids)
    ours, theirs = encoder(inputs), model_garden(encoder, inputs)
    np.testing.assert_allclose(
        ours["sequence_output"], theirs["sequence_output"], atol=1e-5
    )


def test_more_tokens_than_positions_are_refused():
    ids = tf.ones([1, CONFIG.max_positions + 1], tf.int32)
    with pytest.raises(InputError) as error:
        cached_encoder()(dict.fromkeys(MODEL_INPUTS, ids))
    assert "The encoder has 12 positions" in str(error.value)
    assert "Received inputs of length 13." in str(error.value)


def test_a_graph_for_any_length_gives_the_same():
    encoder, inputs = cached_encoder(), batch()
    spec = tf.TensorSpec([None, None], tf.int32)
    function = tf.function(
        lambda inputs: encoder(inputs),
        input_signature=[dict.fromkeys(MODEL_INPUTS, spec)],
    )
    outputs = function(inputs)
    np.testing.assert_allclose(
        outputs["sequence_output"],
        encoder(inputs)["sequence_output"],
        atol=1e-6,
    )
    static = function.get_concrete_function().structured_outputs
    assert static["sequence_output"].shape.as_list() == [None, None, 8]
    assert static["pooled_output"].shape.as_list() == [None, 8]


def test_layer_norm_by_hand():
    # Mean 2, variance (4 + 0 + 4) / 3.
    x = tf.constant([[0.0, 2.0, 4.0]])
    result = layer_norm(x, tf.constant([1.0, 1.0, 2.0]), tf.constant([0.5] * 3))
    deviation = 2 / np.sqrt(8 / 3)
    expected = [[0.5 - deviation, 0.5, 0.5 + 2 * deviation]]
    np.testing.assert_allclose(result, expected, rtol=1e-6)
