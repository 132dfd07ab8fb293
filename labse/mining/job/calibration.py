"""How fast this machine is at each part of mining: a few seconds of trying."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np

from labse.mining.job.planner import MachineConstants
from labse.mining.margin import Neighbours, retrieve
from labse.search import approximate_index, approximate_search
from labse.search.exact_search import exact_search_both

_QUERIES = 4096
_VECTORS = 2**15
_LISTS, _PROBES = 64, 16
_CODED = 2**11
_CLUSTERED, _CENTRES = 2**14, 256
_FILE_BYTES, _PAGE, _NUM_PAGES = 2**27, 4096, 2000


def calibrate(
    dimension: int,
    encoded: float | None = None,
    folder: str | os.PathLike | None = None,
    kinds: Sequence[str] = approximate_index.KINDS,
) -> MachineConstants:
    """Measures this machine with random vectors.

    Import TensorFlow before, as mining does: exact search is faster then.

    Args:
      dimension: of the vectors that are to be mined.
      encoded: sentences that the encoder does in a second.
      folder: on the disk to measure; None: that of temporary files. 128 MiB
        are written there.
      kinds: of search that are to be measured, beside the exact one.

    Raises:
      InputError: FAISS is not installed, and an index is to be measured.
    """
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((_VECTORS, dimension), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = vectors[:_QUERIES]
    exact_search_both(queries[:256], vectors[:8192])
    exact = _seconds(lambda: exact_search_both(queries, vectors, 4, 4))
    written, scanned = {}, {}
    clustering = codes = float("nan")
    for kind in set(kinds) & set(approximate_index.KINDS):
        written[kind], scanned[kind] = _code_rates(kind, vectors)
        clustering = _clustering_rate(vectors[:_CLUSTERED], _CENTRES)
        codes = _clustering_rate(
            np.ascontiguousarray(
                vectors[:, : approximate_index.DIMENSIONS_PER_BYTE][:_CLUSTERED]
            ),
            approximate_index.CENTRES_PER_BYTE,
        )
    disk_bytes, disk_pages = _disk_rates(folder)
    return MachineConstants(
        dimension=dimension,
        exact_products=_QUERIES * _VECTORS * dimension / exact,
        clustering_products=clustering,
        code_products=codes,
        codes_written=written,
        codes_scanned=scanned,
        ranked=_ranking_rate(queries, vectors, generator),
        selected=_selecting_rate(generator),
        disk_bytes=disk_bytes,
        disk_pages=disk_pages,
        encoded=encoded,
    )


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return max(time.perf_counter() - start, 1e-9)


def _clustering_rate(vectors: np.ndarray, centres: int) -> float:
    """Products a second of k-means, all that is around them included."""
    faiss = approximate_index.import_faiss()
    rounds = 4
    clustering = faiss.Kmeans(
        vectors.shape[1], centres, niter=rounds, max_points_per_centroid=2**20
    )
    seconds = _seconds(lambda: clustering.train(vectors))
    return rounds * centres * vectors.size / seconds


def _code_rates(kind: str, vectors: np.ndarray) -> tuple[float, float]:
    """Vectors coded and codes scanned a second."""
    faiss = approximate_index.import_faiss()
    index = approximate_index.untrained(kind, vectors.shape[1], _LISTS)
    inverted = faiss.downcast_index(faiss.extract_index_ivf(index))
    # Any centres and codes take the same time: they need not be trained.
    inverted.quantizer.add(vectors[:_LISTS])
    if kind == "pq":
        centres = vectors[: approximate_index.CENTRES_PER_BYTE]
        faiss.copy_array_to_vector(centres.ravel(), inverted.pq.centroids)
    else:
        inverted.train_encoder(
            _LISTS,
            faiss.swig_ptr(vectors),
            faiss.swig_ptr(np.arange(_LISTS)),
        )
    inverted.is_trained = True
    rows = np.arange(_CODED)
    lists = rows % _LISTS
    writing = _seconds(
        lambda: inverted.add_core(
            len(rows),
            faiss.swig_ptr(vectors),
            faiss.swig_ptr(rows),
            faiss.swig_ptr(lists),
        )
    )
    rows = np.arange(len(vectors) // _LISTS)
    codes = np.arange(len(rows) * inverted.code_size).astype(np.uint8)
    inverted.reset()
    for number in range(_LISTS):
        inverted.invlists.add_entries(
            number, len(rows), faiss.swig_ptr(rows), faiss.swig_ptr(codes)
        )
    queries = vectors[: _QUERIES // 2]
    probed = (np.arange(len(queries))[:, None] + np.arange(_PROBES)) % _LISTS
    inverted.nprobe = _PROBES
    scanning = _seconds(
        lambda: inverted.search_preassigned(
            queries,
            approximate_search.DEFAULT_CANDIDATES[kind],
            probed,
            np.zeros(probed.shape, np.float32),
        )
    )
    num_scanned = len(queries) * len(vectors) * _PROBES // _LISTS
    return _CODED / writing, num_scanned / scanning


def _ranking_rate(queries, vectors, generator) -> float:
    found = generator.integers(0, len(vectors), (256, 256))
    seconds = _seconds(
        lambda: approximate_search.rerank(queries[:256], found, vectors, 4)
    )
    return found.size / seconds


def _selecting_rate(generator) -> float:
    size, k = 100_000, 4

    def neighbours():
        # One of each k-th part, so that none comes twice in a row.
        indices = generator.integers(0, size // k, (size, k))
        indices += np.arange(k) * (size // k)
        return Neighbours(indices, generator.random((size, k), np.float32))

    forward, backward = neighbours(), neighbours()
    return 2 * size * k / _seconds(lambda: retrieve(forward, backward))


def _disk_rates(folder: str | os.PathLike | None) -> tuple[float, float]:
    """Bytes a second in order, and pages a second in any order."""
    block = os.urandom(2**20)
    pages = np.random.default_rng(0).integers(
        0, _FILE_BYTES // _PAGE, _NUM_PAGES
    )
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_FILE_BYTES // len(block)):
            file.write(block)
        file.flush()
        number = file.fileno()
        os.fsync(number)

        def read_in_order():
            for start in range(0, _FILE_BYTES, len(block)):
                os.pread(number, len(block), start)

        def read_pages():
            for page in pages.tolist():
                os.pread(number, _PAGE, page * _PAGE)

        seconds = []
        for read, advice in (
            (read_in_order, "POSIX_FADV_SEQUENTIAL"),
            (read_pages, "POSIX_FADV_RANDOM"),
        ):
            if hasattr(os, "posix_fadvise"):
                # Out of the cache, or it is memory that is measured.
                os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
                os.posix_fadvise(number, 0, 0, getattr(os, advice))
            seconds.append(_seconds(read))
    return _FILE_BYTES / seconds[0], _NUM_PAGES / seconds[1]
