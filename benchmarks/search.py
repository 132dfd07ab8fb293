"""Exact nearest neighbours: ours, FAISS and PyTorch, side by side in one run.

    python benchmarks/search.py [--size=100000] [--dimension=768] [--rounds=2]

All search the same vectors with the same number of threads:

- labse: `exact_search`, given the vectors as an encoder leaves them;
- faiss: `IndexFlatIP` with the normalised vectors, `add` and `search`;
- torch: what sentence-transformers' `TranslationEvaluator` and
  `semantic_search` do, `util.cos_sim` and the best of each row, in blocks of
  queries, because the evaluator's whole matrix needs 4 * size^2 bytes. With
  --evaluator, that procedure as it is, both directions, against both
  directions of ours.

Each contender is a process of its own, so that threads and memory are its own;
in a round they take turns, so that a busy machine hurts all. The best round
counts. Reading the vectors and importing are not timed. Sources and targets
are clustered: a translation is its source plus noise, among neighbours of the
same cluster. Peers must agree with ours: where an index differs, the scores
must be equal within 2e-6, the noise of their float32.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from machine import machine, peak_memory

CONTENDERS = ("labse", "faiss", "torch")
NOISE = 2e-6
TORCH_BLOCK = 1024


def make_vectors(folder: pathlib.Path, size: int, dimension: int) -> None:
    """Writes sources.npy and targets.npy, float32 [size, dimension]."""
    generator = np.random.default_rng(0)

    def noise(rows):
        return generator.standard_normal((rows, dimension), np.float32)

    # One direction that all share and 20 sentences a cluster give cosines as a
    # sentence encoder does: 0.9 for translations, 0.5 in a cluster, 0.2 else.
    shared, centres = 0.7 * noise(1), 0.8 * noise(max(1, size // 20))
    sources = shared + centres[generator.integers(0, len(centres), size)]
    sources += noise(size)
    targets = sources + 0.6 * noise(size)
    np.save(folder / "sources.npy", sources)
    np.save(folder / "targets.npy", targets[generator.permutation(size)])


def search_labse(sources, targets, k):
    """Ours."""
    from labse.search.exact_search import exact_search

    return exact_search(sources, targets, k)


def search_faiss(sources, targets, k):
    """FAISS's exact index."""
    import faiss

    index = faiss.IndexFlatIP(targets.shape[1])
    index.add(normalized(targets))
    cosines, indices = index.search(normalized(sources), k)
    return indices, cosines


