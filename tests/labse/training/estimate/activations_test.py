"""The formulas beside the graph of a training step.

A tensor is kept if a gradient reads it, and it is not itself of the gradients.
"""

import pytest
import tensorflow as tf

from labse.configs.loading import from_dict
from labse.configs.pretraining import MaskingConfig, PretrainingConfig
from labse.features import (
    BILINGUAL,
    INPUT_POSITIONS,
    MASKED_IDS,
    MASKED_POSITIONS,
    MASKED_WEIGHTS,
    MODEL_INPUTS,
    SENTENCE_NUMBERS,
    SOURCE,
    TARGET,
)
from labse.modeling.dual_encoder import DualEncoder
from labse.modeling.masked_lm import MaskedLanguageModel
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.training.estimate.activations import Activations
from labse.training.estimate.hardware import Hardware
from labse.training.estimate.masked_lm_step import MaskedLMStep

PAIRS, LENGTH = 8, 16  # Pairs, or sequences of pre-training.
MASKED, PIECES = 5, 50
# These share the memory of their input.
_VIEWS = ("Reshape", "Identity", "Squeeze", "ExpandDims", "Unpack")


def make_config(**encoder):
    compute_dtype = encoder.pop("compute_dtype", "float32")
    encoder = {
        "vocab_size": PIECES,
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


def kept_by_dual_encoder(config) -> int:
    encoder = SentenceEncoder(config.encoder, config.training.compute_dtype)
    model = DualEncoder(encoder, config.loss)
    model.build()
    ids = dict.fromkeys(MODEL_INPUTS, tf.TensorSpec([PAIRS, LENGTH], tf.int32))
    batch = {SOURCE: ids, TARGET: dict(ids)}
    return kept_bytes(model, batch, {2 * PAIRS, 2 * PAIRS * LENGTH})


def kept_bytes(model, batch, numbers) -> int:
    """Of the tensors that gradients read, by the traced graph.

    `numbers`: of texts or tokens; they are sizes of nothing else.
    """
    model.compile(optimizer="sgd")
    step = tf.function(model.loss_and_gradients, autograph=False)
    graph = step.get_concrete_function(batch).graph
    kept = {}
    for operation in graph.get_operations():
        if not _is_gradient(operation):
            continue
        for tensor in operation.inputs:
            while tensor.op.type in _VIEWS:
                tensor = tensor.op.inputs[0]
            if not _is_gradient(tensor.op) and _is_of(tensor, numbers):
                kept[tensor.ref()] = _bytes(tensor)
    return sum(kept.values())


def _is_gradient(operation) -> bool:
    # AddN adds up gradients; its inputs that are rows get its name.
    return operation.name.startswith(("gradient_tape", "AddN"))


def _is_of(tensor, numbers) -> bool:
    """Whether the size follows from the number of texts or tokens."""
    if tensor.op.type in ("Const", "Placeholder"):
        return False
    return bool(numbers & set(tensor.shape)) and tensor.dtype != tf.int32


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
    found = kept_by_dual_encoder(config)
    assert found == pytest.approx(expected, rel=0.02)
    assert found >= expected


@pytest.mark.parametrize("compute_dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_the_bytes_that_the_graph_of_pretraining_keeps(
    compute_dtype, num_layers
):
    config = pretraining_config(compute_dtype, num_layers)
    step = MaskedLMStep(config, Hardware("", 1, 0))
    expected = step.in_gradients()
    expected = expected["activations"] + expected["activations of the head"]
    model = MaskedLanguageModel.of_experiment(config)
    numbers = {PAIRS, PAIRS * LENGTH, PAIRS * MASKED}
    found = kept_bytes(model, packed_batch(), numbers)
    # The softmax of the logits, which are computed at once.
    found -= 4 * PAIRS * MASKED * PIECES
    # And the loss of each masked token, as above.
    assert found == pytest.approx(expected, rel=0.02)
    assert found >= expected


def pretraining_config(compute_dtype, num_layers):
    config = make_config(compute_dtype=compute_dtype, num_layers=num_layers)
    return PretrainingConfig(
        encoder=config.encoder,
        tokenizer=config.tokenizer,
        masking=MaskingConfig(max_masked=MASKED),
        training=config.training,
    )


def packed_batch():
    tokens = tf.TensorSpec([PAIRS, LENGTH], tf.int32)
    masked = tf.TensorSpec([PAIRS, MASKED], tf.int32)
    names = (*MODEL_INPUTS, SENTENCE_NUMBERS, INPUT_POSITIONS)
    return {
        **dict.fromkeys(names, tokens),
        MASKED_POSITIONS: masked,
        MASKED_IDS: masked,
        MASKED_WEIGHTS: tf.TensorSpec([PAIRS, MASKED]),
        BILINGUAL: tf.TensorSpec([PAIRS], tf.int32),
    }
