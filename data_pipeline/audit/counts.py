"""What is counted of the rows of a language, and of two of a pair."""

import collections
import dataclasses
import math
from collections.abc import Mapping

# Bins of the logarithm (to base 2) of target length / source length.
RATIO_BIN = 1 / 16
# Shorter pairs, such as "No." and "Nein.", have any ratio.
MIN_RATIO_CHARACTERS = 20
# Examples of each check and language that a unit keeps, and the report.
MAX_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 160


@dataclasses.dataclass
class Counts:
    """Counts of rows with one language, or of two of them as "de en".

    Attributes:
      numbers: "rows", "texts", "characters", and what the checks count.
      ratios: bin of the ratio of lengths -> pairs.
      lengths: pieces of a text with [CLS] and [SEP] -> texts.
      examples: check -> [(place, text)].
    """

    numbers: dict[str, int] = dataclasses.field(
        default_factory=collections.Counter
    )
    ratios: dict[int, int] = dataclasses.field(
        default_factory=collections.Counter
    )
    lengths: dict[int, int] = dataclasses.field(
        default_factory=collections.Counter
    )
    examples: dict[str, list] = dataclasses.field(default_factory=dict)

    def found(self, check: str, place: str, text: str) -> None:
        """Counts what a check found, and keeps the first examples."""
        self.numbers[check] += 1
        examples = self.examples.setdefault(check, [])
        if len(examples) < MAX_EXAMPLES:
            examples.append((place, text[:_EXAMPLE_CHARACTERS]))

    def add_ratio(self, source: str, target: str) -> None:
        """Counts the ratio of the lengths of a pair in characters."""
        if max(len(source), len(target)) >= MIN_RATIO_CHARACTERS:
            ratio = math.log2(len(target) / len(source))
            self.ratios[math.floor(ratio / RATIO_BIN)] += 1

    def to_json(self) -> dict[str, object]:
        """For `add_json`; equal counts give equal values."""
        return {
            "numbers": dict(sorted(self.numbers.items())),
            "ratios": sorted(self.ratios.items()),
            "lengths": sorted(self.lengths.items()),
            "examples": dict(sorted(self.examples.items())),
        }

    def add_json(self, values: Mapping) -> None:
        """Adds what another one's `to_json` gave."""
        self.numbers.update(values["numbers"])
        for mine, key in ((self.ratios, "ratios"), (self.lengths, "lengths")):
            for place, number in values[key]:
                mine[place] += number
        for check, examples in values["examples"].items():
            mine = self.examples.setdefault(check, [])
            mine += [tuple(each) for each in examples]
            del mine[MAX_EXAMPLES:]

    def share(self, check: str, of: str = "texts") -> float:
        """The share of the rows or texts that a check found."""
        return self.numbers.get(check, 0) / max(1, self.numbers.get(of, 0))


def ratio_outliers(
    ratios: Mapping[int, int], factor: float
) -> tuple[float, int]:
    """The median ratio of target to source length, and outliers around it.

    Args:
      ratios: pairs by bin, of `Counts`.
      factor: a pair whose ratio is more than this factor above or below the
        median is an outlier, by whole bins.

    Returns:
      the median (1.0 without pairs) and the number of outliers.
    """
    total = sum(ratios.values())
    if not total:
        return 1.0, 0
    below, median = 0, 0
    for median in sorted(ratios):
        below += ratios[median]
        if 2 * below >= total:
            break
    reach = math.log2(factor) / RATIO_BIN
    outliers = sum(
        number
        for place, number in ratios.items()
        if abs(place - median) > reach
    )
    return float(2 ** ((median + 0.5) * RATIO_BIN)), outliers
