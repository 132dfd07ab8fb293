"""A server calls a loaded model with every batch size, for years."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras
from tensorflow.python.framework import func_graph

from export import golden

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
SIZES = range(1, 13)


@pytest.fixture
def count_traces(monkeypatch):
    """A function that counts the graphs that a call with each size makes."""
    made = []
    trace = func_graph.func_graph_from_py_func

    def counted(*arguments, **kwargs):
        made.append(arguments)
        return trace(*arguments, **kwargs)

    monkeypatch.setattr(func_graph, "func_graph_from_py_func", counted)

    def count(call) -> int:
        made.clear()
        for size in SIZES:
            call(size)
        return len(made)

    return count


@pytest.fixture(scope="module")
def rows(exported):
    return golden.read_golden(exported)


def model_inputs(batch: int, length: int, dtype=tf.int32) -> dict:
    ids = tf.fill([batch, length], tf.constant(7, dtype))
    return dict(
        zip(INPUTS, (ids, tf.ones_like(ids), tf.zeros_like(ids)), strict=True)
    )


KINDS = {
    "dict": lambda given: given,
    "without types": lambda given: {name: given[name] for name in INPUTS[:2]},
    "list": lambda given: [given[name] for name in INPUTS],
    "tuple": lambda given: tuple(given[name] for name in INPUTS),
    "arrays": lambda given: {name: x.numpy() for name, x in given.items()},
}


def test_text_is_traced_once(exported, rows, count_traces):
    model = hub.load(str(exported / "text"))

    def call(size):
        model(tf.constant(rows.texts[:size]))
        model(rows.texts[:size])
        model(np.array(rows.texts[:size]))
        model(tf.constant(rows.texts[:size]), training=True)
        model(rows.texts[:size], training=tf.constant(False))

    assert count_traces(call) == 1
    assert model.__call__.experimental_get_tracing_count() == 1
    np.testing.assert_allclose(
        model(rows.texts[:5]), rows.embeddings[:5], atol=1e-5
    )
    assert model([]).shape == (0, 16)


@pytest.mark.parametrize("trainable", [False, True])
def test_text_in_a_layer_is_traced_once(
    exported, rows, count_traces, trainable
):
    layer = hub.KerasLayer(str(exported / "text"), trainable=trainable)

    def call(size):
        texts = tf.constant(rows.texts[:size])
        layer(texts)
        layer(texts, training=False)
        layer(texts, training=True)
        layer(rows.texts[:size])

    assert count_traces(call) == 1
    texts = tf.constant(rows.texts[:7])
    still = layer(texts, training=False)
    np.testing.assert_allclose(still, rows.embeddings[:7], atol=1e-5)
    first, second = (layer(texts, training=True).numpy() for _ in range(2))
    # Dropout: where the layer learns, another one in every call.
    assert (np.abs(first - second).max() > 1e-3) == trainable
    assert (np.abs(first - still).max() > 1e-3) == trainable


def test_text_learns_through_its_one_trace(exported, rows, count_traces):
    layer = hub.KerasLayer(
        str(exported / "text"), trainable=True, input_shape=[], dtype=tf.string
    )
    model = tf_keras.Sequential([layer])
    model.compile(tf_keras.optimizers.legacy.SGD(0.1), "mse")

    def step(size):
        with tf.GradientTape() as tape:
            vectors = layer(tf.constant(rows.texts[:size]), training=True)
            loss = tf.reduce_sum(vectors[:, 0])
        gradients = tape.gradient(loss, layer.trainable_variables)
        assert all(gradient is not None for gradient in gradients)

    step(3)
    step(4)
    assert count_traces(step) == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [tf.int32, tf.int64])
def test_encode_is_traced_for_two_shapes_at_most(
    exported, count_traces, kind, dtype
):
    model = hub.load(str(exported / "encode"))
    convert = KINDS[kind]
    # The second size is generalised from the first.
    assert (
        count_traces(lambda n: model(convert(model_inputs(n, 9, dtype)))) == 2
    )
    # Neither other lengths ask for a new one, but the first,
    assert (
        count_traces(lambda n: model(convert(model_inputs(3, n + 1, dtype))))
        <= 1
    )
    # nor both together.
    both = count_traces(
        lambda n: model(convert(model_inputs(n, 30 - n, dtype)))
    )
    assert both == 0


@pytest.mark.parametrize("trainable", [False, True])
def test_encode_in_a_layer(exported, count_traces, trainable):
    layer = hub.KerasLayer(str(exported / "encode"), trainable=trainable)

    def call(size):
        for training in (None, False, True):
            layer(model_inputs(size, size + 2), training=training)

    # Two shapes, with and without dropout.
    assert count_traces(call) == (4 if trainable else 2)
    assert count_traces(call) == 0
    first, second = (
        layer(model_inputs(4, 9), training=True)["default"].numpy()
        for _ in range(2)
    )
    assert (np.abs(first - second).max() > 1e-3) == trainable


def test_preprocessor(exported, rows, count_traces):
    model = hub.load(str(exported / "preprocess"))

    def call(size):
        model(tf.constant(rows.texts[:size]))
        model(rows.texts[:size])
        model.tokenize(rows.texts[:size])

    assert count_traces(call) == 2

    def pack(size):
        words = model.tokenize(tf.constant(rows.texts[:size]))
        model.bert_pack_inputs([words], seq_length=tf.constant(size + 5))
        model.bert_pack_inputs([words, words])
        model.bert_pack_inputs(words, seq_length=20)

    # Three kinds of calls, each for two shapes.
    assert count_traces(pack) == 6
    assert count_traces(pack) == 0


def test_loaded_again_after_saving(exported, rows, tmp_path, count_traces):
    """A model around the layer keeps its own signature and is right."""
    texts = tf_keras.Input([], dtype=tf.string)
    vectors = hub.KerasLayer(str(exported / "text"), trainable=True)(texts)
    tf_keras.Model(texts, vectors).save(tmp_path / "model")
    model = tf_keras.models.load_model(
        tmp_path / "model", custom_objects={"KerasLayer": hub.KerasLayer}
    )
    np.testing.assert_allclose(
        model(tf.constant(rows.texts[:4])), rows.embeddings[:4], atol=1e-5
    )