def normalized(vectors):
    """The same at length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def search_torch(sources, targets, k):
    """Matrix product and top-k of PyTorch, a block of queries at a time."""
    import torch

    sources, targets = (
        torch.nn.functional.normalize(torch.from_numpy(vectors))
        for vectors in (sources, targets)
    )
    blocks = [
        torch.topk(block @ targets.T, k)
        for block in torch.split(sources, TORCH_BLOCK)
    ]
    return (
        torch.cat([block.indices for block in blocks]).numpy(),
        torch.cat([block.values for block in blocks]).numpy(),
    )


def evaluate_torch(sources, targets, k):
    """`TranslationEvaluator`: the best of each row and of each column."""
    import torch
    from sentence_transformers import util

    matrix = util.pytorch_cos_sim(
        torch.from_numpy(sources), torch.from_numpy(targets)
    ).numpy()
    indices = [
        np.array([np.argmax(row) for row in side])
        for side in (matrix, matrix.T)
    ]
    rows = np.arange(len(sources))
    cosines = np.stack([matrix[rows, indices[0]], matrix[indices[1], rows]])
    return np.stack(indices), cosines


def evaluate_ours(sources, targets, k):
    """Both directions."""
    from labse.search.exact_search import exact_search_both

    found = exact_search_both(sources, targets)
    return tuple(
        np.stack([side[number][:, 0] for side in found]) for number in (0, 1)
    )


SEARCHES = {
    "labse": search_labse,
    "faiss": search_faiss,
    "torch": search_torch,
    "labse both": evaluate_ours,
    "torch both": evaluate_torch,
}


def serve(name: str, folder: pathlib.Path) -> None:
    """Searches whenever a line with k comes in; prints what it took."""
    if name.startswith("labse"):
        import tensorflow  # noqa: F401
    sources = np.load(folder / "sources.npy")
    targets = np.load(folder / "targets.npy")
    SEARCHES[name](sources[:512], targets[:512], 1)  # Imports.
    before = peak_memory()
    for line in sys.stdin:
        k = int(line)
        start = time.perf_counter()
        indices, cosines = SEARCHES[name](sources, targets, k)
        seconds = time.perf_counter() - start
        np.savez(folder / f"{name}.npz", indices=indices, cosines=cosines)
        print(json.dumps([seconds, peak_memory() - before]), flush=True)


def start(
    name: str, folder: str, threads: int, program: str = __file__
) -> subprocess.Popen:
    """A process in which a program serves a contender."""
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
    environment["OMP_NUM_THREADS"] = str(threads)
    environment["OPENBLAS_NUM_THREADS"] = str(threads)
    environment["PYTHONPATH"] = os.pathsep.join(
        [
            str(pathlib.Path(__file__).parents[1]),
            environment.get("PYTHONPATH", ""),
        ]
    )
    return subprocess.Popen(
        [sys.executable, program, f"--serve={name}", f"--folder={folder}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def measure(processes: dict, k: int, rounds: int) -> dict:
    """Seconds of the best round and bytes of memory, by contender."""
    best = {}
    for _ in range(rounds):
        for name, process in processes.items():
            process.stdin.write(f"{k}\n")
            process.stdin.flush()
            seconds, memory = json.loads(process.stdout.readline())
            best[name] = min(best.get(name, (seconds, 0)), (seconds, memory))
            best[name] = (best[name][0], memory)
    return best


def check_equal(folder: pathlib.Path, own: str, peer: str) -> int:
    """Number of differing indices, all between equal scores; else exits."""
    ours, theirs = (np.load(folder / f"{name}.npz") for name in (own, peer))
    difference = np.abs(ours["cosines"] - theirs["cosines"]).max()
    if difference > NOISE:
        sys.exit(f"{peer} finds scores that differ from ours: {difference}")
    # Equal scores rank by rank: an index can differ in a tie only.
    return int(np.sum(ours["indices"] != theirs["indices"]))


def report(folder, k, size, dimension, best) -> list[str]:
    """Lines of a table; the first contender is ours."""
    own, *peers = best
    lines = [
        f"k={k}{'':<14}{'seconds':>9}{'GFLOP/s':>9}{'memory, GB':>12}"
        f"{'ours is':>10}  indices that differ"
    ]
    for name, (seconds, memory) in best.items():
        flops = 2 * dimension * size**2 * (2 if "both" in own else 1)
        differing = check_equal(folder, own, name) if name in peers else ""
        lines.append(
            f"{name:<17}{seconds:9.2f}{flops / seconds / 1e9:9.0f}"
            f"{memory / 1e9:12.2f}{seconds / best[own][0]:9.2f}x  {differing}"
        )
    return lines


def main() -> None:
    """Makes the vectors, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--k", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--evaluator", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, pathlib.Path(options.folder))
        return
    names = ("labse both", "torch both") if options.evaluator else CONTENDERS
    threads = len(os.sched_getaffinity(0))
    print(f"{machine()}; {threads} threads each", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        make_vectors(pathlib.Path(folder), options.size, options.dimension)
        processes = {name: start(name, folder, threads) for name in names}
        for k in [1] if options.evaluator else options.k:
            best = measure(processes, k, options.rounds)
            lines = report(
                pathlib.Path(folder),
                *(k, options.size, options.dimension, best),
            )
            print("\n".join(lines), flush=True)
        for process in processes.values():
            process.stdin.close()
            process.wait()
    print(
        f"{options.size:,} x {options.size:,} x {options.dimension}, best of "
        f"{options.rounds}; memory is the peak above what the process had with "
        f"its libraries and vectors. At the end: {machine()}"
    )


if __name__ == "__main__":
    main()
