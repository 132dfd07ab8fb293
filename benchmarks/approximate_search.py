"""Recall and speed of the approximate indexes against exact search.

    python benchmarks/approximate_search.py [--size=50000] [--dimension=256]

The vectors are those of `search.py`: clustered, a translation of each source
among the targets. Prints what `labse.search.approximate_search` does with them
by default, and with fewer and more probes and candidates. All contenders run in
one process, one after the other; a busy machine shows in the exact row.

Random clusters are harder than sentences: beyond the nearest few, all of a
cluster are equally near, whereas sentences differ in how near they are.
"""

import argparse
import pathlib
import tempfile
import time

import numpy as np
from machine import machine
from search import make_vectors

from labse.files.vector_shards import VectorShards
from labse.search import approximate_index, approximate_search
from labse.search.exact_search import exact_search

K = 4
NUM_QUERIES = 4096
PROBES = (8, 32, 128)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=50_000)
    parser.add_argument("--dimension", type=int, default=256)
    options = parser.parse_args()
    import tensorflow as tf  # noqa: F401  As in mining: exact search uses it.

    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        measure(pathlib.Path(folder), options.size, options.dimension)


def measure(folder: pathlib.Path, size: int, dimension: int) -> None:
    """Prints the rows of the table."""
    make_vectors(folder, size, dimension)
    vectors = VectorShards([folder / "targets.npy"])
    queries = np.load(folder / "sources.npy")[:NUM_QUERIES]
    exact_search(queries[:8], vectors, K)
    start = time.perf_counter()
    nearest = exact_search(queries, vectors, K)
    seconds = time.perf_counter() - start
    print(f"exact: {len(queries) / seconds:.0f} queries/s", flush=True)
    for kind in approximate_index.KINDS:
        measure_kind(folder, kind, vectors, queries, nearest)


def measure_kind(folder, kind, vectors, queries, nearest) -> None:
    """Prints the rows of one kind."""
    out = folder / kind
    out.mkdir()
    start = time.perf_counter()
    trained = approximate_index.train(vectors, kind, out)
    trained_at = time.perf_counter()
    approximate_index.populate(trained, vectors, 0, out / "0.index")
    populated_at = time.perf_counter()
    approximate_index.merge([out / "0.index"], out / "index")
    size = sum(path.stat().st_size for path in (out / "index").iterdir())
    print(
        f"{kind}: {size / len(vectors):.0f} bytes a vector; trained in "
        f"{trained_at - start:.1f} s; "
        f"{len(vectors) / (populated_at - trained_at):.0f} vectors/s coded"
    )
    candidates = approximate_search.DEFAULT_CANDIDATES[kind]
    for probes in PROBES:
        for number in (candidates // 4, candidates, candidates * 4):
            start = time.perf_counter()
            found = approximate_search.search(
                out / "index", queries, vectors, K, probes, number
            )
            seconds = time.perf_counter() - start
            recall = np.mean(found[1] >= nearest[1][:, -1:])
            first = np.mean(found[1][:, 0] >= nearest[1][:, 0])
            print(
                f"  {probes:4} probes, {number:4} candidates: recall@{K} "
                f"{recall:.4f}, @1 {first:.4f}, "
                f"{len(queries) / seconds:.0f} queries/s",
                flush=True,
            )


if __name__ == "__main__":
    main()
