"""Mined pairs judged by known translations that were planted among them.

Without gold pairs nobody knows which mined pairs are right. Translations that
come from elsewhere are told by where they stand (`plant` draws
them): half of them are planted whole, the source among the sources, the target
among the targets; of a quarter each only the source or only the target is
planted, an *orphan*. Then all is mined together, and each mined pair that has a
planted sentence is judged:

- a planted source with its own planted target is right;
- a planted sentence with anything else is wrong, whether it is an orphan or
  missed its partner, but for paraphrases of the partner in the corpora.

`calibrate` does not take the share of right ones among these for the precision:
half of all sentences do not have a translation waiting, and which share has is
not known. `orphans` is the share of the smaller corpus' sentences held to have
none. There are then (1 - orphans) * min(sources, targets) translations; the
planted whole pairs say which share of them scores how much; and how many pairs
score so much can be counted. The precision above a score is

    translations * (planted pairs found above it / planted pairs)
    / mined pairs above it

which gets along with few planted pairs, where errors could not be counted: one
of a hundred orphans among a million sentences would stand for 10,000 errors.

The assumption matters: with half as many translations, the precision is half.
It need not be trusted where the scores contradict it: no precision is above 1,
so that `least_orphans` can be told, and is taken where the assumption is lower.
By default it is 0, and that bound is all. The bound is near the truth when the
best pairs are nearly all right; with a weak model it is too low, and the
precision comes out too high: then assume more.

All of this holds as far as the planted pairs are like the corpora's own: in
languages, lengths, style and difficulty. If they are easier to mine, recall
comes out too high.
"""

import dataclasses
import json

import numpy as np

from labse.errors import InputError
from labse.mining.margin import Pairs
from labse.mining.threshold import precision

# The schema of `PlantedPairs.to_json`.
FORMAT = "labse-planted-1"
# No assumption: what the scores require. A higher one would find no precision
# where two files are translations of each other, line by line.
ORPHANS = 0.0
LEAST_RECALL = 0.8
NO_PARTNER = -1


