"""Records to the batches of pre-training, as a tf.data graph without state."""

import os

import tensorflow as tf
from absl import logging

from labse.configs.pretraining import MaskingConfig, PretrainingConfig
from labse.data.packed_records import PackedRecords, sample_reader
from labse.data.record_reader import RecordReader
from labse.data.records.manifest import Manifest
from labse.errors import InputError
from labse.features import (
    BILINGUAL,
    INPUT_POSITIONS,
    MODEL_INPUTS,
    SENTENCE_NUMBERS,
)
from labse.preprocessing import sentence_packing as packing
from labse.preprocessing import sentence_tokens
from labse.preprocessing.masking import mask_tokens
from labse.preprocessing.tokenizer import WordPieceTokenizer

_STEPS_AHEAD = 2
# The orders of the two kinds of records are not to be related: far from the
# seeds that users choose, and other in the last 8 bits, for `shuffle_index`.
_BILINGUAL_SEED = 2**32 + 2**7
# A folder of records and its manifest.
Records = tuple[str | os.PathLike, Manifest]


class PretrainingReader:
    """Batches of monolingual text (MLM) and of translation pairs (TLM).

    A global batch is the `config.bilingual_rows` sequences of pairs, and the
    others of monolingual text. Each replica has an equal share of both,
    monolingual sequences first.

    The sequences of a step and their masks are a function of the records, the
    configuration and the step: a resumed run reads what an uninterrupted one
    would, and any number of hosts and replicas, the same sequences. What
    differs between numbers of replicas is which replica has a sequence, and
    so the order of the global batch. Masks are drawn anew at each step, and so
    in each epoch.

    Attributes:
      readers: of the folders, for messages on damage.
    """

    def __init__(
        self,
        monolingual: Records | None,
        bilingual: Records | None,
        tokenizer: WordPieceTokenizer,
        config: PretrainingConfig,
    ):
        """Reads a sample of each kind of records, and checks it.

        Args:
          monolingual: folder and manifest of records of text. Not needed where
            data.bilingual_share is 1.
          bilingual: of pairs. Not needed where it is 0.
          tokenizer: text to pieces; of ids, only its vocabulary is used.
          config: of the run.

        Raises:
          InputError: the records or the configuration break a rule.
        """
        self._config = config
        self._vocabulary = tokenizer.vocabulary
        config.check_replicas(1)
        seed, pairs = config.training.seed, config.bilingual_rows
        self._kinds = [
            PackedRecords(*records, tokenizer, config, count, own_seed)
            for records, count, own_seed in zip(
                used_kinds(config, monolingual, bilingual, "records"),
                (config.training.global_batch_size - pairs, pairs),
                (seed, seed + _BILINGUAL_SEED),
                strict=True,
            )
            if records
        ]

    @property
    def readers(self) -> list[RecordReader]:
        """The readers of the folders in use."""
        return [kind.reader for kind in self._kinds]

    def batches(
        self,
        steps: range,
        replica_batch_size: int,
        replicas: range = range(1),
    ) -> tf.data.Dataset:
        """The batches of `steps`, for each step one batch for each replica.

        Args:
          steps: consecutive steps.
          replica_batch_size: sequences of one replica's batch.
          replicas: of all in the job, those that this host feeds.

        Returns:
          dataset of dicts: `MODEL_INPUTS`, int32 [batch, length]; what
          `masking.mask_tokens` returns; `BILINGUAL`, int32 [batch]; and of
          packed sequences `SENTENCE_NUMBERS` and `INPUT_POSITIONS`, int32
          [batch, length]. All shapes are static.

        Raises:
          InputError: the global batch cannot be divided among the replicas.
        """
        rows = self._replica_rows(replica_batch_size)

        @tf.autograph.experimental.do_not_convert
        def make_batch(number, records):
            step = steps.start + number // len(replicas)
            replica = replicas.start + number % len(replicas)
            return self._batch(records, rows, step, replica)

        sources = tuple(
            kind.records(steps, count, replicas)
            for kind, count in zip(self._kinds, rows, strict=True)
        )
        numbers = tf.data.Dataset.range(len(steps) * len(replicas))
        return (
            tf.data.Dataset.zip((numbers, sources))
            .map(
                make_batch,
                num_parallel_calls=tf.data.AUTOTUNE,
                deterministic=True,
            )
            .prefetch(_STEPS_AHEAD * len(replicas))
        )

    def _replica_rows(self, replica_batch_size: int) -> list[int]:
        """The sequences of each kind in a replica's batch."""
        size = self._config.training.global_batch_size
        replicas, rest = divmod(size, replica_batch_size)
        if rest:
            raise InputError(
                "replica_batch_size must divide training.global_batch_size. "
                f"Received: {replica_batch_size} and {size}."
            )
        self._config.check_replicas(replicas)
        return [kind.rows // replicas for kind in self._kinds]

    def _batch(self, records, rows, step, replica) -> dict[str, tf.Tensor]:
        """The batch of a replica; see `batches`."""
        parts, numbers, first = [], [], 0
        for kind, own, count in zip(self._kinds, records, rows, strict=True):
            parts.append(kind.pack(own, count))
            start = first + replica * count
            numbers.append(start + tf.range(count, dtype=tf.int64))
            first += kind.rows
        inputs = {
            name: tf.concat([part[name] for part in parts], axis=0)
            for name in parts[0]
        }
        is_bilingual = [
            int(kind.is_bilingual)
            for kind, count in zip(self._kinds, rows, strict=True)
            for _ in range(count)
        ]
        return _masked(
            inputs if self._config.data.packed else _unpacked(inputs),
            tf.constant(is_bilingual, tf.int32),
            self._vocabulary,
            self._config.masking,
            (self._config.training.seed, step, tf.concat(numbers, axis=0)),
        )


def used_kinds(
    config: PretrainingConfig, monolingual, bilingual, what: str
) -> list:
    """What is given of each kind; None for a kind without a share.

    Args:
      config: its share of pairs counts.
      monolingual: whatever there is of texts; empty or None: nothing.
      bilingual: the same of pairs.
      what: is given, in a word.

    Raises:
      InputError: nothing is given of a kind with a share.
    """
    share = config.data.bilingual_share
    used = []
    for name, given, own_share in (
        ("monolingual", monolingual, 1 - share),
        ("bilingual", bilingual, share),
    ):
        if own_share and not given:
            raise InputError(
                f"data.bilingual_share={share} needs {name} {what}. Received "
                "none. Give some, or set data.bilingual_share="
                f"{int(name == 'monolingual')}."
            )
        if given and not own_share:
            logging.warning(
                "The %s %s are not used: data.bilingual_share is %g.",
                *(name, what, share),
            )
        used.append(given if own_share else None)
    return used


def sample_readers(
    monolingual: Records | None,
    bilingual: Records | None,
    config: PretrainingConfig,
) -> list[RecordReader]:
    """Those that a `PretrainingReader` reads its samples with, once more.

    For messages on damage that it finds: there is no `PretrainingReader` then.
    """
    seed = config.training.seed
    return [
        sample_reader(*records, config, own_seed)
        for records, own_seed in (
            (monolingual, seed),
            (bilingual, seed + _BILINGUAL_SEED),
        )
        if records
    ]


def unpacked_batch(
    texts: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
    tokenizer: WordPieceTokenizer,
    max_length: int,
    masking: MaskingConfig,
    seed: int,
    numbers: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Texts or pairs, each in a sequence of its own: a batch for validation.

    Args:
      texts: string [n]; or sources and targets, two of them.
      tokenizer: text to pieces.
      max_length: every sequence is padded or truncated to this length.
      masking: which tokens have to be predicted.
      seed: of the masks.
      numbers: int [n]; with the same number, a text gets the same masks.

    Returns:
      as `PretrainingReader.batches`.
    """
    vocabulary = tokenizer.vocabulary
    is_pairs = isinstance(texts, tuple)
    if is_pairs:
        pieces = [tokenizer.tokenize(side) for side in texts]
        sentences = sentence_tokens.of_pairs(*pieces, vocabulary, max_length)
    else:
        pieces = tokenizer.tokenize(texts)
        sentences = sentence_tokens.of_texts(pieces, vocabulary, max_length)
    numbers = tf.convert_to_tensor(numbers)
    lengths = tf.cast(sentences.ids.row_lengths(), tf.int32)
    lengths = tf.ensure_shape(lengths, numbers.shape)
    places = packing.find_places(lengths[:, None], 1, max_length)
    inputs = packing.pack_sentences(
        sentences, places, 1, max_length, vocabulary
    )
    bilingual = tf.fill(tf.shape(lengths), int(is_pairs))
    bilingual = tf.ensure_shape(bilingual, numbers.shape)
    return _masked(
        *(_unpacked(inputs), bilingual, vocabulary, masking),
        (seed, tf.constant(0, tf.int64), numbers),
    )


def _unpacked(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {
        name: values
        for name, values in inputs.items()
        if name not in (SENTENCE_NUMBERS, INPUT_POSITIONS)
    }


def _masked(inputs, bilingual, vocabulary, masking, keys):
    """A batch of inputs whose tokens are masked; `keys`: seed, step, rows."""
    word_ids = MODEL_INPUTS[0]
    ids, targets = mask_tokens(inputs[word_ids], vocabulary, masking, *keys)
    return {**inputs, word_ids: ids, **targets, BILINGUAL: bilingual}
