"""The ids of pre-tokenized records, and whose they are."""

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from labse.configs.schema import TokenizerConfig
from labse.data.records.example_bytes import pack_ids
from labse.errors import InputError
from labse.preprocessing.vocabulary import Vocabulary

if TYPE_CHECKING:
    # Imports TensorFlow, which records of texts are written without.
    from labse.preprocessing.tokenizer import WordPieceTokenizer


@dataclasses.dataclass(frozen=True)
class Tokens:
    """How the texts of pre-tokenized records became ids.

    A text has at most `max_length` - 1 ids: one more than fit beside [CLS] and
    [SEP], so that a reader sees which texts it truncates.
    """

    vocabulary: str  # `Vocabulary.fingerprint`
    settings: Mapping[str, object]  # of the tokenizer
    max_length: int

    @classmethod
    def of(cls, tokenizer: "WordPieceTokenizer", max_length: int) -> "Tokens":
        """Those that a tokenizer makes."""
        settings = {
            name: getattr(tokenizer, name)
            for name in (
                *("ids", "lower_case", "max_bytes_per_word"),
                "max_characters_per_word",
            )
        }
        fingerprint = tokenizer.vocabulary.fingerprint
        return cls(fingerprint, settings, max_length)

    def check(
        self,
        folder: str | os.PathLike,
        tokenizer: "WordPieceTokenizer",
        max_length: int,
    ) -> None:
        """Raises `InputError` unless a folder's ids are those of a model."""
        found, wanted = self, Tokens.of(tokenizer, max_length)
        if found.vocabulary != wanted.vocabulary:
            what = "another vocabulary"
        elif dict(found.settings) != dict(wanted.settings):
            what = ", ".join(
                f"tokenizer.{name}={found.settings.get(name)!r}, not {value!r}"
                for name, value in wanted.settings.items()
                if found.settings.get(name) != value
            )
        elif found.max_length < wanted.max_length:
            what = (
                f"texts truncated to {found.max_length} tokens, where "
                f"{wanted.max_length} are to be read"
            )
        else:
            return
        raise InputError(
            f"{folder}: pre-tokenized records have the ids of the model's own "
            f"tokenizer. Received {what}. Write them again with this "
            "vocabulary and these settings, or write records of texts, which "
            "any model reads."
        )


class TokenIdsOfFile:
    """As `TokenIds`, of a vocabulary file; small where it is pickled.

    The tokenizer is made where texts become ids, once in each process.

    Attributes:
      tokens: whose ids they are.
    """

    def __init__(
        self,
        vocab: str | os.PathLike,
        config: TokenizerConfig,
        max_length: int,
    ):
        """As `TokenIds`, by the path of the vocabulary."""
        self._made_of = os.path.abspath(vocab), config, max_length
        self.tokens = _token_ids(*self._made_of).tokens

    def __call__(self, texts: list[bytes]) -> list[bytes]:
        """The ids of each text, packed as in a feature."""
        return _token_ids(*self._made_of)(texts)


class TokenIds:
    """Texts to the ids of pre-tokenized records.

    Attributes:
      tokens: whose ids they are.
    """

    def __init__(self, tokenizer: "WordPieceTokenizer", max_length: int):
        """Raises `InputError` unless a piece fits into `max_length`."""
        import tensorflow as tf

        from labse.preprocessing.packing import MIN_LENGTH

        if max_length < MIN_LENGTH:
            raise InputError(
                f"max_length counts [CLS] and [SEP]: it is at least "
                f"{MIN_LENGTH}. Received {max_length}."
            )
        self.tokens = Tokens.of(tokenizer, max_length)
        kept = self.tokens.max_length - 1

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def tokenize(texts):
            ids = tokenizer.tokenize(texts)[:, :kept]
            return ids.flat_values, ids.row_splits

        self._tokenize, self._tf = tokenize, tf

    def __call__(self, texts: list[bytes]) -> list[bytes]:
        """The ids of each text, packed as in a feature."""
        ids, splits = self._tokenize(
            self._tf.constant(texts, self._tf.string, [len(texts)])
        )
        return pack_ids(ids.numpy(), splits.numpy())


@functools.lru_cache(1)
def _token_ids(
    vocab: str, config: TokenizerConfig, max_length: int
) -> TokenIds:
    from labse.preprocessing.tokenizer import WordPieceTokenizer

    vocabulary = Vocabulary.read(vocab)
    return TokenIds(
        WordPieceTokenizer.from_config(vocabulary, config), max_length
    )
