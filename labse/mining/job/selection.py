"""Which of the scored candidates are kept: by score, or by precision."""

import dataclasses
import math

from labse.errors import InputError
from labse.mining.candidates import CandidatePairs
from labse.mining.job.mining_job import MiningJob
from labse.mining.job.settings import SOURCE, TARGET, Settings
from labse.mining.select_pairs import DEDUPS, DEFAULT_MIN_SCORES, NO_DEDUP
from labse.mining.threshold import gold_pairs
from labse.mining.threshold.precision import (
    Calibration,
    check_precision,
    fit,
    import_isotonic,
)


@dataclasses.dataclass(frozen=True)
class Selection:
    """What is kept of the candidates; see `labse.mine`."""

    min_score: float | None = None
    min_precision: float | None = None
    gold: str | None = None
    gold_is_complete: bool = False
    keep_identical: bool = False
    dedup: str = NO_DEDUP

    def check(self, settings: Settings) -> None:
        """Raises InputError, before hours of work, for what cannot be kept."""
        if self.min_score is not None and math.isnan(self.min_score):
            raise InputError("min_score must be a number. Received: nan.")
        if self.dedup not in DEDUPS:
            raise InputError(
                f"dedup must be one of {', '.join(DEDUPS)}. Received: "
                f"{self.dedup!r}."
            )
        if self.dedup != NO_DEDUP and settings.retrieval == "all":
            raise InputError(
                "dedup drops near copies of better pairs, and the retrieval "
                "'all' keeps every candidate. Received both: leave out dedup, "
                "or give another retrieval."
            )
        if self.min_precision is not None:
            self._check_precision(settings)
        elif self.gold:
            raise InputError(
                "gold says which pairs are right, for min_precision. Received "
                "no min_precision."
            )
        elif (
            self.min_score is None
            and settings.retrieval != "all"
            and settings.scoring not in DEFAULT_MIN_SCORES
        ):
            raise InputError(
                f"The scoring {settings.scoring!r} has no default for "
                "min_score. Give min_score."
            )

    def _check_precision(self, settings: Settings) -> None:
        if settings.retrieval == "all":
            raise InputError(
                "min_precision keeps likely translations, and the retrieval "
                "'all' keeps every candidate. Received both: give min_score, "
                "or another retrieval."
            )
        check_precision(self.min_precision)
        import_isotonic()
        if self.min_score is not None:
            raise InputError(
                "min_precision takes the place of min_score. Received both."
            )
        if not self.gold:
            raise InputError(
                "min_precision needs gold, known translations between these "
                "very texts. Received no gold."
            )
        gold_pairs.read_gold_file(self.gold)


@dataclasses.dataclass(frozen=True)
class Threshold:
    """What is kept, and why."""

    min_score: float | None  # the lowest that is kept; None: all are
    calibration: Calibration | None = None  # where probabilities are known
    explanation: str = ""  # a line for the user


def choose_threshold(
    job: MiningJob, candidates: CandidatePairs, selection: Selection
) -> Threshold:
    """The threshold that a checked selection gives.

    Raises:
      InputError: the gold pairs are not usable, or no score is precise enough.
    """
    if selection.min_precision is None:
        min_score = selection.min_score
        if min_score is None and job.settings.retrieval != "all":
            min_score = DEFAULT_MIN_SCORES[job.settings.scoring]
        return Threshold(min_score)
    return _by_gold_pairs(job, candidates, selection)


def _by_gold_pairs(
    job: MiningJob, candidates: CandidatePairs, selection: Selection
) -> Threshold:
    """By known translations between the two sides; see `gold_pairs`."""
    precision, is_complete = selection.min_precision, selection.gold_is_complete
    gold = gold_pairs.find_gold_pairs(
        gold_pairs.read_gold_file(selection.gold),
        job.corpus(SOURCE),
        job.corpus(TARGET),
    )
    labelled, is_right = gold.labels(candidates.pairs, is_complete)
    calibration = fit(
        candidates.scores[labelled],
        is_right[labelled],
        num_known=len(gold),
        basis=f"{len(gold)} gold pairs of {selection.gold}",
    )
    scores = None if is_complete else candidates.scores
    min_score = calibration.threshold(precision, scores)
    kept = labelled & (candidates.scores >= min_score)
    recall = is_right[kept].sum() / len(gold)
    absent = ""
    if gold.num_absent:
        absent = (
            f" ({gold.num_absent} others have a sentence that is not in the "
            "files)"
        )
    return Threshold(
        min_score,
        calibration,
        f"The expected precision is {precision:g} from a score of "
        f"{min_score:.4f}; {100 * recall:.1f} % of {len(gold)} gold pairs "
        f"have that score{absent}.",
    )
