"""Reads pieces to add to a vocabulary, and checks that the tokenizer uses them.

A piece that the tokenizer never returns would be an unused row, and a sign that
the file was made for another tokenizer.
"""

import os
from collections.abc import Mapping, Sequence

import tensorflow as tf

from labse.configs.schema import TokenizerConfig
from labse.errors import InputError
from labse.files.lines import read_text_lines
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import (
    SPECIAL_PIECES,
    SUFFIX_PREFIX,
    UNUSED,
    Vocabulary,
)

_SHOWN = 5
# Put before a piece that does not begin a word.
_LETTER = "a"


def read_new_pieces(
    path: str, vocabulary: Vocabulary
) -> tuple[dict[str, int], int]:
    """The pieces of a file that a vocabulary lacks.

    Args:
      path: one piece a line in UTF-8; it need not hold the special pieces.

    Returns:
      the new pieces in the file's order, each with its line, and the number
      of those that the vocabulary has already. Special pieces and [unused...]
      are not counted.

    Raises:
      InputError: the file does not exist or is not UTF-8, a line is empty, too
        long or repeated, or no piece is new.
    """
    path = os.fspath(path)
    lines = [line for _, line in read_text_lines(path)]
    if not lines:
        raise InputError(
            f"{path} has one piece a line. Received an empty file."
        )
    special = [piece for piece in SPECIAL_PIECES if piece not in lines]
    pieces = Vocabulary([*lines, *special], path).pieces[: len(lines)]
    known = set(vocabulary.pieces)
    new, have = {}, 0
    for number, piece in enumerate(pieces, start=1):
        if piece in SPECIAL_PIECES or UNUSED.fullmatch(piece):
            continue
        if piece in known:
            have += 1
        else:
            new[piece] = number
    if not new:
        raise InputError(
            f"{path} must have pieces that the model does not have yet. "
            f"Received {have:,} pieces, all of which it has."
        )
    return new, have


def check_pieces(
    lines: Mapping[str, int], path: str, config: TokenizerConfig
) -> None:
    """Raises `InputError` if the tokenizer could never return a piece.

    Each is tokenized, as a word, or after a letter if it has "##". With no
    other pieces in the vocabulary, the result must be that piece.

    `lines` has the line of each piece in the file.
    """
    inside = [piece for piece in lines if piece.startswith(SUFFIX_PREFIX)]
    whole = [piece for piece in lines if not piece.startswith(SUFFIX_PREFIX)]
    possible = {
        *_returned(whole, "", config),
        *_returned(inside, _LETTER, config),
    }
    wrong = [piece for piece in lines if piece not in possible]
    if not wrong:
        return
    shown = ", ".join(
        f"{piece!r} on line {lines[piece]}" for piece in wrong[:_SHOWN]
    )
    more = f" and {len(wrong) - _SHOWN:,} more" if len(wrong) > _SHOWN else ""
    kind = "uncased" if config.lower_case else "cased"
    raise InputError(
        f"{path}:{lines[wrong[0]]}: the model's tokenizer ({kind}, ids of "
        f"{config.ids}) must be able to return every piece: a part of one "
        "word of normalised text, with ## before it if it does not begin the "
        f"word. Received {shown}{more}. Remove these lines."
    )


def _returned(
    pieces: Sequence[str], beginning: str, config: TokenizerConfig
) -> set[str]:
    """The pieces that the tokenizer returns for a word after `beginning`."""
    pieces = [piece for piece in pieces if piece != SUFFIX_PREFIX]
    if not pieces:
        return set()
    # The WordPiece model needs at least one piece that words can have.
    vocabulary = Vocabulary(dict.fromkeys([*SPECIAL_PIECES, _LETTER, *pieces]))
    tokenizer = WordPieceTokenizer.from_config(vocabulary, config)
    ids = {piece: index for index, piece in enumerate(vocabulary.pieces)}
    before = [ids[beginning]] if beginning else []
    words = [beginning + piece.removeprefix(SUFFIX_PREFIX) for piece in pieces]
    found = tokenizer.tokenize(tf.constant(words)).to_list()
    return {
        piece
        for piece, given in zip(pieces, found, strict=True)
        if given == [*before, ids[piece]]
    }
