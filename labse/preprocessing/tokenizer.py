"""Text to WordPiece ids, all in the graph."""

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_text.core.pybinds import (
    pywrap_fast_wordpiece_tokenizer_model_builder as model_builder,
)

from labse.errors import InputError
from labse.preprocessing import normalizer, packing
from labse.preprocessing.vocabulary import (
    BERT_MAX_CHARACTERS_PER_WORD,
    SUFFIX_PREFIX,
    UNK,
    Vocabulary,
)

_PRIVATE_USE = range(0xE000, 0xF900)


class WordPieceTokenizer(tf.Module):
    """Cased WordPiece with the ids of BERT's tokenizer, 109 languages alike.

    Equal, id for id, to `tokenizers`' BERT tokenizer with
    `do_lower_case=False`, on every text in which no special piece is written
    out: "[MASK]" in a text is four ordinary words here, so that a text cannot
    smuggle special pieces in. Bytes that are not UTF-8 are dropped.

    It holds no Python state and works in `tf.data`, in a SavedModel, under
    TensorFlow 1's loader, and on an empty batch. What is slow is `__init__`
    (about 2 s for 500,000 pieces): make one and keep it.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        max_bytes_per_word: int = 400,
        max_characters_per_word: int | None = BERT_MAX_CHARACTERS_PER_WORD,
    ):
        """Builds the WordPiece model.

        Args:
          vocabulary: the pieces.
          max_bytes_per_word: a word with more bytes becomes [UNK]. TensorFlow
            Text's default of 100 bytes loses words of 34 Thai letters.
          max_characters_per_word: a word with more characters becomes [UNK];
            100 is BERT's limit. None leaves only the limit in bytes.
        """
        super().__init__(name="wordpiece_tokenizer")
        _check_limits(max_bytes_per_word, max_characters_per_word)
        self.vocabulary = vocabulary
        self.max_bytes_per_word = max_bytes_per_word
        self.max_characters_per_word = max_characters_per_word
        self._unknown_word = _unused_character(vocabulary)
        buffer = model_builder.build_fast_wordpiece_model(
            list(vocabulary.pieces),
            max_bytes_per_word,
            SUFFIX_PREFIX,
            UNK,
            False,  # no_pretokenization
            False,  # support_detokenization: 40 % more bytes
        )
        # One eager tensor, which every function captures: a SavedModel then
        # holds the model (26 MB for 501,153 pieces) once, not once a function.
        with tf.init_scope():
            model = tf.constant(np.frombuffer(buffer, np.uint8))
        # Not FastBertTokenizer: its own normaliser would change nothing after
        # ours and takes a fifth of the time.
        self._wordpiece = tf_text.FastWordpieceTokenizer(
            model_buffer=model, token_out_type=tf.int32
        )

    def normalize(self, texts: tf.Tensor) -> tf.Tensor:
        """Rewrites texts so that their words are those of BERT's tokenizer.

        Args:
          texts: string [n]; bytes that are no UTF-8 are removed.

        Returns:
          string [n].
        """
        texts = tf.convert_to_tensor(texts, tf.string)
        if texts.shape.rank != 1:
            raise InputError(
                "Texts are a string tensor of shape [n]. Received shape "
                f"{texts.shape}. Reshape it to [-1]."
            )
        return normalizer.normalize(
            texts, self._unknown_word, self.max_characters_per_word
        )

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Splits texts into pieces.

        Args:
          texts: string [n].

        Returns:
          int32 [n, (pieces)] ids, without [CLS] and [SEP].
        """
        return self._wordpiece.tokenize(self.normalize(texts))

    def pack(
        self,
        pieces: tf.RaggedTensor,
        max_length: int,
        padded_length: int | None = None,
    ) -> dict[str, tf.Tensor]:
        """The model inputs only; see `packing.pack`."""
        return packing.pack(pieces, self.vocabulary, max_length, padded_length)[
            0
        ]

    def __call__(
        self,
        texts: tf.Tensor,
        max_length: int,
        padded_length: int | None = None,
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        """Texts to model inputs.

        Args:
          texts: string [n].
          max_length: most tokens a row keeps, [CLS] and [SEP] included.
          padded_length: length of every row; the longest of the batch if
            None.

        Returns:
          inputs, num_tokens int32 [n], truncated bool [n]: see
          `packing.pack`.
        """
        return packing.pack(
            self.tokenize(texts), self.vocabulary, max_length, padded_length
        )


def _check_limits(
    max_bytes_per_word: int, max_characters_per_word: int | None
) -> None:
    if max_bytes_per_word < 1:
        raise InputError(
            f"max_bytes_per_word is at least 1. Received {max_bytes_per_word}."
        )
    # RE2 repeats at most 1,000 times.
    if max_characters_per_word is not None and not (
        1 <= max_characters_per_word < 1000
    ):
        raise InputError(
            "max_characters_per_word is from 1 to 999, or None. Received "
            f"{max_characters_per_word}."
        )


def _unused_character(vocabulary: Vocabulary) -> str:
    """A private-use character that no piece has."""
    used = set().union(*vocabulary.pieces)
    for code in _PRIVATE_USE:
        if chr(code) not in used:
            return chr(code)
    raise InputError(
        "The vocabulary leaves one private-use character (U+E000 to U+F8FF) "
        "free. Received one with all of them."
    )
