"""The vectors of an export that is loaded by TF Hub."""

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

from export import layout
from export.checks.outcome import Difference
from export.checks.subject import (
    INPUTS,
    PADDED_LENGTHS,
    TOLERANCE,
    Subject,
    differences,
    largest,
)

_BATCH = 7


def text(subject: Subject) -> str:
    """Strings to vectors, whatever the batch."""
    model = subject.model(layout.TEXT)
    found = [
        subject.compare(model(subject.texts(rows)), rows)
        for size in (1, _BATCH, len(subject.golden.texts))
        for rows in subject.batches(size)
    ]
    empty = model(tf.constant([], tf.string))
    if empty.shape != (0, subject.golden.embeddings.shape[1]):
        raise Difference(f"an empty batch gives shape {empty.shape}")
    return largest(*found)


def preprocess_encode(subject: Subject) -> str:
    """One model after the other, as for google/LaBSE/2."""
    preprocess = subject.model(layout.PREPROCESS)
    encode = subject.model(layout.ENCODE)
    rows = subject.sample()
    outputs = encode(preprocess(subject.texts(rows)))
    return largest(subject.compare(outputs["default"], rows))


def padding(subject: Subject) -> str:
    """Padding and the rest of the batch change nothing."""
    # One trace for all shapes, where a loaded function makes one for each.
    spec = tf.TensorSpec([None, None], tf.int32)
    encode = tf.function(
        subject.model(layout.ENCODE).__call__,
        input_signature=[dict.fromkeys(INPUTS, spec)],
        autograph=False,
    )
    found = [
        subject.compare(encode(subject.inputs(rows))["default"], rows)
        for size in (1, _BATCH)
        for rows in subject.batches(size)
    ]
    limit = subject.config["encoder"]["max_positions"]
    for length in PADDED_LENGTHS:
        rows = [
            row
            for row in subject.sample()
            if len(subject.golden.ids[row]) <= length <= limit
        ]
        for size in (1, _BATCH, max(1, len(rows))):
            for start in range(0, len(rows), size):
                batch = rows[start : start + size]
                outputs = encode(subject.inputs(batch, length))
                found.append(subject.compare(outputs["default"], batch))
    return largest(*found)


def server_padding(subject: Subject) -> str:
    """Rows that a server padded have the same vectors as without padding.

    It pads with each input's first element, as TensorFlow Serving does, or with
    zeros and a mask of ones.
    """
    rows = subject.batches(_BATCH)[0]
    given = subject.inputs(rows)
    is_padding = given["input_mask"] == 0
    found = []
    for fills in (
        [value[0, 0] for value in given.values()],
        [given["input_word_ids"][0, 0] * 0, 1, 0],
    ):
        filled = {
            name: tf.where(is_padding, fill, value)
            for (name, value), fill in zip(given.items(), fills, strict=True)
        }
        encode = subject.model(layout.TEXT).signatures[layout.ENCODE]
        outputs = subject.model(layout.ENCODE)(filled)
        for vectors in (outputs["default"], encode(**filled)["embedding"]):
            found.append(subject.compare(vectors, rows))
    return largest(*found)


def traces(subject: Subject) -> str:
    """A loaded model is not traced again for each size."""
    text, encode = (hub.load(subject.path(m)) for m in layout.MODELS[::2])
    for size in range(1, _BATCH + 1):
        rows = subject.batches(size)[size]
        text(subject.texts(rows))
        text(subject.texts(rows), training=True)
        encode(subject.inputs(rows))
    counts = [
        m.__call__.experimental_get_tracing_count() for m in (text, encode)
    ]
    # `encode` is traced once, then with any number of rows, then any length.
    for name, count, most in zip(
        layout.MODELS[::2], counts, (1, 3), strict=True
    ):
        if count > most:
            raise Difference(
                f"{name}/ was traced {count} times for {_BATCH} sizes, more "
                f"than {most}: every new size would add a trace"
            )
    return f"{_BATCH} sizes, traced {counts[0]} and {counts[1]} times"


def inputs(subject: Subject) -> str:
    """Version 1's list, int64, and no type ids give the same vectors."""
    encode = subject.model(layout.ENCODE)
    rows = subject.batches(_BATCH)[0]
    given = subject.inputs(rows)
    wide = {name: tf.cast(value, tf.int64) for name, value in given.items()}
    untyped = {name: given[name] for name in INPUTS[:2]}
    listed = encode([given[name] for name in INPUTS])
    wide_listed = encode([wide[name] for name in INPUTS])
    found = [
        subject.compare(encode(wide)["default"], rows),
        subject.compare(encode(untyped)["default"], rows),
        subject.compare(listed[0], rows),
        subject.compare(wide_listed[0], rows),
    ]
    states = encode(given)["sequence_output"]
    found.append(float(differences(listed[1], states).max()))
    if found[-1] > TOLERANCE:
        raise Difference("the list's second output is not sequence_output")
    return largest(*found)


def outputs(subject: Subject) -> str:
    """Each output is as TF Hub's API defines it."""
    encode = subject.model(layout.ENCODE)
    rows = subject.batches(_BATCH)[0]
    given = subject.inputs(rows)
    returned = encode(given)
    keys = {"default", "pooled_output", "sequence_output", "encoder_outputs"}
    if set(returned) != keys:
        raise Difference(f"keys {sorted(returned)}, expected {sorted(keys)}")
    found = [
        subject.compare(returned["default"], rows),
        subject.compare(returned["pooled_output"], rows, "pooled_output"),
    ]
    lengths = np.linalg.norm(returned["default"], axis=1)
    found.append(float(np.abs(lengths - 1).max()))
    if found[-1] > TOLERANCE:
        raise Difference(f"default has length {lengths.max()}, not 1")
    blocks = returned["encoder_outputs"]
    if len(blocks) != subject.config["encoder"]["num_layers"]:
        raise Difference(f"{len(blocks)} encoder_outputs, not one a block")
    if blocks and not np.array_equal(blocks[-1], returned["sequence_output"]):
        raise Difference("the last encoder_output is not sequence_output")
    return largest(*found)


def drops_out(encoder: dict) -> bool:
    """Whether an encoder of this configuration has dropout."""
    in_attention = encoder["num_layers"] and encoder["attention_dropout"]
    return bool(encoder["dropout"] or in_attention)


def dropout(subject: Subject) -> str:
    """Only with training=True, and then different in every call."""
    shape = subject.config["encoder"]
    rows = subject.batches(_BATCH)[0]
    for name, given in (
        (layout.TEXT, subject.texts(rows)),
        (layout.ENCODE, subject.inputs(rows)),
    ):
        model = subject.model(name)

        def embed(training, model=model, given=given):
            result = model(given, training=training)
            return result["default"] if isinstance(result, dict) else result

        off = subject.compare(embed(False), rows)
        first, second = embed(True).numpy(), embed(True).numpy()
        if not drops_out(shape):
            if not np.array_equal(first, second):
                raise Difference(f"{name}/ has dropout, the run does not")
        elif np.abs(first - second).max() <= TOLERANCE:
            raise Difference(f"{name}/: training=True gives no dropout")
        elif np.abs(first - embed(False)).max() <= TOLERANCE:
            raise Difference(f"{name}/: training=True changes nothing")
    return largest(off) + " with training=False"
