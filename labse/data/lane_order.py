"""Which part of the records the batch of a step comes from.

A global batch is divided into lanes: the largest power of two, up to `LANES`,
that divides it. Lane l owns the shards i with i % lanes == l, and gives
consecutive rows of each batch. How many hosts there are changes nothing: a host
reads the lanes of its rows.

A lane is an endless stream of examples, read part by part: a part is a shard. A
folder of at most `WHOLE` records is one stream instead, with all of it as one
part; hosts then read all and take their rows. So a small folder has exact
shares, and its copies of a record stand as far apart as they can.

An epoch of a stream goes once through its parts, in a random order. From the
records of a group (same languages and corpus) in a part it takes

    examples before epoch e = floor((e * rate * records + phase) / 2**20),

where `rate` is the examples per record and epoch in units of 2**-20, and the
phase spreads what rounding leaves over parts and groups. All are integers, so
any step is found from the counts alone, and the graph computes the same.
"""

import bisect
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from labse.data.records.groups import LANES, Group

WHOLE = 2**17
RATE_BITS = 20
# Copies of a record of a whole folder are at least 7/8 of a round apart.
_WHOLE_BLOCKS = 8
# Odd, of 2**64: the golden ratio, and the square root of 2 without its 1. As
# int64, since a phase is the same in NumPy and in the graph.
PHASE_OF_PART = 0x9E3779B97F4A7C15 - 2**64
PHASE_OF_GROUP = 0x6A09E667F3BCC909


class Position(NamedTuple):
    """A place in a stream."""

    part: int  # counted on over all epochs
    offset: int  # examples of this part that come before


def record_rates(
    groups: Sequence[Group],
    exponent: float = 1.0,
    corpus_weights: Mapping[str, float] | None = None,
) -> np.ndarray:
    """Examples for each record of a group in an epoch, in units of 2**-20.

    A language (pair) with n_l records gets a share of the examples that is
    proportional to n_l ** exponent, divided among its groups; a record of a
    corpus of weight w counts as w records in both. An epoch has as many
    examples as there are records.

    Returns:
      int64 [groups], each at least 1.
    """
    weights = corpus_weights or {}
    sizes = np.array([group.records for group in groups], np.float64)
    counts = sizes * [weights.get(group.corpus, 1.0) for group in groups]
    _, languages = np.unique(
        [group.name for group in groups], return_inverse=True
    )
    totals = np.bincount(languages, counts)[languages]
    parts = totals**exponent * (counts / totals)
    rates = parts / sizes * (sizes.sum() / parts.sum())
    return np.maximum(np.rint(rates * 2**RATE_BITS), 1).astype(np.int64)


class LaneOrder:
    """Computes where each stream stands at any step.

    Attributes:
      lanes: number of lanes of a global batch.
      is_whole: whether all records are one part.
      num_streams: the number of lanes, or 1.
      rows: of each global batch, from each stream.
      parts: number of parts of each stream.
      blocks: a round of a group is shuffled in so many blocks.
      seed: determines the order.
      rates: int64 [groups], see `record_rates`.
    """

    def __init__(
        self,
        counts: np.ndarray,
        rates: np.ndarray,
        batch_size: int,
        seed: int,
    ):
        """Divides a folder of records into streams.

        Args:
          counts: int32 [shards, groups], records; the number of shards is a
            multiple of `LANES`.
          rates: int64 [groups].
          batch_size: examples of a global batch.
          seed: determines the order, at least 0.
        """
        self.lanes = int(np.gcd(batch_size, LANES))
        self.is_whole = bool(counts.sum(dtype=np.int64) <= WHOLE)
        self.num_streams = 1 if self.is_whole else self.lanes
        self.rows = batch_size // self.num_streams
        self.blocks = _WHOLE_BLOCKS if self.is_whole else 1
        self.seed = seed
        self.rates = rates
        if self.is_whole:
            counts = counts.sum(axis=0, keepdims=True)
        self.parts = len(counts) // self.num_streams
        self._counts = counts

    def position(self, stream: int, step: int) -> Position:
        """Where a stream stands before step `step`."""
        wanted = step * self.rows
        quotas, phases = self._quotas(stream)

        def before(epoch: int) -> int:
            return int(np.sum((epoch * quotas + phases) >> RATE_BITS))

        # Rounding down takes less than one of each part and group.
        most = (wanted + quotas.size + 1 << RATE_BITS) // int(quotas.sum()) + 2
        epoch = bisect.bisect_right(range(most), wanted, key=before) - 1
        order = self.part_order(stream, epoch)
        examples = self._examples(quotas, phases, epoch)[order]
        ends = np.cumsum(examples)
        rest = wanted - before(epoch)
        place = int(np.searchsorted(ends, rest, side="right"))
        offset = rest - int(ends[place] - examples[place])
        return Position(epoch * self.parts + place, offset)

    def part_numbers(self, stream: int, step: int, count: int) -> list[int]:
        """The parts that a stream reads from `step` on, the first `count`.

        Returns:
          of all parts; a shard's number, or 0 where all are one part.
        """
        first = self.position(stream, step).part
        found = []
        for position in range(first, first + count):
            epoch, place = divmod(position, self.parts)
            place = self.part_order(stream, epoch)[place]
            found.append(stream + self.num_streams * int(place))
        return found

    def part_order(self, stream: int, epoch: int) -> np.ndarray:
        """The stream's parts in the order of an epoch: int64 [parts]."""
        return shuffle_index(
            tf.range(self.parts, dtype=tf.int64),
            (self.seed, stream, epoch),
            self.parts,
        ).numpy()

    def _quotas(self, stream: int) -> tuple[np.ndarray, np.ndarray]:
        """A stream's examples per epoch and phases: int64 [parts, groups]."""
        numbers = np.arange(stream, len(self._counts), self.num_streams)
        counts = self._counts[stream :: self.num_streams].astype(np.int64)
        groups = np.arange(len(self.rates))
        return counts * self.rates, phase(numbers[:, None], groups)

    @staticmethod
    def _examples(
        quotas: np.ndarray, phases: np.ndarray, epoch: int
    ) -> np.ndarray:
        """Examples of each part in an epoch: int64 [parts]."""
        start, stop = (
            (each * quotas + phases) >> RATE_BITS for each in (epoch, epoch + 1)
        )
        return np.sum(stop - start, axis=1)


def phase(part, group):
    """From 0 to 2**20: spread evenly over the parts and over the groups.

    Args:
      part, group: int64 arrays, or int64 tensors, that broadcast.
    """
    # Of the product, modulo 2**64, the uppermost bits. The sign that shifting
    # brings in is masked.
    product = part * PHASE_OF_PART + group * PHASE_OF_GROUP
    if isinstance(product, np.ndarray):
        return (product >> 64 - RATE_BITS) & 2**RATE_BITS - 1
    shifted = tf.bitwise.right_shift(
        product, tf.constant(64 - RATE_BITS, tf.int64)
    )
    return shifted & 2**RATE_BITS - 1


def shuffle_index(index, seed, size) -> tf.Tensor:
    """Where `index` (int64) comes in a random permutation of `size` places.

    Args:
      index: int64 [] or [n].
      seed: three integers; of each, no more than the last 8 bits count.
      size: integer.
    """
    # The public index_shuffle takes two of the three seeds.
    return tf.raw_ops.RandomIndexShuffle(
        index=index,
        seed=tf.stack([tf.cast(each, tf.int64) for each in seed]),
        max_index=tf.cast(size - 1, tf.int64),
        rounds=4,
    )
