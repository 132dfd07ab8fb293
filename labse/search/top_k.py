"""The top k of each vector, and the candidates for it that a screen leaves.

Steps 2 to 5 of the recipe in `labse.search.bfloat16_screen`, for a block of
rows. In comments, "rows" are those of the block, and "others" the vectors of
the other side that they are scored with.
"""

import threading

import numpy as np

from labse.search.rounded_vectors import (
    SLACK,
    RoundedVectors,
    ordered_thresholds,
    ordered_to_float,
    to_ordered,
)
from labse.search.unit_vectors import UnitVectors


def max_candidates(k: int) -> int:
    """Above this number of candidates, a row is not worth screening."""
    return 64 + 16 * k


class TopK:
    """The vectors of one side and the k nearest neighbours found for each.

    Attributes:
      vectors: n vectors.
      k: neighbours of each; 0: only the other side's neighbours are needed.
      indices: int64 [n, k] into the other side, best first; -1: not found yet.
      cosines: float32 [n, k]; -inf: not found yet.
      is_pending: bool [n], rows whose neighbours are still to be found.
    """

    def __init__(self, vectors: UnitVectors, k: int):
        self.vectors = vectors
        self.k = k
        shape = (len(vectors), k)
        self.indices = np.full(shape, -1, np.int64)
        self.cosines = np.full(shape, -np.inf, np.float32)
        self.is_pending = np.full(len(vectors), k > 0)

    def __len__(self) -> int:
        return len(self.vectors)


