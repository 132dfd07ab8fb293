"""The index of approximate search, made in three steps.

`train` once, `populate` for each shard of the vectors, `merge`: any process can
do any of them, and the files have the same bytes whatever the shards. See
`labse.search.approximate_search`.
"""

import os
import pathlib
import shutil
from collections.abc import Sequence

import numpy as np

from labse.errors import InputError
from labse.files.vector_shards import VectorShards
from labse.search.exact_search import exact_search
from labse.search.faiss_index import (
    FaissIndex,
    import_faiss,
    inverted_file,
    parts_of,
    read_index,
    rotate,
    rotation_of,
    unit_points,
    write_index,
)

KINDS = ("sq8", "pq")

TRAINED = "trained.index"
INDEX, LISTS = "index.faiss", "index.lists"

# Training points for each centre: FAISS' own minimum, and the number above
# which more bring little.
LEAST_POINTS, MOST_POINTS = 39, 64
# With more lists, k-means costs more time, MOST_POINTS * lists^2, than shorter
# lists save.
MOST_LISTS = 2**17
# Up to this number of dimensions a byte, FAISS compares without a matrix
# product, whose bits would depend on the block. A byte selects one of 256
# centres.
DIMENSIONS_PER_BYTE = 12
CENTRES_PER_BYTE = 256
# Points and rounds to train the rotation and the codes; four times as many
# reduce the error of the codes by less than 1 %.
CODE_POINTS = CENTRES_PER_BYTE * MOST_POINTS
ROTATION_ROUNDS = 10

# Vectors encoded at once.
_ROWS = 8192


