"""Scores as integers, which NumPy compares many times faster than bfloat16.

The bits of a positive float, read as an integer, are in the order of the
floats, and below them stands every negative one. Only among negative floats
the order is wrong; `in_order` puts it right.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Precision:
    """A number format of the screen.

    Attributes:
      name: TensorFlow's.
      bits: the integer of the same size.
      output_error: |score - rounded score| <= output_error * |score|.
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


def in_order(bits: np.ndarray) -> np.ndarray:
    """Bits of floats as integers in the order of the floats: a copy.

    Negative floats stand in the wrong order, so their bits are turned over.
    Undoes itself.
    """
    info = np.iinfo(bits.dtype)
    return bits ^ ((bits >> (info.bits - 1)) & info.max)


def keys(values: np.ndarray, precision: Precision) -> np.ndarray:
    """The lowest of the floats >= value, as integers in order: int [n]."""
    bits = values.astype(np.float32).view(np.int32)
    shift = 32 - np.iinfo(precision.bits).bits
    # One less, should the value have been rounded up to float32, and so that
    # -0 passes for 0.
    bits = in_order(bits) - 1
    # Cut to fewer bits: up, but negative ones are turned over and go up so.
    bits[bits >= 0] += 2**shift - 1
    return (bits >> shift).astype(precision.bits)


def floats(integers: np.ndarray) -> np.ndarray:
    """float64: the floats of integers in order."""
    bits = in_order(integers).astype(np.int32)
    bits <<= 32 - np.iinfo(integers.dtype).bits
    return bits.view(np.float32).astype(np.float64)
