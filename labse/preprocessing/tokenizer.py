"""Text to WordPiece ids, all in the graph."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_text.core.pybinds import (
    pywrap_fast_wordpiece_tokenizer_model_builder as model_builder,
)

from labse.configs.schema import TOKENIZER_IDS, TokenizerConfig
from labse.errors import InputError
from labse.preprocessing import hub_normalizer, normalizer, packing
from labse.preprocessing.vocabulary import (
    BERT_MAX_CHARACTERS_PER_WORD,
    SUFFIX_PREFIX,
    UNK,
    Vocabulary,
)


class WordPieceTokenizer(tf.Module):
    """WordPiece with exactly the ids of a published BERT tokenizer.

    `ids` and `lower_case` select it:

    - "hugging_face" (cased: LaBSE's and mBERT's tokenizer): the BERT
      tokenizer of `tokenizers` with `do_lower_case` as `lower_case`, and
      `strip_accents=None`. Bytes that are not UTF-8 are dropped.
    - "tensorflow_hub": `tensorflow_text.BertTokenizer`, which TF Hub's
      preprocessors use. A control or format character ends a word; a no-break
      or an ideographic space is a letter, and so is an invalid byte, which
      makes the word [UNK].

    The ids are equal for every text that does not spell out a special piece:
    "[MASK]" in a text is ordinary words here, so that a text cannot inject
    special pieces. (`BertTokenizer` does the same, `tokenizers` does not.)

    It has no Python state and works in `tf.data`, in a SavedModel, with
    TensorFlow 1's loader, and on an empty batch. `__init__` is slow (about 2 s
    for 500,000 pieces): make one and keep it.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        max_bytes_per_word: int = 400,
        max_characters_per_word: int | None = BERT_MAX_CHARACTERS_PER_WORD,
        lower_case: bool = False,
        ids: str = "hugging_face",
    ):
        """Builds the WordPiece model.

        Args:
          vocabulary: the pieces.
          max_bytes_per_word: a word with more bytes becomes [UNK]. TensorFlow
            Text's default of 100 bytes, which TF Hub's preprocessors use,
            loses words of 34 Thai letters.
          max_characters_per_word: a word with more characters becomes [UNK];
            100 is BERT's limit. None leaves only the limit in bytes, which is
            the only one of "tensorflow_hub" in any case.
          lower_case: whether to lower-case and strip accents, for uncased
            vocabularies.
          ids: whose ids, "hugging_face" or "tensorflow_hub".
        """
        super().__init__(name="wordpiece_tokenizer")
        _check_limits(max_bytes_per_word, max_characters_per_word)
        if ids not in TOKENIZER_IDS:
            raise InputError(
                f"ids must be one of {', '.join(TOKENIZER_IDS)}. Received: "
                f"{ids!r}."
            )
        self.vocabulary = vocabulary
        self.max_bytes_per_word = max_bytes_per_word
        self.max_characters_per_word = max_characters_per_word
        self.lower_case = lower_case
        self.ids = ids
        self._unknown_word = _unused_character(
            vocabulary,
            range(0xE000, 0xF900),
            "one private-use character (U+E000 to U+F8FF)",
        )
        # Not a dict: tf.Module would track it.
        self._placeholders = ()
        if ids == "tensorflow_hub":
            found = hub_normalizer.find_placeholders(
                vocabulary.pieces, self._unknown_word
            )
            self._placeholders = tuple(found.items())
        buffer = _word_piece_model(
            _searchable(vocabulary, dict(self._placeholders)),
            max_bytes_per_word,
        )
        # One eager tensor, which every function captures: a SavedModel then
        # has the model (26 MB for 501,153 pieces) once, not in each function.
        with tf.init_scope():
            model = tf.constant(np.frombuffer(buffer, np.uint8))
        # Not FastBertTokenizer: after ours, its own normaliser would change
        # nothing, and takes a fifth of the time.
        self._wordpiece = tf_text.FastWordpieceTokenizer(
            model_buffer=model, token_out_type=tf.int32
        )

    @classmethod
    def from_config(
        cls, vocabulary: Vocabulary, config: TokenizerConfig
    ) -> "WordPieceTokenizer":
        """The tokenizer that a configuration describes."""
        return cls(
            vocabulary,
            max_bytes_per_word=config.max_bytes_per_word,
            lower_case=config.lower_case,
            ids=config.ids,
        )

    def normalize(self, texts: tf.Tensor) -> tf.Tensor:
        """Rewrites texts [n] so that their words are those of the reference."""
        texts = tf.convert_to_tensor(texts, tf.string)
        if texts.shape.rank != 1:
            raise InputError(
                "Texts are a string tensor of shape [n]. Received shape "
                f"{texts.shape}. Reshape it to [-1]."
            )
        if self.ids == "tensorflow_hub":
            return hub_normalizer.normalize(
                texts,
                self._unknown_word,
                dict(self._placeholders),
                self.lower_case,
            )
        return normalizer.normalize(
            texts,
            self._unknown_word,
            self.max_characters_per_word,
            self.lower_case,
        )

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Texts [n] to ids, int32 [n, (pieces)], without [CLS] and [SEP]."""
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
        """Texts, string [n], to model inputs; see `packing.pack`."""
        return packing.pack(
            self.tokenize(texts), self.vocabulary, max_length, padded_length
        )


def _word_piece_model(pieces: list[str], max_bytes_per_word: int) -> bytes:
    try:
        return model_builder.build_fast_wordpiece_model(
            pieces,
            max_bytes_per_word,
            SUFFIX_PREFIX,
            UNK,
            False,  # no_pretokenization
            False,  # support_detokenization: 40 % more bytes
        )
    except RuntimeError as error:
        if "No valid vocab tokens" not in str(error):
            raise
        raise InputError(
            "A vocabulary has pieces of words. Received "
            f"{len(pieces):,} pieces, none of which is a word or a part of "
            "one. They may mix letters and punctuation. Pass a vocab.txt of "
            "BERT; labse build-vocab makes one from text."
        ) from error


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


def _searchable(
    vocabulary: Vocabulary, placeholders: dict[str, str]
) -> list[str]:
    r"""The pieces for the WordPiece model.

    No word has a space, but the model would find one if a piece had a space;
    and it cannot be built with a piece "\x11", which it uses itself.
    Normalised texts have no control characters.
    """
    used = set().union(*vocabulary.pieces)
    replacements = dict(placeholders)
    if used & set(" \x11"):
        nowhere = _unused_character(
            vocabulary, range(1, 0x11), "one of U+0001 to U+0010"
        )
        # One and two of them, since "a b" and "a\x11b" are two pieces.
        replacements[" "], replacements["\x11"] = nowhere, 2 * nowhere
    if not replacements:
        return list(vocabulary.pieces)
    table = str.maketrans(replacements)
    return [piece.translate(table) for piece in vocabulary.pieces]


def _unused_character(
    vocabulary: Vocabulary, codes: Iterable[int], name: str
) -> str:
    """The first of the characters that no piece has."""
    used = set().union(*vocabulary.pieces)
    for code in codes:
        if chr(code) not in used:
            return chr(code)
    raise InputError(
        f"The vocabulary leaves {name} free. Received one with all of them."
    )
