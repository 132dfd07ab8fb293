"""What the graph of a SavedModel says about its encoder; it is never run."""

import pathlib
from typing import NamedTuple

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from labse.errors import InputError
from labse.features import MODEL_INPUTS
from labse.formats import model_file

SAVED_MODEL = "saved_model.pb"
_MAX_BYTES = 2**31  # Of a message of Protocol Buffers.
_KERAS_METADATA = "keras_metadata.pb"
# Operations of other activations than BERT's.
_OTHER_ACTIVATIONS = {"Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Softplus"}


class Graph(NamedTuple):
    """What is known about a SavedModel's graph.

    Attributes:
      takes_model_inputs: whether it is called with ids, not with strings.
      is_keras_model: whether its root is a Keras model.
      is_pretrainer: whether it gives the logits of masked tokens, as Model
        Garden's `BertPretrainerV2` does.
      activation: "gelu"; None if the graph does not show it.
    """

    takes_model_inputs: bool
    is_keras_model: bool
    is_pretrainer: bool
    activation: str | None


def read_graph(folder: pathlib.Path) -> Graph:
    """Reads saved_model.pb as data.

    Raises:
      InputError: it is damaged, or its encoder is not BERT's.
    """
    path = folder / SAVED_MODEL
    content = model_file.read_bytes(path, _MAX_BYTES)
    try:
        model = saved_model_pb2.SavedModel.FromString(content)
    except DecodeError as error:
        raise model_file.damaged(
            path, "is damaged: it holds no SavedModel that can be loaded"
        ) from error
    if not model.meta_graphs:
        raise model_file.damaged(
            path, "holds no graph: it is truncated or empty"
        )
    operations = {
        node.op
        for graph in model.meta_graphs
        for function in graph.graph_def.library.function
        for node in function.node_def
    }
    takes_model_inputs = any(map(_takes_model_inputs, model.meta_graphs))
    if takes_model_inputs:
        _check(folder, content, operations)
    return Graph(
        takes_model_inputs,
        any(map(_is_keras_model, model.meta_graphs)),
        any(map(_is_pretrainer, model.meta_graphs)),
        "gelu" if "Erf" in operations else None,
    )


_SIGNATURE = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


def _takes_model_inputs(graph) -> bool:
    if _SIGNATURE not in graph.signature_def:
        return False
    return set(graph.signature_def[_SIGNATURE].inputs) == set(MODEL_INPUTS)


def _is_pretrainer(graph) -> bool:
    if _SIGNATURE not in graph.signature_def:
        return False
    return "mlm_logits" in graph.signature_def[_SIGNATURE].outputs


def _is_keras_model(graph) -> bool:
    nodes = graph.object_graph_def.nodes
    root = nodes[0].user_object.identifier if nodes else ""
    return root.startswith("_tf_keras")


def _check(folder: pathlib.Path, content: bytes, operations: set) -> None:
    others = sorted(operations & _OTHER_ACTIVATIONS)
    if others:
        raise InputError(
            f"{folder} computes {', '.join(others)}, which BERT does not: only "
            "gelu is supported."
        )
    metadata = folder / _KERAS_METADATA
    if model_file.exists(metadata):
        content += model_file.read_bytes(metadata, _MAX_BYTES)
    if b'"norm_first": true' in content:
        raise InputError(
            f"{folder} normalises before attention (norm_first), which BERT "
            "does not."
        )
