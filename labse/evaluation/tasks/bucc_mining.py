"""Mines one BUCC set at the threshold of best F1, and its figures."""

import dataclasses

import numpy as np

from labse.evaluation import statistics
from labse.evaluation.tasks.bucc_files import MiningSet
from labse.mining import margin


@dataclasses.dataclass(frozen=True)
class Mined:
    """The candidates that were mined, compared with the gold pairs.

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
        """Precision, recall and F1 of the best `num_kept` candidates."""
        num_right = int(self.is_right[:num_kept].sum())
        return {
            "precision": num_right / num_kept,
            "recall": num_right / len(self.is_found),
            "f1": 2 * num_right / (num_kept + len(self.is_found)),
        }


def mine(
    data: MiningSet,
    forward: margin.Neighbours,
    backward: margin.Neighbours,
    scoring: str,
    retrieval: str,
) -> Mined:
    """Mines the set by a scoring and a retrieval of `labse.mining.margin`.

    `forward` are the sources' neighbours among the targets, `backward` the
    targets' among the sources.
    """
    pairs = margin.retrieve(forward, backward, scoring, retrieval)
    candidates = data.keys(pairs.sources, pairs.targets)
    gold = data.keys(*data.gold.T)
    is_right = np.isin(candidates, gold)
    num_kept = best_cut(pairs.scores, is_right, len(gold))
    is_found = np.isin(gold, candidates[:num_kept])
    return Mined(pairs, is_right, num_kept, is_found)


def best_cut(scores: np.ndarray, is_right: np.ndarray, num_gold: int) -> int:
    """How many candidates to keep for the best F1.

    Candidates of equal scores are kept or dropped together, as by a threshold.

    Args:
      scores: float [p], the best first; at least one.
      is_right: bool [p], whether each candidate is gold.
      num_gold: the number of gold pairs, found or not.

    Returns:
      between 1 and p; the lowest of equally good ones.
    """
    is_last = np.append(scores[1:] != scores[:-1], True)  # of equal ones
    num_kept = np.flatnonzero(is_last) + 1
    num_right = np.cumsum(is_right)[is_last]
    f1 = 2 * num_right / (num_kept + num_gold)
    return int(num_kept[np.argmax(f1)])


def figures(mined: Mined) -> dict[str, statistics.Figure]:
    """Precision, recall and F1 at the threshold."""
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
