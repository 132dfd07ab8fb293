"""Tokens that a Hugging Face tokenizer has beside its WordPiece vocabulary.

That tokenizer finds them in a text before it is split into words, even inside
words. WordPiece alone gives the same ids in two cases:

- Special tokens that are not words, such as "[Q]" or "<s>". As with "[CLS]",
  one written out in a text is read as ordinary words; no other text differs.
- Single characters at which BERT splits words anyway: Chinese characters and
  punctuation. They are pieces like any other. Stripping accents can turn one
  Chinese character into another, so then the tokenizer must look for them in
  normalised text.

Both become pieces of the vocabulary, so that each keeps its id and its row.
"""

import dataclasses
import unicodedata
from collections.abc import Iterator

from labse.errors import InputError
from labse.formats.json_file import JsonObject
from labse.formats.model_file import shown
from labse.preprocessing.vocabulary import SPECIAL_PIECES

# BERT's: https://github.com/google-research/bert/blob/master/tokenization.py
_CHINESE = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF)),
    *((0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF)),
    *((0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)


@dataclasses.dataclass
class _AddedToken:
    """What all files together say about a token."""

    where: str
    id: int | None = None
    special: bool = False
    # Whether it matches its characters anywhere, and nothing else.
    plain: bool = True
    normalized: bool = True


def extend_pieces(
    pieces: list[str],
    lower_case: bool,
    tokenizer: JsonObject,
    *files: JsonObject,
) -> tuple[list[str], tuple[str, ...]]:
    """The pieces with the added tokens at their ids, and notes.

    Args:
      lower_case: whether texts are lower-cased and accents stripped.
      *files: tokenizer_config.json, special_tokens_map.json and
        added_tokens.json, those that exist.

    Raises:
      InputError: WordPiece would give other ids, or files contradict one
        another.
    """
    tokens: dict[str, _AddedToken] = {}
    for token, stated in _statements(tokenizer, *files):
        _merge(
            tokens.setdefault(token, _AddedToken(stated.where)), token, stated
        )
    ids = {piece: row for row, piece in enumerate(pieces)}
    new = {}
    for name, token in tokens.items():
        if name in SPECIAL_PIECES and ids.get(name, token.id) == token.id:
            token.special = True
        elif name in ids and token.id not in (None, ids[name]):
            raise InputError(
                f"{token.where} gives {shown(name)} the id {token.id}, the "
                f"vocabulary {ids[name]}. Fetch both from the same place again."
            )
        elif name not in SPECIAL_PIECES:
            _check(name, token, lower_case)
        if name not in ids and token.id is not None:
            new[token.id] = name
    if not new:
        return pieces, ()
    added = [new[key] for key in sorted(new)]
    if sorted(new) != list(range(len(pieces), len(pieces) + len(new))):
        raise InputError(
            f"{tokenizer.path}: added tokens must have the ids that "
            f"follow the vocabulary's, {len(pieces):,} and so on. Received "
            f"{shown(added)} with {shown(sorted(new))}. Save the tokenizer "
            "again, save_pretrained(folder)."
        )
    note = (
        f"added tokens are pieces of the vocabulary now: {shown(added)}; a "
        "special one that is written out in a text is read as ordinary words"
    )
    return [*pieces, *added], (note,)


def _statements(tokenizer: JsonObject, *files: JsonObject):
    """Yields tokens and what one place says about each."""
    listed = tokenizer.values.get("added_tokens") or []
    if not isinstance(listed, list):
        raise tokenizer.wrong("added_tokens", "a list of tokens")
    for number, values in enumerate(listed):
        if not isinstance(values, dict):
            raise tokenizer.wrong("added_tokens", "a list of tokens")
        where = JsonObject(tokenizer.path, values, f"added_tokens[{number}].")
        yield (
            where.text("content"),
            _described(where, where.integer("id", None, least=0)),
        )
    for file in files:
        yield from _config_statements(file)
        if file.path.name == "added_tokens.json":
            for name in file.values:
                yield (
                    name,
                    _AddedToken(str(file.path), file.integer(name, least=0)),
                )


def _config_statements(file: JsonObject) -> Iterator[tuple[str, _AddedToken]]:
    added = file.child("added_tokens_decoder")
    for number in added.values:
        where = added.child(number)
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise added.wrong(number, "under a token's id")
        yield where.text("content"), _described(where, int(number))
    for key in ("additional_special_tokens", "extra_special_tokens"):
        values = file.values.get(key) or []
        if isinstance(values, dict):  # Under names of the user's choice.
            values = list(values.values())
        for value in values if isinstance(values, list) else [None]:
            if isinstance(value, dict):
                value = value.get("content")
            if not isinstance(value, str):
                raise file.wrong(key, "strings")
            yield value, _AddedToken(str(file.path), special=True)


def _described(where: JsonObject, number: int | None) -> _AddedToken:
    flags = [where.flag(key) for key in ("single_word", "lstrip", "rstrip")]
    return _AddedToken(
        where=str(where.path),
        id=number,
        special=bool(where.flag("special")),
        plain=not any(flags),
        normalized=bool(where.flag("normalized", True)),
    )


def _merge(token: _AddedToken, name: str, stated: _AddedToken) -> None:
    if None not in (token.id, stated.id) and token.id != stated.id:
        raise InputError(
            f"{token.where} and {stated.where} give {shown(name)} different "
            f"ids, {token.id} and {stated.id}. Fetch both again from the "
            "same place."
        )
    token.id = stated.id if token.id is None else token.id
    token.special |= stated.special
    token.plain &= stated.plain
    token.normalized &= stated.normalized


def _check(name: str, token: _AddedToken, lower_case: bool) -> None:
    """Raises `InputError` where WordPiece would give other ids."""
    splits = [_splits_words(character) for character in name]
    if token.special and len(name) > 1 and any(splits):
        return
    found_alike = token.normalized or not lower_case
    if splits == [True] and token.plain and found_alike:
        return
    raise InputError(
        f"{token.where} adds the token {shown(name)} to the vocabulary. It "
        "would be found anywhere in a text, even inside words, which WordPiece "
        "cannot do, so it is not supported. Save the model without "
        "it in transformers (a tokenizer without the token, and "
        "model.resize_token_embeddings), convert that, and give new words "
        "rows of their own with labse grow-vocab."
    )


def _splits_words(character: str) -> bool:
    """Whether BERT makes a character a word of its own."""
    code = ord(character)
    return (
        (character.isascii() and character.isprintable())
        and not (character.isalnum() or character == " ")
        or unicodedata.category(character).startswith("P")
        or any(first <= code <= last for first, last in _CHINESE)
    )
