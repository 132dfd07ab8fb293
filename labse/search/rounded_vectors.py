"""Unit vectors in the number format of the screen, and their scores' errors.

The bound is derived in `labse.search.bfloat16_screen`.
"""

import time

import numpy as np

from labse.search.ordered_bits import (
    BFLOAT16,
    FLOAT32,
    ScreenDtype,
    ordered_to_float,
    to_ordered,
)
from labse.search.unit_vectors import UnitVectors

# Covers the rounding of the final cosine to float32 (2^-24), denormals flushed
# to zero, and the rounding of the bound itself.
SLACK = 2.0**-20
PROBE_QUERIES, PROBE_CANDIDATES = 512, 2048


class RoundedVectors:
    """A block of unit vectors in the screen's number format.

    Attributes:
      vectors: all vectors of the side.
      rows: which of them, a slice with start and stop.
      dtype: the number format.
    """

    def __init__(self, vectors: UnitVectors, rows: slice, dtype: ScreenDtype):
        """Rounds the vectors and measures how far each moves."""
        import tensorflow as tf

        self.vectors = vectors
        self.rows = slice(rows.start, min(rows.stop, len(vectors)))
        self.dtype = dtype
        units = vectors.unit(self.rows)  # [rows, dim]
        with tf.device("CPU:0"):
            self._tensor = tf.cast(
                tf.constant(units.astype(np.float32)), dtype.name
            )
            units -= tf.cast(self._tensor, tf.float32).numpy()
        # |u - u'| of each vector: about 0.0017 in bfloat16.
        self._deviations = np.linalg.norm(units, axis=1)  # [rows]
        self._largest_deviation = self._deviations.max(initial=0)

    def __len__(self) -> int:
        return len(self._deviations)

    def error_bounds(self, others: "RoundedVectors") -> np.ndarray:
        """float64 [rows]: parts 1 and 2 of the bound, and the slack.

        One number a row, for its scores with all the others.
        """
        deviation = self._deviations
        others_deviation = others._largest_deviation
        lengths = (1 + deviation) * (1 + others_deviation)
        return (
            deviation
            + (1 + deviation) * others_deviation
            + 2 * self.vectors.dimension * 2.0**-23 * lengths
            + SLACK
        )

    def score_bits(self, others: "RoundedVectors") -> np.ndarray:
        """int [others, rows]: the bits of the scores; read only."""
        import tensorflow as tf

        with tf.device("CPU:0"):
            scores = tf.matmul(others._tensor, self._tensor, transpose_b=True)
            return np.asarray(memoryview(tf.bitcast(scores, self.dtype.bits)))


def choose_dtype(
    queries: UnitVectors, candidates: UnitVectors
) -> ScreenDtype | None:
    """The faster format whose errors are within the bound on this machine.

    Multiplies a sample in each, about 50 ms. bfloat16 is twice as fast as
    float32 where the processor has instructions for it (AVX512_BF16, AMX) and
    many times slower elsewhere. The bound is checked because settings of
    TensorFlow's libraries can silently replace float32 by a shorter format.

    Returns:
      None if no format is within its bound.
    """
    exact = candidates.unit(slice(0, PROBE_CANDIDATES))
    exact = exact @ queries.unit(slice(0, PROBE_QUERIES)).T
    seconds = {}
    for dtype in (BFLOAT16, FLOAT32):
        block = RoundedVectors(queries, slice(0, PROBE_QUERIES), dtype)
        others = RoundedVectors(candidates, slice(0, PROBE_CANDIDATES), dtype)
        scores = ordered_to_float(to_ordered(block.score_bits(others)))
        error = block.error_bounds(others) + dtype.output_error * np.abs(scores)
        if np.any(np.abs(scores - exact) > error):
            continue
        start = time.perf_counter()
        block.score_bits(others)
        seconds[dtype] = time.perf_counter() - start
    return min(seconds, key=seconds.get, default=None)
