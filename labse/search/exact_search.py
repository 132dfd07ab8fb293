"""Exact nearest neighbours by cosine, in blocks.

Small searches are done in float64 (`_search_in_float64`). Large ones are first
screened in a fast precision (`labse.search.screening`): a few candidates per
query are left, among them, provably, the nearest ones, and only these are
scored exactly. Both give the same bits, because the cosine is always that of
`Directions.cosines`.
"""

import sys
from collections.abc import Callable

import numpy as np

from labse.errors import InputError
from labse.search import screening
from labse.search.directions import Directions
from labse.search.survivors import Side

# A block of scores in float64: 1024 * 4096 are 32 MiB.
QUERY_BLOCK = 1024
CANDIDATE_BLOCK = 4096
# Multiplications from which a screen pays: about a second in float64, or, where
# TensorFlow must be imported first, some ten seconds.
SCREENED_FROM = 2e10
IMPORTED_FROM = 2e11
# Up to this k, picking the largest k times is faster than sorting.
PICKED_UP_TO = 8

Progress = Callable[[int, int], None]
Neighbours = tuple[np.ndarray, np.ndarray]


def exact_search(
    queries: np.ndarray,
    candidates: np.ndarray,
    k: int = 1,
    progress: Progress | None = None,
) -> Neighbours:
    """The k candidates of highest cosine for each query, best first.

    Exact: cosines are those of the given vectors, summed in float64 and
    rounded to float32. Among equal ones the lowest index comes first, and equal
    vectors get equal cosines. The bits depend neither on the sizes of the
    blocks nor on the precision of the screen. Memory beyond the vectors and
    the result is bounded, whatever the number of queries and candidates (see
    `screening`).

    Args:
      queries: float [n, dim], of any length but zero: float16, bfloat16,
        float32 or float64, in memory or mapped from a file.
      candidates: float [m, dim], likewise.
      k: at most m.
      progress: called now and then with (scores done, n * m); from one thread.

    Returns:
      indices int64 [n, k] into the candidates, and cosines float32 [n, k].

    Raises:
      InputError: a vector is not finite or is zero (the row is named), the
        shapes do not fit, or there are fewer than k candidates.
    """
    queries = Directions(queries, "query")
    candidates = Directions(candidates, "candidate")
    _check_dimensions(queries, candidates, "Queries and candidates")
    _check_k("k", k, candidates, "candidates")
    asking = Side(queries, k)
    _search(asking, Side(candidates, 0), progress)
    return asking.indices, asking.cosines


def exact_search_both(
    sources: np.ndarray,
    targets: np.ndarray,
    k_sources: int = 1,
    k_targets: int = 1,
    progress: Progress | None = None,
) -> tuple[Neighbours, Neighbours]:
    """`exact_search` in both directions, to the same bits, in half the time.

    Each block of scores is computed once and looked at from both sides.
    Memory beyond the vectors and the results is bounded as there.

    Args:
      sources: float [n, dim], see `exact_search`.
      targets: float [m, dim], likewise.
      k_sources: how many targets each source gets; at most m.
      k_targets: how many sources each target gets; at most n.
      progress: called now and then with (scores done, 2 * n * m); from one
        thread.

    Returns:
      (indices int64, cosines float32) [n, k_sources] into the targets, and
      the same [m, k_targets] into the sources.

    Raises:
      InputError: as `exact_search`.
    """
    sources = Directions(sources, "source")
    targets = Directions(targets, "target")
    _check_dimensions(sources, targets, "Sources and targets")
    _check_k("k_sources", k_sources, targets, "targets")
    _check_k("k_targets", k_targets, sources, "sources")
    one, other = Side(sources, k_sources), Side(targets, k_targets)
    _search(one, other, progress)
    return (one.indices, one.cosines), (other.indices, other.cosines)


def _check_dimensions(one: Directions, other: Directions, names: str) -> None:
    if one.dimension != other.dimension:
        raise InputError(
            f"{names} must come from the same encoder. Received "
            f"{one.dimension} and {other.dimension} dimensions."
        )


def _check_k(name: str, k: int, others: Directions, names: str) -> None:
    if not 1 <= k <= len(others):
        raise InputError(
            f"{name} must be between 1 and the number of {names}, "
            f"{len(others)}. Received: {k}."
        )


