"""Score calibration: scores -> probabilities, and the score for a precision.

A score says which of two pairs is more likely a translation, not how likely.
Isotonic regression (Zadrozny and Elkan 2002,
https://doi.org/10.1145/775047.775151) learns that from labelled pairs
(`gold_pairs`): of all functions that never decrease with the score, it is the
one with the least squared error. It is linear between two labelled scores and
constant beyond the lowest and the highest.

The expected precision of a set of pairs is the mean of their probabilities.
`Calibration.threshold` considers the whole set that is kept, not its last
pair: kept at precision 0.9, the last pair may well have a probability of 0.5.
A calibration holds only for pairs like the labelled ones.
"""

import dataclasses
import json
import math

import numpy as np

from labse.errors import InputError

# The schema of `Calibration.to_json`.
FORMAT = "labse-calibration-1"
# More points say nothing that a curve could show.
MAX_CURVE_POINTS = 1000
# The mean of many 0.9 may be computed as 0.8999999999999999.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class CurvePoint:
    """The effect of a threshold."""

    score: float  # the threshold: the lowest score that is kept
    probability: float  # of a pair with this score
    precision: float  # of the pairs kept: the mean of their probabilities
    recall: float  # share of all known translations that is kept
    kept: float  # share of the fitted pairs that is kept


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A fitted calibration; NumPy only."""

    scores: np.ndarray  # float64 [m], increasing: the function's corners
    probabilities: np.ndarray  # float64 [m], never decreasing
    num_pairs: int  # fitted
    num_translations: int  # known ones among the pairs
    num_known: int  # known translations, mined or not
    # Of at most `MAX_CURVE_POINTS` scores, the highest first.
    curve: tuple[CurvePoint, ...]
    basis: str = ""  # the origin of the labels, in words

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """Of being a translation: float64, of the shape of the scores."""
        scores = np.asarray(scores, np.float64)
        return np.interp(scores, self.scores, self.probabilities)

    def threshold(
        self, precision: float, scores: np.ndarray | None = None
    ) -> float:
        """The lowest threshold with at least an expected precision.

        Args:
          precision: of all pairs kept; above 0, below 1.
          scores: float [n], of the pairs to choose from, in any order; default
            the fitted pairs, and the threshold is one of the curve's scores.

        Returns:
          the score of one of the pairs: it is kept, and so are higher ones.

        Raises:
          InputError: the precision is out of range, there are no pairs, or no
            threshold reaches it.
        """
        check_precision(precision)
        if scores is None:
            levels = np.array([point.score for point in self.curve])
            expected = np.array([point.precision for point in self.curve])
        else:
            levels, expected = self._levels(scores)
        reached = np.flatnonzero(expected >= precision - _ROUNDING)
        if not reached.size:
            raise InputError(
                f"No threshold gives a precision of {precision:g}: that of the "
                f"best pairs, of score {levels[0]:.4g}, is expected to be "
                f"{expected[0]:.4g}. Use at most "
                f"{math.floor(expected.max() * 1000) / 1000:g}, or mine with "
                "a better model or another scoring."
            )
        return float(levels[reached[-1]])

    def to_json(self) -> str:
        """JSON; equal calibrations give equal text.

        ```
        format            "labse-calibration-1"
        basis             the origin of the labels, in words
        num_pairs, num_translations, num_known   integers, see Calibration
        scores, probabilities   lists of m numbers; linear between them
        curve             {"score": [...], "probability": [...],
                          "precision": [...], "recall": [...], "kept": [...]},
                          see CurvePoint
        ```
        """
        values = dataclasses.asdict(self)
        curve = {
            field.name: [getattr(point, field.name) for point in self.curve]
            for field in dataclasses.fields(CurvePoint)
        }
        values |= {
            "format": FORMAT,
            "scores": self.scores.tolist(),
            "probabilities": self.probabilities.tolist(),
            "curve": curve,
        }
        return json.dumps(values, indent=1, sort_keys=True) + "\n"

    def _levels(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distinct scores, highest first, and the precision from each on."""
        scores = _checked_scores(scores)
        levels, counts = np.unique(-scores, return_counts=True)
        levels = -levels
        sums = np.cumsum(self.probability(levels) * counts)
        return levels, sums / np.cumsum(counts)


