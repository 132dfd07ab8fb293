"""Go or no-go: the limits, and why each is what it is."""

import dataclasses
from collections.abc import Callable, Sequence

from data_pipeline.audit.batches import expected_accidental_negatives
from data_pipeline.audit.counts import Counts, ratio_outliers
from data_pipeline.audit.job import Found
from data_pipeline.audit.settings import Settings

# A language of fewer texts is shown, and not held against the data: shares of
# so few say little, and so few harm little.
MIN_TEXTS = 1000
# The median of ratios of translations is their language's; one that is three
# times as long or as short is seldom whole.
RATIO_FACTOR = 3.0


@dataclasses.dataclass(frozen=True)
class Rule:
    """A limit on a share of what a language has.

    Attributes:
      name: of the column.
      limit: the largest share that is a go.
      reason: for the limit.
      share: from counts to the share.
      check: whose examples belong to it, or empty.
    """

    name: str
    limit: float
    reason: str
    share: Callable[[Counts], float]
    check: str = ""


def _outliers(counts: Counts) -> float:
    _, outliers = ratio_outliers(counts.ratios, RATIO_FACTOR)
    return outliers / max(1, sum(counts.ratios.values()))


def _shares(check: str, of: str) -> Callable[[Counts], float]:
    return lambda counts: counts.share(check, of)


RULES = (
    Rule(
        "repeated texts",
        0.1,
        "of monolingual texts; one that repeats weighs double, and takes the "
        "place of another",
        _shares("repeated sources", "rows"),
    ),
    Rule(
        "repeated pairs",
        0.1,
        "a pair that repeats trains nothing new, weighs double, and takes "
        "places in batches",
        _shares("repeated pairs", "rows"),
    ),
    Rule(
        "[UNK]",
        0.01,
        "of words; a language that the vocabulary covers has less, one whose "
        "script it lacks has most (the paper: 71 % of Sinhala "
        "with mBERT's)",
        _shares("unknown words", "words"),
    ),
    Rule(
        "cut",
        0.05,
        "of texts; what stands after the length of training is not seen, and "
        "the halves that are left are no translations",
        _shares("cut", "texts"),
        "cut",
    ),
    Rule(
        "wrong script",
        0.02,
        "of texts; names and formulas stay below, a wrong column or a wrong "
        "encoding does not",
        _shares("wrong script", "texts with a script"),
        "wrong script",
    ),
    Rule(
        "wrong language",
        0.1,
        "of texts that are identified; identification itself errs in about "
        "5 % of clean sentences",
        _shares("wrong language", "texts identified"),
        "wrong language",
    ),
    Rule(
        "odd lengths",
        0.05,
        f"of pairs whose longer text has 20 characters; more than "
        f"{RATIO_FACTOR:g} times longer or shorter than the language's median",
        _outliers,
    ),
    Rule(
        "copies",
        0.05,
        "of pairs; the source stands for its own translation, which teaches "
        "to compare letters",
        _shares("copies", "rows"),
        "copies",
    ),
)
_OF_PAIRS = {"repeated pairs", "odd lengths", "copies"}
# Of the whole data.
MAX_ACCIDENTAL_SHARE = 0.001
ACCIDENTAL_REASON = (
    "of the negatives of a batch; training masks them, so a share of them is "
    "lost, and more of one text than of others"
)
MAX_EVALUATION_SHARE = 0.01
EVALUATION_REASON = (
    "of the texts of an evaluation set, of at least 10 letters; what was "
    "trained on is no test"
)
BATCH_REASON = "of fewer rows, every batch holds all, and nothing is drawn"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether to train on the data.

    Attributes:
      reasons: why not; none: go.
      accidental: expected accidental negatives in a batch.
      accidental_share: of all negatives of a batch.
    """

    reasons: list[str]
    accidental: float
    accidental_share: float

    @property
    def is_go(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons


def rules_in_use(settings: Settings) -> list[Rule]:
    """Those whose figures are counted."""
    left_out = _OF_PAIRS if settings.is_monolingual else {"repeated texts"}
    if not settings.vocab:
        left_out = left_out | {"[UNK]", "cut"}
    if not settings.is_identifying:
        left_out = left_out | {"wrong language"}
    return [rule for rule in RULES if rule.name not in left_out]


def judge(found: Found) -> Verdict:
    """Compares what was found with all limits."""
    rows = sum(each.numbers["rows"] for each in found.counts.values())
    batch = found.settings.batch
    reasons = []
    if rows < batch:
        reasons.append(
            f"{rows:,} rows for a batch of {batch:,}: {BATCH_REASON}"
        )
    accidental = share = 0.0
    if not found.settings.is_monolingual:
        accidental = expected_accidental_negatives(batch, rows, found.equal)
        drawn = min(batch, rows)
        share = accidental / max(1, drawn * (drawn - 1))
    if share > MAX_ACCIDENTAL_SHARE:
        reasons.append(
            f"accidental negatives: {share:.2%}, over "
            f"{MAX_ACCIDENTAL_SHARE:.2%} ({ACCIDENTAL_REASON})"
        )
    for rule in rules_in_use(found.settings):
        over = broken_by(rule, found)
        if over:
            shown = ", ".join(f"{name} {value:.1%}" for name, value in over[:5])
            more = f" and {len(over) - 5} more" if over[5:] else ""
            reasons.append(
                f"{rule.name}: {shown}{more}, over {rule.limit:.0%} "
                f"({rule.reason})"
            )
    for path, texts, seen in found.evaluation:
        if seen > MAX_EVALUATION_SHARE * texts:
            reasons.append(
                f"evaluation: {seen:,} of {texts:,} texts of {path} stand in "
                f"the data, over {MAX_EVALUATION_SHARE:.0%} "
                f"({EVALUATION_REASON})"
            )
    return Verdict(reasons, accidental, share)


def broken_by(rule: Rule, found: Found) -> Sequence[tuple[str, float]]:
    """Languages over the limit with their shares, the largest share first."""
    over = [
        (name, share)
        for name, counts in found.counts.items()
        if counts.numbers["texts"] >= MIN_TEXTS
        and (share := rule.share(counts)) > rule.limit
    ]
    return sorted(over, key=lambda each: (-each[1], each[0]))
