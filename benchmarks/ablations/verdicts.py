"""Results of the seeds to means, and claims to verdicts by one rule.

The rule, stated on the page before any result: D is the claimed difference of
the means over the seeds, and E the half-width of its 95 % interval by Student's
t, with the variances of the arms taken as they are found. The claim "agrees" if
D > E, "does not agree" if D < -E, and is "within the spread" otherwise.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from benchmarks.ablations.arms import (
    Arm,
)
from benchmarks.ablations.experiments import (
    Claim,
)

AGREES, DISAGREES, WITHIN = "agrees", "does not agree", "within the spread"
_CONFIDENCE = 0.95

# Results of the seeds that are finished, by the name of the arm.
Results = Mapping[str, Sequence[Mapping[str, object]]]


class Verdict(NamedTuple):
    """What came of a claim.

    Attributes:
      difference: D.
      error: E.
    """

    difference: float
    error: float
    word: str


def values(results: Results, arm: Arm, figure: str) -> np.ndarray:
    """The figure of each finished seed that has it: float64 [seeds]."""
    found = (result[figure] for result in results.get(arm.name, ()))
    return np.array([value for value in found if value is not None])


def verdict(claim: Claim, results: Results, seeds: int) -> Verdict | None:
    """None where seeds are missing."""
    arms = [claim.more, claim.less, *(claim.more_than or ())]
    figures = [values(results, arm, claim.figure) for arm in arms]
    if any(len(each) < seeds for each in figures):
        return None
    signs = (1, -1, -1, 1)
    difference = sum(
        sign * float(each.mean())
        for sign, each in zip(signs, figures, strict=False)
    )
    variance = sum(float(each.var(ddof=1)) / seeds for each in figures)
    freedom = len(arms) * (seeds - 1)
    quantile = stats.t.ppf((1 + _CONFIDENCE) / 2, freedom)
    error = float(quantile) * math.sqrt(variance)
    word = WITHIN
    if abs(difference) > error:
        word = AGREES if difference > 0 else DISAGREES
    return Verdict(difference, error, word)
