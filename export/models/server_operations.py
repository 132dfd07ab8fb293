"""Which operations a server must have to load a SavedModel."""

import pathlib

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2


def operations(folder: pathlib.Path) -> dict[str, list[str]]:
    """The operations of a SavedModel's graph and function library.

    Returns:
      `tensorflow`: those of TensorFlow itself. `tensorflow_text`: the others,
      which are built into TensorFlow Serving but perhaps not into others.
    """
    saved_model = saved_model_pb2.SavedModel.FromString(
        (folder / "saved_model.pb").read_bytes()
    )
    names, functions = set(), set()
    for graph in saved_model.meta_graphs:
        library = graph.graph_def.library.function
        functions |= {function.signature.name for function in library}
        names |= {node.op for node in graph.graph_def.node}
        names |= {node.op for function in library for node in function.node_def}
    # A node may call a function by its name.
    names -= functions
    core = {name for name in names if hasattr(tf.raw_ops, name)}
    return {"tensorflow": sorted(core), "tensorflow_text": sorted(names - core)}
