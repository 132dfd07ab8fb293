"""Records to the rows of global batches, as a tf.data graph without state.

The batch of a step is a function of the seed and the step, whatever the number
of hosts. `labse.data.lane_order` says which records it has.
"""

import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from labse.data.lane_order import LaneOrder, record_rates, shuffle_index
from labse.data.record_order import example_order, group_sizes
from labse.data.records.manifest import Manifest
from labse.errors import InputError
from labse.features import GROUP

# Stands in the message of the error that the graph raises.
MISFIT = "the groups of its records are not those of counts.npy"
_SMALL_BATCH = 512


class RecordReader:
    """Reads a folder of records, pairs or text, in the order of training.

    Attributes:
      manifest: of the folder.
      batch_size: rows of a global batch.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        manifest: Manifest,
        batch_size: int,
        seed: int = 0,
        language_exponent: float = 1.0,
        corpus_weights: Mapping[str, float] | None = None,
    ):
        """Reads no record yet.

        Args:
          folder: of the records.
          manifest: its manifest.
          batch_size: rows of a global batch.
          seed: determines the order.
          language_exponent: 1 leaves the records as they are, 0 gives every
            language the same share.
          corpus_weights: how many records each record of a corpus counts as;
            1 for others.

        Raises:
          InputError: there are fewer records than rows of a batch.
        """
        if manifest.num_records < batch_size:
            raise InputError(
                "A global batch has at most as many rows as there are records. "
                f"Received training.global_batch_size={batch_size} and "
                f"{manifest.num_records} records in {folder}. Lower it, or "
                "give more records."
            )
        self.manifest = manifest
        self.batch_size = batch_size
        self._folder = str(folder)
        self._paths = manifest.paths(folder)
        rates = record_rates(manifest.groups, language_exponent, corpus_weights)
        self._order = LaneOrder(manifest.counts, rates, batch_size, seed)
        # What the graph compares a part with: a checksum of its counts.
        self._weights = _odd_numbers(len(rates))
        self._checksums = manifest.counts.astype(np.int64) @ self._weights
        sizes = [shard.records for shard in manifest.shards]
        self._most = max(sizes)
        if self._order.is_whole:
            self._checksums = self._checksums.sum(keepdims=True)
            self._most = sum(sizes)

    def records(
        self,
        steps: range,
        replica_batch_size: int,
        replicas: range = range(1),
    ) -> tf.data.Dataset:
        """The rows of some replicas in the batches of `steps`.

        Args:
          steps: consecutive steps.
          replica_batch_size: rows of one replica's batch.
          replicas: of all in the job, those that this host feeds.

        Returns:
          dataset of serialised examples, string [replica_batch_size], for
          each step one element for each of the replicas.

        Raises:
          InputError: the rows of the replicas are not whole lanes.
        """
        rows = self._check_rows(replica_batch_size, replicas)
        per_stream = self._order.rows
        streams = range(rows.start // per_stream, -(-rows.stop // per_stream))
        chunks = self._chunks(streams, steps.start)
        # A small folder is read whole by each host.
        skipped = rows.start - streams.start * per_stream

        def to_replicas(batch: tf.Tensor) -> tf.Tensor:
            own = tf.reshape(batch, [-1])[skipped : skipped + len(rows)]
            return tf.reshape(own, [len(replicas), replica_batch_size])

        batches = chunks.batch(len(streams), drop_remainder=True)
        batches = batches.map(to_replicas).unbatch()
        options = tf.data.Options()
        # What it would tune is set here. To keep its books, for each record,
        # takes a fifth of the time.
        options.autotune.enabled = False
        return batches.take(len(steps) * len(replicas)).with_options(options)

    def parts_in_use(self, step: int) -> list[str]:
        """The shards that are read or read ahead at a step, of all streams."""
        if self._order.is_whole:
            return self._paths
        return [
            self._paths[number]
            for stream in range(self._order.num_streams)
            for number in self._order.part_numbers(stream, step, 3)
        ]

    def _check_rows(self, replica_batch_size: int, replicas: range) -> range:
        """The rows of the global batch that the replicas have."""
        rows = range(
            replicas.start * replica_batch_size,
            replicas.stop * replica_batch_size,
        )
        lane = self.batch_size // self._order.lanes
        if rows.start % lane or rows.stop % lane:
            raise InputError(
                "Each host reads whole lanes of the global batch. Received a "
                f"global batch of {self.batch_size} records, which has "
                f"{self._order.lanes} lanes of {lane}, and a host with the "
                f"records {rows.start} to {rows.stop - 1}. Make "
                "training.global_batch_size a multiple of 64, and the number "
                "of hosts a power of two."
            )
        return rows

    def _chunks(self, streams: range, step: int) -> tf.data.Dataset:
        """The rows of streams from a step on, in turn: string [rows]."""
        first = [self._order.position(stream, step) for stream in streams]
        parts = tf.constant([each.part for each in first], tf.int64)
        offsets = tf.constant([each.offset for each in first], tf.int64)
        return tf.data.Dataset.range(len(streams)).interleave(
            lambda number: self._stream(
                number + streams.start, parts[number], offsets[number]
            ),
            cycle_length=len(streams),
            block_length=1,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    @tf.autograph.experimental.do_not_convert
    def _stream(self, stream, first_part, offset) -> tf.data.Dataset:
        """A stream from a position on: string [rows], endless."""
        parts = tf.data.Dataset.range(first_part, tf.int64.max)
        examples = parts.flat_map(
            lambda part: self._part(
                stream, part, tf.where(part == first_part, offset, 0)
            )
        )
        # The next part is read while this one is used.
        divided = examples.scan(tf.zeros([0], tf.string), self._divide)
        slices = tf.data.Dataset.from_tensor_slices
        return divided.prefetch(1).flat_map(
            lambda head, body: slices(head).concatenate(slices(body))
        )

    def _divide(self, rest, part):
        """Divides the examples of a part into chunks of the stream's rows.

        Not by `rebatch`, which logs an error wherever two slices of tensors
        of strings meet ("Tensor RefCount not reliable").

        Args:
          rest: string [fewer than rows], the examples before these.
          part: records, string [n], and int64 [examples], the indices of them.

        Returns:
          what is left over, and two tensors of chunks, string [0 or 1, rows]
          and [m, rows].
        """
        (records, indices), rows = part, self._order.rows
        missing = tf.minimum(-tf.size(rest) % rows, tf.size(indices))
        head = tf.concat([rest, tf.gather(records, indices[:missing])], axis=0)
        complete = tf.size(head) // rows * rows
        last = tf.size(indices) - (tf.size(indices) - missing) % rows
        body = tf.gather(records, indices[missing:last])
        rest = tf.concat(
            [head[complete:], tf.gather(records, indices[last:])], axis=0
        )
        chunks = tuple(
            tf.reshape(each, [-1, rows]) for each in (head[:complete], body)
        )
        return rest, chunks

    def _part(self, stream, position, offset) -> tf.data.Dataset:
        """One part: its records, and their order from `offset` on."""
        order = self._order
        epoch, place = position // order.parts, position % order.parts
        place = shuffle_index(place, (order.seed, stream, epoch), order.parts)
        part = stream + order.num_streams * place
        paths = tf.constant(self._paths)
        if not order.is_whole:
            paths = tf.gather(paths, part)
        # One element; a second one would be a part with too many records.
        # By way of small batches, which fit into the processor's cache: all at
        # once takes 1.2 instead of 0.7 us a record.
        read = tf.data.TFRecordDataset(paths).batch(_SMALL_BATCH)
        read = read.rebatch(self._most + 1)

        def arrange(records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            feature = tf.io.FixedLenFeature([], tf.int64)
            groups = tf.io.parse_example(records, {GROUP: feature})[GROUP]
            groups = self._check_groups(groups, part, paths)
            indices = example_order(groups, part, epoch, order)
            return records, indices[offset:]

        return read.map(arrange)

    def _check_groups(self, groups, part, paths) -> tf.Tensor:
        """The groups, where they are those that the manifest counted."""
        sizes = group_sizes(groups, len(self._weights))
        found = tf.reduce_sum(sizes * self._weights)
        fits = found == tf.gather(self._checksums, part)
        # The one stateless op that fails with a message of ours: an Assert
        # could not be sent to another host.
        place = self._folder if self._order.is_whole else paths
        number = tf.strings.to_number(
            tf.where(fits, "0", tf.strings.join([place, ": ", MISFIT])),
            tf.int64,
        )
        return groups + number


def _odd_numbers(count: int) -> np.ndarray:
    """Different large odd numbers: int64 [count]."""
    random = np.random.Generator(np.random.Philox(key=0))
    return random.integers(2**62, size=count, dtype=np.int64) | 1
