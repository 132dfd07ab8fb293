"""Which sentences translate each other, as far as a file of pairs tells.

Texts count as one where they differ in nothing but case, white space,
punctuation, symbols, the digits of numbers, or the way Unicode writes a letter.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

_ZEROS = re.compile("0+")


class _Folding(dict):
    """For `str.translate`; looks a character up when it is first met."""

    def __missing__(self, code: int) -> str | None:
        category = unicodedata.category(chr(code))
        kept = chr(code)
        if category[0] in "PSZC":
            kept = None
        elif category == "Nd":
            kept = "0"
        self[code] = kept
        return kept


_FOLDING = _Folding()


def fold(text: str) -> str:
    """The text without what does not tell two texts apart.

    A text of which nothing would be left, such as "?!", stays as it is but for
    white space around it.
    """
    whole = unicodedata.normalize("NFKC", text)
    folded = whole.casefold().translate(_FOLDING)
    return _ZEROS.sub("0", folded) or whole.strip()


def number_texts(texts: Sequence[str]) -> np.ndarray:
    """int64 [n]: equal numbers for texts that count as one, from 0."""
    numbers: dict[str, int] = {}
    return np.fromiter(
        (numbers.setdefault(fold(text), len(numbers)) for text in texts),
        np.int64,
        len(texts),
    )


class Translations:
    """Answers whether a target translates a source, directly or by one hop.

    By one hop: source and target stand in pairs (source, t) and (s, target),
    and s and t stand in a pair as well. "Thanks" - "danke" and "Thank you" -
    "danke" make every translation of "Thank you" one of "Thanks".
    """

    def __init__(self, sources: np.ndarray, targets: np.ndarray):
        """Takes the pairs.

        Args:
          sources: int [n], numbers of texts.
          targets: int [n], likewise; the two sides' numbers are apart.
        """
        pairs = np.unique(np.stack([sources, targets], axis=1), axis=0)
        self._targets_of = _Lists(pairs[:, 0], pairs[:, 1])
        self._sources_of = _Lists(pairs[:, 1], pairs[:, 0])

    def of(self, source: int) -> set[int]:
        """The targets that stand in a pair with the source."""
        return set(self._targets_of[source])

    def translates(self, direct: set[int], target: int) -> bool:
        """Whether the target translates the source.

        Args:
          direct: what `of` gives for the source.
          target: of which it is asked.
        """
        return any(
            not direct.isdisjoint(self._targets_of[source])
            for source in self._sources_of[target]
        )


class _Lists:
    """From a number to the list of its values."""

    def __init__(self, keys: np.ndarray, values: np.ndarray):
        order = np.argsort(keys, kind="stable")
        self._values = values[order]
        size = int(keys.max()) + 1 if len(keys) else 0
        counts = np.bincount(keys, minlength=size)
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    def __getitem__(self, key: int) -> list[int]:
        if key + 1 >= len(self._starts):
            return []
        return self._values[self._starts[key] : self._starts[key + 1]].tolist()
