"""How good mined pairs are: F1 and calibrated precision.

    python benchmarks/mining_quality.py --model=RUN --data=DIR --cache=CACHE
        [--distractors=1000000] [--sets=de-en]... [--out=quality.json]

DIR has bucc_made (or BUCC's own files, in --bucc=NAME) and any other texts,
.txt with a sentence a line and .tsv with a header, for distractors. Prints
three tables:

1. F1 of every scoring and retrieval on every set, at the best threshold: as
   `labse evaluate --task=bucc`, an upper bound.
2. Calibrated on gold: fitted on the pairs of one half of the source sentences,
   by a hash of their text, and evaluated on the other half; and vice versa.
   The requested precision beside the precision reached.
3. Distractors: the gold pairs of the first set among N distinct lines of DIR
   as targets, and N / 100 as sources. Recall and precision at a calibrated
   0.9, and precision at 1 of the gold sources.

Vectors are kept in CACHE by model and text; a second run encodes nothing.
"""

import argparse
import gzip
import hashlib
import json
import pathlib
import time
from collections.abc import Callable, Iterator

import numpy as np
from machine import machine, peak_memory

from labse.errors import InputError
from labse.evaluation import embedding_cache
from labse.evaluation.tasks import bucc_files, bucc_mining
from labse.mining import margin
from labse.mining.threshold import gold_pairs, precision
from labse.search.exact_search import exact_search_both

NUM_NEIGHBOURS = 4
WANTED = (0.8, 0.9, 0.95)
MININGS = (("ratio", "max"), ("absolute", "forward"))
BLOCK = 16_384
Encode = Callable[[list[str]], np.ndarray]


def neighbours(
    sources: np.ndarray, targets: np.ndarray
) -> tuple[margin.Neighbours, margin.Neighbours]:
    """Both sides' nearest."""
    k = min(NUM_NEIGHBOURS, len(sources), len(targets))
    forward, backward = exact_search_both(sources, targets, k, k)
    return margin.Neighbours(*forward), margin.Neighbours(*backward)


def is_gold(data: bucc_files.MiningSet, pairs: margin.Pairs) -> np.ndarray:
    """Bool [p]."""
    gold = gold_pairs.GoldPairs(*data.gold.T)
    return gold.labels(pairs, is_complete=True)[1]


def f1_table(data: bucc_files.MiningSet, forward, backward) -> dict:
    """Precision, recall and F1 at the best threshold of each."""
    table = {}
    for scoring in margin.SCORINGS:
        for retrieval in margin.RETRIEVALS:
            pairs = margin.retrieve(forward, backward, scoring, retrieval)
            right = is_gold(data, pairs)
            kept = bucc_mining.best_cut(pairs.scores, right, len(data.gold))
            num_right = int(right[:kept].sum())
            table[f"{scoring} {retrieval}"] = {
                "precision": num_right / kept,
                "recall": num_right / len(data.gold),
                "f1": 2 * num_right / (kept + len(data.gold)),
                "threshold": float(pairs.scores[kept - 1]),
            }
    return table


def outcome(
    calibration: precision.Calibration,
    wanted: float,
    scores: np.ndarray,
    right: np.ndarray,
    num_gold: int,
) -> dict:
    """The precision and recall that the threshold for a precision gives."""
    try:
        threshold = calibration.threshold(wanted, scores)
    except InputError as error:
        return {"wanted": wanted, "refused": str(error)}
    kept = scores >= threshold
    return {
        "wanted": wanted,
        "precision": float(right[kept].mean()),
        "recall": float(right[kept].sum() / num_gold),
        "kept": int(kept.sum()),
        "threshold": threshold,
    }


def calibrated_table(data: bucc_files.MiningSet, forward, backward) -> dict:
    """Fitted on one half of the source sentences, evaluated on the other."""
    half = np.array(
        [
            hashlib.blake2b(text.encode(), digest_size=1).digest()[0] % 2
            for text in data.sources
        ]
    )
    table = {}
    for scoring, retrieval in MININGS:
        pairs = margin.retrieve(forward, backward, scoring, retrieval)
        right = is_gold(data, pairs)
        for fitted in (0, 1):
            is_fitted = half[pairs.sources] == fitted
            num_gold = int(np.sum(half[data.gold[:, 0]] != fitted))
            try:
                calibration = precision.fit(
                    pairs.scores[is_fitted], right[is_fitted]
                )
            except InputError as error:
                table[f"{scoring} {retrieval} {fitted}"] = str(error)
                continue
            table[f"{scoring} {retrieval} {fitted}"] = [
                outcome(
                    calibration,
                    wanted,
                    pairs.scores[~is_fitted],
                    right[~is_fitted],
                    num_gold,
                )
                for wanted in WANTED
            ]
    return table