class Screened:
    """The candidates for the top k of a block of rows.

    Several threads may add different others at once. Their order decides which
    candidates are kept meanwhile, but never the final top k.
    """

    def __init__(self, top_k: TopK, block: RoundedVectors):
        """Starts from the neighbours that the rows have so far."""
        self._top_k = top_k
        self._block = block
        # The k largest lower bounds of each row's cosines, in any order; the
        # least of them is a lower bound of the k-th highest cosine.
        found = top_k.cosines[block.rows]
        self._lower_bounds = found.astype(np.float64) - SLACK  # [rows, k]
        # Rows with too many candidates; an infinite bound rules out the rest.
        self._is_crowded = top_k.is_pending[block.rows].copy()  # [rows]
        self._lower_bounds[self._is_crowded] = np.inf
        self._num_candidates = np.zeros(len(block), np.int64)
        # (row, other, upper bound of the cosine) of all candidates.
        self._candidates = []
        self._lock = threading.Lock()

    def add(
        self, bits: np.ndarray, others: RoundedVectors, group_size: int
    ) -> None:
        """Keeps those of a block of others that can be in the top k.

        Args:
          bits: int [others, rows], the bits of the scores.
          others: their block, each block once.
          group_size: scores are compared in groups of this size, first by
            their maximum: one in thousands passes.
        """
        error = self._block.error_bounds(others)  # [rows]
        with self._lock:
            kth_lower_bound = self._lower_bounds.min(axis=1)  # [rows]
        # Positive thresholds need no order among negative scores.
        if np.any(self._least_score(kth_lower_bound, error) <= 0):
            bits = to_ordered(bits)
        num_groups, size = len(bits) // group_size, len(self._block)
        whole = num_groups * group_size
        groups = bits[:whole].reshape(group_size, num_groups, size)
        largest = np.maximum.reduce(groups, axis=0)  # [groups, rows]
        if np.isneginf(kth_lower_bound).any() and len(bits) >= self._top_k.k:
            # The first block: its own k-th largest score gives a bound.
            kth = self._kth_largest(largest, bits)
            kth_lower_bound = np.maximum(
                kth_lower_bound, self._lower_bound(kth, error)
            )
        threshold = ordered_thresholds(
            self._least_score(kth_lower_bound, error), self._block.dtype
        )  # [rows]
        group, row = _nonzero(largest >= threshold)
        values = groups[:, group, row]  # [group_size, hits]
        member, hit = np.nonzero(values >= threshold[row])
        other, row = member * num_groups + group[hit], row[hit]
        # The last few others fill no group.
        tail, tail_row = np.nonzero(bits[whole:] >= threshold)
        other = np.concatenate([other, whole + tail])
        row = np.concatenate([row, tail_row])
        scores = ordered_to_float(bits[other, row])
        with self._lock:
            self._keep(row, others.rows.start + other, scores, error)

    def _lower_bound(self, scores, error):
        """The least cosine that a score allows."""
        output_error = self._block.dtype.output_error
        return scores - output_error * np.abs(scores) - error

    def _least_score(self, cosines, error):
        """The least score that allows a cosine: its upper bound is equal."""
        needed = cosines - error
        output_error = self._block.dtype.output_error
        return needed / (1 + np.copysign(output_error, needed))

    def _kth_largest(self, largest: np.ndarray, bits: np.ndarray) -> np.ndarray:
        """float64 [rows]: the k-th largest score, or a somewhat lower one.

        Of k groups, the maxima are k scores. Where there are too few groups
        for a good bound, all scores are compared.
        """
        k = self._top_k.k
        if k > len(largest) // 2:
            largest = bits
        kth = len(largest) - k
        kth_largest = np.partition(largest, kth, axis=0)[kth]
        return ordered_to_float(kth_largest)

    def _keep(self, row, other, scores, error) -> None:
        """Stores candidates, int [c], and raises the rows' lower bounds."""
        k = self._top_k.k
        self._num_candidates += np.bincount(
            row, minlength=len(self._num_candidates)
        )
        self._is_crowded |= self._num_candidates > max_candidates(k)
        kept = ~self._is_crowded[row]
        row, other, scores = row[kept], other[kept], scores[kept]
        low = self._lower_bound(scores, error[row])
        high = scores + self._block.dtype.output_error * np.abs(scores)
        high += error[row]
        # 20 bytes a candidate.
        self._candidates.append(
            (row.astype(np.int32), other, high.astype(np.float64))
        )
        best, rank = _lowest_k(row, -low, k)
        rows, number = np.unique(row[best], return_inverse=True)
        bounds = np.full((len(rows), k), -np.inf)
        bounds[number, rank] = low[best]
        bounds = np.concatenate([self._lower_bounds[rows], bounds], axis=1)
        bounds.partition(k, axis=1)  # [some rows, 2k]
        self._lower_bounds[rows] = bounds[:, k:]
        self._lower_bounds[self._is_crowded] = np.inf

    def finish(self, others: UnitVectors) -> None:
        """Scores the candidates exactly and puts the best into the top k.

        Args:
          others: the whole other side. Neighbours found before must have lower
            indices than the others of this block, so that ties come out right.
        """
        top_k, rows = self._top_k, self._block.rows
        row, other, high = (
            np.concatenate(arrays)
            for arrays in zip(*self._candidates, strict=True)
        )
        kept = high >= self._lower_bounds.min(axis=1)[row]
        kept &= ~self._is_crowded[row]
        row, other = row[kept], other[kept]
        order = np.lexsort((other, row))
        row, other = row[order], other[order]
        exact = top_k.vectors.cosines(rows.start + row, others, other)
        # Both sorts are stable: of equal cosines the lowest index is first.
        best, rank = _lowest_k(row, -exact, top_k.k)
        indices = np.full((len(self._block), top_k.k), -1)
        cosines = np.full(indices.shape, -np.inf, np.float32)
        indices[row[best], rank] = other[best]
        cosines[row[best], rank] = exact[best]
        indices = np.concatenate([top_k.indices[rows], indices], axis=1)
        cosines = np.concatenate([top_k.cosines[rows], cosines], axis=1)
        order = np.argsort(-cosines, axis=1, kind="stable")[:, : top_k.k]
        top_k.indices[rows] = np.take_along_axis(indices, order, 1)
        top_k.cosines[rows] = np.take_along_axis(cosines, order, 1)
        top_k.is_pending[rows] = self._is_crowded


def _nonzero(is_hit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`np.nonzero` of bool [a, b], in any order, many times faster.

    NumPy is fast on a flat array only, so the order is that in memory.
    """
    if is_hit.flags.c_contiguous:
        return np.divmod(np.flatnonzero(is_hit), is_hit.shape[1])
    return np.divmod(np.flatnonzero(is_hit.T), is_hit.shape[0])[::-1]


def _lowest_k(
    row: np.ndarray, keys: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k entries of lowest key of each row.

    Returns:
      positions int64 [kept], and the rank of each in its row, from 0.
    """
    order = np.lexsort((keys, row))
    row = row[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    kept = rank < k
    return order[kept], rank[kept]
