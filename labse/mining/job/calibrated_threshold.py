"""From --min_precision to the lowest score that is kept."""

import dataclasses

from labse.mining.candidates import Candidates
from labse.mining.job.job_files import SOURCE, TARGET, JobFiles
from labse.mining.threshold import gold_pairs, planted
from labse.mining.threshold.precision import Calibration, fit


@dataclasses.dataclass(frozen=True)
class Threshold:
    """What is kept, and why.

    Attributes:
      min_score: the lowest score that is kept.
      calibration: scores to probabilities.
      told: lines for the user.
      warning: lines that must not be missed, or "".
    """

    min_score: float
    calibration: Calibration
    told: str
    warning: str = ""


def from_gold(
    job: JobFiles,
    candidates: Candidates,
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
      InputError: see `gold_pairs.read`, `find`, `precision.fit` and
        `Calibration.threshold`.
    """
    gold = gold_pairs.find(
        gold_pairs.read(gold_path), job.corpus(SOURCE), job.corpus(TARGET)
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


def from_planted(
    job: JobFiles, candidates: Candidates, precision: float, orphans: float
) -> Threshold:
    """By known translations that were planted; see `planted`.

    Args:
      job: with planted sentences.
      candidates: of all sentences.
      precision: of all that is kept of the sides' own sentences.
      orphans: share of the smaller side held to have no translation.

    Raises:
      InputError: too few planted pairs were mined, or no score reaches the
        precision.
    """
    pairs = candidates.pairs
    calibration = job.planted.calibrate(pairs, orphans)
    own = job.planted.remove(pairs)
    min_score = calibration.threshold(precision, own.scores)
    recall = job.planted.recall(pairs, min_score)
    used = job.planted.orphans_used(pairs, orphans)
    left = sum(job.planted.left_out.values())
    told = (
        f"Precision {precision:g} is expected from score {min_score:.4f} on, "
        f"if {100 * used:.0f} % of the smaller side have no translation; "
        f"{100 * recall:.1f} % of {job.planted.num_pairs} planted pairs are "
        "above it" + (f" ({left} were not planted)." if left else ".")
    )
    warning = planted.recall_warning(recall, job.planted.num_pairs, min_score)
    return Threshold(min_score, calibration, told, warning)


def own_candidates(job: JobFiles, candidates: Candidates) -> Candidates:
    """Those of the sides' own sentences, without what was planted."""
    if not job.planted:
        return candidates
    return candidates.taken(
        (candidates.sources < job.planted.num_sources)
        & (candidates.targets < job.planted.num_targets)
    )


def find(
    job: JobFiles,
    candidates: Candidates,
    precision: float,
    gold_path: str | None,
    gold_is_complete: bool,
    orphans: float,
) -> Threshold:
    """By gold pairs if there are any, else by planted ones."""
    if gold_path:
        own = own_candidates(job, candidates)
        return from_gold(job, own, precision, gold_path, gold_is_complete)
    return from_planted(job, candidates, precision, orphans)
