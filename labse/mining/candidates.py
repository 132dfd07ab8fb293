"""Candidate pairs and their scores: from neighbours, to and from a file."""

import dataclasses
import os
import pathlib

import numpy as np

from labse.files.vector_shards import VectorShards
from labse.mining.margin import (
    Neighbours,
    Pairs,
    best_first,
    retrieve,
    score,
)
from labse.search.unit_vectors import UnitVectors

# Pairs whose vectors are read at once.
_PAIRS = 2**14


@dataclasses.dataclass(frozen=True)
class CandidatePairs:
    """Scored pairs of sentences, the best first unless stated otherwise."""

    sources: np.ndarray  # int64 [p], numbers of sentences
    targets: np.ndarray  # likewise
    scores: np.ndarray  # float64 [p]
    cosines: np.ndarray  # float32 [p]
    # float64 [p]: the scores, or the ratio where these are cosines.
    margins: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def pairs(self) -> Pairs:
        """Sources, targets and scores."""
        return Pairs(self.sources, self.targets, self.scores)

    def taken(self, which: np.ndarray) -> "CandidatePairs":
        """The pairs of a bool [p] or int [q]."""
        return CandidatePairs(*(array[which] for array in vars(self).values()))

    def sorted(self) -> "CandidatePairs":
        """The best first, in the order of `margin.Pairs`."""
        order = np.lexsort((self.targets, self.sources, -self.scores))
        return self.taken(order)


def read_candidates(
    path: str | os.PathLike,
) -> tuple[CandidatePairs, dict[str, np.ndarray]]:
    """What `write_candidates` wrote and `find_candidates` returns."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    names = [field.name for field in dataclasses.fields(CandidatePairs)]
    return CandidatePairs(**{name: arrays.pop(name) for name in names}), arrays


def write_candidates(
    path: pathlib.Path,
    candidates: CandidatePairs,
    choices: dict[str, np.ndarray],
) -> None:
    """Writes what `find_candidates` returns."""
    with open(path, "wb") as file:
        np.savez(file, **vars(candidates), **choices)


def find_candidates(
    forward: Neighbours,
    backward: Neighbours | None,
    source: VectorShards,
    target: VectorShards,
    scoring: str,
    retrieval: str,
) -> tuple[CandidatePairs, dict[str, np.ndarray]]:
    """Scores all neighbours and keeps those of the retrieval.

    Args:
      forward: of the sources.
      backward: of the targets; None for paraphrases, where all neighbours
        are kept.
      source, target: vectors.
      scoring, retrieval: see `labse.mining.margin`.

    Returns:
      the candidates, and a dict of `chosen_targets`, int64 [n], the best
      target of each source, and `chosen_sources`, int64 [m], the reverse;
      empty for paraphrases.
    """
    choices = {}
    if backward is None:
        pairs = paraphrase_pairs(forward, scoring)
        backward = forward
    else:
        pairs = retrieve(forward, backward, scoring, retrieval)
        of_sources = retrieve(forward, backward, scoring, "forward")
        of_targets = retrieve(forward, backward, scoring, "backward")
        choices = {
            "chosen_targets": of_sources.targets,
            "chosen_sources": of_targets.sources,
        }
    cosines = pair_cosines(source, target, pairs.sources, pairs.targets)
    margins = score(
        cosines,
        forward.cosines.mean(axis=1, dtype=np.float64)[pairs.sources],
        backward.cosines.mean(axis=1, dtype=np.float64)[pairs.targets],
        "ratio" if scoring == "absolute" else scoring,
    )
    found = CandidatePairs(
        pairs.sources, pairs.targets, pairs.scores, cosines, margins
    )
    return found, choices


def paraphrase_pairs(forward: Neighbours, scoring: str) -> Pairs:
    """All neighbours within one side, each pair once, the lower line first."""
    means = forward.cosines.mean(axis=1, dtype=np.float64)
    own = np.repeat(np.arange(len(means)), forward.indices.shape[1])
    other = forward.indices.ravel()
    scores = score(forward.cosines.ravel(), means[own], means[other], scoring)
    low, high = np.minimum(own, other), np.maximum(own, other)
    order = np.lexsort((-scores, high, low))
    low, high, scores = low[order], high[order], scores[order]
    is_first = np.ones(len(low), bool)
    is_first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    return best_first(low[is_first], high[is_first], scores[is_first])


def pair_cosines(
    source: VectorShards,
    target: VectorShards,
    sources: np.ndarray,
    targets: np.ndarray,
) -> np.ndarray:
    """float32 [pairs]: the cosine of each pair, with the bits of a search."""
    cosines = np.empty(len(sources), np.float32)
    for start in range(0, len(sources), _PAIRS):
        some = slice(start, start + _PAIRS)
        one = UnitVectors(source.rows(sources[some]), "source")
        other = UnitVectors(target.rows(targets[some]), "target")
        numbers = np.arange(len(one))
        cosines[some] = one.cosines(numbers, other, numbers)
    return cosines
