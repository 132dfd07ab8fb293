"""The distinct words of all languages with their counts, in little memory.

As Python objects in dictionaries, ten million words with two counts take five
gigabytes; here they are one text and two arrays, 0.3 gigabytes.
"""

import dataclasses
import operator
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from data_pipeline.vocabulary.smoothing import smoothing_coefficients
from data_pipeline.vocabulary.word_counts import Counts
from labse.errors import InputError

# About three times as many as 501,153 pieces can be learned from usefully.
MAX_WORDS = 16_000_000
_BATCH = 2**16

# Words, their languages and counts, sorted by word and language.
Rows = tuple[list[bytes], list[str], Sequence[int]]


@dataclasses.dataclass(frozen=True)
class WordTable:
    """Distinct words, sorted.

    Attributes:
      text: each word in UTF-8, followed by a line feed, which no word has.
      raw: int64 [words], occurrences in all languages.
      smoothed: float64 [words], occurrences after smoothing.
      languages: language -> its number of words, each occurrence counted.
    """

    text: bytes
    raw: np.ndarray
    smoothed: np.ndarray
    languages: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.raw)

    def words(self) -> list[bytes]:
        """All words."""
        return self.text[:-1].split(b"\n") if self.text else []

    def batches(self) -> Iterator[list[bytes]]:
        """All words, some at once."""
        for block in self._blocks():
            yield block[:-1].split(b"\n")

    def code_points(self) -> np.ndarray:
        """uint32 [characters] of the text, line feeds included."""
        octets = np.frombuffer(self.text, np.uint8)
        count = int(np.count_nonzero((octets & 0xC0) != 0x80))
        found, start = np.empty(count, np.uint32), 0
        for block in self._blocks():
            part = np.frombuffer(block.decode().encode("utf-32-le"), np.uint32)
            found[start : start + len(part)] = part
            start += len(part)
        return found

    def _blocks(self) -> Iterator[bytes]:
        ends = np.flatnonzero(np.frombuffer(self.text, np.uint8) == 10) + 1
        start = 0
        for end in [*ends[_BATCH - 1 :: _BATCH].tolist(), len(self.text)]:
            if end > start:
                yield self.text[start:end]
            start = end


def table_of_counts(counts: Counts, exponent: float) -> WordTable:
    """The words of language -> word -> count, smoothed."""
    rows = sorted(
        (word, language, count)
        for language, words in counts.items()
        for word, count in words.items()
    )
    totals = {name: sum(words.values()) for name, words in counts.items()}
    columns = tuple(map(list, zip(*rows, strict=True)))
    return make_table([columns], totals, len(rows), exponent)


def make_table(
    parts: Iterable[Rows],
    totals: Mapping[str, int],
    num_words: int,
    exponent: float,
    max_words: int = MAX_WORDS,
) -> WordTable:
    """The words of all parts, smoothed, and thinned if there are too many.

    Thinning is priority sampling (Duffield, Lund and Thorup 2007, "Priority
    sampling for estimation of arbitrary subset sums"): with w the smoothed
    count and u in (0, 1) a hash of the word, the words with the greatest w / u
    are kept, and the smoothed counts of the rest are raised to the greatest
    w / u that is not. So frequent words and those of small languages stay, of
    rare words a share that stands for all, and the sum is right on average. It
    depends on the words alone, not on parts and their order.

    Args:
      parts: rows of words; a word is in one part only.
      totals: language -> its number of words.
      num_words: an upper bound of the distinct words in all parts.
      exponent: see `smoothing_coefficients`.
      max_words: most words to keep.

    Raises:
      InputError: there are no words, or the exponent is wrong.
    """
    coefficients = smoothing_coefficients(totals, exponent)
    if not coefficients:
        raise InputError("A vocabulary is learned from words. Received none.")
    kept = _Kept(max_words if num_words > max_words else None)
    for part in parts:
        kept.add(*_sums(*part, coefficients))
    return kept.table(dict(totals))


def _sums(
    words: list[bytes],
    languages: list[str],
    counts: Sequence[int],
    coefficients: Mapping[str, float],
) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    """Distinct words, their raw and their smoothed counts."""
    is_new = np.ones(len(words), bool)
    is_new[1:] = list(map(operator.ne, words[1:], words))
    row = np.cumsum(is_new) - 1
    counts = np.asarray(counts, np.int64)
    raw = np.bincount(row, counts)
    weights = np.array([coefficients[language] for language in languages])
    # `bincount` adds in order: the sums do not depend on the number of parts.
    smoothed = np.bincount(row, counts * weights)
    distinct = [words[place] for place in np.flatnonzero(is_new).tolist()]
    return distinct, raw.astype(np.int64), smoothed


class _Kept:
    """The words that are kept, of those seen up to now."""

    def __init__(self, limit: int | None):
        self._limit = limit
        self._threshold = 0.0
        self._priority = np.zeros(0)
        self.words: list[bytes] = []
        self.raw = np.zeros(0, np.int64)
        self.smoothed = np.zeros(0)

    def add(
        self, words: list[bytes], raw: np.ndarray, smoothed: np.ndarray
    ) -> None:
        """Adds words, and drops those of the least priority."""
        self.words += words
        self.raw = np.concatenate([self.raw, raw])
        self.smoothed = np.concatenate([self.smoothed, smoothed])
        if self._limit is None:
            return
        hashes = np.fromiter(map(zlib.crc32, words), np.uint32, len(words))
        priority = smoothed / ((hashes + 0.5) / 2**32)
        self._priority = np.concatenate([self._priority, priority])
        drop = len(self.words) - self._limit
        if drop > 0:
            least = np.partition(self._priority, drop - 1)[drop - 1]
            self._threshold = max(self._threshold, float(least))
        rows = np.flatnonzero(self._priority > self._threshold)
        self._priority = self._priority[rows]
        self.words = [self.words[row] for row in rows.tolist()]
        self.raw, self.smoothed = self.raw[rows], self.smoothed[rows]

    def table(self, languages: Mapping[str, int]) -> WordTable:
        """What is kept, sorted."""
        order = sorted(range(len(self.words)), key=self.words.__getitem__)
        text = b"".join([self.words[row] + b"\n" for row in order])
        smoothed = np.maximum(self.smoothed, self._threshold)
        return WordTable(text, self.raw[order], smoothed[order], languages)
