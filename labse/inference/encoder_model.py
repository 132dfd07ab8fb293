"""A `SentenceEncoder` and its tokenizer as a model that is asked."""

import numpy as np
import tensorflow as tf

from labse.features import MODEL_INPUTS
from labse.inference.sentence_model import SentenceModel
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.modeling.transformer_encoder import WORD_EMBEDDINGS
from labse.preprocessing.tokenizer import WordPieceTokenizer


class EncoderModel(SentenceModel):
    """An encoder of this process, with the weights that it has now."""

    def __init__(
        self,
        encoder: SentenceEncoder,
        tokenizer: WordPieceTokenizer,
        max_length: int,
        fingerprint: str = "",
        word_table: np.ndarray | None = None,
    ):
        """Prepares the weights; make a new one after further training.

        Args:
          encoder: a built encoder.
          tokenizer: with the vocabulary of the encoder.
          max_length: most tokens of a sentence, [CLS] and [SEP] included.
          fingerprint: changes with the weights and the vocabulary.
          word_table: [vocab_size, hidden_size] of any floating-point type,
            for an encoder built without its table. A map of a file costs the
            memory of the rows that are used: the table is 82 % of LaBSE.
        """
        self.dimension = encoder.config.hidden_size
        self.max_length = max_length
        self.fingerprint = fingerprint
        self._word_table = word_table
        # Eager tensors: captured by the graph they are neither cast again at
        # each call nor copied into it.
        blocks = encoder.transformer.block_weights()
        pieces_spec = tf.TensorSpec([None], tf.int32)
        integers = tf.TensorSpec([None], tf.int64)

        @tf.function(
            input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
        )
        def tokenize(texts):
            pieces = tokenizer.tokenize(texts)[:, : self.max_length]
            return pieces.values, pieces.row_splits

        @tf.function(
            input_signature=[pieces_spec, integers, integers], autograph=False
        )
        def pack(values, row_splits, rows):
            pieces = tf.RaggedTensor.from_row_splits(
                values, row_splits, validate=False
            )
            return tokenizer.pack(tf.gather(pieces, rows), self.max_length)

        inputs_spec = dict.fromkeys(
            MODEL_INPUTS, tf.TensorSpec([None, None], tf.int32)
        )
        if word_table is not None:
            inputs_spec[WORD_EMBEDDINGS] = tf.TensorSpec(
                [None, None, self.dimension], tf.float32
            )

        @tf.function(input_signature=[inputs_spec], autograph=False)
        def embed(inputs):
            return encoder(inputs, training=False, blocks=blocks)

        self._tokenize, self._pack, self._embed_inputs = tokenize, pack, embed

    def _prepare(self, texts):
        pieces = self._tokenize(tf.constant(texts, tf.string))
        num_tokens = np.diff(pieces[1].numpy()) + 2  # [CLS] and [SEP]
        return np.minimum(num_tokens, self.max_length), pieces

    def _embed(self, prepared, rows):
        inputs = self._pack(*prepared, tf.constant(rows))
        if self._word_table is not None:
            rows = self._word_table[inputs["input_word_ids"].numpy()]
            inputs[WORD_EMBEDDINGS] = tf.constant(rows.astype(np.float32))
        return self._embed_inputs(inputs).numpy()
