"""Are the pairs of the highest scores translations, or degenerate?

What a failed model or a dirty corpus puts on top, looked for among the best
mined pairs:

    hub          its target is the choice of many sources, or its source that
                 of many targets, before any one-to-one selection
    near_copy    both sides are nearly the same characters: not translated
    boilerplate  the text of a side, digits masked, is that of many pairs
    length       far longer or shorter than the source lets expect

A pair may be of several kinds; `share` counts it once. Only the best pairs'
texts are read.
"""

import dataclasses
import difflib
import re
from collections import Counter
from collections.abc import Callable

import numpy as np

from labse.mining.margin import Pairs

KINDS = ("hub", "near_copy", "boilerplate", "length")
# How many of the best pairs are looked at.
TOP = 10_000
# One in so many at most may be degenerate without a warning.
LIMIT = 0.1
# A sentence in this many of the other side's choices is a hub. Four hold a
# good sentence and its paraphrases.
HUB_FROM = 5
# 2 * equal / all characters, of texts of the same digits and case.
NEAR_COPY = 0.9
BOILERPLATE_FROM = 5
# Three times longer or shorter than the middle pair has it.
LENGTH_FACTOR = 3.0
# Bytes added to both sides: a word more in a sentence of two is nothing odd.
_LENGTH_SLACK = 20
# What is compared of long texts; the comparison takes quadratic time.
_COMPARED = 400
_EXAMPLES = 5
_SHOWN = 160
_DIGITS = re.compile(r"\d+")
_SPACES = re.compile(r"\s+")


@dataclasses.dataclass(frozen=True)
class Example:
    """A degenerate pair.

    Attributes:
      source, target: the texts, cut to 160 characters.
      score: of the pair.
      detail: why.
    """

    source: str
    target: str
    score: float
    detail: str


@dataclasses.dataclass(frozen=True)
class Degenerates:
    """What was found among the best pairs.

    Attributes:
      num_checked: how many pairs were looked at.
      num_degenerate: how many are of one kind or more.
      counts: of each kind.
      examples: of each kind, the best five.
    """

    num_checked: int
    num_degenerate: int
    counts: dict[str, int]
    examples: dict[str, tuple[Example, ...]]

    @property
    def share(self) -> float:
        """Degenerate ones among those looked at; 0 if there are none."""
        return self.num_degenerate / max(self.num_checked, 1)

    def warning(self, limit: float = LIMIT) -> str:
        """Lines that say what is wrong, or "" up to a share of `limit`."""
        if self.share <= limit:
            return ""
        lines = [
            f"WARNING: {self.share:.1%} of the best {self.num_checked:,} pairs "
            f"are degenerate (more than {limit:.0%}):"
        ]
        for kind, count in self.counts.items():
            if count:
                example = self.examples[kind][0]
                lines.append(
                    f"  {kind}: {count:,}, such as {example.source[:60]!r} = "
                    f"{example.target[:60]!r} ({example.detail})"
                )
        lines.append("  " + _ADVICE)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return dataclasses.asdict(self) | {"share": self.share}


_ADVICE = (
    "Look at them before using the pairs: clean the text (templates, text "
    "that is not translated), mine with a margin scoring, or with a better "
    "model."
)


def check(
    pairs: Pairs,
    source_text: Callable[[int], str],
    target_text: Callable[[int], str],
    forward: np.ndarray | None = None,
    backward: np.ndarray | None = None,
    top: int = TOP,
) -> Degenerates:
    """Looks at the best pairs.

    Args:
      pairs: mined, the best first.
      source_text: the text of a source's number.
      target_text: the text of a target's number.
      forward: int [n], the target that each source chose: the targets of the
        pairs of the `forward` retrieval, in any order. Without it no target is
        a hub.
      backward: int [m], the source that each target chose.
      top: how many pairs to look at.
    """
    sources, targets = pairs.sources[:top], pairs.targets[:top]
    source_texts = [source_text(int(number)) for number in sources]
    target_texts = [target_text(int(number)) for number in targets]
    source_plain = [_plain(text) for text in source_texts]
    target_plain = [_plain(text) for text in target_texts]
    found = {
        "hub": _hubs(sources, targets, forward, backward),
        "near_copy": _near_copies(source_plain, target_plain),
        "boilerplate": _boilerplate(source_plain, target_plain),
        "length": _odd_lengths(source_texts, target_texts),
    }
    examples = {
        kind: tuple(
            Example(
                source_texts[rank][:_SHOWN],
                target_texts[rank][:_SHOWN],
                float(pairs.scores[rank]),
                detail,
            )
            for rank, detail in list(details.items())[:_EXAMPLES]
        )
        for kind, details in found.items()
    }
    degenerate = set().union(*found.values())
    return Degenerates(
        len(sources),
        len(degenerate),
        {kind: len(details) for kind, details in found.items()},
        examples,
    )


# Each of these gives the ranks of pairs, rising, and why.


def _hubs(
    sources: np.ndarray,
    targets: np.ndarray,
    forward: np.ndarray | None,
    backward: np.ndarray | None,
) -> dict[int, str]:
    details = {}
    for numbers, chosen, words in (
        (sources, backward, "the source is the choice of {} targets"),
        (targets, forward, "the target is the choice of {} sources"),
    ):
        if chosen is None or not len(numbers):
            continue
        times = np.bincount(chosen, minlength=int(numbers.max()) + 1)[numbers]
        for rank in np.flatnonzero(times >= HUB_FROM).tolist():
            details[rank] = words.format(f"{times[rank]:,}")
    return dict(sorted(details.items()))


def _near_copies(sources: list[str], targets: list[str]) -> dict[int, str]:
    details = {}
    matcher = difflib.SequenceMatcher(autojunk=False)
    for rank, (source, target) in enumerate(zip(sources, targets, strict=True)):
        matcher.set_seqs(source[:_COMPARED], target[:_COMPARED])
        # The first two are cheap upper bounds of the third.
        if (
            matcher.real_quick_ratio() > NEAR_COPY
            and matcher.quick_ratio() > NEAR_COPY
            and (ratio := matcher.ratio()) > NEAR_COPY
        ):
            details[rank] = f"{ratio:.0%} the same characters"
    return details


def _boilerplate(sources: list[str], targets: list[str]) -> dict[int, str]:
    details = {}
    for texts, side in ((sources, "sources"), (targets, "targets")):
        times = Counter(texts)
        for rank, text in enumerate(texts):
            if times[text] >= BOILERPLATE_FROM:
                details[rank] = (
                    f"{times[text]:,} {side} are {text[:40]!r} but for numbers"
                )
    return dict(sorted(details.items()))


def _odd_lengths(sources: list[str], targets: list[str]) -> dict[int, str]:
    """Against the middle pair's: languages differ in bytes a sentence."""
    if not sources:
        return {}
    ratios = np.log(
        [
            (_num_bytes(target) + _LENGTH_SLACK)
            / (_num_bytes(source) + _LENGTH_SLACK)
            for source, target in zip(sources, targets, strict=True)
        ]
    )
    factors = np.exp(np.abs(ratios - np.median(ratios)))
    return {
        rank: f"{_num_bytes(sources[rank]):,} and "
        f"{_num_bytes(targets[rank]):,} bytes"
        for rank in np.flatnonzero(factors > LENGTH_FACTOR).tolist()
    }


def _num_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _plain(text: str) -> str:
    """Without differences of case, white space and numbers."""
    return _SPACES.sub(" ", _DIGITS.sub("0", text.casefold())).strip()
