"""Approximate nearest neighbours, where exact search would take too long.

The vectors are sorted into lists, each around a centre, and stored as short
codes; a query is compared with the lists of its nearest centres only (an
inverted file, IVF). The candidates found there are re-ranked by the vectors
themselves. The index is FAISS' (https://faiss.ai), of one of two kinds:

    sq8   a byte for each dimension: 8-bit scalar quantisation
    pq    a byte for each 12 dimensions at most: product quantisation after
          a rotation (OPQ)

`labse.search.approximate_index` makes it: `train` once, `populate` for each
shard of the vectors, `merge`. `search` then maps its files.

The result is the same whatever the shards and whatever the blocks of queries.
FAISS alone does not give that: the last bits of its matrix products depend on
the block of a row, and so do the list that a vector is put into and the lists
that a query is compared with. Here, all that several rows go through together
is as stable as `exact_search`: the nearest centres, and the rotation. FAISS
does the rest row by row: coding, and scanning lists in the order of the
vectors. That holds between processors on which FAISS uses the same instructions
(AVX2 or AVX512, say), so the machines of a cluster must be alike.

FAISS is imported where it is needed.
"""

import os
from collections.abc import Callable

import numpy as np

from labse.errors import InputError
from labse.files.vector_shards import VectorShards
from labse.search.approximate_index import open_index
from labse.search.exact_search import exact_search
from labse.search.faiss_index import FaissIndex
from labse.search.unit_vectors import UnitVectors

DEFAULT_PROBES = 64
DEFAULT_CANDIDATES = {"sq8": 16, "pq": 128}
# Unsettled queries are searched again with 8 times the lists and candidates, in
# 3 attempts in all; then exactly.
MORE, ATTEMPTS = 8, 3

# Queries searched at once.
_ROWS = 8192
# Candidates whose vectors are read at once; with 768 float32, 50 MB.
_GATHERED = 2**14


