"""Records of one kind to the sequences of pre-training.

A record is a text, or a pair, as texts or as ids. `PackedRecords` reads as many
of them for a batch as its sequences have room for.
"""

import os

import numpy as np
import tensorflow as tf
from absl import logging

from labse.configs.pretraining import PretrainingConfig
from labse.data.record_reader import RecordReader
from labse.data.records.groups import PAIRS
from labse.data.records.manifest import Manifest
from labse.errors import InputError
from labse.features import (
    GROUP,
    SOURCE,
    SOURCE_IDS,
    TARGET,
    TARGET_IDS,
    TEXT,
    TEXT_IDS,
)
from labse.preprocessing import sentence_packing as packing
from labse.preprocessing import sentence_tokens
from labse.preprocessing.masking import can_be_masked
from labse.preprocessing.sentence_tokens import Sentences
from labse.preprocessing.tokenizer import WordPieceTokenizer

# Records that are looked at before training. Of a large folder they come from
# one lane, that is, from one or two shards, each a fair sample of all records.
SAMPLE_RECORDS = 2**13
# A token is predicted from the others: with one alone, nothing is learned.
_FEWEST_PIECES = 2
_FEW_PIECES = 5
_SHARE_LONG_ENOUGH = 0.1
# A language with fewer records in the sample is not checked by itself.
_SURE_RECORDS = 20


