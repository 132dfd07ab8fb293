"""Which pairs make up the batch of a step: a pure function of seed and step.

The examples form an endless stream of epochs, each a whole number of batches
that holds at least as many examples as there are pairs. A language with n_l
of the n pairs gets a share proportional to n_l ** exponent of it, and goes
through all its pairs before it repeats one. Where pairs have weights, each
counts as that many: in n_l, and in its part of the language's share. The pairs
of one language and weight, a group, go round by themselves.

A copy of a pair is no negative of it, so a batch holds a pair once wherever
the group has enough others: each batch takes its rows of a group, an equal
number in all batches of an epoch but for one, from consecutive places of one
circle through the group's pairs.
"""

import functools

import numpy as np


class ExampleOrder:
    """Answers which pairs are in the global batch of any step."""

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
          languages: int [n], each pair's language (or pair of languages).
          batch_size: pairs in a global batch.
          seed: another seed is another order.
          language_exponent: 1 takes the pairs as they are, 0 gives every
            language the same share.
          pair_weights: float [n] > 0, as how many pairs each counts; default
            one.
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
        # Two steps may be read at the same time, on both sides of a border.
        self._epoch = functools.lru_cache(maxsize=2)(self._make_epoch)

    def batch(self, step: int) -> np.ndarray:
        """The pairs of step `step` (from 0): int64 [batch_size]."""
        epoch, place = divmod(int(step), self._num_batches)
        return self._epoch(epoch)[place]

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
            # One row more in some batches: dealt like cards, so that every
            # batch gets as many.
            stop = next_extra + extra_rows[group]
            dealt = np.arange(next_extra, stop) % self._num_batches
            next_extra = stop
            counts = np.full(self._num_batches, rows[group])
            counts[batch_numbers[dealt]] += 1
            batches.append(np.repeat(np.arange(self._num_batches), counts))
            examples.append(self._examples(group, epoch, random))
        order = np.argsort(np.concatenate(batches), kind="stable")
        result = np.concatenate(examples)[order]
        # Within a batch by chance: each replica takes a slice of its rows.
        return random.permuted(result.reshape(-1, self._batch_size), axis=1)

    def _examples(self, group: int, epoch: int, random) -> np.ndarray:
        """A group's examples of an epoch, in order: int64 [share].

        They go on where the last epoch stopped, and stop where the next one
        will go on. Between these two places the circle is shuffled anew: which
        pairs a started round still has to take does not depend on it.
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
    """How many examples of an epoch each group gets: int64, each >= 1.

    Args:
      sizes: int [groups], pairs of each.
      exponent: a language's share is proportional to the sum over its groups
        of sizes * weights, to this power.
      languages: int [groups], the language of each.
      weights: float [groups], as how many pairs each of its pairs counts.
      num_examples: of the epoch, at least as many as there are groups; the
        sum of the shares.
    """
    counts = sizes * weights
    totals = np.bincount(languages, counts)[languages]
    parts = totals**exponent * (counts / totals)
    # One for each group, the rest in proportion to what is above one.
    above_one = np.maximum(num_examples * parts / parts.sum() - 1, 0)
    rest = num_examples - len(sizes)
    quotas = rest * above_one / max(above_one.sum(), 1e-9)
    shares = np.floor(quotas + 1e-9).astype(np.int64)
    # Those that lost most by rounding down get one more.
    order = np.argsort(shares - quotas, kind="stable")
    shares[order[: rest - shares.sum()]] += 1
    return shares + 1
