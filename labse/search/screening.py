"""A fast screen before an exact search: bfloat16 matmuls that lose no winner.

Blocks of candidates pass by blocks of queries. Each block of scores is looked
at by columns, for the queries' nearest candidates, by rows, for the candidates'
nearest queries, or both ways: one product for two directions. To look by rows
takes 4 ms, to look by columns 4, where the product takes 30 to 40 (bfloat16,
768 dimensions, one core).

`rounded_block` says how far a score can be off, `survivors` what follows.

Memory beyond the vectors and the result, with two workers: at most 128 MiB for
the queries at hand, 40 MiB for blocks, and survivors of 20 bytes each. Those of
the queries at hand: some 20 MiB in practice, `most_survivors` for each of
65,536 queries at worst. Those of the two blocks of candidates at hand: 3 MiB in
practice. Of all other candidates only their part of the result is kept.
Measured: 0.26 GB with 45,000 x 45,000 x 768, k = 4, and 0.29 GB if both sides
ask.
"""

import concurrent.futures
import os
from collections.abc import Callable, Iterator

from labse.search.rounded_block import RoundedBlock, choose_precision
from labse.search.score_bits import Precision
from labse.search.survivors import Side, Survivors

# bfloat16 scores of a block, 8 MiB, stay in the last cache.
CANDIDATE_BLOCK = 4096
QUERY_BLOCK = 1024
# Queries that are kept in the screen's precision while the candidates pass.
MOST_QUERIES = 65_536
MOST_QUERY_BYTES = 2**27
# Scores are first looked at in groups: only the largest of each. Few rows that
# are far apart in memory are cheap to compare, and so are many columns.
CANDIDATE_GROUP = 64
QUERY_GROUP = 8
LARGEST_K = 256
MAX_WORKERS = 8


class _Block:
    """A block of one side and its survivors, if its neighbours are asked."""

    def __init__(self, side: Side, rows: slice, precision: Precision):
        self.rounded = RoundedBlock(side.directions, rows, precision)
        self.survivors = Survivors(side, self.rounded) if side.k else None

    def finish(self, others: Side) -> None:
        if self.survivors:
            self.survivors.finish(others.directions)


def search(
    queries: Side, candidates: Side, progress: Callable[[int, int], None]
) -> None:
    """Finds the nearest of all rows but a few, on each side that asks.

    Args:
      queries: the side that stays; `is_left` says afterwards which of its rows
        must be searched in another way.
      candidates: the side that passes by, at least `CANDIDATE_BLOCK` vectors;
        likewise.
      progress: called with (scores done, n * m).
    """
    precision = choose_precision(queries.directions, candidates.directions)
    if precision is None:
        return
    for side in (queries, candidates):
        side.is_left[:] = False
    num_bytes = precision.bytes * queries.directions.dimension
    step = min(MOST_QUERIES, max(QUERY_BLOCK, MOST_QUERY_BYTES // num_bytes))
    workers = min(MAX_WORKERS, max(2, os.cpu_count() or 2))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(queries), step):
            stop = min(start + step, len(queries))
            blocks = list(
                pool.map(
                    lambda rows: _Block(queries, rows, precision),
                    _slices(start, stop, QUERY_BLOCK),
                )
            )
            for seen in _pass_by(blocks, candidates, queries, precision, pool):
                done = start * len(candidates) + (stop - start) * seen
                progress(done, len(queries) * len(candidates))
            list(pool.map(lambda block: block.finish(candidates), blocks))


def _slices(start: int, stop: int, step: int) -> list[slice]:
    return [
        slice(first, min(first + step, stop))
        for first in range(start, stop, step)
    ]


def _pass_by(blocks, candidates, queries, precision, pool) -> Iterator[int]:
    """Lets all candidates pass by all blocks of queries.

    While the workers look at one block of candidates, the next is prepared.

    Yields:
      how many candidates have passed, now and then.
    """

    def make(rows):
        return _Block(candidates, rows, precision)

    first, *rest = _slices(0, len(candidates), CANDIDATE_BLOCK)
    block, finished = make(first), None
    for rows in [*rest, None]:
        jobs = [pool.submit(_look, query, block) for query in blocks]
        next_block = make(rows) if rows else None
        for job in jobs:
            job.result()
        if finished:
            finished.result()  # No more than two blocks are kept.
        finished = pool.submit(block.finish, queries)
        yield block.rounded.rows.stop
        block = next_block
    finished.result()


def _look(queries: _Block, candidates: _Block) -> None:
    """Both sides look at the scores of a block of each."""
    bits = queries.rounded.scores(candidates.rounded)
    if queries.survivors:
        queries.survivors.look_at(bits, candidates.rounded, CANDIDATE_GROUP)
    if candidates.survivors:
        candidates.survivors.look_at(bits.T, queries.rounded, QUERY_GROUP)
