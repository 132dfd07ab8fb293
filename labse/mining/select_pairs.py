"""Selects the candidate pairs that are written.

With the retrieval "all": every candidate of at least `min_score`, if given, by
source and rank. With any other: the best first, without (counted in this order)
pairs below `min_score`, pairs of two equal texts (a name, a number, text that
was never translated) and, where `dedup` says so, near copies: pairs whose two
texts differ from those of a better pair only in case, punctuation, symbols,
white space and, with "digits", in digits.
"""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator

import numpy as np

from labse.errors import InputError
from labse.files.pair_writer import COLUMNS, write_pairs
from labse.mining.candidates import CandidatePairs
from labse.mining.job.corpus import MinedCorpus
from labse.mining.translations import fold

# A column: the place of a target among those of its source, from 1.
RANK = "rank"
# Section 7 of the paper: cosine. CCMatrix (https://arxiv.org/abs/1911.04944):
# ratio.
DEFAULT_MIN_SCORES = {"absolute": 0.6, "ratio": 1.06}
# By what near copies may differ.
NO_DEDUP = "none"
DEDUPS = (NO_DEDUP, "punctuation", "digits")


@dataclasses.dataclass(frozen=True)
class SelectionCounts:
    """What became of the candidates; the first is the sum of the others."""

    candidates: int
    below_min_score: int
    identical: int
    near_duplicates: int
    written: int

    def describe(self, min_score: float | None, dedup: str) -> str:
        """A line for the user: the candidates, and why some were dropped."""
        dropped = [f"{self.identical:,} of equal texts"]
        if min_score is not None:
            dropped.insert(0, f"{self.below_min_score:,} below {min_score:.4g}")
        if dedup != NO_DEDUP:
            dropped.append(
                f"{self.near_duplicates:,} near copies of better ones (dedup: "
                f"{dedup})"
            )
        return f"{self.candidates:,} candidates: {', '.join(dropped)}"


def select(
    candidates: CandidatePairs,
    source: MinedCorpus,
    target: MinedCorpus,
    min_score: float,
    keep_identical: bool = False,
    dedup: str = NO_DEDUP,
) -> tuple[CandidatePairs, SelectionCounts]:
    """The candidates to write; see the module's docstring.

    Args:
      candidates: the best first.
      source, target: the texts.
      min_score: the lowest score that is kept.
      keep_identical: whether pairs of equal texts are kept.
      dedup: one of DEDUPS.
    """
    good = candidates.taken(candidates.scores >= min_score)
    rest = good
    if not keep_identical:
        texts = _texts(good, source, target)
        differ = np.fromiter((a != b for a, b in texts), bool, len(good))
        rest = good.taken(differ)
    kept = rest
    if dedup != NO_DEDUP:
        keys = np.empty((len(rest), 2), np.uint64)
        for number, texts in enumerate(_texts(rest, source, target)):
            keys[number] = _key(*texts, ignores_digits=dedup == "digits")
        _, first = np.unique(keys, axis=0, return_index=True)
        kept = rest.taken(np.sort(first))
    counts = SelectionCounts(
        candidates=len(candidates),
        below_min_score=len(candidates) - len(good),
        identical=len(good) - len(rest),
        near_duplicates=len(rest) - len(kept),
        written=len(kept),
    )
    return kept, counts


def select_all(
    candidates: CandidatePairs, min_score: float | None
) -> tuple[CandidatePairs, np.ndarray, SelectionCounts]:
    """All candidates from the lowest score on, by source and rank.

    Args:
      candidates: in any order.
      min_score: None: all are kept.

    Returns:
      the candidates, and their ranks, int64 [p]: 1 is the target of highest
      score of each source. Of equal scores the lowest target comes first.
    """
    order = np.lexsort(
        (candidates.targets, -candidates.scores, candidates.sources)
    )
    if min_score is not None:
        order = order[candidates.scores[order] >= min_score]
    kept = candidates.taken(order)
    first = np.searchsorted(kept.sources, kept.sources)
    counts = SelectionCounts(
        candidates=len(candidates),
        below_min_score=len(candidates) - len(kept),
        identical=0,
        near_duplicates=0,
        written=len(kept),
    )
    return kept, np.arange(len(kept)) - first + 1, counts


def write(
    path: str | os.PathLike,
    kept: CandidatePairs,
    source: MinedCorpus,
    target: MinedCorpus,
    probability: Callable[[np.ndarray], np.ndarray] | None = None,
    ranks: np.ndarray | None = None,
) -> None:
    """Writes the pairs in their order, as `pair_writer` has them.

    Args:
      path: of any format of pairs.
      kept: what `select` or `select_all` gave.
      source, target: the texts.
      probability: scores -> that of being a translation, if it is known.
      ranks: int [p], a further column, if given.

    Raises:
      InputError: not as many rows were written as there are pairs.
    """
    columns = [
        name
        for name in COLUMNS
        if name != "probability" or probability is not None
    ] + [RANK] * (ranks is not None)
    written = write_pairs(
        path, rows(kept, source, target, probability, ranks), columns
    )
    if written != len(kept):
        raise InputError(
            f"{len(kept)} pairs were to be written and {written} were. Start "
            "again with the same command."
        )


def rows(
    kept: CandidatePairs,
    source: MinedCorpus,
    target: MinedCorpus,
    probability: Callable[[np.ndarray], np.ndarray] | None = None,
    ranks: np.ndarray | None = None,
) -> Iterator[dict[str, object]]:
    """The pairs in their order, by column; arguments as `write`."""
    probabilities = None if probability is None else probability(kept.scores)
    for number, (one, other) in enumerate(_texts(kept, source, target)):
        first = source.place(int(kept.sources[number]))
        second = target.place(int(kept.targets[number]))
        row = {
            "source": one,
            "target": other,
            "source_language": first.language,
            "target_language": second.language,
            "cosine": kept.cosines[number],
            "margin": kept.margins[number],
            "source_file": first.file,
            "source_line": first.line,
            "target_file": second.file,
            "target_line": second.line,
            "source_metadata": first.metadata,
            "target_metadata": second.metadata,
        }
        if probabilities is not None:
            row["probability"] = probabilities[number]
        if ranks is not None:
            row[RANK] = int(ranks[number])
        yield row


def _texts(
    pairs: CandidatePairs, source: MinedCorpus, target: MinedCorpus
) -> Iterator[tuple[str, str]]:
    for one, other in zip(pairs.sources, pairs.targets, strict=True):
        yield source.text(int(one)), target.text(int(other))


def _key(one: str, other: str, ignores_digits: bool) -> tuple[int, int]:
    """128 bits of two texts without what near copies differ in."""
    content = "\n".join(
        fold(text, ignores_digits) for text in (one, other)
    ).encode()
    digest = hashlib.blake2b(content, digest_size=16).digest()
    return int.from_bytes(digest[:8]), int.from_bytes(digest[8:])
