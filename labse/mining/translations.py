"""Which sentences translate each other, according to a file of pairs.

Texts count as equal if they differ only in case, white space, punctuation,
symbols, the digits of numbers, or the Unicode form of a letter; see `fold`.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

_ZEROS = re.compile("0+")
# What stands between two digits belongs to the number: 1.5 is not 15.
_WITHIN_NUMBERS = re.compile(r"(?<=\d)[\W_]+(?=\d)")


class _Folding(dict):
    """For `str.translate`; looks a character up on first use."""

    def __init__(self, ignores_digits: bool):
        super().__init__()
        self._ignores_digits = ignores_digits

    def __missing__(self, code: int) -> str | None:
        category = unicodedata.category(chr(code))
        kept = chr(code)
        if category[0] in "PSZC":
            kept = None
        elif category == "Nd":
            kept = "0" if self._ignores_digits else str(unicodedata.digit(kept))
        self[code] = kept
        return kept


_FOLDING = _Folding(ignores_digits=False)
_FOLDING_DIGITS = _Folding(ignores_digits=True)


def fold(text: str, ignores_digits: bool = True) -> str:
    """A form that is the same for texts that count as equal.

    A text that would be empty, such as "?!", is only stripped.

    Args:
      text: any.
      ignores_digits: whether "Chapter 1" counts as equal to "Chapter 12".
    """
    whole = unicodedata.normalize("NFKC", text)
    folded = whole.casefold()
    if ignores_digits:
        folded = _ZEROS.sub("0", folded.translate(_FOLDING_DIGITS))
    else:
        parts = _WITHIN_NUMBERS.split(folded)
        folded = ".".join(part.translate(_FOLDING) for part in parts)
    return folded or whole.strip()


def number_texts(texts: Sequence[str]) -> np.ndarray:
    """int64 [n]: equal numbers, from 0, for texts that count as equal."""
    numbers: dict[str, int] = {}
    return np.fromiter(
        (numbers.setdefault(fold(text), len(numbers)) for text in texts),
        np.int64,
        len(texts),
    )


class Translations:
    """Whether a target translates a source, directly or by one hop.

    By one hop: there are pairs (source, t), (s, t) and (s, target). "Thanks" -
    "danke" and "Thank you" - "danke" make every translation of "Thank you" one
    of "Thanks".
    """

    def __init__(self, sources: np.ndarray, targets: np.ndarray):
        """Indexes pairs: numbers of sources and of targets, int [n] each."""
        pairs = np.unique(np.stack([sources, targets], axis=1), axis=0)
        self._targets_of = _Lists(pairs[:, 0], pairs[:, 1])
        self._sources_of = _Lists(pairs[:, 1], pairs[:, 0])

    def of(self, source: int) -> set[int]:
        """The targets paired with a source."""
        return set(self._targets_of[source])

    def translates(self, direct: set[int], target: int) -> bool:
        """Whether a target translates the source whose `of` is `direct`."""
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
