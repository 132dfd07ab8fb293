"""An export as TensorFlow Serving loads it: TensorFlow 1's loader."""

import contextlib
import pathlib

import numpy as np
import tensorflow as tf

from export import layout, warmup
from export.checks.outcome import Difference
from export.checks.subject import INPUTS, Subject, largest

_BATCH = 7


@contextlib.contextmanager
def _served(subject: Subject, model: str):
    """A function from signature and inputs to outputs, all of NumPy."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        # Initialises tables as a server does.
        meta_graph = tf.compat.v1.saved_model.load(
            session, [tf.saved_model.SERVING], subject.path(model)
        )

        def predict(signature: str, inputs: dict) -> dict:
            definition = meta_graph.signature_def[signature]
            feeds = {
                definition.inputs[name].name: value
                for name, value in inputs.items()
            }
            fetches = {
                name: info.name for name, info in definition.outputs.items()
            }
            return session.run(fetches, feeds)

        yield predict


def _arrays(inputs: dict) -> dict:
    return {name: value.numpy() for name, value in inputs.items()}


def text(subject: Subject) -> str:
    """Each signature of `text`."""
    differences = []
    batches = [*subject.batches(_BATCH), subject.sample()]
    texts = [subject.texts(rows).numpy() for rows in batches]
    inputs = [_arrays(subject.inputs(rows)) for rows in batches]
    with _served(subject, layout.TEXT) as predict:
        for rows, batch, given in zip(batches, texts, inputs, strict=True):
            served = predict("serving_default", {"text": batch})
            differences.append(subject.compare(served["embedding"], rows))
            encoded = predict("encode", given)
            differences.append(subject.compare(encoded["embedding"], rows))
            ids = predict("preprocess", {"text": batch})
            masked = ids["input_word_ids"] * ids["input_mask"]
            if not np.array_equal(masked, given["input_word_ids"]):
                raise Difference("preprocess: ids differ from the run's")
    return largest(*differences)


def encode(subject: Subject) -> str:
    """The signature of `encode`."""
    rows = subject.sample()
    inputs = _arrays(subject.inputs(rows))
    with _served(subject, layout.ENCODE) as predict:
        outputs = predict("serving_default", inputs)
    return largest(
        subject.compare(outputs["default"], rows),
        subject.compare(outputs["pooled_output"], rows, "pooled_output"),
    )


def preprocess(subject: Subject) -> str:
    """The signature of `preprocess`."""
    rows = subject.sample()
    texts = subject.texts(rows).numpy()
    expected = _arrays(subject.inputs(rows, subject.max_length))
    with _served(subject, layout.PREPROCESS) as predict:
        outputs = predict("serving_default", {"text": texts})
    outputs["input_word_ids"] *= outputs["input_mask"]
    for name in INPUTS:
        if not np.array_equal(outputs[name], expected[name]):
            raise Difference(f"{name} differs from the run's")
    return f"{len(rows)} sentences, equal ids"


def warmup_requests(subject: Subject) -> str:
    """The warm-up requests run; a failing one would keep the server down."""
    count = 0
    for model in (layout.TEXT, layout.ENCODE):
        file = pathlib.Path(subject.path(model)) / layout.WARMUP
        requests = list(warmup.read_requests(file))
        with _served(subject, model) as predict:
            for signature, inputs in requests:
                rows = len(next(iter(inputs.values())))
                for name, value in predict(signature, inputs).items():
                    if len(value) != rows:
                        raise Difference(
                            f"{model}/ {signature}: {name} has {len(value)} "
                            f"rows for a request of {rows}"
                        )
                count += 1
    return f"{count} requests"
