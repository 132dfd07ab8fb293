"""Vectors of any length as unit vectors, and the cosine that all searches give.

NumPy only. `UnitVectors.cosines` defines the cosine of two vectors to the last
bit: it depends on these two alone, so equal vectors get equal cosines, whatever
their rows and whatever the blocks. A BLAS product does not have that property.
"""

from collections.abc import Callable, Sequence

import numpy as np

from labse.errors import InputError
from labse.files.vector_shards import VectorShards

# n texts -> float [n, dim]
EncodeFn = Callable[[list[str]], np.ndarray]

# Rows checked or copied at once; 1024 rows of 768 float64 are 6 MiB.
ROWS = 1024
# These can neither overflow nor vanish when squared in float64.
NARROW_TYPES = ("float16", "bfloat16", "float32")


def check_embeddings(
    embeddings: np.ndarray | VectorShards,
    name: str,
    texts: Sequence[str] | None = None,
) -> np.ndarray | VectorShards:
    """Returns the embeddings as an array [n, dim] whose rows have a direction.

    Args:
      embeddings: float [n, dim].
      name: what the rows are, for the message.
      texts: the texts of the rows, for the message.

    Raises:
      InputError: the rank is not 2, or a row is not finite or is zero.
    """
    if not isinstance(embeddings, VectorShards):
        embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2:
        raise InputError(
            f"Embeddings must be [n, dim]. Received for the {name} embeddings: "
            f"shape {list(embeddings.shape)}."
        )
    if embeddings.dtype.kind in "SUMmc":
        raise InputError(
            f"Embeddings must be real numbers. Received for the {name} "
            f"embeddings: {embeddings.dtype}."
        )
    largest = np.empty(len(embeddings), np.float64)
    for start in range(0, len(embeddings), ROWS):
        block = np.abs(embeddings[start : start + ROWS])
        with np.errstate(invalid="ignore"):  # bfloat16 warns of NaN.
            largest[start : start + ROWS] = block.max(axis=1, initial=0)
    bad = np.flatnonzero(~np.isfinite(largest) | (largest == 0))
    if bad.size:
        what = "zero" if largest[bad[0]] == 0 else "not finite"
        text = f" ({texts[bad[0]][:80]!r})" if texts else ""
        raise InputError(
            "Every embedding must be finite and not zero. Received: row "
            f"{bad[0]} of the {name} embeddings{text} is {what} ({bad.size} "
            f"of {len(embeddings)} rows are bad). Check the training loss: a "
            "model whose loss was NaN at some step gives such vectors."
        )
    return embeddings


def check_one_each(
    vectors: np.ndarray, texts: list[str], dimension: int | None = None
) -> None:
    """Raises `InputError` unless there is one vector for each text."""
    if (
        vectors.ndim != 2
        or len(vectors) != len(texts)
        or dimension not in (None, vectors.shape[1])
    ):
        raise InputError(
            f"encode_fn must return one vector for each text, [{len(texts)}, "
            f"{dimension or 'dim'}]. Received: {list(vectors.shape)} for "
            f"{len(texts)} texts."
        )


class UnitVectors:
    """Vectors and their lengths; the vectors are not copied."""

    def __init__(self, embeddings: np.ndarray | VectorShards, name: str):
        """Checks the vectors and computes their lengths.

        Args:
          embeddings: float [n, dim], of any length but zero; any float type.
            Vectors mapped from files are read in blocks.
          name: what the rows are, for the message.

        Raises:
          InputError: see `check_embeddings`.
        """
        self._array = check_embeddings(embeddings, name)
        # Powers of two that bring each row near 1: squares of float64 would
        # overflow above 1e154.
        self._exponents = None
        if self._array.dtype.name not in NARROW_TYPES:
            self._exponents = np.empty([len(self), 1], np.int32)
        self._norms = np.empty([len(self), 1], np.float64)
        for start in range(0, len(self), ROWS):
            rows = slice(start, start + ROWS)
            if self._exponents is not None:
                block = np.asarray(self._array[rows], np.float64)
                largest = np.abs(block).max(axis=1, keepdims=True)
                self._exponents[rows] = np.frexp(largest)[1]
            block = self._scaled(rows)
            self._norms[rows, 0] = np.sqrt(_row_products(block, block))

    def __len__(self) -> int:
        return len(self._array)

    @property
    def dimension(self) -> int:
        """Length of each vector."""
        return self._array.shape[1]

    def unit(self, rows: slice | np.ndarray) -> np.ndarray:
        """float64 [rows, dim]: a slice or int [rows], normalised."""
        scaled = self._scaled(rows)
        scaled /= self._norms[rows]
        return scaled

    def cosines(
        self, rows: np.ndarray, others: "UnitVectors", columns: np.ndarray
    ) -> np.ndarray:
        """float32 [pairs]: summed in float64, then rounded.

        Args:
          rows: int [pairs], into these vectors.
          others: the vectors of the other side.
          columns: int [pairs], into the others.
        """
        cosines = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), ROWS):
            pairs = slice(start, start + ROWS)
            one, two = rows[pairs], columns[pairs]
            # Divided by the product of both lengths: the same bits with the
            # sides exchanged.
            norms = self._norms[one, 0] * others._norms[two, 0]
            products = _row_products(self._scaled(one), others._scaled(two))
            cosines[pairs] = products / norms
        return cosines

    def _scaled(self, rows: slice | np.ndarray) -> np.ndarray:
        """A float64 copy of some rows, each times a power of two."""
        block = self._array[rows].astype(np.float64)
        if self._exponents is not None:
            np.ldexp(block, -self._exponents[rows], out=block)
        return block


def _row_products(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Inner product of each row of `one` with that of `two`, float64 [n].

    `einsum` sums each row by itself, in an order that depends on its length
    only; the order of BLAS depends on the whole matrix.
    """
    return np.einsum("ij,ij->i", one, two)
