"""Hard negatives (appendix B): near targets that are not translations.

The negatives of a pair are the nearest neighbours of its source, by the cosine
of a weaker model, among all targets of its target's language that are not

- a translation of the source, directly or by one hop (`translations`),
- the source's own text, copied or left untranslated,
- the same text as a nearer negative, but for case, punctuation and the like,
- with `max_cosine`, so near that they may be translations that no pair names.

NumPy only. The result depends only on texts and vectors; among equal cosines,
the target that comes first in the pairs is the nearer one.
"""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from labse.mining.translations import Translations, number_texts
from labse.search.exact_search import exact_search
from labse.search.unit_vectors import UnitVectors

# Neighbours to search first; more are searched where too few are negatives.
FIRST_NEIGHBOURS = 16
# A target beyond this many neighbours is no longer hard.
LAST_NEIGHBOURS = 256
_WIDER = 4
# Sources in one search, so that their scores fit in memory.
_QUERIES = 2**14
NONE = -1

Progress = Callable[[int], None]


@dataclasses.dataclass(frozen=True)
class PairTexts:
    """Pairs of numbered texts.

    Attributes:
      texts: every different text once, in the order of the pairs.
      sources: int64 [n], each pair's source as a number of `texts`.
      targets: int64 [n], likewise.
      languages: int [n], of each pair's target; equal numbers, one language.
    """

    texts: list[str]
    sources: np.ndarray
    targets: np.ndarray
    languages: np.ndarray

    def __len__(self) -> int:
        return len(self.sources)


@dataclasses.dataclass(frozen=True)
class Negatives:
    """The negatives of all pairs.

    Attributes:
      texts: int64 [n, negatives], numbers of texts, the nearest first; NONE
        where there are fewer, always at the end.
      cosines: float32 [n, negatives], theirs with the sources; NaN for NONE.
      true_cosines: float32 [n], of the pairs themselves.
    """

    texts: np.ndarray
    cosines: np.ndarray
    true_cosines: np.ndarray


def find_hard_negatives(
    pairs: PairTexts,
    vectors,
    negatives: int = 3,
    max_cosine: float | None = None,
    progress: Progress | None = None,
) -> Negatives:
    """Finds the hard negatives of every pair.

    Args:
      pairs: the pairs.
      vectors: float [texts, dim], those of `pairs.texts`, of any length but
        zero; an array, a map of a file, or `VectorShards`.
      negatives: number for each pair (appendix B: 3). A pair gets fewer if
        its source has fewer among its `LAST_NEIGHBOURS` nearest targets.
      max_cosine: if given, a negative's cosine with the source is at most
        this multiple of the true pair's.
      progress: called with the number of pairs done since the last call.

    Raises:
      InputError: a vector is not finite or is zero.
    """
    everything = UnitVectors(vectors, "text")
    cosines = everything.cosines(pairs.sources, everything, pairs.targets)
    limits = np.full(len(pairs), np.inf, np.float32)
    if max_cosine is not None:
        limits = max_cosine * cosines
    search = _Search(pairs, vectors, negatives, limits)
    for language in np.unique(pairs.languages):
        search.run(
            np.flatnonzero(pairs.languages == language),
            progress or (lambda done: None),
        )
    return Negatives(search.texts, search.cosines, cosines)


class _Search:
    """One search; `texts` and `cosines` are the results so far."""

    def __init__(self, pairs: PairTexts, vectors, negatives: int, limits):
        self._pairs = pairs
        self._vectors = vectors
        self._limits = limits
        self._keys = number_texts(pairs.texts)
        self._translations = Translations(
            self._keys[pairs.sources], self._keys[pairs.targets]
        )
        shape = (len(pairs), negatives)
        self.texts = np.full(shape, NONE, np.int64)
        self.cosines = np.full(shape, np.nan, np.float32)

    def run(self, rows: np.ndarray, progress: Progress) -> None:
        """Finds the negatives of the pairs `rows`, of one language."""
        candidates = self._candidates(rows)
        vectors = self._vectors[candidates]
        last = min(LAST_NEIGHBOURS, len(candidates))
        k = min(FIRST_NEIGHBOURS, last)
        while len(rows):
            left = []  # pairs that need more neighbours
            for some, sources in self._blocks(rows):
                indices, cosines = exact_search(
                    self._vectors[sources], vectors, k
                )  # both [sources, k]
                places = np.searchsorted(sources, self._pairs.sources[some])
                enough = np.fromiter(
                    (
                        self._choose(
                            row, candidates[indices[place]], cosines[place]
                        )
                        for row, place in zip(some, places, strict=True)
                    ),
                    bool,
                    len(some),
                )
                enough |= k == last
                left.append(some[~enough])
                progress(int(enough.sum()))
            rows = np.concatenate(left)
            k = min(_WIDER * k, last)

    def _candidates(self, rows: np.ndarray) -> np.ndarray:
        """The different targets of some pairs; of near copies, the first."""
        targets = self._pairs.targets[rows]
        _, first = np.unique(self._keys[targets], return_index=True)
        return targets[np.sort(first)]

    def _blocks(
        self, rows: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields pairs grouped by source, with the sorted distinct sources."""
        rows = rows[np.argsort(self._pairs.sources[rows], kind="stable")]
        sources, first = np.unique(self._pairs.sources[rows], return_index=True)
        ends = [*first[_QUERIES::_QUERIES], len(rows)]
        start = 0
        for number, end in enumerate(ends):
            block = slice(number * _QUERIES, (number + 1) * _QUERIES)
            yield rows[start:end], sources[block]
            start = end

    def _choose(self, row: int, texts: np.ndarray, cosines: np.ndarray) -> bool:
        """Stores a pair's negatives; returns whether there are enough.

        Args:
          row: the pair.
          texts: int64 [k], the neighbours, the nearest first.
          cosines: float32 [k].
        """
        source = int(self._keys[self._pairs.sources[row]])
        direct = self._translations.of(source)
        wanted, count = self.texts.shape[1], 0
        for place in np.flatnonzero(cosines <= self._limits[row]):
            key = int(self._keys[texts[place]])
            if key == source or self._translations.translates(direct, key):
                continue
            self.texts[row, count] = texts[place]
            self.cosines[row, count] = cosines[place]
            count += 1
            if count == wanted:
                return True
        return False
