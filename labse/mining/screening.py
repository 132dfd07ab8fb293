"""A fast screen before an exact search: bfloat16 matmuls that lose no winner.

Let u and v be the unit vectors of a query and a candidate, u' and v' what the
screen uses instead, rounded to its precision, and s the score that comes out.
Then |u.v - s| has three parts:

1. Input: |u.v - u'.v'| = |(u-u').v + u'.(v-v')|
   <= |u-u'| + (1 + |u-u'|) |v-v'|   (Cauchy-Schwarz, |v| = 1).
   Both lengths are measured, vector by vector, not estimated: with random
   rounding they are about 0.0012 in bfloat16 where the worst case is 0.0039.
2. Sums: products of bfloat16 are exact in float32, those of float32 are
   rounded, and dim terms are added in float32 in some order: at most
   2 dim 2^-23 |u'| |v'|, which leaves room for hardware that truncates, or
   that rounds pairs of products.
3. Output: s is rounded to the nearest bfloat16: at most 2^-8 |s|. Nothing in
   float32.

The final cosine is rounded to float32 as well: 2^-24. A slack of 2^-20 takes
this, denormals flushed to zero and the rounding of these very formulas.

So s gives an interval for u.v. A candidate whose upper end lies below the k-th
largest of the lower ends is not among the k nearest, not even as a tie. Every
other candidate survives. A query with too many survivors (copies, crowds of
near-equal vectors) is handed back, to be searched in float64.

Memory beyond the vectors and the result, with two workers: at most 128 MiB for
the queries at hand, 40 MiB for blocks, and survivors: some 20 MiB in practice,
`most_survivors` for each of 65,536 queries at worst, 20 bytes each. Measured:
0.28 GB with 45,000 x 45,000 x 768, k = 4.
"""

import concurrent.futures
import dataclasses
import os
import time
from collections.abc import Callable

import numpy as np

from labse.mining.directions import Directions

# bfloat16 scores of a block, 8 MiB, stay in the last cache.
CANDIDATE_BLOCK = 4096
QUERY_BLOCK = 1024
# Queries that are kept in the screen's precision while the candidates pass.
MOST_QUERIES = 65_536
MOST_QUERY_BYTES = 2**27
# Scores are first looked at in groups: only the largest of each.
GROUP = 64
LARGEST_K = 256
MAX_WORKERS = 8
SLACK = 2.0**-20
PROBE_QUERIES, PROBE_CANDIDATES = 512, 2048


@dataclasses.dataclass(frozen=True)
class Precision:
    """A number format of the screen.

    Scores are compared as integers of the same bits. Those order positive
    floats, and put every negative one below them.
    """

    name: str
    bits: type[np.signedinteger]
    output_error: float

    @property
    def bytes(self) -> int:
        """Size of one number."""
        return np.dtype(self.bits).itemsize


BFLOAT16 = Precision("bfloat16", np.int16, 2.0**-8)
FLOAT32 = Precision("float32", np.int32, 0.0)


def most_survivors(k: int) -> int:
    """A query with more survivors than this is not worth screening."""
    return 64 + 16 * k