class PackedRecords:
    """Reads a folder, and packs a fixed number of records into sequences.

    Attributes:
      reader: of the folder; its batch is all records of a global batch.
      is_bilingual: whether the records are pairs.
      rows: sequences of a global batch.
      unit_rows: the batch of a replica is a multiple of so many.
      unit_records: records that are read for a unit.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        manifest: Manifest,
        tokenizer: WordPieceTokenizer,
        config: PretrainingConfig,
        rows: int,
        seed: int,
    ):
        """Reads a sample, checks it, and chooses the number of records.

        Raises:
          InputError: there are fewer records than a global batch needs, or
            they are too short to mask.
        """
        self._tokenizer = tokenizer
        self._length = config.tokenizer.max_length
        self.is_bilingual = manifest.kind == PAIRS
        self._has_ids = manifest.tokens is not None
        self.rows = rows
        _check_languages(folder, manifest)
        _check_enough(folder, manifest, rows, rows)
        sample = sample_reader(folder, manifest, config, seed)
        lengths = self._check_sample(folder, sample)
        self.unit_rows, self.unit_records = config.unit_rows, 1
        if config.data.packed:
            self.unit_records = self._choose(folder, lengths)
        needed = rows // self.unit_rows * self.unit_records
        _check_enough(folder, manifest, rows, needed)
        self.reader = _reader(folder, manifest, needed, config, seed)

    def records(
        self, steps: range, replica_rows: int, replicas: range
    ) -> tf.data.Dataset:
        """As `RecordReader.records`, of the records of so many sequences."""
        count = replica_rows // self.unit_rows * self.unit_records
        return self.reader.records(steps, count, replicas)

    def pack(self, records: tf.Tensor, rows: int) -> dict[str, tf.Tensor]:
        """Serialised records, string [n], to sequences.

        Returns:
          as `sentence_packing.pack_sentences`, int32 [rows, length].
        """
        units = rows // self.unit_rows
        records = tf.ensure_shape(records, [units * self.unit_records])
        sentences = self._sentences(records)
        lengths = tf.cast(sentences.ids.row_lengths(), tf.int32)
        places = packing.find_places(
            tf.reshape(lengths, [units, self.unit_records]),
            self.unit_rows,
            self._length,
        )
        return packing.pack_sentences(
            sentences,
            places,
            self.unit_rows,
            self._length,
            self._tokenizer.vocabulary,
        )

    def _sentences(self, records: tf.Tensor) -> Sentences:
        """Parses and tokenizes records, string [n]."""
        if self._has_ids:
            feature = tf.io.RaggedFeature(tf.int64)
            text, sides = TEXT_IDS, (SOURCE_IDS, TARGET_IDS)
        else:
            feature = tf.io.FixedLenFeature([], tf.string)
            text, sides = TEXT, (SOURCE, TARGET)
        names = sides if self.is_bilingual else (text,)
        found = tf.io.parse_example(records, dict.fromkeys(names, feature))
        pieces = [found[name] for name in names]
        if self._has_ids:
            pieces = [tf.cast(each, tf.int32) for each in pieces]
        else:
            pieces = list(map(self._tokenizer.tokenize, pieces))
        make = (
            sentence_tokens.of_pairs
            if self.is_bilingual
            else sentence_tokens.of_texts
        )
        return make(*pieces, self._tokenizer.vocabulary, self._length)

    def _check_sample(self, folder, reader: RecordReader) -> np.ndarray:
        """The lengths of a sample of records, which is checked: int64 [n]."""
        manifest = reader.manifest
        count = min(SAMPLE_RECORDS, manifest.num_records)
        records = reader.records(range(count), 1).unbatch()
        vocabulary = self._tokenizer.vocabulary

        @tf.function(autograph=False)
        def measure(records):
            ids = self._sentences(records).ids
            pieces = tf.cast(
                can_be_masked(ids.flat_values, vocabulary), "int32"
            )
            group = tf.io.FixedLenFeature([], tf.int64)
            return (
                ids.row_lengths(),
                tf.reduce_sum(ids.with_values(pieces), axis=1),
                tf.io.parse_example(records, {GROUP: group})[GROUP],
            )

        lengths, pieces, groups = (
            each.numpy() for each in measure(next(iter(records.batch(count))))
        )
        _check_pieces(folder, manifest, pieces, groups)
        return lengths

    def _choose(self, folder, lengths: np.ndarray) -> int:
        choice = packing.sentences_per_unit(
            lengths, self.unit_rows, self._length
        )
        logging.info(
            "%s: %d records for each %d sequences of %d tokens, %.1f a "
            "sequence. %.1f %% of the records find no room in an epoch, %.1f "
            "%% of the sequences is padding (in a sample).",
            folder,
            choice.sentences,
            self.unit_rows,
            self._length,
            choice.sentences / self.unit_rows,
            100 * choice.left_out,
            100 * choice.padding,
        )
        return choice.sentences


def sample_reader(
    folder: str | os.PathLike,
    manifest: Manifest,
    config: PretrainingConfig,
    seed: int,
) -> RecordReader:
    """Reads the records that `PackedRecords` looks at first, one a step."""
    # A batch of one record has one lane.
    return _reader(folder, manifest, 1, config, seed)


def _reader(folder, manifest, batch_size, config, seed) -> RecordReader:
    return RecordReader(
        folder,
        manifest,
        batch_size,
        seed,
        config.data.language_exponent,
        config.data.corpus_weights,
    )


def _check_enough(folder, manifest: Manifest, rows: int, needed: int) -> None:
    if manifest.num_records < needed:
        raise InputError(
            f"A global batch of {rows} sequences takes {needed} records here. "
            f"Received {manifest.num_records} records in {folder}. Lower "
            "training.global_batch_size, or give more records."
        )


def _check_languages(folder, manifest: Manifest) -> None:
    """Raises `InputError` where a language has no records."""
    empty = [group.name for group in manifest.groups if not group.records]
    if empty:
        raise InputError(
            f"{folder}: a language has records. Received none in: "
            f"{', '.join(empty)}. Write the records again without it, or with "
            "text of it."
        )


def _check_pieces(folder, manifest, pieces, groups) -> None:
    """Raises `InputError` where texts are too short to mask.

    Args:
      folder: of the records.
      manifest: names the groups.
      pieces: int [n], of each text, pieces that can be masked.
      groups: int [n], of each text.
    """
    names = np.array([group.name for group in manifest.groups])[groups]
    parts = {"": np.ones(len(pieces), bool)}
    for name in np.unique(names):
        if (names == name).sum() >= _SURE_RECORDS:
            parts[f" in {name}"] = names == name
    for language, chosen in parts.items():
        share = np.mean(pieces[chosen] >= _FEWEST_PIECES)
        if share < _SHARE_LONG_ENOUGH:
            raise InputError(
                "A text has at least two pieces that the vocabulary knows, so "
                "that one can be predicted from the other. Received "
                f"{folder}, where {100 * share:.1f} % of the texts{language} "
                f"have them, of a sample of {chosen.sum()}. Give sentences in "
                "place of words, or a vocabulary with the language's letters."
            )
    few = np.mean(pieces < _FEW_PIECES)
    if few > 0.5:
        logging.warning(
            "%s: %.0f %% of the texts have fewer than %d pieces (in a sample). "
            "A masked piece is predicted from those beside it: longer texts "
            "teach more.",
            folder,
            100 * few,
            _FEW_PIECES,
        )
