"""Exact nearest neighbours by cosine, in blocks.

Small searches are done in float64 (`_search_in_float64`). Large ones first go
through a screen in bfloat16 (`labse.search.bfloat16_screen`), which leaves a
few candidates for each query, the nearest neighbours provably among them, and
only these are scored exactly. Both give the same bits, since the cosine is
always that of `UnitVectors.cosines`.
"""

import sys
from collections.abc import Callable

import numpy as np

from labse.errors import InputError
from labse.search import bfloat16_screen
from labse.search.top_k import TopK
from labse.search.unit_vectors import UnitVectors

# A block of scores in float64: 1024 * 4096 are 32 MiB.
QUERY_BLOCK = 1024
CANDIDATE_BLOCK = 4096
# Multiplications from which a screen pays: about a second in float64, or some
# ten seconds where TensorFlow must be imported first.
SCREENED_FROM = 2e10
IMPORTED_FROM = 2e11
# Up to this k, k passes of argmax are faster than sorting.
ARGMAX_UP_TO = 8

_IndicesAndCosines = tuple[np.ndarray, np.ndarray]


def exact_search(
    queries: np.ndarray,
    candidates: np.ndarray,
    k: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> _IndicesAndCosines:
    """The k candidates of highest cosine for each query, best first.

    Exact: cosines are those of the given vectors, summed in float64 and
    rounded to float32. Among equal ones the lowest index comes first, and equal
    vectors get equal cosines. The bits depend neither on the sizes of the
    blocks nor on the screen. Memory beyond the vectors and the result is
    bounded, whatever the number of queries and candidates (see
    `bfloat16_screen`).

    Args:
      queries: float [n, dim], of any length but zero: float16, bfloat16,
        float32 or float64, in memory or mapped from a file.
      candidates: float [m, dim], likewise.
      k: at most m.
      progress: called after each block with (scores done, n * m), from one
        thread.

    Returns:
      indices int64 [n, k] into the candidates, and cosines float32 [n, k].

    Raises:
      InputError: a vector is not finite or is zero (the row is named), the
        shapes do not fit, or there are fewer than k candidates.
    """
    queries = UnitVectors(queries, "query")
    candidates = UnitVectors(candidates, "candidate")
    _check_dimensions(queries, candidates, "Queries and candidates")
    _check_k("k", k, candidates, "candidates")
    top_k = TopK(queries, k)
    _search(top_k, TopK(candidates, 0), progress)
    return top_k.indices, top_k.cosines


def exact_search_both(
    sources: np.ndarray,
    targets: np.ndarray,
    k_sources: int = 1,
    k_targets: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[_IndicesAndCosines, _IndicesAndCosines]:
    """`exact_search` in both directions, to the same bits, in half the time.

    Each block of scores is computed once, for the neighbours of both sides.
    Memory beyond the vectors and the results is bounded as there.

    Args:
      sources: float [n, dim], see `exact_search`.
      targets: float [m, dim], likewise.
      k_sources: neighbours of each source; at most m.
      k_targets: neighbours of each target; at most n.
      progress: called after each block with (scores done, 2 * n * m), from
        one thread.

    Returns:
      (indices int64, cosines float32) [n, k_sources] into the targets, and
      the same [m, k_targets] into the sources.

    Raises:
      InputError: as `exact_search`.
    """
    sources = UnitVectors(sources, "source")
    targets = UnitVectors(targets, "target")
    _check_dimensions(sources, targets, "Sources and targets")
    _check_k("k_sources", k_sources, targets, "targets")
    _check_k("k_targets", k_targets, sources, "sources")
    one, other = TopK(sources, k_sources), TopK(targets, k_targets)
    _search(one, other, progress)
    return (one.indices, one.cosines), (other.indices, other.cosines)


def _check_dimensions(one: UnitVectors, other: UnitVectors, names: str) -> None:
    if one.dimension != other.dimension:
        raise InputError(
            f"{names} must come from the same encoder. Received "
            f"{one.dimension} and {other.dimension} dimensions."
        )


def _check_k(name: str, k: int, others: UnitVectors, names: str) -> None:
    if not 1 <= k <= len(others):
        raise InputError(
            f"{name} must be between 1 and the number of {names}, "
            f"{len(others)}. Received: {k}."
        )


def _search(
    one: TopK, other: TopK, progress: Callable[[int, int], None] | None
) -> None:
    """Finds the neighbours of each side whose k is not 0."""
    directions = bool(one.k) + bool(other.k)
    total = directions * len(one) * len(other)
    queries, candidates = one, other
    if len(other) < bfloat16_screen.CANDIDATE_BLOCK:
        # Either side can be the candidates, which need a whole block.
        queries, candidates = other, one
    if _pays_to_screen(queries, candidates, directions):

        def screened(done, _):
            if progress:
                progress(directions * done, total)

        bfloat16_screen.screen(queries, candidates, screened)
    sides = ((one, other), (other, one))
    done = total - sum(
        int(side.is_pending.sum()) * len(others) for side, others in sides
    )
    for side, others in sides:
        pending = np.flatnonzero(side.is_pending)
        for start in range(0, len(pending), QUERY_BLOCK):
            rows = pending[start : start + QUERY_BLOCK]
            side.indices[rows], side.cosines[rows] = _search_in_float64(
                side.vectors, rows, others.vectors, side.k
            )
            done += len(rows) * len(others)
            if progress:
                progress(done, total)


def _pays_to_screen(queries: TopK, candidates: TopK, directions: int) -> bool:
    work = len(queries) * len(candidates) * queries.vectors.dimension
    is_imported = "tensorflow" in sys.modules
    return (
        directions * work >= (SCREENED_FROM if is_imported else IMPORTED_FROM)
        and len(candidates) >= bfloat16_screen.CANDIDATE_BLOCK
        and max(queries.k, candidates.k) <= bfloat16_screen.LARGEST_K
    )


def _search_in_float64(
    queries: UnitVectors, rows: np.ndarray, candidates: UnitVectors, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The search for some queries: indices int64 and cosines float32 [n, k].

    BLAS products are within `error` of the sums that `UnitVectors.cosines`
    rounds: three roundings of each unit vector's components, and dim
    roundings of sums of absolute value 1 at most, on both sides, doubled.
    With 768 dimensions that is 3.4e-13, and a float32 near 1 has a spacing of
    6e-8: nearly always, both ends of the interval round to the same float32,
    and so does the sum. The other products are replaced.
    """
    error = (queries.dimension + 8) * 2.0**-51
    units = queries.unit(rows)  # [n, dim]
    indices = np.empty((len(rows), 0), np.int64)
    cosines = np.empty((len(rows), 0), np.float32)
    for start in range(0, len(candidates), CANDIDATE_BLOCK):
        block = candidates.unit(slice(start, start + CANDIDATE_BLOCK))
        products = units @ block.T  # [n, block]
        scores = products.astype(np.float32)
        kth_score = np.full((len(rows), 1), -np.inf, np.float32)
        if scores.shape[1] >= k:
            kth = scores.shape[1] - k
            kth_score = np.partition(scores, kth, axis=1)[:, kth : kth + 1]
        if cosines.shape[1] == k:
            kth_score = np.maximum(kth_score, cosines[:, -1:])
        # Rounding may have raised the k-th: a few float32 spacings below.
        can_be_in_top_k = products >= kth_score - 2.0**-20
        low = (products - error).astype(np.float32)
        high = (products + error).astype(np.float32)
        row, column = np.nonzero(can_be_in_top_k & (low != high))
        scores[row, column] = queries.cosines(
            rows[row], candidates, column + start
        )
        # The top k so far is first: its indices are lower.
        columns = np.arange(start, start + len(block))
        columns = np.broadcast_to(columns, scores.shape)
        best = _largest(scores, min(k, len(block)))
        indices = np.concatenate(
            [indices, np.take_along_axis(columns, best, 1)], axis=1
        )
        cosines = np.concatenate(
            [cosines, np.take_along_axis(scores, best, 1)], axis=1
        )
        best = _largest(cosines, min(k, cosines.shape[1]))
        indices = np.take_along_axis(indices, best, 1)
        cosines = np.take_along_axis(cosines, best, 1)
    return indices, cosines


def _largest(scores: np.ndarray, k: int) -> np.ndarray:
    """int64 [n, k]: the columns of the k largest, best first.

    Of equal values the first comes first, as `argmax` and a stable sort have
    it and a partition does not.
    """
    if k > ARGMAX_UP_TO:
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
