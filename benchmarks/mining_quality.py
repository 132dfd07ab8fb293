"""How good mined pairs are: F1, calibrated precision, planted pairs.

    python benchmarks/mining_quality.py --model=RUN --data=DIR --cache=CACHE
        [--distractors=1000000] [--sets=de-en]... [--out=quality.json]

DIR has bucc_made (or BUCC's own files, in --bucc=NAME) and any other texts,
.txt with a sentence a line and .tsv with a header, for distractors. Four tables
come out:

1. F1 of every scoring and retrieval on every set, at the best threshold: as
   `labse evaluate --task=bucc`, an upper bound.
2. Calibrated on gold: fitted on the pairs of one half of the source sentences,
   by a hash of their text, judged on the other half; and the other way round.
   Precision that was asked for against the one that came out.
3. Without gold: half of the gold pairs are taken out of the two files and
   planted; thresholds come from these alone, and the other half, still hidden
   in the files, judges the pairs that are kept. With the share of sentences
   without a translation as the scores bound it, and as it is.
4. Planted in distractors: the gold pairs of the first set, planted among N
   distinct lines of DIR as targets, and N / 100 as sources. Recall and
   precision at a calibrated 0.9, and precision at 1 of the planted sources.

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
from labse.mining.threshold import gold_pairs, plant, precision
from labse.search.exact_search import exact_search_both

NUM_NEIGHBOURS = 4
WANTED = (0.8, 0.9, 0.95)
MININGS = (("ratio", "max"), ("absolute", "forward"))
BLOCK = 16_384
Encode = Callable[[list[str]], np.ndarray]


class TextList:
    """Distinct texts as a corpus, as far as mining's parts ask for one."""

    def __init__(self, texts: list[str]):
        self._texts = texts
        self.num_read = len(texts)

    def __len__(self) -> int:
        return len(self._texts)

    def texts(self, start: int, stop: int) -> list[str]:
        """Texts of some numbers."""
        return self._texts[start:stop]

    def place(self, number: int):
        """These come from nowhere."""
        raise NotImplementedError


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
    """What the threshold for a precision really gives."""
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
    """Fitted on one half of the source sentences, judged on the other."""
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


def planted_table(data: bucc_files.MiningSet, encode: Encode) -> dict:
    """Half of the gold taken out and planted; the other half judges."""
    drawn = np.random.default_rng(0).permutation(len(data.gold))
    out, kept = np.array_split(data.gold[drawn], 2)
    known = [(data.sources[one], data.targets[two]) for one, two in out]
    own_sources = np.delete(np.arange(len(data.sources)), out[:, 0])
    own_targets = np.delete(np.arange(len(data.targets)), out[:, 1])
    sources = [data.sources[i] for i in own_sources]
    targets = [data.targets[i] for i in own_targets]
    plants = plant.plant(TextList(sources), TextList(targets), known)
    both = neighbours(
        encode(sources + plants.source_texts),
        encode(targets + plants.target_texts),
    )
    # Numbers after the planted half is gone.
    gold = gold_pairs.GoldPairs(
        np.searchsorted(own_sources, kept[:, 0]),
        np.searchsorted(own_targets, kept[:, 1]),
    )
    true = 1 - len(kept) / min(len(sources), len(targets))
    table = {"planted_whole": plants.num_pairs, "left_out": plants.left_out}
    for scoring, retrieval in MININGS:
        pairs = margin.retrieve(*both, scoring, retrieval)
        own = plants.remove(pairs)
        right = gold.labels(own, is_complete=True)[1]
        for name, orphans in (
            ("bound", plants.orphans_used(pairs)),
            ("true", true),
        ):
            calibration = plants.calibrate(pairs, orphans)
            rows = []
            for wanted in WANTED:
                row = outcome(calibration, wanted, own.scores, right, len(kept))
                if "threshold" in row:
                    where = (pairs, row["threshold"])
                    row["planted_recall"] = plants.recall(*where)
                    row["precision_by_errors"] = plants.precision_by_errors(
                        *where, orphans
                    )
                rows.append(row)
            table[f"{scoring} {retrieval}, {name} {orphans:.4f}"] = rows
    return table


def distractor_table(
    data: bucc_files.MiningSet, encode: Encode, lines: Iterator[str], num: int
) -> dict:
    """The gold pairs planted among distinct lines of other data."""
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
    plants = plant.plant(TextList(sources), TextList(texts), known)
    start = time.perf_counter()
    vectors = [
        encode(sources + plants.source_texts),
        encode(texts + plants.target_texts),
    ]
    encoded = time.perf_counter()
    both = neighbours(*vectors)
    table = {
        "distractors": len(texts),
        "source_distractors": len(sources),
        "planted_whole": plants.num_pairs,
        "seconds_to_encode_or_read": encoded - start,
        "seconds_to_search": time.perf_counter() - encoded,
        "memory_gb": peak_memory() / 1e9,
    }
    nearest = both[0].indices[len(sources) :, 0]
    whole = plants.source_partners >= 0
    table["precision_at_1"] = float(
        np.mean(nearest[whole] == plants.source_partners[whole])
    )
    for scoring, retrieval in MININGS:
        pairs = margin.retrieve(*both, scoring, retrieval)
        is_judged, right = plants.labels(pairs)
        table[f"{scoring} {retrieval}"] = [
            outcome(
                precision.fit(pairs.scores[is_judged], right[is_judged]),
                wanted,
                pairs.scores[is_judged],
                right[is_judged],
                plants.num_pairs,
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
            "planted": planted_table(data, encode),
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
