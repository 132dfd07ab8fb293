"""The sampler: which pairs make up the batch of a step.

A pure function of seed and step, so that a resumed run needs no state.

An epoch is the smallest whole number of batches with at least as many examples
as there are pairs. The pairs of one language and one weight form a group. A
language with n_l pairs gets a share of the epoch's examples proportional to
n_l ** exponent, divided among its groups; a pair of weight w counts as w pairs
in both. A group goes through all its pairs before it repeats one, across
epochs.

A copy of a pair is not a negative of it, so a batch should not hold a pair
twice if its group has enough others. Therefore a group's pairs form a circle,
a fixed random permutation; each epoch takes the next stretch of the circle, and
each batch a contiguous part of that stretch. All batches of an epoch take the
same number of rows from a group, or one more.
"""

import functools

import numpy as np


class ExampleOrder:
    """Computes the pairs of the global batch of any step."""

    def __init__(
        self,
        languages: np.ndarray,
        batch_size: int,
        seed: int,
        language_exponent: float = 1.0,
        pair_weights: np.ndarray | None = None,
    ):
        """Groups the pairs by language, and by weight.

        Args:
          languages: int [n], each pair's language (or language pair).
          batch_size: pairs in a global batch.
          seed: determines the order.
          language_exponent: 1 leaves the pairs as they are, 0 gives every
            language the same share.
          pair_weights: float [n] > 0, the number of pairs that each pair counts
            as; by default 1.
        """
        self._batch_size = batch_size
        self._seed = seed
        self._num_batches = -(-len(languages) // batch_size)
        if pair_weights is None:
            pair_weights = np.ones(len(languages))
        groups = _groups(languages, pair_weights)
        first = [members[0] for members in groups]
        self._shares = epoch_shares(
            np.array([len(members) for members in groups]),
            language_exponent,
            languages[first],
            pair_weights[first],
            self._num_batches * batch_size,
        )
        random = self._random(0)
        self._circles = [random.permutation(members) for members in groups]
        # The pipeline may read two steps at once, of two epochs.
        self._epoch = functools.lru_cache(maxsize=2)(self._make_epoch)

    def batch(self, step: int) -> np.ndarray:
        """The pairs of step `step` (from 0): int64 [batch_size]."""
        epoch, number = divmod(int(step), self._num_batches)
        return self._epoch(epoch)[number]

    def _random(self, *stream: int) -> np.random.Generator:
        seeds = np.random.SeedSequence([self._seed, *stream])
        return np.random.Generator(np.random.Philox(seeds))

    def _make_epoch(self, epoch: int) -> np.ndarray:
        """All batches of an epoch: int64 [batches, batch_size]."""
        random = self._random(1, epoch)
        rows, extra_rows = np.divmod(self._shares, self._num_batches)
        batch_numbers = random.permutation(self._num_batches)
        examples, batches, next_extra = [], [], 0
        for group in random.permutation(len(self._circles)):
            # Some batches take one row more of this group: in turn over all
            # groups, so that all batches get the same size.
            stop = next_extra + extra_rows[group]
            dealt = np.arange(next_extra, stop) % self._num_batches
            next_extra = stop
            counts = np.full(self._num_batches, rows[group])
            counts[batch_numbers[dealt]] += 1
            batches.append(np.repeat(np.arange(self._num_batches), counts))
            examples.append(self._examples(group, epoch, random))
        order = np.argsort(np.concatenate(batches), kind="stable")
        result = np.concatenate(examples)[order]
        # Shuffled within a batch, because each replica takes a slice of it.
        return random.permuted(result.reshape(-1, self._batch_size), axis=1)

    def _examples(self, group: int, epoch: int, random) -> np.ndarray:
        """A group's examples of an epoch, in order: int64 [share].

        They start where the last epoch stopped on the circle. These two places,
        `start` and `stop`, cut the circle into two arcs, and each arc is
        shuffled anew for this epoch. That does not change which pairs lie
        between them, so a round begun in one epoch is completed by the next.
        """
        circle, share = self._circles[group], int(self._shares[group])
        start = epoch * share % len(circle)
        stop = (start + share) % len(circle)
        arcs = np.split(circle, sorted((start, stop)))
        circle = np.concatenate([random.permutation(arc) for arc in arcs])
        return circle[(start + np.arange(share)) % len(circle)]


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
    num_examples: int,
) -> np.ndarray:
    """The number of an epoch's examples for each group: int64, each >= 1.

    Args:
      sizes: int [groups], the number of pairs of each.
      exponent: a language's share is proportional to the sum over its groups
        of sizes * weights, to this power.
      languages: int [groups], the language of each.
      weights: float [groups], of each of the group's pairs.
      num_examples: of the epoch, the sum of the shares; at least the number of
        groups.
    """
    counts = sizes * weights
    totals = np.bincount(languages, counts)[languages]
    parts = totals**exponent * (counts / totals)
    # One for each group, the rest in proportion to what exceeds one.
    above_one = np.maximum(num_examples * parts / parts.sum() - 1, 0)
    rest = num_examples - len(sizes)
    quotas = rest * above_one / max(above_one.sum(), 1e-9)
    shares = np.floor(quotas + 1e-9).astype(np.int64)
    # Largest remainders: the groups that rounding cut most get one more.
    order = np.argsort(shares - quotas, kind="stable")
    shares[order[: rest - shares.sum()]] += 1
    return shares + 1
