"""An export inside Keras models."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras

from export import layout
from export.checks.outcome import Difference
from export.checks.subject import INPUTS, TOLERANCE, Subject, largest
from export.checks.vector_checks import drops_out

_BATCH = 7


def sequential(subject: Subject) -> str:
    """Strings to vectors in a Sequential model."""
    layer = hub.KerasLayer(
        subject.path(layout.TEXT), input_shape=[], dtype=tf.string
    )
    model = tf_keras.Sequential([layer])
    differences = [
        subject.compare(model(subject.texts(rows)), rows)
        for rows in subject.batches(_BATCH)
    ]
    rows = subject.sample()
    predicted = model.predict(subject.texts(rows), batch_size=_BATCH, verbose=0)
    return largest(*differences, subject.compare(predicted, rows))


def functional(subject: Subject) -> str:
    """The preprocessor before the encoder, called in every way."""
    texts = tf_keras.Input([], dtype=tf.string)
    encode = hub.KerasLayer(subject.model(layout.ENCODE))
    inputs = hub.KerasLayer(subject.model(layout.PREPROCESS))(texts)
    outputs = encode(inputs)["default"]
    if outputs.shape[1:] != subject.golden.embeddings.shape[1:]:
        raise Difference(f"static shape {outputs.shape}: the size is unknown")
    model = tf_keras.Model(texts, outputs)
    rows = subject.sample()
    # A layer that is not trainable has no dropout, in training or not.
    trained = model(subject.texts(rows), training=True)
    differences = [
        subject.compare(model(subject.texts(rows)), rows),
        subject.compare(trained, rows),
    ]
    three = [tf_keras.Input([None], dtype=tf.int32, name=n) for n in INPUTS]
    embedding, _ = encode(three)
    version_1 = tf_keras.Model(three, embedding)
    given = subject.inputs(rows)
    listed = version_1([given[name] for name in INPUTS])
    differences.append(subject.compare(listed, rows))
    return largest(*differences)


def fine_tuning(subject: Subject) -> str:
    """A training step changes the weights, with dropout."""
    rows = subject.batches(_BATCH)[0]
    texts = tf_keras.Input([], dtype=tf.string)
    inputs = hub.KerasLayer(subject.model(layout.PREPROCESS))(texts)
    # A copy of its own: the other checks need the original weights.
    encode = hub.KerasLayer(subject.path(layout.ENCODE), trainable=True)
    embedding = encode(inputs)["default"]
    classes = tf_keras.layers.Dense(2)(embedding)
    model = tf_keras.Model(texts, classes)
    embedder = tf_keras.Model(texts, embedding)
    before = subject.compare(embedder(subject.texts(rows)), rows)
    _check_dropout(subject, embedder(subject.texts(rows), training=True), rows)
    old = [variable.numpy() for variable in encode.trainable_weights]
    model.compile(
        tf_keras.optimizers.legacy.SGD(0.1),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    labels = tf.constant([row % 2 for row in rows])
    loss = model.train_on_batch(subject.texts(rows), labels)
    if not np.isfinite(loss):
        raise Difference(f"the loss is {loss}")
    unchanged = [
        variable.name
        for variable, value in zip(encode.trainable_weights, old, strict=True)
        # A bias of the keys adds the same number to every score of a query,
        # which softmax cancels.
        if np.array_equal(variable.numpy(), value)
        and "/key/bias" not in variable.name
    ]
    if unchanged:
        raise Difference(f"a training step does not change {unchanged}")
    return f"{len(old)} variables trained; before that {largest(before)}"


def _check_dropout(subject: Subject, trained, rows) -> None:
    """Raises if a trainable layer has no dropout with training=True."""
    shape = subject.config["encoder"]
    difference = np.abs(trained - subject.golden.embeddings[rows]).max()
    if drops_out(shape) and difference <= TOLERANCE:
        raise Difference("a trainable layer has no dropout in training")


def keras_3(subject: Subject) -> str:
    """Keras 3 loads `text` by its signature and `encode` by `__call__`."""
    rows = subject.sample()
    text = keras.layers.TFSMLayer(
        subject.path(layout.TEXT), call_endpoint="serving_default"
    )
    model = keras.Sequential([keras.Input([], dtype="string"), text])
    found = model(subject.texts(rows))["embedding"]
    differences = [subject.compare(found, rows)]
    del text, model
    encode = keras.layers.TFSMLayer(
        subject.path(layout.ENCODE), call_endpoint="__call__"
    )
    found = encode(subject.inputs(rows))["default"]
    return largest(*differences, subject.compare(found, rows))
