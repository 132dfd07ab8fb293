"""An index of FAISS' for approximate search, made in steps.

`train` once, `populate` for each shard of the vectors, `merge`: any process can
do any of them, and the files have the same bytes whatever the shards. See
`labse.search.approximate_search`.

NumPy at module level; FAISS is imported where it is needed.
"""

import dataclasses
import os
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np

from labse.errors import InputError
from labse.files.atomic_write import atomic_file
from labse.files.vector_shards import VectorShards
from labse.search.directions import Directions
from labse.search.exact_search import exact_search

KINDS = ("sq8", "pq")

TRAINED = "trained.index"
INDEX, LISTS = "index.faiss", "index.lists"

# FAISS' own least number of training points for each centre, and what more
# than does little good.
LEAST_POINTS, MOST_POINTS = 39, 64
# Beyond this, finding the centres takes longer than the lists save: k-means
# costs MOST_POINTS * lists^2.
MOST_LISTS = 2**17
# FAISS compares with so many dimensions a byte without a matrix product, whose
# bits would depend on the block. It has 256 centres for each byte.
DIMENSIONS_PER_BYTE = 12
CENTRES_PER_BYTE = 256
# Points and rounds of the rotation and of the codes; four times as many lower
# the error of the codes by less than 1 %.
CODE_POINTS = CENTRES_PER_BYTE * MOST_POINTS
ROTATION_ROUNDS = 10

# Vectors that are coded at once.
_ROWS = 8192


