"""The `encode` SavedModel: TF Hub's transformer encoder API.

A drop-in for code written for google/LaBSE/2 and google/LaBSE/1
(https://tfhub.dev/google/LaBSE/2): same inputs, output keys, variable names
and attributes.
"""

import tensorflow as tf

from export.models.padding import mask_padding
from export.models.retracing import relax_shapes
from labse.features import MODEL_INPUTS
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.preprocessing.vocabulary import Vocabulary

# Outputs of the signature. `encoder_outputs` is a list, which a signature
# cannot return.
SIGNATURE_OUTPUTS = ("default", "pooled_output", "sequence_output")


def build_encode_model(
    encoder: SentenceEncoder, vocabulary_path: str, lower_case: bool = False
) -> tuple[tf.train.Checkpoint, dict]:
    """The object to save, and its signatures.

    Args:
      encoder: a float32 encoder with its weights.
      vocabulary_path: the file that becomes the asset `vocab_file`; from it
        come the ids of padding, which is masked whatever `input_mask` holds.
      lower_case: the value of `do_lower_case`.

    Returns:
      root: callable with a dict of `MODEL_INPUTS` (int32 or int64 [batch,
        length]; `input_type_ids` may be left out), which returns the dict of
        `SentenceEncoder.all_outputs`; or with version 1's list of three,
        which returns `[embedding, sequence_output]`. Has `variables`,
        `trainable_variables`, `vocab_file` and `do_lower_case`.
      signatures: `serving_default`.
    """
    call = _call_function(encoder, Vocabulary.read(vocabulary_path))
    root = make_root(call, encoder, vocabulary_path)
    root.do_lower_case = tf.Variable(
        lower_case, trainable=False, name="Variable"
    )
    root.variables.append(root.do_lower_case)

    @tf.function(
        autograph=False,
        input_signature=[_spec(tf.int32, name) for name in MODEL_INPUTS],
    )
    def serve(input_word_ids, input_mask, input_type_ids):
        values = (input_word_ids, input_mask, input_type_ids)
        outputs = call(dict(zip(MODEL_INPUTS, values, strict=True)))
        return {name: outputs[name] for name in SIGNATURE_OUTPUTS}

    return root, {"serving_default": serve}


def make_root(
    call, encoder: SentenceEncoder, vocabulary_path: str
) -> tf.train.Checkpoint:
    """The object to save of a model with weights, called by `call`.

    It tracks the encoder's variables, not its layers: of layers, Keras would
    save a trace each, and need their classes when the model is loaded.
    """
    root = tf.train.Checkpoint()
    root.__call__ = call
    root.regularization_losses = []
    root.vocab_file = tf.saved_model.Asset(vocabulary_path)
    root.variables = list(encoder.variables)
    root.trainable_variables = [
        variable
        for variable in encoder.trainable_variables
        # The pooler has a gradient only where it is used.
        if encoder.config.uses_pooler
        or not variable.name.startswith("pooler_transform/")
    ]
    return root


def _spec(dtype: tf.DType, name: str) -> tf.TensorSpec:
    return tf.TensorSpec([None, None], dtype, name)


def _checked_length(word_ids: tf.Tensor, most: int) -> tf.Tensor:
    """The ids, int32 [n, length]; their length is checked in the graph."""
    length = tf.shape(word_ids)[1]
    check = tf.debugging.Assert(
        length <= most,
        [
            f"The encoder has {most} positions, so a row has at most {most} "
            f"ids: give bert_pack_inputs a seq_length of at most {most}. "
            "Received a length of",
            length,
        ],
    )
    with tf.control_dependencies([check]):
        return tf.identity(word_ids)


def _call_function(
    encoder: SentenceEncoder, vocabulary: Vocabulary
) -> tf.types.experimental.PolymorphicFunction:
    """`__call__`, traced for everything it may be called with."""

    # All traces share this graph, one with dropout and one without.
    @tf.function(autograph=False)
    def forward(input_word_ids, input_mask, input_type_ids, training):
        if encoder.config.num_layers:  # Without blocks there are no positions.
            input_word_ids = _checked_length(
                input_word_ids, encoder.config.max_positions
            )
        mask = mask_padding(input_word_ids, input_mask, vocabulary)
        values = (input_word_ids, mask, input_type_ids)
        inputs = dict(zip(MODEL_INPUTS, values, strict=True))
        return encoder.all_outputs(inputs, training=training)

    @tf.function(autograph=False)
    def call(inputs, training=False):
        if isinstance(inputs, dict):
            word_ids, mask = inputs["input_word_ids"], inputs["input_mask"]
            type_ids = inputs.get("input_type_ids", tf.zeros_like(word_ids))
        else:
            word_ids, mask, type_ids = inputs
        outputs = forward(
            *(tf.cast(x, tf.int32) for x in (word_ids, mask, type_ids)),
            training=training,
        )
        if isinstance(inputs, dict):
            return outputs
        # Version 1's documentation: "a l2 normalized pooled_output".
        return [outputs["default"], outputs["sequence_output"]]

    for training in (False, True):
        for dtype in (tf.int32, tf.int64):
            specs = {name: _spec(dtype, name) for name in MODEL_INPUTS}
            call.get_concrete_function(specs, training=training)
            untyped = {name: specs[name] for name in MODEL_INPUTS[:2]}
            call.get_concrete_function(untyped, training=training)
            for kind in (list, tuple):
                three = kind(specs.values())
                call.get_concrete_function(three, training=training)
    # One input signature cannot describe all these kinds of inputs.
    relax_shapes(call)
    return call