def search(
    queries: Directions,
    candidates: Directions,
    indices: np.ndarray,
    cosines: np.ndarray,
    progress: Callable[[int, int], None],
) -> np.ndarray:
    """Finds the nearest candidates of all queries but a few.

    Args:
      queries: n vectors.
      candidates: at least `CANDIDATE_BLOCK` vectors, and more than k.
      indices: int64 [n, k], written.
      cosines: float32 [n, k], written.
      progress: called with (scores done, n * m).

    Returns:
      int64 [rest]: the queries that must be searched in another way.
    """
    precision = choose_precision(queries, candidates)
    if precision is None:
        return np.arange(len(queries))
    num_bytes = precision.bytes * queries.dimension
    step = min(MOST_QUERIES, max(QUERY_BLOCK, MOST_QUERY_BYTES // num_bytes))
    rest = [np.empty(0, np.int64)]
    workers = min(MAX_WORKERS, max(2, os.cpu_count() or 2))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(queries), step):
            stop = min(start + step, len(queries))
            slices = [
                slice(first, min(first + QUERY_BLOCK, stop))
                for first in range(start, stop, QUERY_BLOCK)
            ]
            blocks = list(
                pool.map(
                    lambda rows: _QueryBlock(
                        queries, rows, precision, indices.shape[1]
                    ),
                    slices,
                )
            )
            _screen(blocks, candidates, precision, pool, progress)
            rest += pool.map(
                lambda block: block.finish(candidates, indices, cosines),
                blocks,
            )
    return np.concatenate(rest)


def _screen(blocks, candidates, precision, pool, progress) -> None:
    """Lets all candidates pass by all blocks of queries.

    While the workers look at one block of candidates, the next is prepared.
    """
    first, last = blocks[0].rows.start, blocks[-1].rows.stop
    total = blocks[0].num_queries * len(candidates)
    block = _CandidateBlock(candidates, 0, CANDIDATE_BLOCK, precision)
    while block:
        seen, following = block.stop, None
        jobs = [pool.submit(queries.look_at, block) for queries in blocks]
        if seen < len(candidates):
            following = _CandidateBlock(
                candidates, seen, seen + CANDIDATE_BLOCK, precision
            )
        for job in jobs:
            job.result()
        block = following
        progress(first * len(candidates) + (last - first) * seen, total)


def choose_precision(
    queries: Directions, candidates: Directions
) -> Precision | None:
    """The faster format whose error keeps to its bound on this machine.

    Each multiplies some of the vectors, which takes about 50 ms. bfloat16 is
    twice as fast as float32 where the processor has instructions for it
    (AVX512_BF16, AMX) and many times slower elsewhere. The bound is checked
    because settings of TensorFlow's libraries can replace float32 by something
    shorter behind our back.

    Returns:
      None if neither keeps to it.
    """
    times = {}
    for precision in (BFLOAT16, FLOAT32):
        block = _QueryBlock(
            queries, slice(0, min(PROBE_QUERIES, len(queries))), precision, 1
        )
        others = _CandidateBlock(candidates, 0, PROBE_CANDIDATES, precision)
        bits = block.scores(others)
        if precision is BFLOAT16:
            exact = candidates.unit(slice(0, PROBE_CANDIDATES))
            exact = exact @ queries.unit(block.rows).T
        scores = _floats(_in_order(bits[: len(exact)]))
        error = block.errors(others) + precision.output_error * np.abs(scores)
        if np.any(np.abs(scores - exact) > error):
            continue
        start = time.perf_counter()
        block.scores(others)
        times[precision] = time.perf_counter() - start
    return min(times, key=times.get, default=None)


def _rounded(directions: Directions, rows: slice, precision: Precision):
    """Unit vectors in a precision: a tensor [n, dim], and |u - u'| [n]."""
    import tensorflow as tf

    units = directions.unit(rows)
    with tf.device("CPU:0"):
        tensor = tf.cast(tf.constant(units.astype(np.float32)), precision.name)
        units -= tf.cast(tensor, tf.float32).numpy()
    return tensor, np.linalg.norm(units, axis=1)


class _CandidateBlock:
    """Candidates in the screen's precision, filled up to whole groups."""

    def __init__(
        self,
        candidates: Directions,
        start: int,
        stop: int,
        precision: Precision,
    ):
        import tensorflow as tf

        self.start, self.stop = start, min(stop, len(candidates))
        rows = slice(start, self.stop)
        tensor, deviations = _rounded(candidates, rows, precision)
        missing = -len(deviations) % GROUP
        if missing:
            tensor = tf.pad(tensor, [[0, missing], [0, 0]])
        self.tensor = tensor
        self.deviation = deviations.max()


class _QueryBlock:
    """Some queries, and what is known of their nearest candidates.

    Written by one worker at a time.
    """

    def __init__(
        self, queries: Directions, rows: slice, precision: Precision, k: int
    ):
        self.rows = rows
        self.num_queries = len(queries)
        self._queries = queries
        self._precision = precision
        self._k = k
        self._tensor, self._deviations = _rounded(queries, rows, precision)
        size = len(self._deviations)
        # Lower ends for the k best so far; the last is the one to beat.
        self._lowest = np.full((size, k), -np.inf)
        self._num_survivors = np.zeros(size, np.int64)
        self._is_crowded = np.zeros(size, bool)
        # (query, candidate, upper end) of all who were not beaten yet.
        self._survivors = []

    def errors(self, candidates: _CandidateBlock) -> np.ndarray:
        """float64 [queries]: parts 1 and 2 of the bound, and the slack."""
        deviations = self._deviations
        lengths = (1 + deviations) * (1 + candidates.deviation)
        dimension = self._queries.dimension
        return (
            deviations
            + (1 + deviations) * candidates.deviation
            + 2 * dimension * 2.0**-23 * lengths
            + SLACK
        )

    def scores(self, candidates: _CandidateBlock) -> np.ndarray:
        """The bits of the scores: int [candidates, queries]; read only."""
        import tensorflow as tf

        with tf.device("CPU:0"):
            scores = tf.matmul(
                candidates.tensor, self._tensor, transpose_b=True
            )
            return np.asarray(
                memoryview(tf.bitcast(scores, self._precision.bits))
            )

    def look_at(self, candidates: _CandidateBlock) -> None:
        """Takes in the survivors among more candidates."""
        bits = self.scores(candidates)
        error = self.errors(candidates)
        to_beat = self._lowest.min(axis=1)
        cut = self._cut(to_beat, error)
        if np.any(cut <= 0):
            bits = _in_order(bits)
        size = len(self._deviations)
        bits = bits.reshape(-1, GROUP, size)  # [groups, GROUP, queries]
        largest = np.maximum.reduce(bits, axis=1)  # [groups, queries]
        if not candidates.start:
            # Nothing to beat yet but the k-th largest of this very block.
            cut = self._cut(self._low(self._kth(largest, bits), error), error)
        keys = _keys(cut, self._precision)
        group, query = np.nonzero(largest >= keys)
        values = bits[group, :, query]  # [hits, GROUP]
        hit, offset = np.nonzero(values >= keys[query, None])
        query = query[hit]
        candidate = candidates.start + group[hit] * GROUP + offset
        values = _floats(values[hit, offset])
        is_real = candidate < candidates.stop
        if not is_real.all():
            query, candidate, values = (
                array[is_real] for array in (query, candidate, values)
            )
        self._take_in(query, candidate, values, error)

    def _low(self, scores, error):
        """The lower end of what u.v can be."""
        return scores - self._precision.output_error * np.abs(scores) - error

    def _cut(self, to_beat, error):
        """The lowest score whose upper end reaches `to_beat`."""
        needed = to_beat - error
        return needed / (1 + np.copysign(self._precision.output_error, needed))

    def _kth(self, largest: np.ndarray, bits: np.ndarray) -> np.ndarray:
        """float64 [queries]: no more than the k-th largest score.

        The largest of k groups are k scores; with too few groups, all scores
        are looked at.
        """
        if self._k > len(largest) // 2:
            largest = bits.reshape(-1, bits.shape[-1])
        kth = len(largest) - self._k
        return _floats(np.partition(largest, kth, axis=0)[kth])

    def _take_in(self, query, candidate, values, error) -> None:
        """Keeps the survivors of a block and raises what is to be beaten."""
        size = len(self._deviations)
        self._num_survivors += np.bincount(query, minlength=size)
        self._is_crowded |= self._num_survivors > most_survivors(self._k)
        kept = ~self._is_crowded[query]
        query, candidate, values = query[kept], candidate[kept], values[kept]
        low = self._low(values, error[query])
        high = values + self._precision.output_error * np.abs(values)
        high += error[query]
        self._survivors.append(
            (query.astype(np.int32), candidate, high.astype(np.float64))
        )
        chosen, rank = _best(query, -low, self._k)
        rows, number = np.unique(query[chosen], return_inverse=True)
        found = np.full((len(rows), self._k), -np.inf)
        found[number, rank] = low[chosen]
        found = np.concatenate([self._lowest[rows], found], axis=1)
        found.partition(self._k, axis=1)
        self._lowest[rows] = found[:, self._k :]
        self._lowest[self._is_crowded] = np.inf

    def finish(
        self, candidates: Directions, indices: np.ndarray, cosines: np.ndarray
    ) -> np.ndarray:
        """Scores the survivors exactly and writes the best.

        Returns:
          int64 [rest]: the queries that were too crowded.
        """
        query, candidate, high = (
            np.concatenate(arrays)
            for arrays in zip(*self._survivors, strict=True)
        )
        kept = high >= self._lowest.min(axis=1)[query]
        kept &= ~self._is_crowded[query]
        query, candidate = query[kept], candidate[kept]
        order = np.lexsort((candidate, query))
        query, candidate = query[order], candidate[order]
        exact = self._queries.cosines(
            self.rows.start + query, candidates, candidate
        )
        # The sort is stable: among equals, the lowest candidate stays first.
        chosen, rank = _best(query, -exact, self._k)
        row = self.rows.start + query[chosen]
        indices[row, rank] = candidate[chosen]
        cosines[row, rank] = exact[chosen]
        return self.rows.start + np.flatnonzero(self._is_crowded)


def _best(query: np.ndarray, keys: np.ndarray, k: int):
    """The k entries of lowest key of each query.

    Returns:
      positions int64 [kept], and the rank 0 .. k-1 of each in its query.
    """
    order = np.lexsort((keys, query))
    query = query[order]
    rank = np.arange(len(query)) - np.searchsorted(query, query)
    kept = rank < k
    return order[kept], rank[kept]


def _in_order(bits: np.ndarray) -> np.ndarray:
    """Bits of floats as integers in the order of the floats: a copy.

    Negative floats stand in the wrong order, so their bits are turned over.
    Undoes itself.
    """
    info = np.iinfo(bits.dtype)
    return bits ^ ((bits >> (info.bits - 1)) & info.max)


def _keys(values: np.ndarray, precision: Precision) -> np.ndarray:
    """The lowest of the floats >= value, as integers in order: int [n]."""
    bits = values.astype(np.float32).view(np.int32)
    shift = 32 - np.iinfo(precision.bits).bits
    # One less, should the value have been rounded up to float32, and so that
    # -0 passes for 0.
    bits = _in_order(bits) - 1
    # Cut to fewer bits: up, but negative ones are turned over and go up so.
    bits[bits >= 0] += 2**shift - 1
    return (bits >> shift).astype(precision.bits)


def _floats(keys: np.ndarray) -> np.ndarray:
    """float64: the floats of integers in order."""
    bits = _in_order(keys).astype(np.int32)
    bits <<= 32 - np.iinfo(keys.dtype).bits
    return bits.view(np.float32).astype(np.float64)
