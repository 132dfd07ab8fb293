"""Unit vectors in a fast precision, and how far their scores can be off.

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
"""

import time

import numpy as np

from labse.search import score_bits
from labse.search.directions import Directions
from labse.search.score_bits import BFLOAT16, FLOAT32, Precision

SLACK = 2.0**-20
PROBE_QUERIES, PROBE_CANDIDATES = 512, 2048


class RoundedBlock:
    """Some rows of one side, as unit vectors in the screen's precision.

    Attributes:
      directions: the side.
      rows: which of it, a slice with start and stop.
      precision: the number format.
    """

    def __init__(
        self, directions: Directions, rows: slice, precision: Precision
    ):
        """Rounds the vectors and measures by how much."""
        import tensorflow as tf

        self.directions = directions
        self.rows = slice(rows.start, min(rows.stop, len(directions)))
        self.precision = precision
        units = directions.unit(self.rows)
        with tf.device("CPU:0"):
            self._tensor = tf.cast(
                tf.constant(units.astype(np.float32)), precision.name
            )
            units -= tf.cast(self._tensor, tf.float32).numpy()
        self._deviations = np.linalg.norm(units, axis=1)
        self._largest_deviation = self._deviations.max(initial=0)

    def __len__(self) -> int:
        return len(self._deviations)

    def errors(self, others: "RoundedBlock") -> np.ndarray:
        """float64 [rows]: parts 1 and 2 of the bound, and the slack."""
        deviations, others_deviation = (
            self._deviations,
            others._largest_deviation,
        )
        lengths = (1 + deviations) * (1 + others_deviation)
        return (
            deviations
            + (1 + deviations) * others_deviation
            + 2 * self.directions.dimension * 2.0**-23 * lengths
            + SLACK
        )

    def scores(self, others: "RoundedBlock") -> np.ndarray:
        """The bits of the scores: int [others, rows]; read only."""
        import tensorflow as tf

        with tf.device("CPU:0"):
            scores = tf.matmul(others._tensor, self._tensor, transpose_b=True)
            return np.asarray(
                memoryview(tf.bitcast(scores, self.precision.bits))
            )


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
    exact = candidates.unit(slice(0, PROBE_CANDIDATES))
    exact = exact @ queries.unit(slice(0, PROBE_QUERIES)).T
    times = {}
    for precision in (BFLOAT16, FLOAT32):
        block = RoundedBlock(queries, slice(0, PROBE_QUERIES), precision)
        others = RoundedBlock(candidates, slice(0, PROBE_CANDIDATES), precision)
        scores = score_bits.floats(score_bits.in_order(block.scores(others)))
        error = block.errors(others) + precision.output_error * np.abs(scores)
        if np.any(np.abs(scores - exact) > error):
            continue
        start = time.perf_counter()
        block.scores(others)
        times[precision] = time.perf_counter() - start
    return min(times, key=times.get, default=None)
