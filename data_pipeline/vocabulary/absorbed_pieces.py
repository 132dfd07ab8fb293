"""Leaves out pieces that were only steps towards longer ones.

Merging goes in small steps: before "minutes" comes "minut", which is never used
any more once there is "minutes". Such pieces would take the place of useful
ones.
"""

import collections
from collections.abc import Sequence

import numpy as np

from data_pipeline.vocabulary.word_table import WordTable
from labse.preprocessing.vocabulary import SUFFIX_PREFIX

# The search ends if at most this share of the room is left.
_TOLERANCE = 1 / 1000


def choose(
    fixed: Sequence[str],
    longer: Sequence[str],
    table: WordTable,
    room: int,
) -> list[str]:
    """Chooses the pieces that a vocabulary has in addition to `fixed`.

    It considers as many of the first pieces as it needs. Of these it chooses
    the pieces that the tokenizer returns for the words, and those with
    different neighbours in longer pieces: other texts may need them, most of
    all in a script without spaces, where pieces of known text are phrases. If
    room is left, it is filled with the first of the other pieces.

    Args:
      fixed: special pieces and characters.
      longer: pieces of several characters, the most useful first.
      table: words of the text that they were learned from.
      room: most pieces to choose.

    Returns:
      the chosen pieces in the order of `longer`.
    """
    has_neighbours = _between_different_neighbours(longer)
    count = min(room, len(longer))
    while True:
        chosen = _is_used(fixed, longer[:count], table) | has_neighbours[:count]
        missing = room - int(chosen.sum())
        if missing <= room * _TOLERANCE or count == len(longer):
            break
        count = min(count + missing, len(longer))
    chosen[np.flatnonzero(~chosen)[: max(0, missing)]] = True
    rows = np.flatnonzero(chosen)[:room]
    return [longer[row] for row in rows.tolist()]


def _is_used(
    fixed: Sequence[str], longer: Sequence[str], table: WordTable
) -> np.ndarray:
    """bool [longer]: whether the tokenizer returns the piece for some word."""
    import tensorflow as tf

    from labse.preprocessing.tokenizer import WordPieceTokenizer
    from labse.preprocessing.vocabulary import Vocabulary

    tokenizer = WordPieceTokenizer(Vocabulary([*fixed, *longer]))
    is_used = np.zeros(len(fixed) + len(longer), bool)
    for words in table.batches():
        batch = tf.constant(words)
        is_used[tokenizer.tokenize(batch).values.numpy()] = True
    return is_used[len(fixed) :]


def _between_different_neighbours(pieces: Sequence[str]) -> np.ndarray:
    """bool [pieces]: whether longer pieces show that a piece is a unit.

    "##inut" always has an "m" before and an "e" after it, so it is not a unit.
    Feng et al. 2004 ("Accessor variety criteria for Chinese word extraction")
    find words in text without spaces by the variety of neighbours; an end of
    the longer piece counts as a neighbour, too. A piece that begins words needs
    different neighbours only after it.
    """
    known = set(pieces)
    before, after = (collections.defaultdict(set) for _ in range(2))
    for piece in pieces:
        inside = piece.startswith(SUFFIX_PREFIX)
        letters = piece.removeprefix(SUFFIX_PREFIX)
        for start in range(len(letters) - 1):
            prefix = SUFFIX_PREFIX if start or inside else ""
            for end in range(start + 2, len(letters) + 1):
                part = prefix + letters[start:end]
                if part != piece and part in known:
                    before[part].add(letters[start - 1 : start])
                    after[part].add(letters[end : end + 1])
    return np.array(
        [
            len(after[piece]) > 1
            and (len(before[piece]) > 1 or not piece.startswith(SUFFIX_PREFIX))
            for piece in pieces
        ],
        bool,
    )
