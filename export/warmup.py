"""Warm-up requests of TensorFlow Serving.

A server replays `assets.extra/tf_serving_warmup_requests`, a TFRecord file of
`tensorflow.serving.PredictionLog`, before it takes traffic
(https://github.com/tensorflow/serving, g3doc/saved_model_warmup.md). Its
messages are declared here by their field numbers, because their package,
tensorflow-serving-api, is needed for nothing else.
"""

import functools
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import tensor_pb2

from export import layout

_FIELD = descriptor_pb2.FieldDescriptorProto
_MESSAGE = _FIELD.TYPE_MESSAGE
# (message, field, number, type, message type, repeated); the field numbers of
# apis/model.proto, predict.proto and prediction_log.proto. A TensorProto is
# declared as bytes, which are encoded in the same way.
_FIELDS = (
    ("ModelSpec", "name", 1, _FIELD.TYPE_STRING, None, False),
    ("ModelSpec", "signature_name", 3, _FIELD.TYPE_STRING, None, False),
    ("Input", "key", 1, _FIELD.TYPE_STRING, None, False),
    ("Input", "value", 2, _FIELD.TYPE_BYTES, None, False),
    ("PredictRequest", "model_spec", 1, _MESSAGE, "ModelSpec", False),
    ("PredictRequest", "inputs", 2, _MESSAGE, "Input", True),
    ("PredictLog", "request", 1, _MESSAGE, "PredictRequest", False),
    ("PredictionLog", "predict_log", 6, _MESSAGE, "PredictLog", False),
)
_PACKAGE = "labse.warmup"

BATCH_SIZES = (1, 8, 32)


@functools.cache
def _message_class(name: str):
    file = descriptor_pb2.FileDescriptorProto(
        name="labse_warmup.proto", package=_PACKAGE, syntax="proto3"
    )
    messages = {}
    for message, field, number, kind, message_type, repeated in _FIELDS:
        if message not in messages:
            messages[message] = file.message_type.add(name=message)
        messages[message].field.add(
            name=field,
            number=number,
            type=kind,
            type_name=message_type and f".{_PACKAGE}.{message_type}",
            label=_FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")
    )


def serialize(signature: str, inputs: dict[str, np.ndarray]) -> bytes:
    """One request as a serialized PredictionLog."""
    log = _message_class("PredictionLog")()
    request = log.predict_log.request
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs.add(
            key=name, value=tf.make_tensor_proto(value).SerializeToString()
        )
    return log.SerializeToString()


def parse(record: bytes) -> tuple[str, dict[str, np.ndarray]]:
    """The signature and the inputs of what `serialize` returned."""
    log = _message_class("PredictionLog").FromString(record)
    request = log.predict_log.request
    inputs = {
        entry.key: tf.make_ndarray(
            tensor_pb2.TensorProto.FromString(entry.value)
        )
        for entry in request.inputs
    }
    return request.model_spec.signature_name, inputs


def read_requests(
    path: pathlib.Path,
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """The requests of a file."""
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        yield parse(record)


def write_requests(
    folder: pathlib.Path, requests: list[tuple[str, dict[str, np.ndarray]]]
) -> None:
    """Writes the warm-up file of the SavedModel in `folder`."""
    path = folder / layout.WARMUP
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            writer.write(serialize(signature, inputs))


def text_requests(
    texts: list[str], inputs: dict[str, np.ndarray]
) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Requests to `text`: every signature, every batch size."""
    strings = {"text": np.array([text.encode() for text in texts], object)}
    return [
        (signature, _first(size, given))
        for size in BATCH_SIZES
        for signature, given in (
            ("serving_default", strings),
            ("preprocess", strings),
            ("encode", inputs),
        )
    ]


def encode_requests(
    inputs: dict[str, np.ndarray],
) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Requests to `encode`: every batch size."""
    return [("serving_default", _first(size, inputs)) for size in BATCH_SIZES]


def _first(size: int, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value[:size] for name, value in inputs.items()}
