"""Margin scores and retrieval: pairs from both sides' nearest neighbours.

Some sentences have a high cosine with everything. Margin scores (Artetxe and
Schwenk 2019, https://arxiv.org/abs/1811.01136) compare the cosine of two
sentences with the average cosine of their neighbourhoods:

    b(x, y) = (mean of cos(x, z) over x's k nearest targets z
               + mean of cos(y, z) over y's k nearest sources z) / 2

    absolute   cos(x, y)            what the LaBSE paper mines with
    distance   cos(x, y) - b(x, y)
    ratio      cos(x, y) / b(x, y)

The candidates are all neighbours of either side. The retrieval says which of
them are kept:

    forward        each source's target of highest score
    backward       each target's source of highest score
    intersection   the pairs in both of these
    union          the pairs in either
    max            of the union, greedily the best pair whose sentences are
                   both unused: one-to-one
    all            every source with each of its k nearest targets

Nothing here depends on the order in which neighbours were found: equal scores
are ordered by the source's line, then by the target's, the lowest first.
NumPy only; time and memory grow with sentences times k.
"""

import dataclasses

import numpy as np

from labse.errors import InputError

SCORINGS = ("absolute", "distance", "ratio")
RETRIEVALS = ("forward", "backward", "intersection", "union", "max", "all")

# A neighbourhood with a mean cosine of 0 or less gives no ratio. Replaced by
# this, the ratio stays finite and keeps the order of the cosines.
_LEAST_NEIGHBOURHOOD = 1e-6

