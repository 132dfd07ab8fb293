"""Cuts rare words into parts that are not rare.

In a script without spaces a "word" is a whole phrase, and most phrases occur
once. The units that recur are inside them, so frequency is counted for parts of
words, which are comparable in every script.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from labse.preprocessing.vocabulary import SUFFIX_PREFIX

_CODE_POINTS = 0x110000


def cut(
    counts: Mapping[str, int], characters: Sequence[str], min_count: int
) -> dict[str, list[str]]:
    """Cuts the words that are rare, or have a character that is not kept.

    From the left, each part is the longest that occurs `min_count` times: at
    the beginning of words if it begins the word, inside words otherwise.
    Occurrences within one word count, overlapping ones too.

    Args:
      counts: word -> number of occurrences; a rare word has fewer than
        min_count.
      characters: those that are kept; others separate parts.
      min_count: at least 1.

    Returns:
      the words that were cut, each with its parts of two or more characters;
      a part from inside the word begins with "##".
    """
    words = list(counts)
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    starts = np.cumsum(lengths) - lengths
    text = np.frombuffer("".join(words).encode("utf-32-le"), np.uint32)
    text = text.astype(np.int64)
    is_kept = np.isin(text, [ord(character) for character in characters])
    weights = np.fromiter(counts.values(), np.int64, len(words))
    is_cut = (weights < min_count) | ~np.logical_and.reduceat(is_kept, starts)
    longest = _longest_parts(
        text, starts, lengths, weights, is_kept, is_cut, min_count
    )
    return {
        words[row]: _parts(
            words[row], longest[starts[row] : starts[row] + lengths[row]]
        )
        for row in np.flatnonzero(is_cut).tolist()
    }


def _longest_parts(
    text: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    weights: np.ndarray,
    is_kept: np.ndarray,
    is_cut: np.ndarray,
    min_count: int,
) -> np.ndarray:
    """Length of the longest part that begins at each character.

    Substrings are numbered length by length: a longer one is the number of its
    beginning and one more character. Only those grow further that occur often
    enough, and in a word to cut.

    Args:
      text: int64 [characters], the words' code points one after another.
      starts, lengths, weights: int64 [words]; weights are occurrences.
      is_kept: bool [characters].
      is_cut: bool [words], the words to cut.
      min_count: least occurrences of a part.

    Returns:
      int64 [characters], 0 where the character is not kept.
    """
    is_first = np.zeros(len(text), bool)
    is_first[starts] = True
    ends = np.repeat(starts + lengths, lengths)
    weights, is_cut = np.repeat(weights, lengths), np.repeat(is_cut, lengths)
    longest = is_kept.astype(np.int64)
    places = np.flatnonzero(is_kept)
    numbers = 2 * text[places] + is_first[places]
    length = 1
    while len(places):
        grows = places + length < ends[places]
        places, numbers = places[grows], numbers[grows]
        grows = is_kept[places + length]
        places, numbers = places[grows], numbers[grows]
        numbers = numbers * _CODE_POINTS + text[places + length]
        length += 1
        numbers = np.unique(numbers, return_inverse=True)[1]
        is_frequent = np.bincount(numbers, weights[places]) >= min_count
        is_needed = np.bincount(numbers, is_cut[places]) > 0
        grows = (is_frequent & is_needed)[numbers]
        places, numbers = places[grows], numbers[grows]
        longest[places] = length
    return longest


def _parts(word: str, longest: np.ndarray) -> list[str]:
    parts, start = [], 0
    while start < len(word):
        end = start + max(1, int(longest[start]))
        if end - start > 1:
            parts.append((SUFFIX_PREFIX if start else "") + word[start:end])
        start = end
    return parts
