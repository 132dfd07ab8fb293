"""Degenerate pairs among those of the highest scores.

A failed model or a dirty corpus gives high scores to:

    hub          a target that is the best of many sources, or a source that is
                 the best of many targets, before any one-to-one selection
    near_copy    two sides of nearly the same characters: not translated
    boilerplate  a text that many pairs share on one side, digits masked
    length       a target far longer or shorter than its source suggests

A pair may be of several kinds; `share` counts it once. Only the texts of the
best pairs are read.
"""

import dataclasses
import difflib
import re
from collections import Counter
from collections.abc import Callable

import numpy as np

from labse.mining.margin import Pairs

KINDS = ("hub", "near_copy", "boilerplate", "length")
# Number of best pairs that are checked.
TOP = 10_000
# A larger share of degenerate pairs triggers a warning.
LIMIT = 0.1
# A sentence that is the best of this many others is a hub. Up to four can be a
# sentence and its paraphrases.
HUB_FROM = 5
# 2 * equal / all characters, digits and case aside.
NEAR_COPY = 0.9
BOILERPLATE_FROM = 5
# Times longer or shorter than in the median pair.
LENGTH_FACTOR = 3.0
# Bytes added to both sides: one more word in a sentence of two is common.
_LENGTH_SLACK = 20
# Characters compared of long texts; the comparison takes quadratic time.
_COMPARED = 400
_EXAMPLES = 5
_SHOWN = 160
_DIGITS = re.compile(r"\d+")
_SPACES = re.compile(r"\s+")


@dataclasses.dataclass(frozen=True)
class Example:
    """A degenerate pair; its texts are truncated to 160 characters."""

    source: str
    target: str
    score: float
    detail: str  # why it is degenerate


@dataclasses.dataclass(frozen=True)
class DegeneratePairs:
    """The degenerate pairs among the best."""

    num_checked: int
    num_degenerate: int  # of at least one kind
    counts: dict[str, int]  # by kind
    examples: dict[str, tuple[Example, ...]]  # by kind, the best five

    @property
    def share(self) -> float:
        """The degenerate share of the pairs checked; 0 of no pairs."""
        return self.num_degenerate / max(self.num_checked, 1)

    def warning(self, limit: float = LIMIT) -> str:
        """Lines for the user, or "" up to a share of `limit`."""
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
    "Check them before using the pairs: clean the text (templates, "
    "untranslated text), drop near copies (dedup), mine with a margin scoring, "
    "or use a better model."
)


def find_degenerate(
    pairs: Pairs,
    source_text: Callable[[int], str],
    target_text: Callable[[int], str],
    forward: np.ndarray | None = None,
    backward: np.ndarray | None = None,
    top: int = TOP,
) -> DegeneratePairs:
    """Checks the best pairs.

    Args:
      pairs: mined, the best first.
      source_text, target_text: number of a sentence -> text.
      forward: int [n], the best target of each source, in any order; without
        it, hubs among the targets are not found.
      backward: int [m], the best source of each target; likewise.
      top: number of pairs to check.
    """
    sources, targets = pairs.sources[:top], pairs.targets[:top]
    source_texts = [source_text(int(number)) for number in sources]
    target_texts = [target_text(int(number)) for number in targets]
    source_plain = list(map(_plain, source_texts))
    target_plain = list(map(_plain, target_texts))
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
    return DegeneratePairs(
        len(sources),
        len(degenerate),
        {kind: len(details) for kind, details in found.items()},
        examples,
    )


# Each of these returns the ranks of pairs, ascending, and why.


def _hubs(
    sources: np.ndarray,
    targets: np.ndarray,
    forward: np.ndarray | None,
    backward: np.ndarray | None,
) -> dict[int, str]:
    details = {}
    for numbers, chosen, words in (
        (sources, backward, "the source is the best of {} targets"),
        (targets, forward, "the target is the best of {} sources"),
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
                    f"{times[text]:,} {side} are {text[:40]!r}, digits masked"
                )
    return dict(sorted(details.items()))


def _odd_lengths(sources: list[str], targets: list[str]) -> dict[int, str]:
    """Relative to the median pair: languages differ in bytes a sentence."""
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
    """Case folded, white space collapsed, numbers masked."""
    return _SPACES.sub(" ", _DIGITS.sub("0", text.casefold())).strip()