# One-to-one selection leaves its rounds for a plain loop when a round decides
# less than one pair in 64: each link of a chain waits for the one before.
_CHAIN = 64


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """The nearest neighbours of every sentence of one side.

    Attributes:
      indices: int [n, k], lines of the other side, each once in a row.
      cosines: float [n, k], with the sentence, in any order.
    """

    indices: np.ndarray
    cosines: np.ndarray


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Candidate translations, the best first.

    Of equal scores the lowest source line comes first, then the lowest target.

    Attributes:
      sources, targets: int64 [p], lines of each side.
      scores: float64 [p].
    """

    sources: np.ndarray
    targets: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


def score(
    cosines: np.ndarray,
    source_means: np.ndarray,
    target_means: np.ndarray,
    scoring: str = "ratio",
) -> np.ndarray:
    """Margin scores, see the module's docstring.

    Args:
      cosines: of pairs, any shape.
      source_means: the mean cosine of each pair's source with its k nearest
        targets; of a shape that broadcasts with that of the cosines.
      target_means: that of each pair's target with its k nearest sources.
      scoring: one of SCORINGS.

    Returns:
      float64, of the shape of the cosines. The denominator of a ratio is at
      least 1e-6.
    """
    _check_choice("scoring", scoring, SCORINGS)
    cosines = np.asarray(cosines, np.float64)
    if scoring == "absolute":
        return cosines
    source_means = np.asarray(source_means, np.float64)
    neighbourhood = (source_means + np.asarray(target_means, np.float64)) / 2
    if scoring == "distance":
        return cosines - neighbourhood
    return cosines / np.maximum(neighbourhood, _LEAST_NEIGHBOURHOOD)


def score_candidates(
    forward: Neighbours, backward: Neighbours, scoring: str = "ratio"
) -> tuple[np.ndarray, np.ndarray]:
    """The score of each neighbour, from both sides.

    Args:
      forward: of the n sources among the m targets, k of each.
      backward: of the m targets among the n sources; its k may differ.
      scoring: one of SCORINGS.

    Returns:
      float64 [n, k] for `forward` and float64 [m, k] for `backward`.

    Raises:
      InputError: the two do not fit each other, or a cosine is not finite.
    """
    _check_neighbours(forward, "forward", len(backward.indices))
    _check_neighbours(backward, "backward", len(forward.indices))
    # Sums of a few float32 are exact in float64: in any order, the means have
    # the same bits.
    source_means = forward.cosines.mean(axis=1, dtype=np.float64)
    target_means = backward.cosines.mean(axis=1, dtype=np.float64)
    means = source_means[:, None], target_means[forward.indices]
    forward_scores = score(forward.cosines, *means, scoring)
    means = source_means[backward.indices], target_means[:, None]
    return forward_scores, score(backward.cosines, *means, scoring)


def retrieve(
    forward: Neighbours,
    backward: Neighbours,
    scoring: str = "ratio",
    retrieval: str = "max",
) -> Pairs:
    """The candidates that a retrieval keeps, the best first, each pair once.

    If the two sides' searches rounded a cosine differently, `intersection`,
    `union` and `max` take the higher score. Arguments as `score_candidates`.

    Raises:
      InputError: as `score_candidates`, or there is no such retrieval.
    """
    _check_choice("retrieval", retrieval, RETRIEVALS)
    forward_scores, backward_scores = score_candidates(
        forward, backward, scoring
    )
    if retrieval == "all":
        num_sources, k = forward.indices.shape
        return best_first(
            np.repeat(np.arange(num_sources), k),
            forward.indices.ravel(),
            forward_scores.ravel(),
        )
    targets, target_scores = _best_of_each(forward.indices, forward_scores)
    sources, source_scores = _best_of_each(backward.indices, backward_scores)
    if retrieval == "forward":
        return best_first(np.arange(len(targets)), targets, target_scores)
    if retrieval == "backward":
        return best_first(sources, np.arange(len(sources)), source_scores)
    is_mutual = sources[targets] == np.arange(len(targets))  # [n]
    mutual = np.flatnonzero(is_mutual)
    target_scores[mutual] = np.maximum(
        target_scores[mutual], source_scores[targets[mutual]]
    )
    if retrieval == "intersection":
        return best_first(mutual, targets[mutual], target_scores[mutual])
    others = np.flatnonzero(targets[sources] != np.arange(len(sources)))
    union = best_first(
        np.concatenate([np.arange(len(targets)), sources[others]]),
        np.concatenate([targets, others]),
        np.concatenate([target_scores, source_scores[others]]),
    )
    return union if retrieval == "union" else one_to_one(union)


def best_first(
    sources: np.ndarray, targets: np.ndarray, scores: np.ndarray
) -> Pairs:
    """Sorts pairs, each given once: int [p], int [p], float [p]."""
    order = np.lexsort((targets, sources, -scores))
    return Pairs(sources[order], targets[order], scores[order])


def one_to_one(pairs: Pairs) -> Pairs:
    """Each source and each target at most once, greedily.

    The best pair is taken, all others of its source or its target are dropped,
    then the best remaining pair is taken, and so on. `pairs` has each pair
    once, the best first, and so has the result.
    """
    sources, targets = pairs.sources, pairs.targets
    is_taken = np.zeros(len(pairs), bool)
    is_free_source = np.ones(sources.max(initial=-1) + 1, bool)
    is_free_target = np.ones(targets.max(initial=-1) + 1, bool)
    best_of_source = np.empty(len(is_free_source), np.int64)
    best_of_target = np.empty(len(is_free_target), np.int64)
    rest = np.arange(len(pairs))  # the ranks of the pairs not decided yet
    while len(rest):
        # A pair that is the best of both of its sentences is taken in any case:
        # all such pairs at once, not one by one.
        best_of_source[sources[rest]] = len(pairs)
        best_of_target[targets[rest]] = len(pairs)
        np.minimum.at(best_of_source, sources[rest], rest)
        np.minimum.at(best_of_target, targets[rest], rest)
        sure = rest[
            (best_of_source[sources[rest]] == rest)
            & (best_of_target[targets[rest]] == rest)
        ]
        if len(sure) * _CHAIN < len(rest):
            sure = rest[_one_by_one(sources[rest], targets[rest])]
        is_taken[sure] = True
        is_free_source[sources[sure]] = False
        is_free_target[targets[sure]] = False
        rest = rest[
            is_free_source[sources[rest]] & is_free_target[targets[rest]]
        ]
    return Pairs(sources[is_taken], targets[is_taken], pairs.scores[is_taken])


def _one_by_one(sources: np.ndarray, targets: np.ndarray) -> list[int]:
    """The indices of the pairs that `one_to_one` takes, in linear time."""
    taken = []
    seen_sources: set[int] = set()
    seen_targets: set[int] = set()
    pairs = zip(sources.tolist(), targets.tolist(), strict=True)
    for number, (source, target) in enumerate(pairs):
        if source not in seen_sources and target not in seen_targets:
            taken.append(number)
            seen_sources.add(source)
            seen_targets.add(target)
    return taken


def _best_of_each(
    indices: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Each row's index of highest score, the lowest of ties, and that score."""
    highest = scores.max(axis=1)
    is_highest = scores == highest[:, None]
    beyond = np.iinfo(np.int64).max
    return np.where(is_highest, indices, beyond).min(axis=1), highest


def _check_choice(name: str, choice: str, choices: tuple[str, ...]) -> None:
    if choice not in choices:
        raise InputError(
            f"{name} must be one of {', '.join(choices)}. Received: {choice!r}."
        )


def _check_neighbours(
    neighbours: Neighbours, name: str, num_others: int
) -> None:
    """Raises `InputError` unless they are [n, k] and in the other side."""
    indices, cosines = neighbours.indices, neighbours.cosines
    if indices.ndim != 2 or indices.shape != cosines.shape or not indices.size:
        raise InputError(
            "Neighbours must have indices and cosines of the same shape "
            f"[n, k], not empty. Received for the {name} neighbours: indices "
            f"{list(indices.shape)} and cosines {list(cosines.shape)}."
        )
    if indices.min() < 0 or indices.max() >= num_others:
        raise InputError(
            f"The {name} neighbours must be lines of the other side, 0 to "
            f"{num_others - 1}. Received: {indices.min()} to {indices.max()}. "
            "Both searches must be over the same two sets of sentences."
        )
    bad = np.flatnonzero(~np.isfinite(cosines).all(axis=1))
    if bad.size:
        raise InputError(
            f"Cosines must be finite. Received: row {bad[0]} of the {name} "
            f"neighbours has {cosines[bad[0]].tolist()} ({bad.size} of "
            f"{len(cosines)} rows are bad)."
        )
