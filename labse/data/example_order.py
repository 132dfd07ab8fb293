"""Which pairs make up the batch of a step: a pure function of seed and step.

The examples form an endless stream of epochs. An epoch has as many examples
as there are pairs; a language with n_l of the n pairs gets a share
proportional to n_l ** exponent of it, and goes through all its pairs before it
repeats one. Where pairs have weights, each counts as so many: in n_l, and in
its part of the language's share. The pairs of one weight go round by
themselves.
"""

import functools

import numpy as np


class ExampleOrder:
    """Answers which pairs are in the global batch of any step."""

    def __init__(
        self,
        languages: np.ndarray,
        lengths: np.ndarray,
        batch_size: int,
        seed: int,
        language_exponent: float = 1.0,
        batches_sorted_together: int = 1,
        pair_weights: np.ndarray | None = None,
    ):
        """Groups the pairs by language, and by weight.

        Args:
          languages: int [n], each pair's language (or pair of languages).
          lengths: int [n], by which batches are sorted.
          batch_size: pairs in a global batch.
          seed: another seed is another order.
          language_exponent: 1 takes the pairs as they are, 0 gives every
            language the same share.
          batches_sorted_together: so many consecutive batches are sorted by
            length, cut anew and shuffled.
          pair_weights: float [n] > 0, as how many pairs each counts; default
            one.
        """
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._batches_sorted_together = batches_sorted_together
        if pair_weights is None:
            pair_weights = np.ones(len(languages))
        self._members = _groups(languages, pair_weights)
        first = [members[0] for members in self._members]
        self._shares = epoch_shares(
            np.array([len(members) for members in self._members]),
            language_exponent,
            languages[first],
            pair_weights[first],
        )
        self._epoch_size = int(self._shares.sum())
        # A window may reach from one epoch into the next.
        self._epoch = functools.lru_cache(maxsize=2)(self._make_epoch)
        self._window = functools.lru_cache(maxsize=4)(self._make_window)

    def batch(self, step: int) -> np.ndarray:
        """The pairs of step `step` (from 0): int64 [batch_size]."""
        window, place = divmod(int(step), self._batches_sorted_together)
        return self._window(window)[place]

    def _random(self, *stream: int) -> np.random.Generator:
        seeds = np.random.SeedSequence([self._seed, *stream])
        return np.random.Generator(np.random.Philox(seeds))

    def _make_window(self, window: int) -> np.ndarray:
        size = self._batch_size * self._batches_sorted_together
        positions = np.arange(window * size, (window + 1) * size)
        epochs, places = np.divmod(positions, self._epoch_size)
        examples = np.empty(size, np.int64)
        for epoch in np.unique(epochs):
            inside = epochs == epoch
            examples[inside] = self._epoch(int(epoch))[places[inside]]
        if self._batches_sorted_together > 1:
            order = np.argsort(self._lengths[examples], kind="stable")
            examples = examples[order]
        batches = examples.reshape(-1, self._batch_size)
        return self._random(0, window).permutation(batches)

    def _make_epoch(self, epoch: int) -> np.ndarray:
        parts = []
        for group, members in enumerate(self._members):
            share = self._shares[group]
            ranks = epoch * share + np.arange(share)
            rounds, places = np.divmod(ranks, len(members))
            for each in np.unique(rounds):
                order = self._random(1, group, int(each)).permutation(members)
                parts.append(order[places[rounds == each]])
        return self._random(2, epoch).permutation(np.concatenate(parts))


def _groups(
    languages: np.ndarray, pair_weights: np.ndarray
) -> list[np.ndarray]:
    """The pairs of each language and weight: int64 [pairs of the group]."""
    order = np.lexsort((pair_weights, languages))
    is_next = (np.diff(languages[order]) != 0) | (
        np.diff(pair_weights[order]) != 0
    )
    return np.split(order, np.flatnonzero(is_next) + 1)


def epoch_shares(
    sizes: np.ndarray,
    exponent: float,
    languages: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """How many examples of an epoch each group gets: int64, each >= 1.

    Args:
      sizes: int [groups], pairs of each.
      exponent: a language's share is proportional to the sum over its groups
        of sizes * weights, to this power.
      languages: int [groups], the language of each.
      weights: float [groups], as how many pairs each of its pairs counts.
    """
    counts = sizes * weights
    totals = np.bincount(languages, counts)[languages]
    parts = totals**exponent * (counts / totals)
    shares = np.round(sizes.sum() * parts / parts.sum()).astype(np.int64)
    return np.maximum(shares, 1)
