"""From --precision to the lowest score that is kept."""

import dataclasses

from labse.mining.candidates import CandidatePairs
from labse.mining.job.job_files import SOURCE, TARGET, JobFiles
from labse.mining.threshold import gold_pairs
from labse.mining.threshold.precision import Calibration, fit


@dataclasses.dataclass(frozen=True)
class Threshold:
    """What is kept, and why.

    Attributes:
      min_score: the lowest score that is kept.
      calibration: scores to probabilities.
      told: lines for the user.
    """

    min_score: float
    calibration: Calibration
    told: str


def from_gold(
    job: JobFiles,
    candidates: CandidatePairs,
    precision: float,
    gold_path: str,
    is_complete: bool,
) -> Threshold:
    """By known translations between the two sides; see `gold_pairs`.

    Args:
      job: whose texts they are between.
      candidates: of the sides' own sentences.
      precision: of all that is kept.
      gold_path: a file of gold pairs.
      is_complete: whether it names every translation there is.

    Raises:
      InputError: see `read_gold_file`, `find_gold_pairs`, `precision.fit` and
        `Calibration.threshold`.
    """
    gold = gold_pairs.find_gold_pairs(
        gold_pairs.read_gold_file(gold_path),
        job.corpus(SOURCE),
        job.corpus(TARGET),
    )
    judged, is_right = gold.labels(candidates.pairs, is_complete)
    calibration = fit(
        candidates.scores[judged],
        is_right[judged],
        num_known=len(gold),
        basis=f"{len(gold)} gold pairs of {gold_path}",
    )
    scores = None if is_complete else candidates.scores
    min_score = calibration.threshold(precision, scores)
    kept = judged & (candidates.scores >= min_score)
    recall = is_right[kept].sum() / len(gold)
    told = (
        f"Precision {precision:g} is expected from score {min_score:.4f} on; "
        f"{100 * recall:.1f} % of {len(gold)} gold pairs are above it"
        + (
            f" ({gold.num_absent} others have a sentence that is not in the "
            "files)."
            if gold.num_absent
            else "."
        )
    )
    return Threshold(min_score, calibration, told)
