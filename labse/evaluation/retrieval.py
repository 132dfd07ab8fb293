"""Exact nearest neighbours and how often they are the translation.

NumPy only. The encoder is an `encode_fn`: list of n texts -> float32 [n, dim].

What counts as right. A task names the pairs it holds, and the nearest
candidate is right if the file holds it as a translation of the query: texts
are compared, not positions. Equal texts get equal vectors, so between two
candidates of the same text no encoder can choose, and to count one of them
wrong would measure the file, not the encoder. LASER's protocol compares
positions all the same; `labse.evaluation.tatoeba` reports both.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from labse.errors import InputError

EncodeFn = Callable[[list[str]], np.ndarray]

# A block of scores is at most this many rows by this many columns: 2048 * 4096
# float64 is 64 MiB, whatever the number of texts.
QUERY_BLOCK = 2048
CANDIDATE_BLOCK = 4096


def nearest(
    queries: np.ndarray, candidates: np.ndarray, k: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The k candidates of highest cosine for each query, best first.

    Exact, in memory that does not grow with queries times candidates. Among
    equal scores the lowest index comes first. To make that hold for equal
    vectors, products are summed in float64 and rounded to float32: their last
    bits depend on where in the matrix BLAS computes them.

    Args:
      queries: float [n, dim], of any length but zero.
      candidates: float [m, dim], likewise.
      k: at most m.

    Returns:
      indices int64 [n, k] into the candidates, and cosines float32 [n, k].

    Raises:
      InputError: a vector is not finite or is zero (the row is named), the
        shapes do not fit, or there are fewer than k candidates.
    """
    queries = check_embeddings(queries, "query")
    candidates = check_embeddings(candidates, "candidate")
    if queries.shape[1] != candidates.shape[1]:
        raise InputError(
            "Queries and candidates must come from the same encoder. Received "
            f"{queries.shape[1]} and {candidates.shape[1]} dimensions."
        )
    if not 1 <= k <= len(candidates):
        raise InputError(
            f"k must be between 1 and the number of candidates, "
            f"{len(candidates)}. Received: {k}."
        )
    indices = np.empty((len(queries), k), np.int64)
    scores = np.empty((len(queries), k), np.float32)
    for start in range(0, len(queries), QUERY_BLOCK):
        rows = slice(start, start + QUERY_BLOCK)
        indices[rows], scores[rows] = _nearest_of_block(
            queries[rows], candidates, k
        )
    return indices, scores


def check_embeddings(embeddings: np.ndarray, name: str) -> np.ndarray:
    """Returns the embeddings as an array [n, dim] with a direction per row.

    Args:
      embeddings: float [n, dim].
      name: what the rows are, for the message.

    Raises:
      InputError: the rank is not 2, or a row is not finite or is zero.
    """
    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2:
        raise InputError(
            f"Embeddings must be [n, dim]. Received for the {name} embeddings: "
            f"shape {list(embeddings.shape)}."
        )
    largest = np.abs(embeddings).max(axis=1, initial=0)
    bad = np.flatnonzero(~np.isfinite(largest) | (largest == 0))
    if bad.size:
        what = "zero" if largest[bad[0]] == 0 else "not finite"
        raise InputError(
            "Every embedding must be finite and not zero. Received: row "
            f"{bad[0]} of the {name} embeddings is {what} ({bad.size} of "
            f"{len(embeddings)} rows are so). Look at the training loss: a "
            "model whose loss was once NaN gives such vectors."
        )
    return embeddings


def _nearest_of_block(
    queries: np.ndarray, candidates: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    queries = _normalize(queries)
    best_indices = np.empty((len(queries), 0), np.int64)
    best_scores = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(candidates), CANDIDATE_BLOCK):
        block = _normalize(candidates[start : start + CANDIDATE_BLOCK])
        scores = (queries @ block.T).astype(np.float32)  # [n, block]
        indices = _largest(scores, min(k, len(block)))
        # The winners so far stand first: theirs are the lower indices.
        best_scores = np.concatenate(
            [best_scores, np.take_along_axis(scores, indices, 1)], axis=1
        )
        best_indices = np.concatenate([best_indices, indices + start], axis=1)
        kept = _largest(best_scores, min(k, best_scores.shape[1]))
        best_scores = np.take_along_axis(best_scores, kept, 1)
        best_indices = np.take_along_axis(best_indices, kept, 1)
    return best_indices, best_scores


