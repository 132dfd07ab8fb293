"""Sentences that share a sequence against the same ones by themselves."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from labse.configs.schema import EncoderConfig
from labse.features import INPUT_POSITIONS, MODEL_INPUTS, SENTENCE_NUMBERS
from labse.modeling.transformer_encoder import build_transformer_encoder

CONFIG = EncoderConfig(
    vocab_size=50,
    num_layers=2,
    num_heads=2,
    hidden_size=8,
    intermediate_size=16,
    max_positions=16,
    # Weights large enough for attention that is far from even.
    initializer_range=0.5,
)
# Two sequences of 12 with three and two sentences, and padding.
LENGTHS = [[4, 5, 2], [3, 6]]
LENGTH = 12


def sentences():
    """Ids and types of each."""
    random = np.random.default_rng(0)
    return [
        [
            (random.integers(5, 50, length), random.integers(0, 2, length))
            for length in lengths
        ]
        for lengths in LENGTHS
    ]


def packed():
    names = (*MODEL_INPUTS, SENTENCE_NUMBERS, INPUT_POSITIONS)
    # Padding has ids, types and positions as well, so that a leak would be
    # seen.
    rows = {name: np.full([2, LENGTH], 1, np.int32) for name in names}
    rows["input_mask"][:] = rows[SENTENCE_NUMBERS][:] = 0
    for row, parts in enumerate(sentences()):
        start = 0
        for number, (ids, types) in enumerate(parts, start=1):
            place = row, slice(start, start + len(ids))
            positions = np.arange(len(ids))
            values = (ids, 1, types, number, positions)
            for name, value in zip(names, values, strict=True):
                rows[name][place] = value
            start += len(ids)
    return {name: tf.constant(value) for name, value in rows.items()}


def unpacked():
    """Each sentence in a sequence of its own, padded to 6."""
    flat = [part for parts in sentences() for part in parts]
    rows = {name: np.zeros([len(flat), 6], np.int32) for name in MODEL_INPUTS}
    for row, (ids, types) in enumerate(flat):
        values = (ids, 1, types)
        for name, value in zip(MODEL_INPUTS, values, strict=True):
            rows[name][row, : len(ids)] = value
    return {name: tf.constant(value) for name, value in rows.items()}


@functools.lru_cache
def make_encoder(rematerialize=False, dtype="float32", dropout=0.5):
    tf_keras.utils.set_random_seed(1)
    config = dataclasses.replace(
        CONFIG, dropout=dropout, attention_dropout=dropout
    )
    encoder = build_transformer_encoder(config, dtype, rematerialize)
    encoder.build()
    return encoder


def outputs_and_gradients(inputs, **options):
    """Those of all real tokens, in order, and of a loss that weighs each."""
    encoder = make_encoder(**options)
    with tf.GradientTape() as tape:
        output = encoder(inputs)["sequence_output"]
        tokens = tf.boolean_mask(output, inputs["input_mask"] == 1)
        weights = np.random.default_rng(3).normal(size=tokens.shape)
        loss = tf.reduce_sum(tokens * weights.astype(np.float32))
    variables = encoder.trainable_variables
    gradients = {
        variable.name: tf.convert_to_tensor(gradient).numpy()
        for variable, gradient in zip(
            variables, tape.gradient(loss, variables), strict=True
        )
        if gradient is not None  # The pooler has none.
    }
    return tokens.numpy(), gradients


def test_a_packed_sentence_is_computed_as_one_by_itself():
    tokens, gradients = outputs_and_gradients(packed())
    expected, expected_gradients = outputs_and_gradients(unpacked())
    assert tokens.shape == (20, 8)
    np.testing.assert_allclose(tokens, expected, rtol=0, atol=1e-5)
    assert len(gradients) == 5 + 2 * 16
    for name, gradient in expected_gradients.items():
        # A key's bias has none, but for rounding.
        scale = max(1.0, np.abs(gradient).max())
        difference = np.abs(gradients[name] - gradient).max()
        assert difference < 1e-5 * scale, name


@pytest.mark.parametrize("missing", [SENTENCE_NUMBERS, INPUT_POSITIONS])
def test_without_either_input_it_is_not(missing):
    """The negative control of the test above."""
    inputs = packed()
    del inputs[missing]
    tokens, _ = outputs_and_gradients(inputs)
    expected, _ = outputs_and_gradients(unpacked())
    difference = np.abs(tokens - expected).max(axis=1)
    # The first sentence of a sequence keeps its positions.
    assert np.all(difference[4:11] > 1e-3)


def test_no_sentence_sees_another():
    encoder, inputs = make_encoder(), packed()
    before = encoder(inputs)["sequence_output"].numpy()
    ids = inputs["input_word_ids"].numpy()
    ids[0, 4:9] = 7  # The second sentence.
    after = encoder({**inputs, "input_word_ids": ids})["sequence_output"]
    changed = np.abs(after - before).max(axis=2) > 0
    expected = np.zeros([2, LENGTH], bool)
    expected[0, 4:9] = True
    np.testing.assert_array_equal(changed, expected)


def test_all_outputs_are_finite_padding_too():
    output = make_encoder()(packed())["sequence_output"]
    assert np.all(np.isfinite(output))


def test_with_blocks_rematerialised_and_in_bfloat16():
    inputs = packed()
    results = []
    for rematerialize in (False, True):
        encoder = make_encoder(rematerialize)
        with tf.GradientTape() as tape:
            output = encoder(inputs, training=True, seed=[1, 2])
            loss = tf.reduce_sum(output["sequence_output"][:, :5] ** 3)
        kernel = encoder.trainable_variables[5]
        results.append((loss, tape.gradient(loss, kernel)))
    np.testing.assert_allclose(*(loss for loss, _ in results), rtol=1e-5)
    np.testing.assert_allclose(*(x for _, x in results), rtol=1e-3, atol=1e-4)
    exact, _ = outputs_and_gradients(inputs)
    rounded, _ = outputs_and_gradients(inputs, dtype="mixed_bfloat16")
    assert 0 < np.abs(rounded - exact).max() < 0.15


def test_as_many_sentences_as_one_token_each_attend_to_themselves():
    """By hand: attention's softmax over one key is 1, so scores do not count.

    With the queries' and keys' weights zeroed nothing changes.
    """
    inputs = dict.fromkeys((*MODEL_INPUTS, INPUT_POSITIONS))
    inputs["input_word_ids"] = tf.constant([[7, 9, 11]])
    inputs["input_mask"] = tf.ones([1, 3], tf.int32)
    inputs["input_type_ids"] = tf.zeros([1, 3], tf.int32)
    inputs[INPUT_POSITIONS] = tf.zeros([1, 3], tf.int32)
    inputs[SENTENCE_NUMBERS] = tf.constant([[1, 2, 3]])
    encoder = make_encoder()
    expected = encoder(inputs)["sequence_output"]
    blocks = [
        weights._replace(
            query_key_value=tf.concat(
                [tf.zeros([8, 16]), weights.query_key_value[:, 16:]], axis=1
            )
        )
        for weights in encoder.block_weights()
    ]
    found = encoder(inputs, blocks=blocks)["sequence_output"]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    inputs[SENTENCE_NUMBERS] = tf.constant([[1, 1, 3]])
    together = encoder(inputs)["sequence_output"]
    assert np.abs(together - expected)[0, :2].max() > 1e-3


@pytest.mark.parametrize("of_packed", [True, False])
@pytest.mark.parametrize("rematerialize", [True, False])
def test_the_last_block_at_some_positions_only(of_packed, rematerialize):
    """The same outputs and gradients as of all tokens."""
    inputs = packed()
    if not of_packed:
        inputs = {name: inputs[name] for name in MODEL_INPUTS}
    encoder = make_encoder(rematerialize, dropout=0.0)
    positions = tf.constant([[5, 0, 5], [7, 2, 10]])  # One twice, and padding.
    weights = np.random.default_rng(3).normal(size=[2, 3, 8])
    results = []
    for output_range in (None, positions):
        with tf.GradientTape() as tape:
            # A seed turns rematerialisation on.
            output = encoder(
                inputs, training=True, seed=[1, 2], output_range=output_range
            )["sequence_output"]
            if output_range is None:
                output = tf.gather(output, positions, batch_dims=1)
            loss = tf.reduce_sum(output * weights.astype(np.float32))
        gradients = tape.gradient(loss, encoder.trainable_variables[:-2])
        results.append([output, *map(tf.convert_to_tensor, gradients)])
    assert results[1][0].shape == [2, 3, 8]
    for expected, found in zip(*results, strict=True):
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale)
