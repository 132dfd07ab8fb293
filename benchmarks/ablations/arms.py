"""The models that are trained, and the figures of each.

An arm is a model, trained once for each seed. Experiments share arms: `BASE` is
the baseline of most.
"""

import dataclasses

SEEDS = (0, 1, 2)
# Steps of a dual encoder: 61,440 of the 164,159 pairs.
STEPS = 240
SHORT, MIDDLE = STEPS // 4, STEPS // 2
PRETRAINING_STEPS = 2000

# The figures of a unit; see `retrieval`, `pieces` and `run_unit`.
POOL_P1 = "pool_p1"  # Large languages to English among settings.POOL.
OWN_P1 = "own_p1"  # The same among the English of the language's own test set.
SMALL_P1 = "small_p1"  # Small languages, among their own.
UNK = "small_unk"  # Share of the small languages' pieces that are [UNK].
CPU = "cpu_seconds"  # Of the unit, validation or evaluation included.
LM_LOSS = "lm_loss"  # Of masked tokens of held-out text and pairs.


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A pre-trained encoder.

    Attributes:
      bilingual_share: of its sequences; the others are monolingual.
      stage_layers, stage_steps: of the stages before the last one.
    """

    name: str
    bilingual_share: float = 0.5
    steps: int = PRETRAINING_STEPS
    stage_layers: tuple[int, ...] = ()
    stage_steps: tuple[int, ...] = ()
    batch_size: int = 16


@dataclasses.dataclass(frozen=True)
class Dual:
    """A dual encoder.

    Attributes:
      vocabulary: one of `VOCABULARIES`.
      pretrained: the name of a `Pretrained` to start from; empty: random.
      local_batches: the number of equal parts of a batch; only pairs of the
        same part are negatives of each other.
      hard_negatives: of each pair: English, as all targets are.
    """

    name: str
    margin: float = 0.3
    steps: int = STEPS
    batch_size: int = 256
    vocabulary: str = "smoothed"
    pretrained: str = ""
    local_batches: int = 1
    hard_negatives: int = 0


Arm = Pretrained | Dual

# Learned by `labse build-vocab` with these exponents; None: mBERT's.
VOCABULARIES = {"smoothed": 0.3, "unsmoothed": 1.0, "mbert": None}

BASE = Dual("base")
MARGINS = {
    0.0: Dual("margin_0.0", margin=0.0),
    0.1: Dual("margin_0.1", margin=0.1),
    0.2: Dual("margin_0.2", margin=0.2),
    0.3: BASE,
    0.4: Dual("margin_0.4", margin=0.4),
}
BOTH = Pretrained("mlm_tlm")
MLM = Pretrained("mlm", bilingual_share=0.0)
# 2 : 4 : 9, as the paper's 400k, 800k and 1.8M steps. Stages of fewer blocks
# cost less: with 2,315 steps as many multiplications as `BOTH`
# (`labse.training.pretraining_task.step_operations`).
STACKED = Pretrained(
    "stacked", steps=2315, stage_layers=(1, 2), stage_steps=(309, 617)
)
PRETRAINED = {arm.name: arm for arm in (BOTH, MLM, STACKED)}
SCRATCH_STEPS = {
    SHORT: Dual(f"scratch_{SHORT}", steps=SHORT),
    MIDDLE: Dual(f"scratch_{MIDDLE}", steps=MIDDLE),
    STEPS: BASE,
}
PRETRAINED_STEPS = {
    SHORT: Dual(f"pretrained_{SHORT}", steps=SHORT, pretrained=BOTH.name),
    MIDDLE: Dual(f"pretrained_{MIDDLE}", steps=MIDDLE, pretrained=BOTH.name),
    STEPS: Dual(f"pretrained_{STEPS}", pretrained=BOTH.name),
}
MBERT = Dual("mbert_vocabulary", vocabulary="mbert")
UNSMOOTHED = Dual("unsmoothed_vocabulary", vocabulary="unsmoothed")
LOCAL = Dual("local_negatives", local_batches=8)
# 64 targets and their 192 hard negatives: as many English candidates for a
# source as `BASE` has.
HARD = Dual("hard_negatives", batch_size=64, hard_negatives=3)
QUARTER = Dual("quarter_batch", batch_size=64)
AFTER_MLM = Dual(f"after_mlm_{SHORT}", steps=SHORT, pretrained=MLM.name)
AFTER_STACKED = Dual(
    f"after_stacked_{SHORT}", steps=SHORT, pretrained=STACKED.name
)
