"""BUCC: mine the translations hidden in two files of sentences.

The paper's Table 3, on the files of the BUCC shared task (Zweigenbaum et al.
2018, https://comparable.limsi.fr/bucc2018/), which `bucc_files`
describes. The first language is the source, and forward is from source to
target: with de-en, each German sentence looks for English. Three ways of
mining are evaluated, the first two being the paper's:

```
forward_cosine    each source's nearest target, by cosine
backward_cosine   each target's nearest source, by cosine
margin_max        the margin ratio of 4 neighbours, one-to-one (see
                  labse.mining.margin)
```

Each has its own threshold: the one whose F1 on the given gold pairs is best,
as in the paper, so these are upper bounds of the F1 of a threshold chosen on
other data. All distinct scores are tried; of equal F1 the highest threshold
wins. A pair is mined if its score is no lower than the threshold.

Intervals. The items are the gold pairs and the wrong pairs mined at the
threshold, which stays fixed; recall is a mean over the gold pairs alone. The
uncertainty of the threshold itself is not included.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from labse.evaluation import published, results, retrieval
from labse.evaluation.tasks import bucc_files, bucc_mining
from labse.evaluation.tasks.bucc_files import MiningSet
from labse.evaluation.tasks.bucc_mining import Mined
from labse.mining import margin
from labse.search.exact_search import exact_search_both

TASK = "bucc"
MAIN = "forward_cosine_f1"

NUM_NEIGHBOURS = 4  # as in LASER's own mining of BUCC, tasks/bucc/bucc.sh
_MININGS = {  # Their scoring and retrieval.
    "forward_cosine": ("absolute", "forward"),
    "backward_cosine": ("absolute", "backward"),
    "margin_max": ("ratio", "max"),
}
_OTHER_MININGS = {  # The details report the best F1 of these.
    "cosine_intersection": ("absolute", "intersection"),
    "cosine_max": ("absolute", "max"),
    "forward_margin": ("ratio", "forward"),
    "backward_margin": ("ratio", "backward"),
    "margin_intersection": ("ratio", "intersection"),
}
_NUM_CURVE_POINTS = 100
_NUM_MISTAKES = 3  # of each kind, for each row
NO_TRANSLATION = "(has no translation in the file)"


def evaluate(
    encode_fn: retrieval.EncodeFn,
    data: str | Path,
    languages: Sequence[str] = (),
) -> results.TaskResult:
    """Evaluates the encoder on every pair of languages and split of a folder.

    With `languages`, only on these source languages.
    """
    paths, without_gold = bucc_files.find_sets(data)
    languages = results.choose_languages(
        languages, list(map(bucc_files.source_language, paths)), data
    )
    sets = [
        bucc_files.read_set(path)
        for path in paths
        if bucc_files.source_language(path) in languages
    ]
    embeddings = retrieval.TextEmbeddings(
        encode_fn,
        (text for each in sets for text in (*each.sources, *each.targets)),
    )
    splits = sorted({each.split for each in sets})
    groups: dict[str, list[str]] = {split: [] for split in splits}
    rows, curves, row_names = [], [], {}
    for each in sets:
        name = each.pair if len(splits) == 1 else f"{each.pair} {each.split}"
        groups[each.split].append(name)
        if each.split == "training":  # As in the paper.
            row_names[each.pair] = name
        row, curve = _evaluate_set(embeddings, name, each)
        rows.append(row)
        curves.append(curve)
    explanation = (
        "The translations among the sentences of two files must be mined: "
        "nearest neighbours above the threshold that gives the best F1 on the "
        "gold pairs."
    )
    if without_gold:
        explanation += (
            f" Not evaluated for lack of gold: {', '.join(without_gold)}."
        )
    return results.TaskResult(
        TASK,
        explanation,
        rows,
        MAIN,
        groups=groups if len(splits) > 1 else {},
        curves=curves,
        published=published.bucc(row_names),
    )


def _evaluate_set(
    embeddings: retrieval.TextEmbeddings, name: str, data: MiningSet
) -> tuple[results.Row, results.Curve]:
    sources, targets = embeddings(data.sources), embeddings(data.targets)
    forward, backward = _search(sources, targets)
    mined = {
        mining: bucc_mining.mine(data, forward, backward, *how)
        for mining, how in {**_MININGS, **_OTHER_MININGS}.items()
    }
    main = mined["forward_cosine"]
    cosines = _cosines(sources[data.gold[:, 0]], targets[data.gold[:, 1]])
    row = results.Row(
        name,
        {
            f"{mining}_{figure}": value
            for mining in _MININGS
            for figure, value in bucc_mining.figures(mined[mining]).items()
        },
        num_items=len(data.gold),
        details={
            "num_source_texts": len(data.sources),
            "num_target_texts": len(data.targets),
            "thresholds": {each: mined[each].threshold for each in _MININGS},
            "num_mined": {each: mined[each].num_kept for each in _MININGS},
            "f1_of_other_minings": {
                each: mined[each].at(mined[each].num_kept)["f1"]
                for each in _OTHER_MININGS
            },
        },
        mistakes=list(_mistakes(name, data, main, forward, cosines)),
    )
    return row, _curve(name, main)


def _search(
    sources: np.ndarray, targets: np.ndarray
) -> Iterator[margin.Neighbours]:
    """The neighbours of the sources and those of the targets."""
    total = 2 * len(sources) * len(targets)
    with retrieval.progress_bar(total, "scores") as bar:
        found = exact_search_both(
            sources,
            targets,
            min(NUM_NEIGHBOURS, len(targets)),
            min(NUM_NEIGHBOURS, len(sources)),
            lambda done, _: bar.update(done - bar.n),
        )
    return (margin.Neighbours(*each) for each in found)


def _curve(name: str, mined: Mined) -> results.Curve:
    """By threshold, evenly spaced, and the best one."""
    scores = mined.pairs.scores
    thresholds = np.union1d(
        np.linspace(scores[-1], scores[0], _NUM_CURVE_POINTS), mined.threshold
    )
    nums_kept = np.searchsorted(-scores, -thresholds, side="right")
    points = [mined.at(int(num_kept)) for num_kept in nums_kept]
    return results.Curve(
        name,
        "threshold on the cosine, forward",
        {
            line: [
                (float(threshold), point[line])
                for threshold, point in zip(thresholds, points, strict=True)
            ]
            for line in ("precision", "recall", "f1")
        },
    )


def _mistakes(
    name: str,
    data: MiningSet,
    mined: Mined,
    forward: margin.Neighbours,
    cosines: np.ndarray,
) -> Iterator[results.Mistake]:
    """The wrong pairs of highest score, then the least similar missed ones.

    `mined` is by forward cosine, so that each source has one candidate;
    `cosines` [g] are those of the gold pairs.
    """
    gold_of_source: dict[int, int] = {}
    for gold, source in enumerate(data.gold[:, 0].tolist()):
        gold_of_source.setdefault(source, gold)
    # Sources with a right pair, or with a mistake already.
    done = set(mined.pairs.sources[: mined.num_kept][mined.is_right_kept])
    for rank in np.flatnonzero(~mined.is_right_kept)[:_NUM_MISTAKES]:
        source = int(mined.pairs.sources[rank])
        done.add(source)
        gold = gold_of_source.get(source)
        yield results.Mistake(
            name,
            data.sources[source],
            data.targets[mined.pairs.targets[rank]],
            float(mined.pairs.scores[rank]),
            NO_TRANSLATION
            if gold is None
            else data.targets[data.gold[gold, 1]],
            float("nan") if gold is None else float(cosines[gold]),
        )
    # A source with another translation that was mined is not a mistake.
    missed = [
        gold
        for gold in np.argsort(cosines, kind="stable")
        if data.gold[gold, 0] not in done
    ]
    for gold in missed[:_NUM_MISTAKES]:
        source, target = data.gold[gold]
        score = float(forward.cosines[source, 0])
        yield results.Mistake(
            name,
            data.sources[source],
            data.targets[forward.indices[source, 0]]
            if score >= mined.threshold
            else f"(nothing: the threshold is {mined.threshold:.3f})",
            score,
            data.targets[target],
            float(cosines[gold]),
        )


def _cosines(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """float64 [g], row by row."""
    sources, targets = sources.astype(np.float64), targets.astype(np.float64)
    lengths = np.linalg.norm(sources, axis=1) * np.linalg.norm(targets, axis=1)
    return np.sum(sources * targets, axis=1) / lengths