def num_lists(num_vectors: int) -> int:
    """The default number of lists.

    4 * sqrt(n), as FAISS' guidelines have it (https://github.com/
    facebookresearch/faiss/wiki/Guidelines-to-choose-an-index), but no more
    than the training points suffice for.
    """
    lists = min(round(4 * num_vectors**0.5), num_vectors // LEAST_POINTS)
    return max(1, min(lists, MOST_LISTS))


def num_training_points(num_vectors: int, lists: int) -> int:
    """The number of vectors used for training."""
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
    """Finds the centres and codes, from evenly spaced vectors.

    The file has the same bytes on every run, whatever the shards.

    Args:
      vectors: float [n, dim], of any length but zero.
      kind: one of KINDS.
      folder: where `trained.index` is written.
      lists: number of lists; None: `num_lists`.

    Raises:
      InputError: there are too few vectors, or one is not finite or is zero.
    """
    if kind not in KINDS:
        raise InputError(
            f"kind must be one of {', '.join(KINDS)}. Received: {kind!r}."
        )
    size, dimension = len(vectors), vectors.shape[1]
    lists = num_lists(size) if lists is None else lists
    least = LEAST_POINTS * max(lists, CENTRES_PER_BYTE * (kind == "pq"))
    if lists < 1 or size < least:
        raise InputError(
            f"Training an approximate index of kind {kind} with {lists} lists "
            f"needs {max(least, LEAST_POINTS)} vectors or more. Received: "
            f"{size}. Use exact search."
        )
    points = num_training_points(size, lists)
    sample = np.empty((points, dimension), np.float32)
    for start in range(0, points, _ROWS):
        rows = np.arange(start, min(start + _ROWS, points)) * size // points
        sample[start : start + len(rows)] = unit_points(
            vectors[rows], "training"
        )
    index = untrained(kind, dimension, lists)
    if kind == "pq":
        _train_rotation(index, sample)
        rotation = rotation_of(index)
        for start in range(0, points, _ROWS):
            rows = slice(start, start + _ROWS)
            sample[rows] = rotate(sample[rows], rotation)
    inverted = inverted_file(index)
    if kind == "pq":
        inverted.pq.cp.max_points_per_centroid = MOST_POINTS
    inverted.train(sample)
    index.is_trained = True
    path = pathlib.Path(folder) / TRAINED
    write_index(index, path)
    return path


def untrained(kind: str, dimension: int, lists: int):
    """FAISS' index of a kind, empty."""
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
    """Writes the index of one shard to a file; rows count over all shards.

    Args:
      trained: the file of `train`.
      vectors: float [n, dim], those that it was trained on.
      shard: number of the shard, whose number of vectors is returned.
      path: the file to write.

    Raises:
      InputError: a vector is not finite or is zero, or has other dimensions.
    """
    faiss = import_faiss()
    index = read_index(trained)
    parts = parts_of(index)
    parts.check_dimension(vectors.shape[1], "vectors")
    first, array = vectors.starts[shard], vectors.shard(shard)
    for start in range(0, len(array), _ROWS):
        points = parts.points(array[start : start + _ROWS], "candidate")
        lists, _ = exact_search(points, parts.centres, 1)
        rows = np.arange(first + start, first + start + len(points))
        parts.inverted.add_core(
            len(points),
            faiss.swig_ptr(points),
            faiss.swig_ptr(rows),
            faiss.swig_ptr(np.ascontiguousarray(lists[:, 0])),
        )
    index.ntotal = parts.inverted.ntotal
    assert index.ntotal == len(array), (index.ntotal, len(array))
    write_index(index, path)
    return index.ntotal


def merge(paths: Sequence[str | os.PathLike], folder: str | os.PathLike) -> int:
    """Merges the indexes of all shards into one on disk.

    Memory is that of one trained index. The lists are the same to the last
    byte whatever the number of shards.

    Args:
      paths: the files of `populate`, in the order of the shards.
      folder: where `index.faiss` and `index.lists` are written; it can be
        moved. The number of vectors is returned.

    Raises:
      InputError: a file is of another training, or the disk is too full.
    """
    faiss = import_faiss()
    if not paths:
        raise InputError("There must be an index to merge. Received: none.")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    all_lists, sizes, centres = faiss.InvertedListsPtrVector(), [], None
    holders = []
    for path in paths:
        index = read_index(path, faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        parts = parts_of(index)
        inverted = parts.inverted
        if centres is not None and not np.array_equal(parts.centres, centres):
            raise InputError(
                "Indexes that are merged must come from one training. "
                f"Received: {path} and {paths[0]} do not."
            )
        centres = parts.centres
        sizes.append(index.ntotal)
        holders.append(_only_lists(inverted))
        all_lists.push_back(holders[-1].invlists)
    lists_path = folder / LISTS
    lists_path.unlink(missing_ok=True)
    needed = sum(sizes) * (inverted.code_size + 8)
    _check_room(folder, needed)
    merged = faiss.OnDiskInvertedLists(
        inverted.nlist, inverted.code_size, str(lists_path)
    )
    total = merged.merge_from_multiple(all_lists.data(), all_lists.size())
    # Only the name is stored, so that the folder can be moved.
    merged.filename = LISTS
    inverted.replace_invlists(merged, False)
    index.ntotal = inverted.ntotal = total
    assert total == sum(sizes), (total, sizes)
    write_index(index, folder / INDEX)
    return total


def open_index(folder: str | os.PathLike) -> FaissIndex:
    """Maps the index that `merge` wrote; reads its centres.

    Raises:
      InputError: there is no index, or it is truncated.
    """
    faiss = import_faiss()
    # Lists in a file of their own are always mapped; IO_FLAG_MMAP, which maps
    # those inside the index, makes FAISS 1.15 crash on them.
    flags = faiss.IO_FLAG_READ_ONLY | faiss.IO_FLAG_ONDISK_SAME_DIR
    return parts_of(read_index(pathlib.Path(folder) / INDEX, flags))


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
    """An index of the lists alone, so that the rest can be freed."""
    faiss = import_faiss()
    holder = faiss.IndexIVFFlat(faiss.IndexFlatIP(1), 1, inverted.nlist)
    holder.code_size = inverted.code_size
    holder.replace_invlists(inverted.invlists, True)
    inverted.own_invlists = False
    return holder


def _check_room(folder: pathlib.Path, needed: int) -> None:
    """The lists are mapped: a full disk would kill the process (SIGBUS)."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"Merging needs {needed / 1e9:.2f} GB on the disk of {folder}. "
            f"Received: {free / 1e9:.2f} GB free. Make room."
        )
