"""Which claims are tested with which arms; stated before any result."""

import dataclasses

from benchmarks.ablations.arms import (
    AFTER_MLM,
    AFTER_STACKED,
    BASE,
    BOTH,
    CPU,
    HARD,
    LM_LOSS,
    LOCAL,
    MARGINS,
    MBERT,
    MLM,
    OWN_P1,
    POOL_P1,
    PRETRAINED_STEPS,
    QUARTER,
    SCRATCH_STEPS,
    SHORT,
    SMALL_P1,
    STACKED,
    STEPS,
    UNK,
    UNSMOOTHED,
    Arm,
)


@dataclasses.dataclass(frozen=True)
class Claim:
    """`more` has a higher figure than `less`, in the mean over the seeds.

    With `more_than`, a pair of arms too, the difference of the first two is
    larger than that of these.
    """

    text: str
    paper: str  # what the paper reports
    figure: str
    more: Arm
    less: Arm
    more_than: tuple[Arm, Arm] | None = None


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One of the paper's claims.

    Attributes:
      name: of its markers in the page, and of its chart.
      figures: the columns of its table.
      lines: the lines of its chart, by their names: the figure, and the arms
        by their positions on the horizontal axis.
    """

    name: str
    arms: tuple[Arm, ...]
    figures: tuple[str, ...]
    claims: tuple[Claim, ...]
    lines: dict[str, tuple[str, dict[float, Arm]]] = dataclasses.field(
        default_factory=dict
    )
    axis: str = ""


# Figure 4's means over four languages, for three variations of the model.
_FIGURE_4 = {
    0.0: "about 60",
    0.1: "mid 70s to mid 80s",
    0.2: "higher",
    0.3: "highest",
}
_FIGURE_5 = "Figure 5: at 50k steps excellent against poor"


def _margin_claims() -> tuple[Claim, ...]:
    margins = list(_FIGURE_4)
    rises = [
        Claim(
            f"margin {high} is better than {low}",
            f"Figure 4: {_FIGURE_4[high]} against {_FIGURE_4[low]}",
            POOL_P1,
            MARGINS[high],
            MARGINS[low],
        )
        for low, high in zip(margins, margins[1:], strict=False)
    ]
    least, best = margins[0], margins[-1]
    overall = Claim(
        f"margin {best} is better than none",
        f"Figure 4: {_FIGURE_4[best]} against {_FIGURE_4[least]}",
        POOL_P1,
        MARGINS[best],
        MARGINS[least],
    )
    return overall, *rises


_SHORT_PAIR = PRETRAINED_STEPS[SHORT], SCRATCH_STEPS[SHORT]
_LONG_PAIR = PRETRAINED_STEPS[STEPS], BASE

# In the order in which they are run: those that need no pre-training first.
EXPERIMENTS = (
    Experiment(
        "margin",
        tuple(MARGINS.values()),
        (POOL_P1, OWN_P1),
        _margin_claims(),
        {
            "among the large pool": (POOL_P1, MARGINS),
            "among the test set": (OWN_P1, MARGINS),
        },
        "margin",
    ),
    Experiment(
        "negatives",
        (BASE, LOCAL),
        (POOL_P1, OWN_P1),
        (
            Claim(
                "negatives of the global batch are better than local ones",
                "section 3.3 uses them; no figure",
                POOL_P1,
                BASE,
                LOCAL,
            ),
        ),
    ),
    Experiment(
        "vocabulary",
        (BASE, UNSMOOTHED, MBERT),
        (POOL_P1, SMALL_P1, UNK),
        (
            Claim(
                "the customized vocabulary is better than mBERT's",
                "Table 2, + AMS: 88.4 against 86.9",
                POOL_P1,
                BASE,
                MBERT,
            ),
            Claim(
                "... in the small languages too",
                "Table 2, 112 languages, + AMS: 82.6 against 81.2",
                SMALL_P1,
                BASE,
                MBERT,
            ),
            Claim(
                "mBERT's has more [UNK] in the small languages",
                "no figure",
                UNK,
                MBERT,
                BASE,
            ),
            Claim(
                "smoothing 0.3 is better than 1.0 in the small languages",
                "section 3.2 uses 0.3; no figure",
                SMALL_P1,
                BASE,
                UNSMOOTHED,
            ),
            Claim(
                "1.0 has more [UNK] in the small languages",
                "no figure",
                UNK,
                UNSMOOTHED,
                BASE,
            ),
        ),
    ),
    Experiment(
        "hard_negatives",
        (BASE, HARD, QUARTER),
        (POOL_P1, OWN_P1),
        (
            Claim(
                "as many random negatives are better than hard ones",
                "Table 9: 89.5 against 88.7",
                POOL_P1,
                BASE,
                HARD,
            ),
        ),
    ),
    Experiment(
        "pretraining",
        (*SCRATCH_STEPS.values(), *PRETRAINED_STEPS.values()),
        (POOL_P1, OWN_P1),
        (
            Claim(
                "after the fewest steps pre-training is better than none",
                _FIGURE_5,
                POOL_P1,
                *_SHORT_PAIR,
            ),
            Claim(
                "the lead is larger after the fewest steps than after the most",
                "Figure 5: small at 500k",
                POOL_P1,
                *_SHORT_PAIR,
                more_than=_LONG_PAIR,
            ),
            Claim(
                "after the most steps pre-training is still better",
                "Figure 5: slightly, at 500k",
                POOL_P1,
                *_LONG_PAIR,
            ),
        ),
        {
            "pre-trained": (POOL_P1, PRETRAINED_STEPS),
            "from scratch": (POOL_P1, SCRATCH_STEPS),
        },
        "dual-encoder steps",
    ),
    Experiment(
        "translation_language_modelling",
        (BOTH, MLM, PRETRAINED_STEPS[SHORT], AFTER_MLM),
        (POOL_P1, OWN_P1, LM_LOSS),
        (
            Claim(
                "a dual encoder is better after MLM and TLM than after MLM",
                "section 3.4 uses both; no figure",
                POOL_P1,
                PRETRAINED_STEPS[SHORT],
                AFTER_MLM,
            ),
        ),
    ),
    Experiment(
        "stacking",
        (BOTH, STACKED, PRETRAINED_STEPS[SHORT], AFTER_STACKED),
        (POOL_P1, OWN_P1, LM_LOSS, CPU),
        (
            Claim(
                "the masked-LM loss is lower with stages than with one",
                "section 3.4 uses stages; no figure",
                LM_LOSS,
                BOTH,
                STACKED,
            ),
            Claim(
                "a dual encoder is better after stages than after one",
                "no figure",
                POOL_P1,
                AFTER_STACKED,
                PRETRAINED_STEPS[SHORT],
            ),
        ),
    ),
)
