"""The `text` SavedModel: strings in, unit vectors out.

TF Hub's "text embedding" API, and the model that TensorFlow Serving serves.
"""

import tensorflow as tf

from export.models.encode_model import make_root
from export.models.padding import mask_padding
from labse.features import MODEL_INPUTS
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.preprocessing.tokenizer import WordPieceTokenizer

_STRINGS = tf.TensorSpec([None], tf.string, "text")


def build_text_model(
    encoder: SentenceEncoder,
    tokenizer: WordPieceTokenizer,
    vocabulary_path: str,
    max_length: int,
) -> tuple[tf.train.Checkpoint, dict]:
    """The object to save, and its signatures.

    Rows are padded to the longest of the batch, inside the graph.

    Args:
      encoder: a float32 encoder with its weights.
      tokenizer: text to ids.
      vocabulary_path: the file that becomes the asset `vocab_file`.
      max_length: most tokens of a text, [CLS] and [SEP] included.

    Returns:
      root: callable with string [n], which returns float32 [n, dim]; with
        `training=True`, a bool or a bool tensor, with dropout.
      signatures: `serving_default` (`text` to `embedding`, `num_tokens` and
        `truncated`), `preprocess` (`text` to the model inputs) and `encode`
        (the model inputs to `embedding`).
    """

    @tf.function(autograph=False)
    def embed(inputs, seed=None):
        return encoder(inputs, training=seed is not None, seed=seed)

    call = _call_function(embed, tokenizer, max_length)
    root = make_root(call, encoder, vocabulary_path)
    return root, _signatures(embed, tokenizer, max_length)


def _call_function(embed, tokenizer: WordPieceTokenizer, max_length: int):
    # With an input signature that includes `training`, a loaded function is
    # traced once; without, again for each number of texts and for each list.
    @tf.function(
        autograph=False,
        input_signature=[_STRINGS, tf.TensorSpec([], tf.bool, "training")],
    )
    def call(texts, training=False):
        inputs = tokenizer(texts, max_length)[0]
        # All rows go through one of two calls, with dropout or without, and
        # none through the other. A conditional instead would have gradients
        # about whose types TensorFlow warns in every fit.
        rows = tf.shape(inputs[MODEL_INPUTS[0]])[0]
        without = tf.where(training, 0, rows)
        seed = tf.cond(training, _draw_seed, lambda: tf.zeros([2], tf.int32))
        parts = (
            embed({name: value[:without] for name, value in inputs.items()}),
            embed({name: x[without:] for name, x in inputs.items()}, seed),
        )
        return tf.concat(parts, axis=0)

    return call


def _signatures(embed, tokenizer: WordPieceTokenizer, max_length: int) -> dict:
    @tf.function(autograph=False, input_signature=[_STRINGS])
    def serve(text):
        inputs, num_tokens, truncated = tokenizer(text, max_length)
        return {
            "embedding": embed(inputs),
            "num_tokens": num_tokens,
            "truncated": truncated,
        }

    @tf.function(autograph=False, input_signature=[_STRINGS])
    def preprocess(text):
        return tokenizer(text, max_length)[0]

    ids = [tf.TensorSpec([None, None], tf.int32, name) for name in MODEL_INPUTS]

    @tf.function(autograph=False, input_signature=ids)
    def encode(input_word_ids, input_mask, input_type_ids):
        mask = mask_padding(input_word_ids, input_mask, tokenizer.vocabulary)
        values = (input_word_ids, mask, input_type_ids)
        inputs = dict(zip(MODEL_INPUTS, values, strict=True))
        return {"embedding": embed(inputs)}

    return {
        "serving_default": serve,
        "preprocess": preprocess,
        "encode": encode,
    }


def _draw_seed() -> tf.Tensor:
    return tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
