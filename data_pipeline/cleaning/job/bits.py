"""A bit for each sentence of an input, in a file that is mapped to memory."""

import os

import numpy as np


class Bits:
    """Bits by number, all 0 at first; uint8 [n // 8 + 1]."""

    def __init__(self, content: np.ndarray):
        """Takes the bytes."""
        self.content = content

    @classmethod
    def zeros(cls, count: int) -> "Bits":
        """As many bits."""
        return cls(np.zeros(count // 8 + 1, np.uint8))

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Bits":
        """What `write` wrote; the file is not read at once."""
        return cls(np.load(path, mmap_mode="r"))

    def write(self, path: str | os.PathLike) -> None:
        """Writes a file."""
        with open(path, "wb") as file:
            np.save(file, self.content)

    def set(self, numbers: np.ndarray) -> None:
        """Sets bits, int [n]."""
        numbers = np.asarray(numbers, np.int64)
        marks = np.left_shift(1, numbers & 7).astype(np.uint8)
        np.bitwise_or.at(self.content, numbers >> 3, marks)

    def get(self, numbers: np.ndarray) -> np.ndarray:
        """The bits, bool [n]."""
        numbers = np.asarray(numbers, np.int64)
        return (self.content[numbers >> 3] >> (numbers & 7)) & 1 == 1

    def range(self, start: int, end: int) -> np.ndarray:
        """The bits from `start` to before `end`, bool [end - start]."""
        part = self.content[start >> 3 : (end + 7) >> 3]
        bits = np.unpackbits(np.asarray(part), bitorder="little")
        return bits[start & 7 :][: end - start] == 1
