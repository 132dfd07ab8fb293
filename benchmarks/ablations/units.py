"""The units of work, in the order in which they are run."""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Sequence

from benchmarks.ablations import settings
from benchmarks.ablations.arms import (
    PRETRAINED,
    PRETRAINING_STEPS,
    SEEDS,
    Arm,
    Dual,
    Pretrained,
)
from benchmarks.ablations.experiments import (
    EXPERIMENTS,
    Experiment,
)

PREPARE, NEGATIVES = "prepare", "hard_negatives_file"


@dataclasses.dataclass(frozen=True)
class Unit:
    """What one process does.

    Attributes:
      name: of its result.
      needs: names of the units that come before it.
      arm, seed: what is trained; None where nothing of an experiment is.
      cpu_seconds: as measured, see `_cost`.
    """

    name: str
    needs: tuple[str, ...]
    arm: Arm | None
    seed: int
    cpu_seconds: float

    def key(self) -> str:
        """The name with a hash of the settings: others, another result."""
        values = [self.name, str(settings.description(self.arm, self.seed))]
        digest = hashlib.sha256(json.dumps(values).encode()).hexdigest()
        return f"{self.name}-{digest[:8]}"


# CPU seconds on one thread of an AMD EPYC with AVX-512 and bfloat16, whose two
# cores ten processes shared; measured with units of fewer steps. The rates
# are those of texts padded to 24 tokens. Steps alone, without reading, had 321
# pairs a CPU second then, and 392 in three parts of 12, 20 and 32; parts of up
# to 40 (`settings._LENGTH_BUCKETS`) were not measured.
_START = 35  # Import, graph, checkpoints, evaluation.
_PARTS = 20  # A graph for each length that a part of a batch can have.
_PAIR = 1 / 240
_PAIR_OF_MBERT = 1 / 170
_HARD_PAIR = 1 / 96  # Not measured: five texts for two.
_SEQUENCE = 1 / 59
_PREPARE = 45
_NEGATIVES = 180  # Not measured since all pairs' targets are English.


def _cost(arm: Arm) -> float:
    if isinstance(arm, Pretrained):
        # Stages of fewer blocks have more steps, which cost as much in all.
        return _START + PRETRAINING_STEPS * arm.batch_size * _SEQUENCE
    pair = _PAIR_OF_MBERT if arm.vocabulary == "mbert" else _PAIR
    if arm.hard_negatives:
        pair = _HARD_PAIR
    return _START + _PARTS + arm.steps * arm.batch_size * pair


def unit_name(arm_name: str, seed: int) -> str:
    """The name of the unit that trains an arm."""
    return f"{arm_name}.{seed}"


def units_of(experiments: Sequence[Experiment] = EXPERIMENTS) -> list[Unit]:
    """The units of some experiments, each once, experiment by experiment.

    Of an experiment all arms of a seed come before those of the next.
    """
    units = [Unit(PREPARE, (), None, 0, _PREPARE)]
    for experiment in experiments:
        for seed in SEEDS:
            for arm in experiment.arms:
                units += _units_of_arm(arm, seed)
    return list({unit.name: unit for unit in units}.values())


def _units_of_arm(arm: Arm, seed: int) -> list[Unit]:
    """The arm's unit, after those that it needs."""
    before, needs = [], [PREPARE]
    if isinstance(arm, Dual) and arm.hard_negatives:
        before = [Unit(NEGATIVES, (PREPARE,), None, 0, _NEGATIVES)]
    if isinstance(arm, Dual) and arm.pretrained:
        before = _units_of_arm(PRETRAINED[arm.pretrained], seed)
    needs += [unit.name for unit in before]
    name = unit_name(arm.name, seed)
    return [*before, Unit(name, tuple(needs), arm, seed, _cost(arm))]


def result_path(out: pathlib.Path, unit: Unit) -> pathlib.Path:
    """Where a finished unit's result is."""
    return out / "results" / f"{unit.key()}.json"


def run_path(out: pathlib.Path, unit: Unit) -> pathlib.Path:
    """The unit's run folder."""
    return out / "runs" / unit.key()