def _normalize(embeddings: np.ndarray) -> np.ndarray:
    embeddings = embeddings.astype(np.float64)
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def _largest(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k largest, in order: int64 [n, k]; k is small.

    `argmax` gives the first of equal values, which a partition does not.
    """
    remaining = scores if k == 1 else scores.copy()
    columns = np.empty((len(scores), k), np.int64)
    for rank in range(k):
        columns[:, rank] = remaining.argmax(axis=1)
        if rank + 1 < k:
            np.put_along_axis(
                remaining, columns[:, rank : rank + 1], -np.inf, 1
            )
    return columns


class TextEmbeddings:
    """The vectors of many texts, each distinct text encoded once."""

    def __init__(self, encode_fn: EncodeFn, texts: Iterable[str]):
        """Encodes.

        Args:
          encode_fn: list of n texts -> float32 [n, dim].
          texts: equal ones count once.

        Raises:
          InputError: there are no texts, or the vectors do not fit them.
        """
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            raise InputError("There is no text to encode.")
        self._rows = {text: row for row, text in enumerate(distinct)}
        self._vectors = np.asarray(encode_fn(distinct))
        if len(self._vectors) != len(distinct):
            raise InputError(
                "encode_fn must return one vector for each text. Received "
                f"{len(self._vectors)} vectors for {len(distinct)} texts."
            )
        check_embeddings(self._vectors, "text")

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
    """Finds the nearest candidate of each query.

    Args:
      embeddings: holds every query and every candidate.
      queries: n texts, each in one pair at least.
      candidates: the texts to choose from, the right ones among them.
      pairs: (query, right candidate); a query may have many.

    Returns:
      n matches, in the order of the queries.
    """
    right: dict[str, dict[str, None]] = {}
    for query, candidate in pairs:
        right.setdefault(query, {})[candidate] = None
    indices, scores = nearest(embeddings(queries), embeddings(candidates))
    found = [candidates[index] for index in indices[:, 0]]
    expected = [
        text if text in right[query] else next(iter(right[query]))
        for query, text in zip(queries, found, strict=True)
    ]
    expected_scores = np.sum(
        _normalize(embeddings(queries)) * _normalize(embeddings(expected)), 1
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

    Args:
      embeddings: holds every text of the pairs and the candidates.
      pairs: (query, right candidate).
      candidates: default the right ones of all the pairs.
    """
    if candidates is None:
        candidates = (candidate for _, candidate in pairs)
    queries = dict.fromkeys(query for query, _ in pairs)
    return match(
        embeddings, list(queries), list(dict.fromkeys(candidates)), pairs
    )


def precision_at_1(matches: Sequence[Match]) -> float:
    """The share of matches that are right, between 0 and 1."""
    return sum(match.is_right for match in matches) / len(matches)


def backwards(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs with their sides exchanged."""
    return [(target, source) for source, target in pairs]


def pair_precision_at_1(
    encode_fn: EncodeFn, sources: Sequence[str], targets: Sequence[str]
) -> dict[str, float]:
    """P@1 in both directions over translation pairs, for a look in training.

    Queries and candidates are the distinct texts of either side.

    Args:
      encode_fn: list of n texts -> float32 [n, dim].
      sources: n texts.
      targets: n texts, line by line the translations.

    Returns:
      `source_to_target` and `target_to_source`, between 0 and 1.

    Raises:
      InputError: there are no pairs, or the sides differ in number.
    """
    if len(sources) != len(targets) or not len(sources):
        raise InputError(
            "Translations must come in pairs, at least one. Received "
            f"{len(sources)} sources and {len(targets)} targets."
        )
    pairs = list(zip(sources, targets, strict=True))
    embeddings = TextEmbeddings(encode_fn, [*sources, *targets])
    there = match_distinct(embeddings, pairs)
    back = match_distinct(embeddings, backwards(pairs))
    return {
        "source_to_target": precision_at_1(there),
        "target_to_source": precision_at_1(back),
    }
