"""Bitext mining: ours, FAISS, LASER's and sentence-transformers' procedures.

    python benchmarks/mining.py [--rows=100000] [--dim=768] [--k=4]

All mine the same vectors (`search.make_vectors`: every source has one
translation among the targets), exactly, with the same number of threads: the
nearest k in both directions, the ratio margin, and one-to-one retrieval
("max"). Each is a process of its own; in a round they take turns; the best
round counts. Reading the vectors and importing are not timed.

- labse: `exact_search_both` and `margin.retrieve`;
- faiss: `IndexFlatIP` once for each direction, then our `margin.retrieve` with
  its neighbours: what the search alone makes up;
- laser: the procedure of LASER's `source/mine_bitexts.py --mode=mine
  --retrieval=max` on a CPU (commit 108ab33): both directions with
  `IndexFlatIP`, each side's mean of its k cosines, then candidate by candidate,
  in Python, the inner product again and its ratio to the mean of both means;
  the best of every row of both sides, sorted; greedily each pair both of whose
  sentences are free, with sets;
- sentence-transformers: the procedure of its example
  `parallel-sentence-mining/bitext_mining.py` (commit a76d441) with exact search
  and no PCA: LASER's, taken over, which stops at the first score below 1.

The last two are programs that also encode and write files, so what they do
between the vectors and the pairs was written anew here, loops included.

Checked against ours: neighbours (rows in which an index differs, and the
largest gap between the exact cosines of what stands at the same rank; more than
2e-6, the noise of float32, is an error) and how many pairs are the same.
"""

import argparse
import contextlib
import json
import os
import pathlib
import sys
import tempfile
import time

import numpy as np
from machine import machine, peak_memory
from search import NOISE, make_vectors, search_faiss, start

STAGES = ("search", "scoring", "selection")
LEAST_SCORE = 1.0  # sentence-transformers' threshold.


class Stopwatch:
    """Seconds of each stage."""

    def __init__(self):
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextlib.contextmanager
    def __call__(self, stage: str):
        """Adds what happens inside to a stage."""
        begun = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - begun


def mine_labse(sources, targets, k, watch):
    """Ours."""
    from labse.search.exact_search import exact_search_both

    with watch("search"):
        found = exact_search_both(sources, targets, k, k)
    return found, _our_pairs(found, watch)


def mine_faiss(sources, targets, k, watch):
    """FAISS's search, our margin."""
    with watch("search"):
        found = (
            search_faiss(sources, targets, k),
            search_faiss(targets, sources, k),
        )
    return found, _our_pairs(found, watch)


def _our_pairs(found, watch):
    from labse.mining import margin

    neighbours = [margin.Neighbours(*side) for side in found]
    score_candidates = margin.score_candidates

    def timed(*arguments):
        with watch("scoring"):
            return score_candidates(*arguments)

    # It is called inside `retrieve`, the rest of which is the selection.
    margin.score_candidates = timed
    before = watch.seconds["scoring"]
    with watch("selection"):
        pairs = margin.retrieve(*neighbours, "ratio", "max")
    watch.seconds["selection"] -= watch.seconds["scoring"] - before
    margin.score_candidates = score_candidates
    return pairs.sources, pairs.targets


def mine_laser(sources, targets, k, watch):
    """LASER's procedure."""
    return _mine_one_by_one(sources, targets, k, watch, -np.inf)


def mine_sentence_transformers(sources, targets, k, watch):
    """The procedure of sentence-transformers' example."""
    return _mine_one_by_one(sources, targets, k, watch, LEAST_SCORE)


def _mine_one_by_one(sources, targets, k, watch, least):
    import faiss

    with watch("search"):
        sources, targets = sources.copy(), targets.copy()
        faiss.normalize_L2(sources)
        faiss.normalize_L2(targets)
        found = []
        for queries, candidates in ((sources, targets), (targets, sources)):
            index = faiss.IndexFlatIP(candidates.shape[1])
            index.add(candidates)
            found.append(index.search(queries, k)[::-1])
            del index
    with watch("scoring"):
        means = [cosines.mean(axis=1) for _, cosines in found]
        forward = _score(sources, targets, found[0][0], means[0], means[1])
        backward = _score(targets, sources, found[1][0], means[1], means[0])
    with watch("selection"):
        pairs = _select(found, forward, backward, least)
    return found, pairs


def _score(rows, others, indices, means, other_means):
    """Ratio margins, one candidate at a time."""
    scores = np.zeros(indices.shape)
    for row in range(len(indices)):
        for rank in range(indices.shape[1]):
            other = indices[row, rank]
            neighbourhood = (means[row] + other_means[other]) / 2
            scores[row, rank] = rows[row].dot(others[other]) / neighbourhood
    return scores


