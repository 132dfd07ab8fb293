"""Logical devices of the CPU stand for the cores of a TPU."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from labse.checkpoints import run_folder, stored_model
from labse.inference.encoder_model import EncoderModel
from labse.inference.replicated_encoder import ReplicatedEncoder
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.preprocessing.tokenizer import WordPieceTokenizer

TEXTS = ["hello", "", "hello world " * 3, "a b c d e f g h i j", "日本 " * 90]


@pytest.fixture(scope="module")
def parts(small_run):
    """The small run's encoder on two devices; its tokenizer; the strategy."""
    model = run_folder.open_run(str(small_run))
    strategy = tf.distribute.MirroredStrategy(["CPU:1", "CPU:2"])
    with strategy.scope():
        encoder = SentenceEncoder(model.config.encoder)
        encoder.build()
        stored_model.assign_weights(encoder, model)
    tokenizer = WordPieceTokenizer.from_config(
        model.vocabulary, model.config.tokenizer
    )
    return encoder, tokenizer, strategy


@pytest.fixture(scope="module")
def replicated(parts):
    encoder, tokenizer, strategy = parts
    return ReplicatedEncoder(encoder, tokenizer, 64, strategy)


def plain(parts):
    return EncoderModel(parts[0], parts[1], 64)


@pytest.mark.parametrize("texts", [TEXTS, TEXTS * 60, ["hello"], []])
def test_vectors_are_those_of_one_device(parts, replicated, texts):
    """300 texts do not divide by two replicas of 64 rows."""
    vectors = replicated.encode(texts, on_truncation="ignore")
    expected = plain(parts).encode(texts, on_truncation="ignore")
    assert vectors.shape == (len(texts), 32)
    np.testing.assert_allclose(vectors, expected, atol=2e-6)


def test_every_device_computes_in_few_shapes(replicated, monkeypatch):
    shapes, devices = [], collections.Counter()
    embed = replicated._embed_inputs

    def recorded(inputs):
        graph = embed.get_concrete_function(inputs).graph
        devices.update(
            operation.device[-5:]
            for operation in graph.get_operations()
            if "MatMul" in operation.type
        )
        ids = inputs["input_word_ids"].values
        shapes.extend(tuple(each.shape) for each in ids)
        return embed(inputs)

    monkeypatch.setattr(replicated, "_embed_inputs", recorded)
    for words in (1, 6, 7, 14, 15, 30, 31, 62, 99):  # [CLS], [SEP] as well.
        replicated.encode(["a " * words], on_truncation="ignore")
    lengths = [8, 8, 16, 16, 32, 32, 64, 64, 64]
    assert shapes == [(64, length) for length in lengths for _ in range(2)]
    assert set(devices) == {"CPU:1", "CPU:2"}
    assert devices["CPU:1"] == devices["CPU:2"]
    # A graph for each shape, whatever else was encoded before.
    assert embed.experimental_get_tracing_count() == 4


def test_it_follows_the_training(parts, replicated):
    before = replicated.encode(["hello world"])
    weight = parts[0].transformer.trainable_variables[-1]
    weight.assign(weight + 0.5)
    after = replicated.encode(["hello world"])
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(
        after, plain(parts).encode(["hello world"]), atol=2e-6
    )