def _search(one: Side, other: Side, progress: Progress | None) -> None:
    """Finds the neighbours of the sides that ask."""
    asking = [side for side in (one, other) if side.k]
    total = len(asking) * len(one) * len(other)
    queries, candidates = one, other
    if len(other) < screening.CANDIDATE_BLOCK:
        # Either side can be the one that passes by in blocks of this size.
        queries, candidates = other, one
    if _pays_to_screen(queries, candidates):

        def screened(done, _):
            if progress:
                progress(len(asking) * done, total)

        screening.search(queries, candidates, screened)
    done = total - sum(
        int(side.is_left.sum()) * len(others)
        for side, others in ((one, other), (other, one))
    )
    for side, others in ((one, other), (other, one)):
        rest = np.flatnonzero(side.is_left)
        for start in range(0, len(rest), QUERY_BLOCK):
            rows = rest[start : start + QUERY_BLOCK]
            side.indices[rows], side.cosines[rows] = _search_in_float64(
                side.directions, rows, others.directions, side.k
            )
            done += len(rows) * len(others)
            if progress:
                progress(done, total)


def _pays_to_screen(queries: Side, candidates: Side) -> bool:
    work = len(queries) * len(candidates) * queries.directions.dimension
    work *= bool(queries.k) + bool(candidates.k)
    is_imported = "tensorflow" in sys.modules
    return (
        work >= (SCREENED_FROM if is_imported else IMPORTED_FROM)
        and len(candidates) >= screening.CANDIDATE_BLOCK
        and max(queries.k, candidates.k) <= screening.LARGEST_K
    )


def _search_in_float64(
    queries: Directions, rows: np.ndarray, candidates: Directions, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The search for some queries: indices int64 and cosines float32 [n, k].

    BLAS products are within `error` of the sums that `Directions.cosines`
    rounds: three roundings of each unit vector's components, and dim
    roundings of sums of absolute value 1 at most, on both sides, doubled.
    Where both ends of that interval round to the same float32, so does the
    sum; the other products are replaced.
    """
    error = (queries.dimension + 8) * 2.0**-51
    units = queries.unit(rows)
    indices = np.empty((len(rows), 0), np.int64)
    cosines = np.empty((len(rows), 0), np.float32)
    for start in range(0, len(candidates), CANDIDATE_BLOCK):
        block = candidates.unit(slice(start, start + CANDIDATE_BLOCK))
        products = units @ block.T
        scores = products.astype(np.float32)
        lowest = np.full((len(rows), 1), -np.inf, np.float32)
        if scores.shape[1] >= k:
            kth = scores.shape[1] - k
            lowest = np.partition(scores, kth, axis=1)[:, kth : kth + 1]
        if cosines.shape[1] == k:
            lowest = np.maximum(lowest, cosines[:, -1:])
        # A float32 spacing below: rounding may have raised the lowest.
        matters = products >= lowest - 2.0**-20
        low = (products - error).astype(np.float32)
        high = (products + error).astype(np.float32)
        row, column = np.nonzero(matters & (low != high))
        scores[row, column] = queries.cosines(
            rows[row], candidates, column + start
        )
        # The winners so far stand first: theirs are the lower indices.
        columns = np.arange(start, start + len(block))
        columns = np.broadcast_to(columns, scores.shape)
        found = _largest(scores, min(k, len(block)))
        indices = np.concatenate(
            [indices, np.take_along_axis(columns, found, 1)], axis=1
        )
        cosines = np.concatenate(
            [cosines, np.take_along_axis(scores, found, 1)], axis=1
        )
        kept = _largest(cosines, min(k, cosines.shape[1]))
        indices = np.take_along_axis(indices, kept, 1)
        cosines = np.take_along_axis(cosines, kept, 1)
    return indices, cosines


def _largest(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k largest, in order, the first of equals first.

    `argmax` gives the first of equal values, which a partition does not.
    """
    if k > PICKED_UP_TO:
        return np.argsort(-scores, axis=1, kind="stable")[:, :k]
    remaining = scores if k == 1 else scores.copy()
    columns = np.empty((len(scores), k), np.int64)
    for rank in range(k):
        columns[:, rank] = remaining.argmax(axis=1)
        if rank + 1 < k:
            np.put_along_axis(
                remaining, columns[:, rank : rank + 1], -np.inf, 1
            )
    return columns
