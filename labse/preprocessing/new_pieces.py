"""Reads pieces that a vocabulary is to get, and checks that they can come up.

A piece that no text is ever split into would be a row of dead weight, and a
sign that the file was made for another tokenizer.
"""

import os
import re
from collections.abc import Mapping, Sequence

import tensorflow as tf

from labse.configs.schema import TokenizerConfig
from labse.errors import InputError
from labse.files.lines import read_text_lines
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import (
    SPECIAL_PIECES,
    SUFFIX_PREFIX,
    Vocabulary,
)

_UNUSED = re.compile(r"\[unused\d*\]")
_SHOWN = 5
# Stands before a piece that does not begin a word.
_LETTER = "a"


def read_new_pieces(
    path: str, vocabulary: Vocabulary
) -> tuple[dict[str, int], int]:
    """The pieces of a file that a vocabulary lacks.

    Args:
      path: one piece a line in UTF-8; it need not hold the special pieces.
      vocabulary: of the model.

    Returns:
      the new pieces in the file's order, each with its line, and how many
      others the vocabulary has already. Special pieces and [unused...] are
      neither.

    Raises:
      InputError: the file is not there or not UTF-8, a line is empty, too
        long or there twice, or no piece is new.
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
        if piece in SPECIAL_PIECES or _UNUSED.fullmatch(piece):
            continue
        if piece in known:
            have += 1
        else:
            new[piece] = number
    if not new:
        raise InputError(
            f"{path} must hold pieces that the model lacks. Received {have:,} "
            "that it has, and no other."
        )
    return new, have


def check_pieces(
    lines: Mapping[str, int], path: str, config: TokenizerConfig
) -> None:
    """Raises `InputError` where the tokenizer could never give a piece.

    Each is given to the tokenizer: as a word, or behind a letter if it has
    "##". With no other pieces to choose from, it must come out.

    Args:
      lines: pieces, each with its line.
      path: of the file, for messages.
      config: of the tokenizer.
    """
    inside = [piece for piece in lines if piece.startswith(SUFFIX_PREFIX)]
    whole = [piece for piece in lines if not piece.startswith(SUFFIX_PREFIX)]
    possible = {
        *_that_come_out(whole, "", config),
        *_that_come_out(inside, _LETTER, config),
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
        f"{path}:{lines[wrong[0]]}: every piece is one that the model's "
        f"tokenizer ({kind}, ids of {config.ids}) can give: a part of one "
        "word, as it stands in normalised text, with ## before it if it does "
        f"not begin the word. Received {shown}{more}. Remove these lines."
    )


def _that_come_out(
    pieces: Sequence[str], beginning: str, config: TokenizerConfig
) -> set[str]:
    """Those of the pieces that a word, with `beginning` before it, gives."""
    pieces = [piece for piece in pieces if piece != SUFFIX_PREFIX]
    if not pieces:
        return set()
    # The WordPiece model needs one piece that it can use.
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
