"""Which characters a vocabulary keeps: those of every script in use.

A word with a character that has no piece is [UNK], and so is all of the word. A
limit by frequency alone would first lose scripts of small languages and the
less frequent ideographs.
"""

import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np

from data_pipeline.vocabulary.word_table import WordTable

_CODE_POINTS = 0x110000
_BLOCK = 2**22

# Of every script's text. Chinese reaches it with some 4,000 ideographs.
SCRIPT_SHARE = 0.999


def character_weights(table: WordTable) -> np.ndarray:
    """float64 [0x110000]: smoothed occurrences of each code point."""
    points = table.code_points()
    row = np.cumsum(points == 10, dtype=np.int32)
    row -= points == 10  # A line feed is of the word that it ends.
    weights = np.zeros(_CODE_POINTS)
    for start in range(0, len(points), _BLOCK):
        block = slice(start, start + _BLOCK)
        weights += np.bincount(
            points[block], table.smoothed[row[block]], _CODE_POINTS
        )
    weights[10] = 0
    return weights


def choose_characters(weights: np.ndarray, max_characters: int) -> list[str]:
    """The characters to keep, by code point.

    If the text has more than `max_characters`, first come those that, the most
    frequent first, make up SCRIPT_SHARE of the text in each script; then the
    most frequent of the others. If the first are too many alone, the most
    frequent of them are kept.

    Args:
      weights: of `character_weights`.
      max_characters: most characters to keep.
    """
    points = np.flatnonzero(weights)
    points = points[np.argsort(-weights[points], kind="stable")]
    if len(points) > max_characters:
        is_rare = ~_covers_script(points, weights[points])
        points = points[np.argsort(is_rare, kind="stable")][:max_characters]
    return [chr(point) for point in sorted(points.tolist())]


def coverage_by_script(
    weights: np.ndarray, characters: Sequence[str]
) -> dict[str, tuple[int, int, float]]:
    """Script -> characters in the text, those kept, their share of the text."""
    points = np.flatnonzero(weights)
    names, script = _scripts(points)
    is_kept = np.isin(points, [ord(character) for character in characters])
    total = np.bincount(script, weights[points])
    kept = np.bincount(script, weights[points] * is_kept)
    return {
        name: (int(found), int(count), float(share))
        for name, found, count, share in zip(
            names,
            np.bincount(script),
            np.bincount(script, is_kept),
            kept / total,
            strict=True,
        )
    }


def describe_coverage(coverage: Mapping[str, tuple[int, int, float]]) -> str:
    """A table of the scripts that lose characters; "" if none does."""
    rows = [
        f"{name:<20}{found:>12,}{kept:>10,}{share:>15.3%}"
        for name, (found, kept, share) in coverage.items()
        if kept < found
    ]
    head = f"{'script':<20}{'characters':>12}{'kept':>10}{'of its text':>15}"
    return "\n".join([head, *rows]) if rows else ""


def script_name(character: str) -> str:
    """The first word of the character's Unicode name, such as CJK or THAI.

    SYMBOLS for all that is neither a letter, a mark nor a digit.
    """
    if unicodedata.category(character)[0] not in "LMN":
        return "SYMBOLS"
    return unicodedata.name(character, "UNNAMED").split(" ")[0].split("-")[0]


def _covers_script(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """bool [points]: whether SCRIPT_SHARE is not reached before.

    The points are those of all scripts, the most frequent first.
    """
    _, script = _scripts(points)
    order = np.argsort(script, kind="stable")
    script, weights = script[order], weights[order]
    starts = np.flatnonzero(np.diff(script, prepend=-1))
    sizes = np.diff(np.append(starts, len(script)))
    before = np.cumsum(weights) - weights
    before -= np.repeat(before[starts], sizes)
    total = np.repeat(np.add.reduceat(weights, starts), sizes)
    covers = np.empty(len(points), bool)
    covers[order] = before < SCRIPT_SHARE * total
    return covers


def _scripts(points: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names of scripts, and which one each code point is of."""
    names = [script_name(chr(point)) for point in points.tolist()]
    distinct, script = np.unique(names, return_inverse=True)
    return distinct.tolist(), script
