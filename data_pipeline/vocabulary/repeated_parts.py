"""Cuts rare words into parts that are not rare.

In a script without spaces a "word" is a whole phrase, and most phrases occur
once. The units that recur are inside them, so frequency is counted for parts of
words, which are comparable in every script.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data_pipeline.vocabulary.word_table import WordTable
from labse.preprocessing.vocabulary import SUFFIX_PREFIX

_CODE_POINTS = 0x110000
_LINE_FEED = 10
# Beginnings of parts that are looked at together: about 0.8 GB.
_BEGINNINGS = 8_000_000
_BLOCK = 2**24


class Parts(NamedTuple):
    """What a vocabulary is learned from: words, and parts of words.

    Attributes:
      texts: distinct, in UTF-8; a part from inside a word begins with "##".
      weights: float64 [texts], smoothed counts.
    """

    texts: list[bytes]
    weights: np.ndarray


class _Text(NamedTuple):
    """All words, one after another, each with a line feed after it.

    Attributes:
      points: uint32 [characters], code points.
      is_kept: bool [characters], false for line feeds too.
      starts, ends: int64 [words].
      row: int32 [characters], the word that a character is of.
    """

    points: np.ndarray
    is_kept: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    row: np.ndarray


def cut(table: WordTable, characters: Sequence[str], min_count: int) -> Parts:
    """Cuts the words that are rare, or have a character that is not kept.

    From the left, each part is the longest that occurs `min_count` times: at
    the beginning of words if it begins the word, inside words otherwise.
    Occurrences within one word count, overlapping ones too. Parts of one
    character are left out.

    Args:
      table: words; a rare one has a raw count below min_count.
      characters: those that are kept; others separate parts.
      min_count: at least 1.
    """
    text = _read(table, characters)
    is_complete = np.logical_and.reduceat(
        text.is_kept | (text.points == _LINE_FEED), text.starts
    )
    is_cut = (table.raw < min_count) | ~is_complete
    lengths, names = _longest_parts(text, table.raw, is_cut, min_count)
    rows, places = _walk(text, lengths, np.flatnonzero(is_cut))
    _, first, number = np.unique(
        names[places], return_index=True, return_inverse=True
    )
    weights = np.bincount(number, table.smoothed[rows], len(first))
    weights = weights.astype(np.float64)  # Also without any part.
    texts = _slices(text.points, places[first], lengths[places[first]])
    is_inside = text.starts[text.row[places[first]]] != places[first]
    prefix = SUFFIX_PREFIX.encode()
    texts = [
        prefix + part if inside else part
        for part, inside in zip(texts, is_inside.tolist(), strict=True)
    ]
    return _with_whole_words(Parts(texts, weights), table, ~is_cut)


def _read(table: WordTable, characters: Sequence[str]) -> _Text:
    points = table.code_points()
    ends = np.flatnonzero(points == _LINE_FEED)
    starts = np.concatenate([[0], ends[:-1] + 1])
    known = np.zeros(_CODE_POINTS, bool)
    known[[ord(character) for character in characters]] = True
    row = np.repeat(np.arange(len(ends), dtype=np.int32), ends - starts + 1)
    return _Text(points, known[points], starts, ends, row)


def _longest_parts(
    text: _Text, raw: np.ndarray, is_cut: np.ndarray, min_count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The longest part that begins at each character.

    Parts that begin with different characters have nothing to do with each
    other, so only some beginnings are in memory at once.

    Args:
      text: the words.
      raw: int64 [words], occurrences.
      is_cut: bool [words], the words to cut.
      min_count: least occurrences of a part.

    Returns:
      uint8 [characters], its length, 0 where the character is not kept and 1
      where no longer part begins; int32 [characters], its number, equal for
      equal parts, -1 where the length is below 2.
    """
    lengths = text.is_kept.astype(np.uint8)
    names = np.full(len(lengths), -1, np.int32)
    groups, count = _groups(text)
    names_used = 0
    for group in range(count):
        places = np.flatnonzero(groups == group)
        is_first = text.starts[text.row[places]] == places
        numbers = 2 * text.points[places].astype(np.int64) + is_first
        length = 1
        while len(places):
            grows = text.is_kept[places + length]
            places, numbers = places[grows], numbers[grows]
            numbers = numbers * _CODE_POINTS + text.points[places + length]
            length += 1
            numbers = np.unique(numbers, return_inverse=True)[1]
            rows = text.row[places]
            is_frequent = np.bincount(numbers, raw[rows]) >= min_count
            is_frequent &= np.bincount(numbers, is_cut[rows]) > 0
            grows = is_frequent[numbers]
            places = places[grows]
            numbers = (np.cumsum(is_frequent) - 1)[numbers[grows]]
            lengths[places] = length
            names[places] = names_used + numbers
            names_used += int(is_frequent.sum())
    return lengths, names


def _groups(text: _Text) -> tuple[np.ndarray, int]:
    """Deals beginnings of two kept characters to groups, equal ones together.

    Returns:
      uint8 [characters], the group, 255 where no such part begins; the number
      of groups.
    """
    count = min(255, -(-len(text.points) // _BEGINNINGS))
    groups = np.full(len(text.points), 255, np.uint8)
    for start in range(0, len(text.points), _BLOCK):
        block = slice(start, start + _BLOCK)
        here, after = text.is_kept[block], text.is_kept[start + 1 :][:_BLOCK]
        points = text.points[start:][: _BLOCK + 1].astype(np.int64)
        begins = np.flatnonzero(here[: len(after)] & after)
        # Any function that spreads pairs of characters evenly.
        mixed = points[begins] * 40_503 + points[begins + 1] * 2_654_435_761
        groups[start + begins] = (mixed >> 7) % count
    return groups, count


def _walk(
    text: _Text, lengths: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The parts of two or more characters of words, and where they begin."""
    found_rows, found_places = [rows[:0]], [rows[:0]]
    places = text.starts[rows]
    while len(rows):
        is_part = lengths[places] > 1
        found_rows.append(rows[is_part])
        found_places.append(places[is_part])
        places = places + np.maximum(1, lengths[places])
        goes_on = places < text.ends[rows]
        rows, places = rows[goes_on], places[goes_on]
    return np.concatenate(found_rows), np.concatenate(found_places)


def _slices(
    points: np.ndarray, places: np.ndarray, lengths: np.ndarray
) -> list[bytes]:
    """The texts, in UTF-8, at places of an array of code points."""
    if not len(places):
        return []
    sizes = lengths.astype(np.int64) + 1  # With a line feed.
    ends = np.cumsum(sizes)
    gathered = points[
        np.repeat(places - (ends - sizes), sizes) + np.arange(ends[-1])
    ]
    gathered[ends - 1] = _LINE_FEED
    text = gathered.astype("<u4").tobytes().decode("utf-32-le")
    return text.encode()[:-1].split(b"\n")


def _with_whole_words(
    parts: Parts, table: WordTable, is_whole: np.ndarray
) -> Parts:
    """The parts, and the words that are not cut; some words are parts too."""
    words = list(itertools.compress(table.words(), is_whole.tolist()))
    weights = table.smoothed[is_whole]
    numbers = {part: number for number, part in enumerate(parts.texts)}
    known = np.fromiter(
        (numbers.get(word, -1) for word in words), np.int64, len(words)
    )
    is_known = known >= 0
    # A part occurs once in `known`.
    parts.weights[known[is_known]] += weights[is_known]
    more = itertools.compress(words, (~is_known).tolist())
    return Parts(
        parts.texts + list(more),
        np.concatenate([parts.weights, weights[~is_known]]),
    )
