"""Exact nearest neighbours by cosine, in blocks.

Small searches are done in float64 (`_search_in_float64`). Large ones are first
screened in a fast precision (`labse.mining.screening`): a few candidates per
query are left, among them, provably, the nearest ones, and only these are
scored exactly. Both give the same bits, because the cosine is always that of
`Directions.cosines`.
"""

import sys
from collections.abc import Callable

import numpy as np

from labse.errors import InputError
from labse.mining import screening
from labse.mining.directions import Directions

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


def exact_search(
    queries: np.ndarray,
    candidates: np.ndarray,
    k: int = 1,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
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
    if queries.dimension != candidates.dimension:
        raise InputError(
            "Queries and candidates must come from the same encoder. Received "
            f"{queries.dimension} and {candidates.dimension} dimensions."
        )
    if not 1 <= k <= len(candidates):
        raise InputError(
            f"k must be between 1 and the number of candidates, "
            f"{len(candidates)}. Received: {k}."
        )
    indices = np.empty((len(queries), k), np.int64)
    cosines = np.empty((len(queries), k), np.float32)
    rest = np.arange(len(queries))
    if _pays_to_screen(queries, candidates, k):
        rest = screening.search(
            queries, candidates, indices, cosines, progress or _ignore
        )
    for start in range(0, len(rest), QUERY_BLOCK):
        rows = rest[start : start + QUERY_BLOCK]
        indices[rows], cosines[rows] = _search_in_float64(
            queries, rows, candidates, k
        )
        if progress:
            done = len(queries) - len(rest) + start + len(rows)
            progress(done * len(candidates), len(queries) * len(candidates))
    return indices, cosines


def _ignore(done: int, total: int) -> None:
    pass


def _pays_to_screen(
    queries: Directions, candidates: Directions, k: int
) -> bool:
    work = len(queries) * len(candidates) * queries.dimension
    is_imported = "tensorflow" in sys.modules
    return (
        work >= (SCREENED_FROM if is_imported else IMPORTED_FROM)
        and len(candidates) >= screening.CANDIDATE_BLOCK
        and k <= screening.LARGEST_K
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
