"""Unit vectors in the number format of the screen, and their scores' errors.

The bound is derived in `labse.search.bfloat16_screen`. Scores are compared as
integers, which NumPy does many times faster than as bfloat16: read as an
integer, the bits of positive floats have the order of the floats, and those of
every negative float are below them. Negative floats come out in reverse order;
`to_ordered` corrects that.
"""

import dataclasses
import time

import numpy as np

from labse.search.unit_vectors import UnitVectors

# Covers the rounding of the final cosine to float32 (2^-24), denormals flushed
# to zero, and the rounding of the bound itself.
SLACK = 2.0**-20
PROBE_QUERIES, PROBE_CANDIDATES = 512, 2048


@dataclasses.dataclass(frozen=True)
class ScreenDtype:
    """A number format of the screen."""

    name: str  # as TensorFlow has it
    bits: type[np.signedinteger]  # the integer of the same size
    # |score - rounded score| <= output_error * |score|.
    output_error: float


BFLOAT16 = ScreenDtype("bfloat16", np.int16, 2.0**-8)
FLOAT32 = ScreenDtype("float32", np.int32, 0.0)


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


def to_ordered(bits: np.ndarray) -> np.ndarray:
    """The bits of floats as integers in the order of the floats: a copy.

    Flips all bits but the sign of the negative ones. Its own inverse.
    """
    info = np.iinfo(bits.dtype)
    return bits ^ ((bits >> (info.bits - 1)) & info.max)


def ordered_thresholds(values: np.ndarray, dtype: ScreenDtype) -> np.ndarray:
    """int [n]: a score >= value has ordered bits >= its threshold.

    A few scores just below the value pass as well.
    """
    bits = values.astype(np.float32).view(np.int32)
    shift = 32 - np.iinfo(dtype.bits).bits
    # One less, in case the value was rounded up to float32, and so that -0
    # passes for 0.
    bits = to_ordered(bits) - 1
    # Fewer bits: positive ones must be rounded up; the shift of negative
    # (flipped) ones does so anyway.
    bits[bits >= 0] += 2**shift - 1
    return (bits >> shift).astype(dtype.bits)


def ordered_to_float(integers: np.ndarray) -> np.ndarray:
    """float64: the floats of ordered bits."""
    bits = to_ordered(integers).astype(np.int32)
    bits <<= 32 - np.iinfo(integers.dtype).bits
    return bits.view(np.float32).astype(np.float64)