def num_lists(num_vectors: int) -> int:
    """How many lists an index of so many vectors has, if nothing is said.

    4 * sqrt(n), as FAISS' guidelines have it, but no more than the training
    points suffice for (https://github.com/facebookresearch/faiss/wiki/
    Guidelines-to-choose-an-index).
    """
    lists = min(round(4 * num_vectors**0.5), num_vectors // LEAST_POINTS)
    return max(1, min(lists, MOST_LISTS))


def num_training_points(num_vectors: int, lists: int) -> int:
    """How many vectors are trained on."""
    return min(num_vectors, max(MOST_POINTS * lists, CODE_POINTS))


def code_bytes(kind: str, dimension: int) -> int:
    """Bytes of a vector's code."""
    if kind == "sq8":
        return dimension
    return next(
        size
        for size in range(1, dimension + 1)
        if dimension % size == 0 and dimension // size <= DIMENSIONS_PER_BYTE
    )


def train(
    vectors: VectorShards,
    kind: str,
    folder: str | os.PathLike,
    lists: int | None = None,
) -> pathlib.Path:
    """Finds the centres and codes, from vectors at equal distances.

    The file has the same bytes on every run, whatever the shards.

    Args:
      vectors: float [n, dim], of any length but zero.
      kind: one of KINDS.
      folder: where `trained.index` is written.
      lists: number of lists; None: `num_lists`.

    Raises:
      InputError: there are too few vectors, or one is not finite or is zero.
    """
    _check_kind(kind)
    size, dimension = len(vectors), vectors.shape[1]
    lists = num_lists(size) if lists is None else lists
    least = LEAST_POINTS * max(lists, CENTRES_PER_BYTE * (kind == "pq"))
    if lists < 1 or size < least:
        raise InputError(
            f"An approximate index of kind {kind} with {lists} lists must be "
            f"trained on {max(least, LEAST_POINTS)} vectors or more. "
            f"Received: {size}. Use exact search."
        )
    points = num_training_points(size, lists)
    sample = np.empty((points, dimension), np.float32)
    for start in range(0, points, _ROWS):
        rows = np.arange(start, min(start + _ROWS, points)) * size // points
        sample[start : start + len(rows)] = _unit(vectors[rows], "training")
    index = untrained(kind, dimension, lists)
    inverted = _inverted(index)
    if kind == "pq":
        inverted.pq.cp.max_points_per_centroid = MOST_POINTS
        _train_rotation(index, sample)
        for start in range(0, points, _ROWS):
            rows = slice(start, start + _ROWS)
            sample[rows] = _rotated(sample[rows], _rotation(index))
    inverted.train(sample)
    index.is_trained = True
    path = pathlib.Path(folder) / TRAINED
    _write(index, path)
    return path


def untrained(kind: str, dimension: int, lists: int):
    """FAISS' index of this kind, empty."""
    faiss = import_faiss()
    codes = code_bytes(kind, dimension)
    name = f"OPQ{codes},IVF{lists},PQ{codes}"
    if kind == "sq8":
        name = f"IVF{lists},SQ8"
    return faiss.index_factory(dimension, name, faiss.METRIC_INNER_PRODUCT)


def populate(
    trained: str | os.PathLike,
    vectors: VectorShards,
    shard: int,
    path: str | os.PathLike,
) -> int:
    """Writes the index of one shard; each vector has its row of all shards.

    Args:
      trained: the file of `train`.
      vectors: float [n, dim], those that it was trained on.
      shard: which shard.
      path: the file to write.

    Returns:
      the number of vectors in it.

    Raises:
      InputError: a vector is not finite or is zero, or has other dimensions.
    """
    faiss = import_faiss()
    index = _read(trained)
    opened = _opened(index)
    check_dimension(opened, vectors.shape[1], "vectors")
    first, array = vectors.starts[shard], vectors.shard(shard)
    for start in range(0, len(array), _ROWS):
        points = opened.points(array[start : start + _ROWS], "candidate")
        lists, _ = exact_search(points, opened.centres, 1)
        rows = np.arange(first + start, first + start + len(points))
        opened.inverted.add_core(
            len(points),
            faiss.swig_ptr(points),
            faiss.swig_ptr(rows),
            faiss.swig_ptr(np.ascontiguousarray(lists[:, 0])),
        )
    index.ntotal = opened.inverted.ntotal
    _check_count(index.ntotal, len(array), path)
    _write(index, pathlib.Path(path))
    return index.ntotal


def merge(paths: Sequence[str | os.PathLike], folder: str | os.PathLike) -> int:
    """Joins the indexes of all shards to one on disk.

    Memory is that of one trained index. The lists are the same to the last
    byte whatever the number of shards.

    Args:
      paths: the files of `populate`, in the order of the shards.
      folder: where `index.faiss` and `index.lists` are written; it can be
        moved.

    Returns:
      the number of vectors in it.

    Raises:
      InputError: a file is of another training, or the disk is too full.
    """
    faiss = import_faiss()
    if not paths:
        raise InputError("There must be an index to merge. Received: none.")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts, sizes, centres = faiss.InvertedListsPtrVector(), [], None
    holders = []
    for path in paths:
        index = _read(path, faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        inverted = _inverted(index)
        mine = _centres(inverted)
        if centres is not None and not np.array_equal(mine, centres):
            raise InputError(
                "Indexes that are merged must come from one training. "
                f"Received: {path} and {paths[0]} do not."
            )
        centres = mine
        sizes.append(index.ntotal)
        holders.append(_only_lists(inverted))
        parts.push_back(holders[-1].invlists)
    lists_path = folder / LISTS
    lists_path.unlink(missing_ok=True)
    needed = sum(sizes) * (inverted.code_size + 8)
    _check_room(folder, needed)
    merged = faiss.OnDiskInvertedLists(
        inverted.nlist, inverted.code_size, str(lists_path)
    )
    total = merged.merge_from_multiple(parts.data(), parts.size())
    # The folder may be moved: no more than the name is kept.
    merged.filename = LISTS
    inverted.replace_invlists(merged, False)
    index.ntotal = inverted.ntotal = total
    _check_count(total, sum(sizes), folder)
    _write(index, folder / INDEX)
    return total


@dataclasses.dataclass(frozen=True)
class Opened:
    """An index and its parts that are used here.

    Attributes:
      index: FAISS' index, which owns the others.
      inverted: its inverted file.
      kind: one of KINDS.
      rotation: float32 [dim, dim], or None.
      centres: float32 [lists, dim], in the order of the lists.
    """

    index: Any
    inverted: Any
    kind: str
    rotation: np.ndarray | None
    centres: np.ndarray

    def points(self, vectors: np.ndarray, name: str) -> np.ndarray:
        """Unit vectors as the lists have them: float32 [n, dim]."""
        points = _unit(vectors, name)
        if self.rotation is None:
            return points
        return _rotated(points, self.rotation)


def _unit(vectors: np.ndarray, name: str) -> np.ndarray:
    """float32 [n, dim] of length 1."""
    directions = Directions(vectors, name)
    units = np.empty(vectors.shape, np.float32)
    for start in range(0, len(units), 1024):
        rows = slice(start, start + 1024)
        units[rows] = directions.unit(rows)
    return units


def _rotated(points: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """The cosines of each point with each row of the rotation: float32.

    As in `exact_search`, a product of float64 matrices says most of them to
    the last bit, and those where it could be either of two are summed again.
    """
    points = Directions(points, "point")
    axes = Directions(rotation, "axis")
    error = (points.dimension + 8) * 2.0**-51
    axes_units = axes.unit(slice(None)).T
    out = np.empty((len(points), len(axes)), np.float32)
    for start in range(0, len(points), 1024):
        rows = slice(start, start + 1024)
        products = points.unit(rows) @ axes_units
        low = (products - error).astype(np.float32)
        row, column = np.nonzero(low != (products + error).astype(np.float32))
        low[row, column] = points.cosines(row + start, axes, column)
        out[rows] = low
    return out


def _train_rotation(index, sample: np.ndarray) -> None:
    faiss = import_faiss()
    rotation = faiss.downcast_VectorTransform(index.chain.at(0))
    rotation.niter = rotation.niter_pq_0 = ROTATION_ROUNDS
    rotation.niter_pq = 2
    points = min(CODE_POINTS, len(sample))
    rows = np.arange(points) * len(sample) // points
    # LAPACK's bits depend on the number of threads.
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        rotation.train(sample[rows])
    finally:
        faiss.omp_set_num_threads(threads)


def _only_lists(inverted):
    """Takes an index's lists, to be freed without the rest of the index."""
    faiss = import_faiss()
    holder = faiss.IndexIVFFlat(faiss.IndexFlatIP(1), 1, inverted.nlist)
    holder.code_size = inverted.code_size
    holder.replace_invlists(inverted.invlists, True)
    inverted.own_invlists = False
    return holder


def _rotation(index) -> np.ndarray | None:
    faiss = import_faiss()
    index = faiss.downcast_index(index)
    if not isinstance(index, faiss.IndexPreTransform):
        return None
    rotation = faiss.downcast_VectorTransform(index.chain.at(0))
    return faiss.vector_to_array(rotation.A).reshape(index.d, index.d)


def _inverted(index):
    faiss = import_faiss()
    return faiss.downcast_index(faiss.extract_index_ivf(index))


def _centres(inverted) -> np.ndarray:
    return inverted.quantizer.reconstruct_n(0, inverted.nlist)


def _opened(index) -> Opened:
    inverted, rotation = _inverted(index), _rotation(index)
    kind = "sq8" if rotation is None else "pq"
    return Opened(index, inverted, kind, rotation, _centres(inverted))


def open_index(folder: str | os.PathLike) -> Opened:
    """Maps the index that `merge` wrote; reads its centres.

    Raises:
      InputError: it is not there, or not whole.
    """
    faiss = import_faiss()
    # Lists of their own file are always mapped; IO_FLAG_MMAP, which maps those
    # that stand in the index, makes FAISS 1.15 crash on them.
    flags = faiss.IO_FLAG_READ_ONLY | faiss.IO_FLAG_ONDISK_SAME_DIR
    return _opened(_read(pathlib.Path(folder) / INDEX, flags))


def _read(path: str | os.PathLike, flags: int = 0):
    faiss = import_faiss()
    try:
        return faiss.read_index(str(path), flags)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].split(" at ", 1)[-1]
        raise InputError(
            f"{path} must be an index that was written whole. Received: "
            f"{reason} Make it again."
        ) from error


def _write(index, path: pathlib.Path) -> None:
    """Writes an index beside its place, then renames it."""
    faiss = import_faiss()
    # Through Python's file: an error of the disk keeps its number.
    with atomic_file(path, "wb") as file:
        writer = faiss.PyCallbackIOWriter(file.write)
        faiss.write_index(index, writer)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InputError(
            f"kind must be one of {', '.join(KINDS)}. Received: {kind!r}."
        )


def check_dimension(opened: Opened, dimension: int, name: str) -> None:
    """Raises InputError if vectors do not have the index's dimension."""
    if dimension != opened.index.d:
        raise InputError(
            f"The index is of vectors of {opened.index.d} dimensions. "
            f"Received: {name} of {dimension}. Both must come from the same "
            "encoder."
        )


def _check_count(received: int, expected: int, path) -> None:
    if received != expected:
        raise InputError(
            f"{expected} vectors must be in the index {path}. Received: "
            f"{received}. Make it again."
        )


def _check_room(folder: pathlib.Path, needed: int) -> None:
    """The lists are written through memory, where a full disk kills."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"Merging needs {needed / 1e9:.2f} GB on the disk of {folder}. "
            f"Received: {free / 1e9:.2f} GB free. Make room."
        )


def import_faiss():
    """The module, or an error that says how to get it."""
    try:
        import faiss
    except ImportError as error:
        raise InputError(
            "Approximate search needs FAISS, which is not installed. Run "
            "`pip install 'labse[mining]'`, or use exact search."
        ) from error
    return faiss
