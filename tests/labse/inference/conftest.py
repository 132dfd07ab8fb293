"""Fixtures of the tests of inference."""

import pytest
import tensorflow as tf

# Bytes that the model below takes.
MAX_LENGTH = 8


@pytest.fixture(scope="session")
def text_export(tmp_path_factory):
    """A SavedModel as `text/` of an export, whose tokens are bytes.

    The vector of a text: how many bytes it has up to MAX_LENGTH, and 1.
    """
    root = tf.train.Checkpoint()
    root.weight = tf.Variable(1.0)
    spec = tf.TensorSpec([None], tf.string, name="text")

    @tf.function(input_signature=[spec])
    def embed(text):
        length = tf.minimum(tf.strings.length(text), MAX_LENGTH)
        vector = tf.stack(
            [
                tf.cast(length, tf.float32),
                root.weight * tf.ones_like(length, tf.float32),
            ],
            1,
        )
        return {
            "embedding": vector,
            "num_tokens": length,
            "truncated": tf.strings.length(text) > MAX_LENGTH,
        }

    @tf.function(input_signature=[spec])
    def preprocess(text):
        mask = tf.sequence_mask(tf.strings.length(text), MAX_LENGTH, tf.int32)
        return {"input_word_ids": mask, "input_mask": mask}

    folder = tmp_path_factory.mktemp("text_export") / "text"
    signatures = {"serving_default": embed, "preprocess": preprocess}
    tf.saved_model.save(root, str(folder), signatures)
    return folder
