"""A `SentenceEncoder` and its tokenizer, wrapped for inference."""

import functools
import hashlib

import numpy as np
import tensorflow as tf

from labse.features import MODEL_INPUTS
from labse.inference.sentence_model import Prepared, SentenceModel
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.modeling.transformer_encoder import WORD_EMBEDDINGS
from labse.preprocessing.packing import checked_max_length
from labse.preprocessing.tokenizer import WordPieceTokenizer


class EncoderModel(SentenceModel):
    """An encoder in memory, with its present weights."""

    def __init__(
        self,
        encoder: SentenceEncoder,
        tokenizer: WordPieceTokenizer,
        max_length: int,
        fingerprint: str = "",
        word_table: np.ndarray | None = None,
    ):
        """Casts the weights once; make a new model after further training.

        Args:
          encoder: a built encoder.
          tokenizer: with the vocabulary of the encoder.
          max_length: most tokens of a sentence, [CLS] and [SEP] included.
          fingerprint: changes with the weights and the vocabulary.
          word_table: [vocab_size, hidden_size] of any floating-point type,
            for an encoder built without its table. If it is mapped from a
            file, only the rows that are used take memory: the table is 82 % of
            LaBSE.
        """
        self._dimension = encoder.config.hidden_size
        self._num_positions = encoder.config.max_positions
        self._set_max_length(max_length)
        self._fingerprint = fingerprint
        self._word_table = word_table
        pieces_spec = tf.TensorSpec([None], tf.int32)
        integers = tf.TensorSpec([None], tf.int64)

        @_graph(tf.TensorSpec([None], tf.string))
        def tokenize(texts):
            pieces = tokenizer.tokenize(texts)
            return pieces.values, pieces.row_splits

        @_graph(pieces_spec, integers, integers, tf.TensorSpec([], tf.int32))
        def pack(values, row_splits, rows, max_length):
            pieces = tf.RaggedTensor.from_row_splits(
                values, row_splits, validate=False
            )
            return tokenizer.pack(tf.gather(pieces, rows), max_length)

        self._tokenize, self._pack = tokenize, pack
        self._embed_inputs = self._embedding_graph(encoder)

    def _embedding_graph(self, encoder: SentenceEncoder):
        """Returns a graph: the inputs of sentences to their vectors."""
        # Eager tensors: the graph captures them, and neither casts them again
        # at each call nor holds a copy.
        blocks = encoder.transformer.block_weights()
        inputs_spec = dict.fromkeys(
            MODEL_INPUTS, tf.TensorSpec([None, None], tf.int32)
        )
        if self._word_table is not None:
            inputs_spec[WORD_EMBEDDINGS] = tf.TensorSpec(
                [None, None, self.dimension], tf.float32
            )

        @_graph(inputs_spec)
        def embed(inputs):
            return encoder(inputs, training=False, blocks=blocks)

        return embed

    @property
    def fingerprint(self) -> str:
        """See `SentenceModel`; empty if none was given."""
        if not self._fingerprint:
            return ""
        text = f"{self._fingerprint} {self.max_length}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _set_max_length(self, value):
        self._max_length = checked_max_length(value, self._num_positions)

    def _pieces(self, texts: list[bytes]):
        """Pieces (values, row splits), and each text's number of tokens."""
        pieces = self._tokenize()(tf.constant(texts, tf.string))
        return pieces, np.diff(pieces[1].numpy()) + 2  # [CLS] and [SEP]

    def _num_tokens(self, texts):
        return self._pieces(texts)[1]

    def _truncated(self, texts):
        return self._num_tokens(texts) > self.max_length

    def _prepare(self, texts):
        pieces, num_tokens = self._pieces(texts)
        lengths = np.minimum(num_tokens, self.max_length)
        return Prepared(lengths, num_tokens > self.max_length, pieces)

    def _embed(self, prepared, rows):
        inputs = self._pack()(
            *prepared.data, tf.constant(rows), tf.constant(self.max_length)
        )
        if self._word_table is not None:
            rows = self._word_table[inputs["input_word_ids"].numpy()]
            inputs[WORD_EMBEDDINGS] = tf.constant(rows.astype(np.float32))
        return self._embed_inputs()(inputs).numpy()


def _graph(*signature):
    """Makes a function one that returns its graph, traced at the first use.

    A `tf.function` would also be traced once, but TensorFlow adds up the traces
    of all functions with the same code, and warns of "retracing" at the fifth
    model.
    """

    def decorate(function):
        traced = tf.function(
            function, input_signature=signature, autograph=False
        )
        return functools.cache(traced.get_concrete_function)

    return decorate
