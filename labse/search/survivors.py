"""Who can still be among the k nearest, after a look at inexact scores.

A score and its error bound (`rounded_block`) give an interval for the cosine
of a row and one of the others. One whose upper end lies below the k-th largest
of the row's lower ends is not among its k nearest, not even as a tie. Every
other one survives. A row with too many survivors (copies, crowds of near-equal
vectors) is left, to be searched in another way.
"""

import threading

import numpy as np

from labse.search import score_bits
from labse.search.directions import Directions
from labse.search.rounded_block import SLACK, RoundedBlock


def most_survivors(k: int) -> int:
    """A row with more survivors than this is not worth screening."""
    return 64 + 16 * k


class Side:
    """One side of a search: its vectors and what is found for them.

    Attributes:
      directions: n vectors.
      k: how many neighbours each is to get; 0 if nobody asks for them.
      indices: int64 [n, k] into the other side, best first; -1 for none yet.
      cosines: float32 [n, k]; -inf for none yet.
      is_left: bool [n], rows that are still to be searched.
    """

    def __init__(self, directions: Directions, k: int):
        self.directions = directions
        self.k = k
        shape = (len(directions), k)
        self.indices = np.full(shape, -1, np.int64)
        self.cosines = np.full(shape, -np.inf, np.float32)
        self.is_left = np.full(len(directions), k > 0)

    def __len__(self) -> int:
        return len(self.directions)


class Survivors:
    """Of a block of rows: who is not beaten yet.

    Several threads may look at different others at once. How they take turns
    decides who survives, never who is among the k nearest.
    """

    def __init__(self, side: Side, block: RoundedBlock):
        """Begins with what the side's rows have found so far."""
        self._side = side
        self._block = block
        # Lower ends for the k best so far; the least is the one to beat.
        found = side.cosines[block.rows]
        self._lowest = found.astype(np.float64) - SLACK
        self._is_crowded = side.is_left[block.rows].copy()
        self._lowest[self._is_crowded] = np.inf
        self._count = np.zeros(len(block), np.int64)
        # (row of the block, other, upper end) of all who were not beaten yet.
        self._entries = []
        self._lock = threading.Lock()

    def look_at(
        self, bits: np.ndarray, others: RoundedBlock, group_size: int
    ) -> None:
        """Takes in the survivors among some others.

        Args:
          bits: int [others, rows], the bits of the scores.
          others: the block they come from, not seen before.
          group_size: of so many scores the largest is looked at first.
        """
        error = self._block.errors(others)
        with self._lock:
            to_beat = self._lowest.min(axis=1)
        if np.any(self._cut(to_beat, error) <= 0):
            bits = score_bits.in_order(bits)
        num_groups, size = len(bits) // group_size, len(self._block)
        whole = num_groups * group_size
        groups = bits[:whole].reshape(group_size, num_groups, size)
        largest = np.maximum.reduce(groups, axis=0)  # [groups, rows]
        if np.isneginf(to_beat).any() and len(bits) >= self._side.k:
            # Nothing to beat yet but the k-th largest of this very block.
            kth = self._kth(largest, bits)
            to_beat = np.maximum(to_beat, self._low(kth, error))
        cut = self._cut(to_beat, error)
        keys = score_bits.keys(cut, self._block.precision)
        group, row = _where(largest >= keys)
        values = groups[:, group, row]  # [group_size, hits]
        member, hit = np.nonzero(values >= keys[row])
        other, row = member * num_groups + group[hit], row[hit]
        tail, tail_row = np.nonzero(bits[whole:] >= keys)
        other = np.concatenate([other, whole + tail])
        row = np.concatenate([row, tail_row])
        values = score_bits.floats(bits[other, row])
        with self._lock:
            self._take_in(row, others.rows.start + other, values, error)

    def _low(self, scores, error):
        """The lower end of what the cosine can be."""
        output_error = self._block.precision.output_error
        return scores - output_error * np.abs(scores) - error

    def _cut(self, to_beat, error):
        """The lowest score whose upper end reaches `to_beat`."""
        needed = to_beat - error
        output_error = self._block.precision.output_error
        return needed / (1 + np.copysign(output_error, needed))

    def _kth(self, largest: np.ndarray, bits: np.ndarray) -> np.ndarray:
        """float64 [rows]: no more than the k-th largest score.

        The largest of k groups are k scores; with too few groups, all scores
        are looked at.
        """
        k = self._side.k
        if k > len(largest) // 2:
            largest = bits
        kth = len(largest) - k
        return score_bits.floats(np.partition(largest, kth, axis=0)[kth])

    def _take_in(self, row, other, values, error) -> None:
        """Keeps the survivors of a block and raises what is to be beaten."""
        k = self._side.k
        self._count += np.bincount(row, minlength=len(self._count))
        self._is_crowded |= self._count > most_survivors(k)
        kept = ~self._is_crowded[row]
        row, other, values = row[kept], other[kept], values[kept]
        low = self._low(values, error[row])
        high = values + self._block.precision.output_error * np.abs(values)
        high += error[row]
        self._entries.append(
            (row.astype(np.int32), other, high.astype(np.float64))
        )
        chosen, rank = _best(row, -low, k)
        rows, number = np.unique(row[chosen], return_inverse=True)
        found = np.full((len(rows), k), -np.inf)
        found[number, rank] = low[chosen]
        found = np.concatenate([self._lowest[rows], found], axis=1)
        found.partition(k, axis=1)
        self._lowest[rows] = found[:, k:]
        self._lowest[self._is_crowded] = np.inf

    def finish(self, others: Directions) -> None:
        """Scores the survivors exactly; the side keeps the best.

        Args:
          others: the whole other side. All of it that was found before must
            have lower numbers than what this block looked at.
        """
        side, rows = self._side, self._block.rows
        row, other, high = (
            np.concatenate(arrays)
            for arrays in zip(*self._entries, strict=True)
        )
        kept = high >= self._lowest.min(axis=1)[row]
        kept &= ~self._is_crowded[row]
        row, other = row[kept], other[kept]
        order = np.lexsort((other, row))
        row, other = row[order], other[order]
        exact = side.directions.cosines(rows.start + row, others, other)
        # The sorts are stable: among equals, the lowest number stays first.
        chosen, rank = _best(row, -exact, side.k)
        indices = np.full((len(self._block), side.k), -1)
        cosines = np.full(indices.shape, -np.inf, np.float32)
        indices[row[chosen], rank] = other[chosen]
        cosines[row[chosen], rank] = exact[chosen]
        indices = np.concatenate([side.indices[rows], indices], axis=1)
        cosines = np.concatenate([side.cosines[rows], cosines], axis=1)
        order = np.argsort(-cosines, axis=1, kind="stable")[:, : side.k]
        side.indices[rows] = np.take_along_axis(indices, order, 1)
        side.cosines[rows] = np.take_along_axis(cosines, order, 1)
        side.is_left[rows] = self._is_crowded


def _where(is_hit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`np.nonzero` of bool [a, b], in any order, many times faster.

    NumPy is fast on a flat array only; the order is that of the memory.
    """
    if is_hit.flags.c_contiguous:
        return np.divmod(np.flatnonzero(is_hit), is_hit.shape[1])
    return np.divmod(np.flatnonzero(is_hit.T), is_hit.shape[0])[::-1]


def _best(row: np.ndarray, keys: np.ndarray, k: int):
    """The k entries of lowest key of each row.

    Returns:
      positions int64 [kept], and the rank 0 .. k-1 of each in its row.
    """
    order = np.lexsort((keys, row))
    row = row[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    kept = rank < k
    return order[kept], rank[kept]
