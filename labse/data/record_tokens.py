"""The ids of pre-tokenized records, and whose they are."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from labse.errors import InputError
from labse.preprocessing.tokenizer import WordPieceTokenizer


class Tokens(NamedTuple):
    """How the texts of pre-tokenized records became ids.

    A text has at most `max_length` - 1 ids: one more than fit into
    `max_length` beside [CLS] and [SEP], so that truncation can be seen.
    """

    vocabulary: str  # `Vocabulary.fingerprint`
    settings: Mapping[str, object]  # of the tokenizer
    max_length: int

    @classmethod
    def of(cls, tokenizer: WordPieceTokenizer, max_length: int) -> "Tokens":
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
        tokenizer: WordPieceTokenizer,
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
