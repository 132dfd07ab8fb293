"""The uncertainty of a figure, and whether two models differ.

Intervals are percentile bootstraps (Efron and Tibshirani 1993, chapter 13):
the items that a figure was computed from are resampled with replacement
`NUM_DRAWS` times, and the interval is the middle 95 % of the resulting figures.
It shows how much the figure depends on the sentences of the test set, not on
the seed of the training.

Two models evaluated on the same items are compared by a paired randomisation
test: were they equally good, each item's two outcomes could be exchanged. For
right-or-wrong outcomes that is McNemar's exact test.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

NUM_DRAWS = 2000
_CONFIDENCE = 0.95
_SEED = 0


@dataclasses.dataclass(frozen=True)
class Figure:
    """A score with its 95 % interval.

    Attributes:
      value: the score on all items.
      low, high: the ends of the interval.
      draws: float64 [NUM_DRAWS], the scores on resampled items.
      outcomes: float64 [n], one an item, if the score is their mean; None
        otherwise.
    """

    value: float
    low: float
    high: float
    draws: np.ndarray = dataclasses.field(repr=False, compare=False)
    outcomes: np.ndarray | None = dataclasses.field(
        default=None, repr=False, compare=False
    )

    def metrics(self) -> dict[str, float]:
        """The object of the figure in metrics.json."""
        return {"value": self.value, "low": self.low, "high": self.high}


def _figure(value: float, draws: np.ndarray, outcomes=None) -> Figure:
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Figure(float(value), float(low), float(high), draws, outcomes)


def mean(outcomes: Sequence[float] | np.ndarray) -> Figure:
    """The mean of one outcome an item, such as right (1) or wrong (0)."""
    outcomes = np.asarray(outcomes, np.float64)
    generator = np.random.default_rng(_SEED)
    values, counts = np.unique(outcomes, return_counts=True)
    size = len(outcomes)
    if len(values) <= size // 2 or len(values) <= 2:
        # Only how often each value is drawn matters.
        drawn = generator.multinomial(size, counts / size, NUM_DRAWS)
        draws = drawn @ values / size
    else:
        draws = np.array(
            [
                outcomes[generator.integers(0, size, size)].mean()
                for _ in range(NUM_DRAWS)
            ]
        )
    return _figure(outcomes.mean(), draws, outcomes)


def resampled(statistic: Callable[[np.ndarray], float], size: int) -> Figure:
    """A score that is not a mean, such as a correlation or an F1.

    `statistic` gets the numbers of items, int64 [size] with repetitions, and
    returns the score on these.
    """
    generator = np.random.default_rng(_SEED)
    draws = np.array(
        [statistic(generator.integers(0, size, size)) for _ in range(NUM_DRAWS)]
    )
    return _figure(statistic(np.arange(size)), draws)


def macro_average(figures: Sequence[Figure]) -> Figure:
    """The mean of figures of different items, each weighing the same."""
    value = np.mean([figure.value for figure in figures])
    generator = np.random.default_rng(_SEED)
    # The draws of two figures come from the same random numbers; shuffling
    # makes them independent.
    draws = np.mean(
        [generator.permutation(figure.draws) for figure in figures], axis=0
    )
    return _figure(value, draws)


def paired_p_value(one: np.ndarray, other: np.ndarray) -> float:
    """The probability of a difference this large between equal models.

    The outcomes of both models, [n], are item by item.

    Returns:
      the two-sided p-value; exact where all differences are of one size, by
      9,999 random exchanges otherwise.
    """
    differences = np.asarray(one, np.float64) - np.asarray(other, np.float64)
    differences = differences[differences != 0]
    if not len(differences):
        return 1.0
    if np.ptp(np.abs(differences)) == 0:
        better = int(np.sum(differences > 0))
        return float(stats.binomtest(better, len(differences)).pvalue)
    test = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=9999,
        rng=np.random.default_rng(_SEED),
        vectorized=True,
    )
    return float(test.pvalue)