@dataclasses.dataclass(frozen=True)
class PlantedPairs:
    """Sentences to add after the corpora's own, and what belongs together.

    Attributes:
      num_sources, num_targets: sentences of the corpora; the planted ones'
        numbers follow.
      source_texts, target_texts: the planted ones.
      source_partners: int64, of each planted source its target's number, among
        all targets; -1 of an orphan.
      target_partners: int64, of each planted target its source's number.
      left_out: how many of the given pairs were not planted, by the reason.
    """

    num_sources: int
    num_targets: int
    source_texts: list[str]
    target_texts: list[str]
    source_partners: np.ndarray
    target_partners: np.ndarray
    left_out: dict[str, int]

    @property
    def num_pairs(self) -> int:
        """How many pairs are planted whole."""
        return int(np.sum(self.source_partners != NO_PARTNER))

    def labels(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Which mined pairs are judged, and which of them are right.

        Args:
          pairs: p mined pairs, of all sentences, the planted ones included.

        Returns:
          bool [p] and bool [p]; the second is False where the first is.
        """
        is_planted_source, is_planted_target = self._is_planted(pairs)
        partners = np.full(len(pairs), NO_PARTNER)
        planted = pairs.sources[is_planted_source] - self.num_sources
        partners[is_planted_source] = self.source_partners[planted]
        return (
            is_planted_source | is_planted_target,
            is_planted_source & (partners == pairs.targets),
        )

    def weights(self, pairs: Pairs, orphans: float) -> np.ndarray:
        """How many pairs of the corpora each stands for: float64 [p].

        Args:
          pairs: p mined pairs; those without a planted sentence weigh 0.
          orphans: the share of the smaller corpus' sentences that are held to
            have no translation in the other; at least 0, below 1.

        Raises:
          InputError: the share is out of range.
        """
        self._check_share(orphans)
        translations = self._num_translations(orphans)
        weights = np.zeros(len(pairs))
        for numbers, is_planted, start, partners in zip(
            (pairs.sources, pairs.targets),
            self._is_planted(pairs),
            (self.num_sources, self.num_targets),
            (self.source_partners, self.target_partners),
            strict=True,
        ):
            has_partner = partners != NO_PARTNER
            of_each = np.where(
                has_partner,
                translations / has_partner.sum(),
                (start - translations) / np.sum(~has_partner),
            )
            weights[is_planted] += of_each[numbers[is_planted] - start] / 2
        return weights

    def calibrate(
        self, pairs: Pairs, orphans: float = ORPHANS
    ) -> precision.Calibration:
        """Fits a calibration to the corpora's own pairs.

        Args:
          pairs: mined pairs of all sentences, not cut at a threshold.
          orphans: see `weights`; raised to `least_orphans`.

        Raises:
          InputError: see `weights` and `precision.fit_to_pool`.
        """
        used = self.orphans_used(pairs, orphans)
        return precision.fit_to_pool(
            self.remove(pairs).scores,
            pairs.scores[self.labels(pairs)[1]],
            self.num_pairs,
            self._num_translations(used),
            f"{self.num_pairs} planted pairs; {used:.4f} of the smaller "
            "corpus' sentences held to be without a translation",
        )

    def orphans_used(self, pairs: Pairs, orphans: float = ORPHANS) -> float:
        """The share that `calibrate` takes: no less than the scores allow."""
        self._check_share(orphans)
        return max(orphans, self.least_orphans(pairs))

    def least_orphans(self, pairs: Pairs) -> float:
        """The share without a translation that mined scores require.

        There are no more translations than make up all pairs above a score,
        less those that must be errors because the planted sentences make so
        many: these pairs, divided by the recall of the planted pairs. The
        lowest such number counts, over scores above which ten or more planted
        pairs are found. So that the lowest is not mere chance, one standard
        deviation is taken off the errors and the recall.

        Args:
          pairs: mined pairs of all sentences, not cut at a threshold.
        """
        is_judged, is_right = self.labels(pairs)
        found = np.sort(pairs.scores[is_right])[::-1]
        above = _num_from(self.remove(pairs).scores, found)
        errors = _num_from(pairs.scores[is_judged & ~is_right], found)
        errors = np.maximum(0, errors - np.sqrt(errors))
        # Each error is seen from one planted sentence of either side.
        num_planted = len(self.source_texts) + len(self.target_texts)
        smaller = min(self.num_sources, self.num_targets)
        right = above - errors * smaller / num_planted
        recall = np.arange(1, len(found) + 1) / self.num_pairs
        recall -= np.sqrt(recall * (1 - recall) / self.num_pairs)
        most = right[precision.STEP - 1 :] / recall[precision.STEP - 1 :]
        share = 1 - most.min(initial=smaller) / smaller
        # Above the very best there may be no pair at all.
        return float(np.clip(share, 0, 0.9999))

    def precision_by_errors(
        self, pairs: Pairs, threshold: float, orphans: float
    ) -> float:
        """Another look at the precision: by the planted sentences' errors.

        Independent of `calibrate`, which looks at the translations found. Each
        wrong pair stands for many, so this is coarse: one of a hundred orphans
        among 10,000 sentences stands for a hundred errors.

        Args:
          pairs: mined pairs of all sentences.
          threshold: the lowest score that is kept.
          orphans: see `weights`.

        Returns:
          of the corpora's own pairs that are kept; NaN if none is.
        """
        _, is_right = self.labels(pairs)
        is_kept = pairs.scores >= threshold
        wrong = self.weights(pairs, orphans)[is_kept & ~is_right].sum()
        num_kept = np.sum(self.remove(pairs).scores >= threshold)
        if not num_kept:
            return float("nan")
        return float(max(0, 1 - wrong / num_kept))

    def recall(self, pairs: Pairs, threshold: float) -> float:
        """The share of the pairs planted whole that is mined.

        Args:
          pairs: mined pairs of all sentences.
          threshold: the lowest score that is kept.
        """
        _, is_right = self.labels(pairs)
        found = np.sum(is_right & (pairs.scores >= threshold))
        return float(found) / self.num_pairs

    def remove(self, pairs: Pairs) -> Pairs:
        """The pairs of the corpora's own sentences alone."""
        is_judged, _ = self.labels(pairs)
        return Pairs(
            pairs.sources[~is_judged],
            pairs.targets[~is_judged],
            pairs.scores[~is_judged],
        )

    def to_json(self) -> str:
        """The planted pairs as JSON; equal ones give equal text."""
        values = dataclasses.asdict(self) | {
            "format": FORMAT,
            "source_partners": self.source_partners.tolist(),
            "target_partners": self.target_partners.tolist(),
        }
        return json.dumps(values, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str = "planted") -> "PlantedPairs":
        """What `to_json` wrote.

        Args:
          text: JSON.
          name: of the file, for the message.

        Raises:
          InputError: it is not of that schema.
        """
        try:
            values = json.loads(text)
            if values.pop("format") != FORMAT:
                raise ValueError("another format")
            for side in ("source", "target"):
                partners = np.array(values[f"{side}_partners"], np.int64)
                values[f"{side}_partners"] = partners
                if partners.shape != (len(values[f"{side}_texts"]),):
                    raise ValueError(f"{side} texts and partners differ")
            return cls(**values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"{name} must be planted pairs as `labse mine` writes them, "
                f"{FORMAT}. It is not: {error}. Plant them again."
            ) from error

    def _is_planted(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        return (
            pairs.sources >= self.num_sources,
            pairs.targets >= self.num_targets,
        )

    def _num_translations(self, orphans: float) -> float:
        return (1 - orphans) * min(self.num_sources, self.num_targets)

    @staticmethod
    def _check_share(orphans: float) -> None:
        if not 0 <= orphans < 1:
            raise InputError(
                "The share of sentences without a translation must be at "
                f"least 0 and below 1. Received: {orphans}."
            )


def _num_from(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many scores are no lower than each threshold."""
    ordered = np.sort(scores)
    return len(ordered) - np.searchsorted(ordered, thresholds, side="left")


def recall_warning(recall: float, num_pairs: int, threshold: float) -> str:
    """Lines that cannot be missed, or "" if recall is at least 0.8.

    Args:
      recall: of the planted pairs, see `PlantedPairs.recall`.
      num_pairs: how many were planted whole.
      threshold: the lowest score that was kept.
    """
    if recall >= LEAST_RECALL:
        return ""
    line = "!" * 72
    return "\n".join(
        [
            line,
            f"!! LOW RECALL: {recall:.1%} of the planted translations were "
            "mined.",
            f"!! {round(recall * num_pairs):,} of {num_pairs:,} known pairs "
            f"score {threshold:.4g} or more, at least {LEAST_RECALL:.0%} "
            "should.",
            "!! About as many of the corpora's own translations are missed.",
            "!! Ask for a lower --min_precision, use a model that knows these",
            "!! languages, another --scoring, or an index of higher recall;",
            "!! or the planted pairs are unlike the text of the two files.",
            line,
        ]
    )
