"""Scores as integers, which NumPy compares many times faster than bfloat16.

Read as an integer, the bits of positive floats have the order of the floats,
and those of every negative float are below them. Negative floats come out in
reverse order; `to_ordered` corrects that.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class ScreenDtype:
    """A number format of the screen.

    Attributes:
      name: of the format, as TensorFlow has it.
      bits: the integer of the same size.
      output_error: |score - rounded score| <= output_error * |score|.
    """

    name: str
    bits: type[np.signedinteger]
    output_error: float


BFLOAT16 = ScreenDtype("bfloat16", np.int16, 2.0**-8)
FLOAT32 = ScreenDtype("float32", np.int32, 0.0)


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
