"""Exact top k by a bfloat16 screen, which misses no nearest neighbour.

The recipe, for the top k of each query among the candidates:

1. Round the unit vectors to bfloat16 and multiply them, a block of candidates
   by a block of queries: [4096, dim] x [dim, 1024]. Where the processor has
   bfloat16 instructions this takes half the time of float32. Elsewhere float32
   takes the place of bfloat16, and the rest is the same (`choose_dtype`).
2. A score s differs from the true cosine c by at most e (below), so that
   s - e <= c <= s + e. Keep the k largest lower bounds s - e of each query.
   k candidates have a cosine of at least the smallest of these, L.
3. A candidate with s + e < L is not in the top k, not even as a tie. Every
   other one is kept (`Screened.add`): k and a few more with real sentences.
4. After the last block L is largest. Drop what it rules out, and score the
   remaining candidates with `UnitVectors.cosines`, float64 rounded to float32,
   as the search without a screen does: the same bits (`Screened.finish`).
5. Where more candidates are left than is worth it (more than 64 + 16 k: copies,
   or a cluster of vectors whose cosines differ by less than 2 e), the query
   stays pending and `exact_search` searches for it in float64.

The bound e. Let u and v be the unit vectors of a query and a candidate, u' and
v' the rounded ones, and s the score that is computed from them. |u.v - s| has
three parts:

1. Rounded input. |u.v - u'.v'| = |(u - u').v + u'.(v - v')|
                               <= |u - u'| + (1 + |u - u'|) |v - v'|
   by Cauchy-Schwarz, with |v| = 1 and |u'| <= 1 + |u - u'|. bfloat16 has 8
   bits of mantissa, so a component moves by up to 2^-8 of itself and |u - u'|
   is at most 2^-8 = 0.0039. It is measured for each vector instead: about
   0.0017, or 3e-8 in float32.
2. Accumulation. Products of two bfloat16 numbers are exact in float32 (16 bits
   of 24); products of float32 are rounded. dim terms are added in float32, in
   any order: off by at most dim 2^-24 |u'| |v'| with rounding to nearest. The
   bound is 2 dim 2^-23 |u'| |v'|, which leaves room for hardware that truncates
   or that rounds pairs of products.
3. Rounded output. s is the nearest bfloat16: off by at most 2^-8 |s|. Nothing
   in float32.

With 768 dimensions e is about 0.0034 + 0.0002 + 0.0039 |s|, 0.007 for a good
translation, or 0.0002 in float32. A slack of 2^-20 is added, see
`rounded_vectors`.

One product can serve both directions: read by columns for the top k of the
queries, by rows for that of the candidates. Either reading takes 4 ms of NumPy
a block, the product 30 to 40 (bfloat16, 768 dimensions, one core).

Memory beyond the vectors and the result, with two workers: at most 128 MiB for
the rounded queries, 40 MiB for blocks, and 20 bytes for each candidate kept:
some 20 MiB in practice for the queries at hand, `max_candidates` for each of
65,536 queries at worst; 3 MiB in practice for the two blocks of candidates at
hand. Measured: 0.26 GB with 45,000 x 45,000 x 768, k = 4, and 0.29 GB for both
directions.
"""

import concurrent.futures
import os
from collections.abc import Callable, Iterator

from labse.search.rounded_vectors import (
    RoundedVectors,
    ScreenDtype,
    choose_dtype,
)
from labse.search.top_k import Screened, TopK

# bfloat16 scores of a block, 8 MiB, stay in the last cache.
CANDIDATE_BLOCK = 4096
QUERY_BLOCK = 1024
# Queries that are kept rounded while all candidates are multiplied with them.
MOST_QUERIES = 65_536
MOST_QUERY_BYTES = 2**27
# Scores are first compared in groups of this size, by their maximum. By
# columns, few rows far apart in memory are cheap; by rows, many columns are.
CANDIDATE_GROUP = 64
QUERY_GROUP = 8
LARGEST_K = 256
MAX_WORKERS = 8


class _Block:
    """A block of one side, and its candidates if neighbours are needed."""

    def __init__(self, top_k: TopK, rows: slice, dtype: ScreenDtype):
        self.rounded = RoundedVectors(top_k.vectors, rows, dtype)
        self.screened = Screened(top_k, self.rounded) if top_k.k else None

    def finish(self, others: TopK) -> None:
        if self.screened:
            self.screened.finish(others.vectors)


def screen(
    queries: TopK, candidates: TopK, progress: Callable[[int, int], None]
) -> None:
    """Finds the top k of all rows but a few, on each side whose k is not 0.

    Args:
      queries: one side; its rows that are pending afterwards must be searched
        for in another way.
      candidates: the other side, of at least `CANDIDATE_BLOCK` vectors;
        likewise.
      progress: called with (scores done, n * m).
    """
    dtype = choose_dtype(queries.vectors, candidates.vectors)
    if dtype is None:
        return
    for side in (queries, candidates):
        side.is_pending[:] = False
    num_bytes = dtype.bits().nbytes * queries.vectors.dimension  # a vector
    step = min(MOST_QUERIES, max(QUERY_BLOCK, MOST_QUERY_BYTES // num_bytes))
    workers = min(MAX_WORKERS, max(2, os.cpu_count() or 2))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(queries), step):
            stop = min(start + step, len(queries))
            blocks = list(
                pool.map(
                    lambda rows: _Block(queries, rows, dtype),
                    _slices(start, stop, QUERY_BLOCK),
                )
            )
            for seen in _add_all(blocks, candidates, queries, dtype, pool):
                done = start * len(candidates) + (stop - start) * seen
                progress(done, len(queries) * len(candidates))
            list(pool.map(lambda block: block.finish(candidates), blocks))


def _slices(start: int, stop: int, step: int) -> list[slice]:
    return [
        slice(first, min(first + step, stop))
        for first in range(start, stop, step)
    ]


def _add_all(blocks, candidates, queries, dtype, pool) -> Iterator[int]:
    """Scores all candidates with all blocks of queries.

    While the workers score one block of candidates, the next is prepared.

    Yields:
      the number of candidates scored, after each block.
    """

    def make(rows):
        return _Block(candidates, rows, dtype)

    first, *rest = _slices(0, len(candidates), CANDIDATE_BLOCK)
    block, finished = make(first), None
    for rows in [*rest, None]:
        jobs = [pool.submit(_add, query, block) for query in blocks]
        next_block = make(rows) if rows else None
        for job in jobs:
            job.result()
        if finished:
            finished.result()  # No more than two blocks are in memory.
        finished = pool.submit(block.finish, queries)
        yield block.rounded.rows.stop
        block = next_block
    finished.result()


def _add(queries: _Block, candidates: _Block) -> None:
    """The scores of a block of each side, for both sides' top k."""
    bits = queries.rounded.score_bits(candidates.rounded)
    if queries.screened:
        queries.screened.add(bits, candidates.rounded, CANDIDATE_GROUP)
    if candidates.screened:
        candidates.screened.add(bits.T, queries.rounded, QUERY_GROUP)