def check_precision(precision: float) -> None:
    """Raises `InputError` where it is not above 0 and below 1."""
    if not 0 < precision < 1:
        raise InputError(
            "A precision must be above 0 and below 1: no finite sample proves "
            "1, and 0 keeps everything. Received: "
            f"{precision}. Pass 0.9, say."
        )


def fit(
    scores: np.ndarray,
    is_translation: np.ndarray,
    num_known: int | None = None,
    basis: str = "",
) -> Calibration:
    """Fits the probability of a translation at each score to labelled pairs.

    The order of the pairs does not matter.

    Args:
      scores: float [p], of labelled pairs.
      is_translation: bool [p].
      num_known: number of known translations, mined or not; default those
        among the pairs, whose recall is then 1.
      basis: the origin of the labels, in words, for the JSON.

    Raises:
      InputError: there are no pairs, all or none of them are translations, or
        a score is not finite; scikit-learn is missing.
    """
    scores = _checked_scores(scores)
    is_translation = np.asarray(is_translation, bool)
    if is_translation.shape != scores.shape:
        raise InputError(
            "There must be one label for each score. Received: "
            f"{list(scores.shape)} and {list(is_translation.shape)}."
        )
    # One order of summation, whatever the order of the pairs.
    order = np.lexsort((is_translation, scores))
    scores, is_translation = scores[order], is_translation[order]
    num_translations = int(is_translation.sum())
    num_known = num_translations if num_known is None else num_known
    _check_classes(num_translations, len(scores), num_known)
    regression = import_isotonic()
    regression.fit(scores, is_translation)
    corners = np.asarray(regression.X_thresholds_, np.float64)
    levels = np.asarray(regression.y_thresholds_, np.float64)
    levels = np.clip(levels, 0, 1)  # Rounding may leave the range.
    found = scores[is_translation]
    probabilities = np.interp(scores, corners, levels)
    return Calibration(
        corners,
        levels,
        len(scores),
        len(found),
        num_known,
        _curve(scores, probabilities, found, num_known),
        basis,
    )


def import_isotonic():
    """scikit-learn's isotonic regression, from 0 to 1.

    Raises:
      InputError: scikit-learn is not installed.
    """
    try:
        from sklearn.isotonic import IsotonicRegression
    except ImportError as error:
        raise InputError(
            "A precision needs scikit-learn, which is not installed. Run: "
            "pip install 'labse[evaluation]'"
        ) from error
    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")


def _checked_scores(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
        what = (
            f"shape {list(scores.shape)}"
            if scores.ndim != 1 or not scores.size
            else f"{np.sum(~np.isfinite(scores))} that are not finite"
        )
        raise InputError(
            "Scores must be [p], at least one, and finite. Received: "
            f"{what}. Was any pair mined?"
        )
    return scores


def _check_classes(num_translations: int, num_pairs: int, num_known: int):
    if not num_translations:
        raise InputError(
            "To calibrate scores, some known translations must be among the "
            f"mined pairs. Received: none of {num_known:,} known ones among "
            f"{num_pairs:,} labelled pairs. Are the gold pairs from these two "
            "files, and does the model know these languages?"
        )
    if num_translations == num_pairs:
        raise InputError(
            "To calibrate scores, translations and other pairs must both be "
            f"among the mined pairs. Received: all {num_pairs:,} labelled "
            "pairs are translations, so that the scores of wrong pairs are "
            "unknown. Mine from more text, or with the retrieval 'union'."
        )
    if num_known < num_translations:
        raise InputError(
            "num_known must be at least the number of known translations "
            f"among the pairs, {num_translations:,}. Received: {num_known:,}."
        )


def _curve(
    scores: np.ndarray,
    probabilities: np.ndarray,
    found: np.ndarray,
    num_known: int,
) -> tuple[CurvePoint, ...]:
    """A point for each distinct score, the highest first, or a sample."""
    scores, probabilities = scores[::-1], probabilities[::-1]
    kept = np.arange(1, len(scores) + 1)
    precisions = np.cumsum(probabilities) / kept
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    if len(last) > MAX_CURVE_POINTS:
        even = np.linspace(0, len(last) - 1, MAX_CURVE_POINTS)
        last = last[even.round().astype(np.int64)]
    recalls = len(found) - np.searchsorted(found, scores[last], side="left")
    columns = (
        scores[last],
        probabilities[last],
        precisions[last],
        recalls / num_known,
        kept[last] / len(scores),
    )
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return tuple(CurvePoint(*row) for row in rows)
