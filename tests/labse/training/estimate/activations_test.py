"""The formulas beside the graph of a training step.

A tensor is kept if a gradient reads it, and it is not itself of the gradients.
"""

import pytest
import tensorflow as tf

from labse.configs.loading import from_dict
from labse.features import MODEL_INPUTS, SOURCE, TARGET
from labse.modeling.dual_encoder import DualEncoder
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.training.estimate.activations import Activations

PAIRS, LENGTH = 8, 16
# These share the memory of their input.
_VIEWS = ("Reshape", "Identity", "Squeeze", "ExpandDims", "Unpack")


def make_config(**encoder):
    compute_dtype = encoder.pop("compute_dtype", "float32")
    encoder = {
        "vocab_size": 50,
        "num_layers": 2,
        "num_heads": 2,
        "hidden_size": 32,
        "intermediate_size": 80,
        "max_positions": LENGTH,
        **encoder,
    }
    return from_dict(
        {
            "encoder": encoder,
            "tokenizer": {"max_length": LENGTH},
            "training": {
                "global_batch_size": PAIRS,
                "compute_dtype": compute_dtype,
            },
        }
    )


def kept_bytes(config) -> int:
    """Of the tensors that gradients read, by the traced graph."""
    encoder = SentenceEncoder(config.encoder, config.training.compute_dtype)
    model = DualEncoder(encoder, config.loss)
    model.build()
    model.compile(optimizer="sgd")
    ids = dict.fromkeys(MODEL_INPUTS, tf.TensorSpec([PAIRS, LENGTH], tf.int32))
    batch = {SOURCE: ids, TARGET: dict(ids)}
    step = tf.function(model.loss_and_gradients, autograph=False)
    graph = step.get_concrete_function(batch).graph
    kept = {}
    for operation in graph.get_operations():
        if not _is_gradient(operation):
            continue
        for tensor in operation.inputs:
            while tensor.op.type in _VIEWS:
                tensor = tensor.op.inputs[0]
            if not _is_gradient(tensor.op) and _is_of_texts(tensor):
                kept[tensor.ref()] = _bytes(tensor)
    return sum(kept.values())


def _is_gradient(operation) -> bool:
    # AddN adds up gradients.
    return (
        operation.name.startswith("gradient_tape") or operation.type == "AddN"
    )


def _is_of_texts(tensor) -> bool:
    """Whether the size follows from the number of texts or tokens."""
    if tensor.op.type in ("Const", "Placeholder"):
        return False
    texts = {2 * PAIRS, 2 * PAIRS * LENGTH}
    return bool(texts & set(tensor.shape)) and tensor.dtype != tf.int32


def _bytes(tensor) -> int:
    return tensor.shape.num_elements() * tensor.dtype.size


@pytest.mark.parametrize(
    "encoder",
    [
        {"pooling": "mean"},
        {"pooling": "cls", "compute_dtype": "mixed_bfloat16"},
        {"pooling": "cls", "dropout": 0.0, "attention_dropout": 0.0},
        {"pooling": "mean", "activation": "gelu", "num_layers": 1},
    ],
    ids=str,
)
def test_the_bytes_that_the_graph_keeps(encoder):
    config = make_config(**encoder)
    activations = Activations(config, texts=2 * PAIRS)
    expected = activations.embeddings() + activations.all_blocks()
    # The graph also keeps a few numbers of each text, and the scale of each
    # token in each layer normalisation.
    assert kept_bytes(config) == pytest.approx(expected, rel=0.02)
    assert kept_bytes(config) >= expected
