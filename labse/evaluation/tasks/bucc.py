"""BUCC: mine the translations hidden in two files of sentences.

The paper's Table 3, on the files of the BUCC shared task (Zweigenbaum et al.
2018, https://comparable.limsi.fr/bucc2018/), which `bucc_files`
describes. The first language is the source, and forward is from source to
target: with de-en, each German sentence looks for English. Three minings are
judged, the first two being the paper's:

```
forward_cosine    each source's nearest target, by cosine
backward_cosine   each target's nearest source, by cosine
margin_max        the margin ratio of 4 neighbours, one-to-one (see
                  labse.mining.margin)
```

Each has its own threshold: the one whose F1 on the given gold pairs is best,
as in the paper, so these are upper bounds of what a threshold from elsewhere
gives. All distinct scores are tried; of equal F1 the highest threshold wins. A
pair is mined if its score is no lower than the threshold.

Intervals. The items are the gold pairs and the wrong pairs mined at the
threshold, which stays fixed; recall is a mean over the gold pairs alone. They
leave out how much the choice of the threshold owes to chance.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tqdm

from labse.evaluation import results, retrieval, statistics
from labse.evaluation.tasks import bucc_files
from labse.evaluation.tasks.bucc_files import MiningSet
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
_OTHER_MININGS = {  # Of these the details tell the best F1.
    "cosine_intersection": ("absolute", "intersection"),
    "cosine_max": ("absolute", "max"),
    "forward_margin": ("ratio", "forward"),
    "backward_margin": ("ratio", "backward"),
    "margin_intersection": ("ratio", "intersection"),
}
_NUM_CURVE_POINTS = 100
_NUM_MISTAKES = 3  # of each kind, for each row
NO_TRANSLATION = "(has no translation in the file)"


@dataclasses.dataclass(frozen=True)
class Mined:
    """What one mining found, judged.

    Attributes:
      pairs: all candidates, the best first.
      is_right: bool [p], whether each is gold.
      num_kept: how many candidates the threshold of best F1 keeps.
      is_found: bool [g], whether each gold pair is among those kept.
    """

    pairs: margin.Pairs
    is_right: np.ndarray
    num_kept: int
    is_found: np.ndarray

    @property
    def is_right_kept(self) -> np.ndarray:
        """Whether each candidate that is kept is gold: bool [num_kept]."""
        return self.is_right[: self.num_kept]

    @property
    def threshold(self) -> float:
        """The lowest score that is kept."""
        return float(self.pairs.scores[self.num_kept - 1])

    def at(self, num_kept: int) -> dict[str, float]:
        """Precision, recall and F1 of the best so many candidates."""
        num_right = int(self.is_right[:num_kept].sum())
        return {
            "precision": num_right / num_kept,
            "recall": num_right / len(self.is_found),
            "f1": 2 * num_right / (num_kept + len(self.is_found)),
        }


def evaluate(
    encode_fn: retrieval.EncodeFn,
    folder: str | Path,
    languages: Sequence[str] = (),
) -> results.TaskResult:
    """Judges the encoder on every pair of languages and split of the folder.

    Args:
      encode_fn: list of n texts -> float32 [n, dim].
      folder: with BUCC's files, see above.
      languages: judge only these source languages.

    Raises:
      InputError: the folder, a file or an embedding is not as it must be.
    """
    paths, without_gold = bucc_files.find_sets(folder)
    wanted = results.choose_languages(
        languages, [bucc_files.source_language(path) for path in paths], folder
    )
    sets = [
        bucc_files.read_set(path)
        for path in paths
        if bucc_files.source_language(path) in wanted
    ]
    embeddings = retrieval.TextEmbeddings(
        encode_fn,
        (text for each in sets for text in (*each.sources, *each.targets)),
    )
    splits = sorted({each.split for each in sets})
    names = [
        each.pair if len(splits) == 1 else f"{each.pair} {each.split}"
        for each in sets
    ]
    judged = [
        _judge(embeddings, name, each)
        for name, each in zip(names, sets, strict=True)
    ]
    explanation = (
        "The translations among the sentences of two files must be mined: "
        "nearest neighbours above the threshold that gives the best F1 on the "
        "gold pairs."
    )
    if without_gold:
        explanation += f" Without gold, not judged: {', '.join(without_gold)}."
    return results.TaskResult(
        TASK,
        explanation,
        [row for row, _, _ in judged],
        MAIN,
        groups={
            split: [
                name
                for name, each in zip(names, sets, strict=True)
                if each.split == split
            ]
            for split in (splits if len(splits) > 1 else [])
        },
        mistakes=[each for _, mistakes, _ in judged for each in mistakes],
        curves=[curve for _, _, curve in judged],
    )


def _judge(
    embeddings: retrieval.TextEmbeddings, name: str, data: MiningSet
) -> tuple[results.Row, list[results.Mistake], results.Curve]:
    sources, targets = embeddings(data.sources), embeddings(data.targets)
    forward, backward = _search(sources, targets)
    mined = {
        mining: _mine(data, forward, backward, *how)
        for mining, how in {**_MININGS, **_OTHER_MININGS}.items()
    }
    main = mined["forward_cosine"]
    row = results.Row(
        name,
        {
            f"{mining}_{figure}": value
            for mining in _MININGS
            for figure, value in _figures(mined[mining]).items()
        },
        num_items=len(data.gold),
        details=_details(data, mined),
    )
    cosines = _cosines(sources[data.gold[:, 0]], targets[data.gold[:, 1]])
    mistakes = list(_mistakes(name, data, main, forward, cosines))
    return row, mistakes, _curve(name, main)


def _search(
    sources: np.ndarray, targets: np.ndarray
) -> Iterator[margin.Neighbours]:
    """The neighbours of the sources and those of the targets."""
    scores = 2 * len(sources) * len(targets)
    with tqdm.tqdm(
        total=scores, unit=" scores", unit_scale=True, delay=10
    ) as bar:
        found = exact_search_both(
            sources,
            targets,
            min(NUM_NEIGHBOURS, len(targets)),
            min(NUM_NEIGHBOURS, len(sources)),
            lambda done, _: bar.update(done - bar.n),
        )
    return (margin.Neighbours(*each) for each in found)


def _details(data: MiningSet, mined: dict[str, Mined]) -> dict[str, object]:
    return {
        "num_source_texts": len(data.sources),
        "num_target_texts": len(data.targets),
        "thresholds": {name: mined[name].threshold for name in _MININGS},
        "num_mined": {name: mined[name].num_kept for name in _MININGS},
        "f1_of_other_minings": {
            name: mined[name].at(mined[name].num_kept)["f1"]
            for name in _OTHER_MININGS
        },
    }


def _mine(
    data: MiningSet,
    forward: margin.Neighbours,
    backward: margin.Neighbours,
    scoring: str,
    retrieval_name: str,
) -> Mined:
    pairs = margin.retrieve(forward, backward, scoring, retrieval_name)
    candidates = data.keys(pairs.sources, pairs.targets)
    gold = data.keys(*data.gold.T)
    is_right = np.isin(candidates, gold)
    num_kept = best_cut(pairs.scores, is_right, len(gold))
    return Mined(
        pairs, is_right, num_kept, np.isin(gold, candidates[:num_kept])
    )


def best_cut(scores: np.ndarray, is_right: np.ndarray, num_gold: int) -> int:
    """How many candidates to keep for the best F1.

    Candidates of equal scores are kept or dropped together: only so can a
    threshold tell them from the others.

    Args:
      scores: float [p], the best first; at least one.
      is_right: bool [p], whether each candidate is gold.
      num_gold: how many gold pairs there are, found or not.

    Returns:
      between 1 and p; the least of equally good ones.
    """
    is_last = np.append(scores[1:] != scores[:-1], True)  # of equal ones
    num_kept = np.flatnonzero(is_last) + 1
    num_right = np.cumsum(is_right)[is_last]
    f1 = 2 * num_right / (num_kept + num_gold)
    return int(num_kept[np.argmax(f1)])


def _figures(mined: Mined) -> dict[str, statistics.Figure]:
    num_wrong = int(np.sum(~mined.is_right_kept))
    right, missed, wrong = range(3)
    items = np.append(
        np.where(mined.is_found, right, missed), np.full(num_wrong, wrong)
    ).astype(np.uint8)

    def precision(numbers: np.ndarray) -> float:
        count = np.bincount(items[numbers], minlength=3)
        return count[right] / max(count[right] + count[wrong], 1)

    def f1(numbers: np.ndarray) -> float:
        count = np.bincount(items[numbers], minlength=3)
        return 2 * count[right] / (len(numbers) + count[right])

    return {
        "precision": statistics.resampled(precision, len(items)),
        "recall": statistics.mean(mined.is_found),
        "f1": statistics.resampled(f1, len(items)),
    }


def _curve(name: str, mined: Mined) -> results.Curve:
    """Over thresholds at even distances, and the best one."""
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

    Args:
      name: of the row.
      data: the texts.
      mined: by forward cosine, so that each source has one candidate.
      forward: each source's nearest targets, best first.
      cosines: float [g], of the gold pairs.
    """
    gold_of_source: dict[int, int] = {}
    for gold, source in enumerate(data.gold[:, 0].tolist()):
        gold_of_source.setdefault(source, gold)
    told = set(mined.pairs.sources[: mined.num_kept][mined.is_right_kept])
    for rank in np.flatnonzero(~mined.is_right_kept)[:_NUM_MISTAKES]:
        source = int(mined.pairs.sources[rank])
        told.add(source)
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
    # A source of which another translation was mined is no mistake.
    missed = [
        gold
        for gold in np.argsort(cosines, kind="stable")
        if data.gold[gold, 0] not in told
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