def search(
    folder: str | os.PathLike,
    queries: np.ndarray,
    vectors: VectorShards,
    k: int,
    num_probes: int | None = None,
    num_candidates: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Most of the k vectors of highest cosine for each query, best first.

    The cosines are those of `exact_search`, to the last bit, and of equal ones
    the lowest row comes first. A query's result depends on no other query.

    A query is settled when k of its candidates have a higher score in FAISS
    than the last one, so that no tie was broken by chance. If not (fewer than k
    vectors in its lists, or many copies), it is searched again in more lists
    for more candidates, and in the end among all vectors.

    Args:
      folder: that of `merge`.
      queries: float [n, dim], of any length but zero.
      vectors: float [m, dim], those in the index; for re-ranking.
      k: at most m.
      num_probes: lists that each query is compared with; default
        `DEFAULT_PROBES`.
      num_candidates: number of candidates re-ranked, at least 2 k; default
        `DEFAULT_CANDIDATES` of the kind.
      progress: called with the number of queries done since the last call.

    Returns:
      indices int64 [n, k] into the vectors, and cosines float32 [n, k].

    Raises:
      InputError: the index is not of these vectors, a query is not finite or
        is zero, or the shapes do not fit.
    """
    index = open_index(folder)
    queries = np.asarray(queries)
    _check_search(index, queries, vectors, k)
    probes = DEFAULT_PROBES if num_probes is None else num_probes
    candidates = num_candidates or DEFAULT_CANDIDATES[index.kind]
    indices = np.empty((len(queries), k), np.int64)
    cosines = np.empty((len(queries), k), np.float32)
    pending = np.arange(len(queries))
    for attempt in range(ATTEMPTS):
        times = MORE**attempt
        unsettled = [pending[:0]]
        # No more candidates at once than in the first attempt.
        step = max(1, _ROWS // times)
        for start in range(0, len(pending), step):
            rows = pending[start : start + step]
            found, is_settled = _candidates(
                index,
                queries[rows],
                k,
                min(probes * times, len(index.centres)),
                min(max(candidates, 2 * k) * times, len(vectors)),
            )
            unsettled.append(rows[~is_settled])
            rows, found = rows[is_settled], found[is_settled]
            indices[rows], cosines[rows] = rerank(
                queries[rows], found, vectors, k
            )
            if progress:
                progress(len(rows))
        pending = np.concatenate(unsettled)
    if len(pending):
        indices[pending], cosines[pending] = exact_search(
            queries[pending], vectors, k
        )
        if progress:
            progress(len(pending))
    return indices, cosines


def measure_recall(
    folder: str | os.PathLike,
    queries: np.ndarray,
    vectors: VectorShards,
    k: int,
    num_probes: int | None = None,
    num_candidates: int | None = None,
) -> float:
    """The recall of `search` at k, for a sample of queries.

    A vector counts as found if its cosine is at least that of the k-th nearest,
    whichever of several copies it is.

    Args:
      queries: float [n, dim], the sample, at least one.
      vectors: float [m, dim], all in the index; they are searched exactly.
      folder, k, num_probes, num_candidates: as `search`.
    """
    found = search(folder, queries, vectors, k, num_probes, num_candidates)
    nearest = exact_search(queries, vectors, k)
    return float(np.mean(found[1] >= nearest[1][:, -1:]))


def _candidates(
    index: FaissIndex, queries: np.ndarray, k: int, probes: int, candidates: int
) -> tuple[np.ndarray, np.ndarray]:
    """FAISS' candidates, int64 [n, candidates], -1 for none; is_settled [n]."""
    points = index.points(queries, "query")
    lists, cosines = exact_search(points, index.centres, probes)  # [n, probes]
    index.inverted.nprobe = probes
    scores, found = index.inverted.search_preassigned(
        points, candidates, lists, cosines
    )
    # Where places are left over, no candidate was dropped.
    last = np.where(found[:, -1] < 0, -np.inf, scores[:, -1])
    is_above = (scores > last[:, None]) & (found >= 0)
    has_all = (candidates == index.index.ntotal) & (found[:, -1] >= 0)
    return found, (is_above.sum(axis=1) >= k) | has_all


def rerank(
    queries: np.ndarray, found: np.ndarray, vectors: VectorShards, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k of highest cosine among some candidates of each query.

    Args:
      queries: float [n, dim].
      found: int64 [n, c], rows of the vectors, -1 for none; at least k each.
      vectors: float [m, dim].
      k: number of indices and cosines returned, [n, k], the best first.
    """
    indices = np.empty((len(found), k), np.int64)
    cosines = np.empty((len(found), k), np.float32)
    step = max(1, _GATHERED // found.shape[1])
    for start in range(0, len(found), step):
        block = found[start : start + step]
        row, column = np.nonzero(block >= 0)
        # Each vector is read once, whatever the number of its queries.
        rows, number = np.unique(block[row, column], return_inverse=True)
        units = UnitVectors(queries[start : start + step], "query")
        gathered = UnitVectors(vectors[rows], "candidate")
        scores = np.full(block.shape, -np.inf, np.float32)
        scores[row, column] = units.cosines(row, gathered, number)
        order = np.lexsort((block, -scores), axis=1)[:, :k]
        some = slice(start, start + step)
        indices[some] = np.take_along_axis(block, order, 1)
        cosines[some] = np.take_along_axis(scores, order, 1)
    return indices, cosines


def _check_search(
    index: FaissIndex, queries: np.ndarray, vectors: VectorShards, k: int
) -> None:
    if queries.ndim != 2:
        raise InputError(
            f"Queries must be [n, dim]. Received: shape {list(queries.shape)}."
        )
    index.check_dimension(queries.shape[1], "queries")
    index.check_dimension(vectors.shape[1], "vectors")
    if len(vectors) != index.index.ntotal:
        raise InputError(
            f"The index is of {index.index.ntotal} vectors. Received: "
            f"{len(vectors)}. Make the index again."
        )
    if not 1 <= k <= len(vectors):
        raise InputError(
            f"k must be between 1 and the number of vectors, {len(vectors)}. "
            f"Received: {k}."
        )