def _select(found, forward, backward, least):
    """The best pair with free sentences, again and again, with sets."""
    best_target = found[0][0][np.arange(len(forward)), forward.argmax(axis=1)]
    best_source = found[1][0][np.arange(len(backward)), backward.argmax(axis=1)]
    sources = np.concatenate([np.arange(len(forward)), best_source])
    targets = np.concatenate([best_target, np.arange(len(backward))])
    scores = np.concatenate([forward.max(axis=1), backward.max(axis=1)])
    taken, seen_sources, seen_targets = [], set(), set()
    for number in np.argsort(-scores):
        if scores[number] < least:
            break
        source, target = int(sources[number]), int(targets[number])
        if source not in seen_sources and target not in seen_targets:
            seen_sources.add(source)
            seen_targets.add(target)
            taken.append(number)
    return sources[taken], targets[taken]


MINERS = {
    "labse": mine_labse,
    "faiss": mine_faiss,
    "laser": mine_laser,
    "sentence-transformers": mine_sentence_transformers,
}


def serve(name: str, folder: pathlib.Path) -> None:
    """Mines whenever a line with k comes in; prints what it took."""
    if name == "labse":
        import tensorflow  # noqa: F401
    sources = np.load(folder / "sources.npy")
    targets = np.load(folder / "targets.npy")
    MINERS[name](sources[:512], targets[:512], 1, Stopwatch())  # Imports.
    before = peak_memory()
    for line in sys.stdin:
        watch = Stopwatch()
        found, pairs = MINERS[name](sources, targets, int(line), watch)
        memory = peak_memory() - before
        np.savez(
            folder / f"{name}.npz",
            forward=found[0][0],
            backward=found[1][0],
            pairs=np.stack(pairs),
        )
        print(json.dumps({**watch.seconds, "memory": memory}), flush=True)


def measure(processes: dict, k: int, rounds: int) -> dict:
    """What the round of the least total took, by contender."""
    best = {}
    for _ in range(rounds):
        for name, process in processes.items():
            process.stdin.write(f"{k}\n")
            process.stdin.flush()
            figures = json.loads(process.stdout.readline())
            figures["total"] = sum(figures[stage] for stage in STAGES)
            if name not in best or figures["total"] < best[name]["total"]:
                best[name] = figures
    return best


def compare(folder: pathlib.Path, peer: str) -> tuple[int, float, int, int]:
    """How a peer's neighbours and pairs differ from ours.

    Returns:
      rows of both directions in which an index differs; the largest gap in
      exact cosine between the two at a rank; the peer's pairs; how many of them
      are ours too.
    """
    from labse.search.unit_vectors import UnitVectors

    ours, theirs = (np.load(folder / f"{name}.npz") for name in ("labse", peer))
    sides = [
        UnitVectors(np.load(folder / f"{name}.npy", mmap_mode="r"), name)
        for name in ("sources", "targets")
    ]
    rows, gap = 0, 0.0
    for name, (queries, others) in (
        ("forward", sides),
        ("backward", sides[::-1]),
    ):
        own, other = ours[name], theirs[name]
        row, rank = np.nonzero(own != other)
        rows += len(np.unique(row))
        if len(row):
            own, other = (
                queries.cosines(row, others, indices[row, rank])
                for indices in (own, other)
            )
            gap = max(gap, float(np.abs(own - other).max()))
    own, other = (
        set(map(tuple, found["pairs"].T.tolist())) for found in (ours, theirs)
    )
    return rows, gap, len(other), len(own & other)


def report(folder: pathlib.Path, best: dict) -> list[str]:
    """Lines of a table; the first contender is ours."""
    own = best["labse"]
    columns = "".join(f"{stage:>11}" for stage in (*STAGES, "total"))
    lines = [f"{'seconds':<22}{columns}{'memory, GB':>12}{'ours is':>10}"]
    differences = []
    for name, figures in best.items():
        columns = "".join(f"{figures[s]:11.2f}" for s in (*STAGES, "total"))
        lines.append(
            f"{name:<22}{columns}{figures['memory'] / 1e9:12.2f}"
            f"{figures['total'] / own['total']:9.2f}x"
        )
        if name == "labse":
            continue
        rows, gap, num_pairs, num_same = compare(folder, name)
        if gap > NOISE:
            sys.exit(f"{name} finds neighbours that are not ours: {gap}")
        differences.append(
            f"{name}: {rows} rows of neighbours differ from ours, by {gap:.1e} "
            f"at most; {num_same:,} of its {num_pairs:,} pairs are ours"
        )
    return lines + differences


def main() -> None:
    """Makes the vectors, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, pathlib.Path(options.folder))
        return
    threads = len(os.sched_getaffinity(0))
    print(f"{machine()}; {threads} threads each", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        make_vectors(pathlib.Path(folder), options.rows, options.dim)
        processes = {
            name: start(name, folder, threads, __file__) for name in MINERS
        }
        best = measure(processes, options.k, options.rounds)
        for process in processes.values():
            process.stdin.close()
            process.wait()
        print("\n".join(report(pathlib.Path(folder), best)))
    print(
        f"{options.rows:,} x {options.rows:,} x {options.dim}, k={options.k}, "
        f"best of {options.rounds}; memory is the peak above what the process "
        f"had with its libraries and vectors. At the end: {machine()}"
    )


if __name__ == "__main__":
    main()
