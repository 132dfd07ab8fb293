"""Exact nearest neighbours and how often they are the translation.

The encoder is an `encode_fn`: list of n texts -> float32 [n, dim].

What counts as right: the nearest candidate is right if the data hold it as a
translation of the query. Texts are compared, not positions: equal texts get
equal vectors, so no encoder can choose between two candidates of the same
text, and to count one of them wrong would measure the file, not the encoder.
LASER's protocol compares positions; `labse.evaluation.tasks.tatoeba` reports
both.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from labse.errors import InputError
from labse.progress import ProgressBar
from labse.search.exact_search import exact_search
from labse.search.unit_vectors import (
    EncodeFn,
    UnitVectors,
    check_embeddings,
    check_one_each,
)


def progress_bar(total: int, unit: str) -> ProgressBar:
    """A progress bar, shown where the work takes more than ten seconds."""
    return ProgressBar(total=total, unit=f" {unit}", unit_scale=True, delay=10)


class TextEmbeddings:
    """The vectors of many texts, each distinct text encoded once."""

    def __init__(self, encode_fn: EncodeFn, texts: Iterable[str]):
        """Encodes the texts.

        Raises:
          InputError: there are no texts, or the vectors do not fit them.
        """
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            raise InputError("There is no text to encode.")
        self._rows = {text: row for row, text in enumerate(distinct)}
        self._vectors = np.atleast_1d(encode_fn(distinct))
        check_one_each(self._vectors, distinct)
        check_embeddings(self._vectors, "text", distinct)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [n, dim]: the vectors of the n texts."""
        return self._vectors[[self._rows[text] for text in texts]]


@dataclasses.dataclass(frozen=True)
class Match:
    """A query and the candidate nearest to it."""

    query: str
    found: str
    found_index: int  # among the candidates
    score: float
    expected: str  # a right candidate: `found`, if that is right
    expected_score: float

    @property
    def is_right(self) -> bool:
        """Whether the pairs hold `found` as a translation of `query`."""
        return self.found == self.expected


def match(
    embeddings: TextEmbeddings,
    queries: Sequence[str],
    candidates: Sequence[str],
    pairs: Iterable[tuple[str, str]],
) -> list[Match]:
    """Finds the nearest candidate of each of n queries, in their order.

    Args:
      queries: n texts, each in one pair at least.
      candidates: the texts to choose from, the right ones among them.
      pairs: (query, right candidate); a query may have many.
    """
    right: dict[str, dict[str, None]] = {}
    for query, candidate in pairs:
        right.setdefault(query, {})[candidate] = None
    indices, scores = exact_search(embeddings(queries), embeddings(candidates))
    found = [candidates[index] for index in indices[:, 0]]
    expected = [
        text if text in right[query] else next(iter(right[query]))
        for query, text in zip(queries, found, strict=True)
    ]
    rows = np.arange(len(queries))
    expected_scores = UnitVectors(embeddings(queries), "query").cosines(
        rows, UnitVectors(embeddings(expected), "candidate"), rows
    )
    columns = (queries, found, indices[:, 0], scores[:, 0], expected)
    return [
        Match(query, text, int(index), float(score), wanted, float(other))
        for query, text, index, score, wanted, other in zip(
            *columns, expected_scores, strict=True
        )
    ]


def match_distinct(
    embeddings: TextEmbeddings,
    pairs: Sequence[tuple[str, str]],
    candidates: Iterable[str] | None = None,
) -> list[Match]:
    """`match` over distinct texts: one match for each distinct query.

    By default the candidates are the right ones of all the pairs.
    """
    if candidates is None:
        candidates = (candidate for _, candidate in pairs)
    queries = dict.fromkeys(query for query, _ in pairs)
    return match(
        embeddings, list(queries), list(dict.fromkeys(candidates)), pairs
    )


def backwards(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs with their sides exchanged."""
    return [(target, source) for source, target in pairs]
