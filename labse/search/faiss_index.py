"""FAISS' inverted-file index and its parts, read and written.

FAISS is imported where it is needed.
"""

import dataclasses
import os
from typing import Any

import numpy as np

from labse.errors import InputError
from labse.files.atomic_write import atomic_file
from labse.search.unit_vectors import UnitVectors


@dataclasses.dataclass(frozen=True)
class FaissIndex:
    """An index and its parts.

    Attributes:
      index: FAISS' index, which owns the others.
      inverted: its inverted file.
      rotation: float32 [dim, dim], or None.
      centres: float32 [lists, dim], in the order of the lists.
    """

    index: Any
    inverted: Any
    rotation: np.ndarray | None
    centres: np.ndarray

    @property
    def kind(self) -> str:
        """One of `approximate_index.KINDS`."""
        return "sq8" if self.rotation is None else "pq"

    def points(self, vectors: np.ndarray, name: str) -> np.ndarray:
        """float32 [n, dim]: unit vectors, rotated as those in the lists."""
        points = unit_points(vectors, name)
        return (
            points if self.rotation is None else rotate(points, self.rotation)
        )

    def check_dimension(self, dimension: int, name: str) -> None:
        """Raises `InputError` for vectors of another dimension."""
        if dimension != self.index.d:
            raise InputError(
                f"The index is of vectors of {self.index.d} dimensions. "
                f"Received: {name} of {dimension}. Both must come from the "
                "same encoder."
            )


def unit_points(vectors: np.ndarray, name: str) -> np.ndarray:
    """float32 [n, dim] of length 1."""
    vectors = UnitVectors(vectors, name)
    points = np.empty((len(vectors), vectors.dimension), np.float32)
    for start in range(0, len(points), 1024):
        rows = slice(start, start + 1024)
        points[rows] = vectors.unit(rows)
    return points


def rotate(points: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """float32 [n, dim]: the cosines of each point with the rotation's rows.

    As in `exact_search`, a product of float64 matrices gives nearly all of them
    to the last bit; where both ends of its error's interval do not round to the
    same float32, the cosine is computed by itself.
    """
    points = UnitVectors(points, "point")
    axes = UnitVectors(rotation, "axis")
    error = (points.dimension + 8) * 2.0**-51
    axes_units = axes.unit(slice(None)).T  # [dim, dim]
    out = np.empty((len(points), len(axes)), np.float32)
    for start in range(0, len(points), 1024):
        rows = slice(start, start + 1024)
        products = points.unit(rows) @ axes_units  # [1024, dim]
        low = (products - error).astype(np.float32)
        row, column = np.nonzero(low != (products + error).astype(np.float32))
        low[row, column] = points.cosines(row + start, axes, column)
        out[rows] = low
    return out


def inverted_file(index):
    """The inverted file inside FAISS' index."""
    faiss = import_faiss()
    return faiss.downcast_index(faiss.extract_index_ivf(index))


def rotation_of(index) -> np.ndarray | None:
    """float32 [dim, dim]: the rotation before FAISS' inverted file, if any."""
    faiss = import_faiss()
    index = faiss.downcast_index(index)
    if not isinstance(index, faiss.IndexPreTransform):
        return None
    rotation = faiss.downcast_VectorTransform(index.chain.at(0))
    return faiss.vector_to_array(rotation.A).reshape(index.d, index.d)


def parts_of(index) -> FaissIndex:
    """Finds the parts of FAISS' index, which is trained."""
    inverted = inverted_file(index)
    centres = inverted.quantizer.reconstruct_n(0, inverted.nlist)
    return FaissIndex(index, inverted, rotation_of(index), centres)


def read_index(path: str | os.PathLike, flags: int = 0):
    """FAISS' index of a file; flags are FAISS'.

    Raises:
      InputError: there is no such file, or it is truncated.
    """
    faiss = import_faiss()
    try:
        return faiss.read_index(str(path), flags)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].split(" at ", 1)[-1]
        raise InputError(
            f"{path} must be a complete index. Received: {reason} Make it "
            "again."
        ) from error


def write_index(index, path: str | os.PathLike) -> None:
    """Writes FAISS' index atomically."""
    faiss = import_faiss()
    # Through Python's file: an error of the disk keeps its number.
    with atomic_file(path, "wb") as file:
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))


def import_faiss():
    """The module, or an error that says how to install it."""
    try:
        import faiss
    except ImportError as error:
        raise InputError(
            "Approximate search needs FAISS, which is not installed. Run "
            "`pip install 'labse[mining]'`, or use exact search."
        ) from error
    return faiss