def distractor_table(
    data: bucc_files.MiningSet, encode: Encode, lines: Iterator[str], num: int
) -> dict:
    """The gold pairs among distinct lines of other data."""
    known = [(data.sources[one], data.targets[two]) for one, two in data.gold]
    taken = {text for pair in known for text in pair}
    texts = []
    for line in lines:
        if len(texts) == num:
            break
        if line not in taken:
            taken.add(line)
            texts.append(line)
    sources = texts[:: max(1, len(texts) // max(1, num // 100))]
    start = time.perf_counter()
    vectors = [
        encode(sources + [one for one, _ in known]),
        encode(texts + [two for _, two in known]),
    ]
    encoded = time.perf_counter()
    both = neighbours(*vectors)
    rows = np.arange(len(known))
    gold = gold_pairs.GoldPairs(len(sources) + rows, len(texts) + rows)
    nearest = both[0].indices[len(sources) :, 0]
    table = {
        "distractors": len(texts),
        "source_distractors": len(sources),
        "gold": len(known),
        "seconds_to_encode_or_read": encoded - start,
        "seconds_to_search": time.perf_counter() - encoded,
        "memory_gb": peak_memory() / 1e9,
        "precision_at_1": float(np.mean(nearest == gold.targets)),
    }
    for scoring, retrieval in MININGS:
        pairs = margin.retrieve(*both, scoring, retrieval)
        is_labelled, right = gold.labels(pairs, is_complete=False)
        table[f"{scoring} {retrieval}"] = [
            outcome(
                precision.fit(pairs.scores[is_labelled], right[is_labelled]),
                wanted,
                pairs.scores[is_labelled],
                right[is_labelled],
                len(gold),
            )
            for wanted in WANTED
        ]
    return table


def all_lines(folder: pathlib.Path, without: str) -> Iterator[str]:
    """Lines of .txt and texts of .tsv in the folder, files by name."""
    for path in sorted(folder.rglob("*")):
        if without in path.parts or path.name.startswith(("README", "COUNTS")):
            continue
        suffix = path.name.removesuffix(".gz").rpartition(".")[2]
        if suffix not in ("txt", "tsv") or "vocabs" in path.parts:
            continue
        opener = gzip.open if path.name.endswith(".gz") else open
        with opener(path, "rt", encoding="utf-8", errors="replace") as file:
            for line in file:
                for cell in line.split("\t"):
                    # Codes and numbers are no sentences.
                    if len(cell.strip()) >= 10:
                        yield cell.strip()


def cached_encode(model, folder: pathlib.Path) -> Encode:
    """Encodes in blocks, each kept in a file of its own.

    Single texts go through the embedding cache, many through whole blocks: a
    million entries of the former would be read for each question.
    """
    small = embedding_cache.cached(
        model.encode, folder / "texts", model.fingerprint
    )
    blocks = folder / "blocks" / model.fingerprint[:32]
    blocks.mkdir(parents=True, exist_ok=True)

    def encode(texts: list[str]) -> np.ndarray:
        if len(texts) <= 4 * BLOCK:
            return small(texts)
        rows = []
        for start in range(0, len(texts), BLOCK):
            block = texts[start : start + BLOCK]
            key = hashlib.sha256("\n".join(block).encode()).hexdigest()[:32]
            path = blocks / f"{key}.npy"
            if not path.is_file():
                temporary = path.with_suffix(".tmp")
                with open(temporary, "wb") as file:
                    np.save(file, model.encode(block).astype(np.float32))
                temporary.replace(path)
            rows.append(np.load(path))
        return np.concatenate(rows)

    return encode


def main() -> None:
    """Runs all, prints as it goes, writes --out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--bucc", default="bucc_made")
    parser.add_argument("--sets", action="append", default=[])
    parser.add_argument("--cache", required=True, type=pathlib.Path)
    parser.add_argument("--distractors", type=int, default=1_000_000)
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()

    import labse

    model = labse.load(arguments.model)
    encode = cached_encode(model, arguments.cache)
    result = {"machine": machine(), "model": arguments.model, "sets": {}}
    paths, _ = bucc_files.find_sets(arguments.data / arguments.bucc)
    sets = [bucc_files.read_set(path) for path in paths]
    sets = [
        each
        for each in sets
        if not arguments.sets or each.pair in arguments.sets
    ]
    for data in sets:
        both = neighbours(encode(data.sources), encode(data.targets))
        tables = {
            "f1": f1_table(data, *both),
            "calibrated_on_gold": calibrated_table(data, *both),
        }
        result["sets"][data.pair] = tables
        print(data.pair, json.dumps(tables, indent=1), flush=True)
    if arguments.distractors:
        result["distractors"] = distractor_table(
            sets[0],
            encode,
            all_lines(arguments.data, arguments.bucc),
            arguments.distractors,
        )
        print(json.dumps(result["distractors"], indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
