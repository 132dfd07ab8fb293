"""Checks of a run's pairs before training."""

import collections
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from labse.configs.schema import ExperimentConfig
from labse.data.record_reader import RecordReader
from labse.data.records.manifest import Manifest
from labse.errors import InputError
from labse.features import (
    CORPUS,
    GROUP,
    HARD_NEGATIVES,
    HARD_NEGATIVES_IDS,
    HARD_NEGATIVES_LENGTHS,
    SOURCE,
    SOURCE_IDS,
    TARGET,
    TARGET_IDS,
)

# Batches whose negatives are counted before training; the others are alike.
_CHECKED_BATCHES = 4
# Fewer than this, or than a tenth of the batch, trigger a warning.
_FEW_NEGATIVES = 10
_SHOWN = 5


class _Pair(NamedTuple):
    """A record; a text is bytes, or its ids."""

    source: object
    target: object
    hard_negatives: tuple
    group: int


def check_hard_negatives(manifest: Manifest, wanted: int) -> None:
    """Logs how many pairs have them; raises `InputError` if none has."""
    if not wanted:
        return
    found = collections.Counter()
    for number, pairs in manifest.hard_negatives.items():
        found[min(number, wanted)] += pairs
    if found.keys() <= {0}:
        raise InputError(
            f"data.hard_negatives={wanted} needs pairs with a column or "
            "feature hard_negatives. No pair has any. Make them with labse "
            "mine-hard-negatives, or set 0."
        )
    logging.info(
        "Hard negatives: of %d pairs, %d have %d, %d have fewer, %d have none.",
        manifest.num_records,
        found[wanted],
        wanted,
        sum(found[number] for number in range(1, wanted)),
        manifest.num_records - sum(found.values()) + found[0],
    )


def check_corpora(
    manifests: Sequence[Manifest], weights: Mapping[str, float]
) -> None:
    """Raises `InputError` if a weight's corpus occurs in none of them."""
    corpora = {
        group.corpus for manifest in manifests for group in manifest.groups
    }
    unknown = set(weights) - corpora
    if unknown:
        names = ", ".join(sorted(filter(None, corpora))) or "none"
        raise InputError(
            "data.corpus_weights must name corpora of the data (column or "
            f"feature {CORPUS!r}). Received: {', '.join(sorted(unknown))}. "
            f"Found: {names}. Leave the others out."
        )


def check_negatives(reader: RecordReader, config: ExperimentConfig) -> None:
    """Logs how many negatives a pair has in the first batches; warns of few.

    Raises:
      InputError: no pair has any, so the loss would be 0 from the start.
    """
    batch_size = config.training.global_batch_size
    steps = range(min(_CHECKED_BATCHES, config.training.num_steps))
    negatives = config.data.hard_negatives
    batches = [
        [_parse(record, reader.manifest, negatives) for record in batch]
        for batch in reader.records(steps, batch_size).as_numpy_iterator()
    ]
    found = [_negatives(batch) for batch in batches]
    distinct = min(len(negatives) for negatives in found)
    fewest = min(min(negatives.values()) for negatives in found)
    if not any(max(negatives.values()) for negatives in found):
        raise InputError(
            "A pair needs other pairs in its batch as negatives, with another "
            f"source and another target. Received: {distinct} different pairs "
            f"in a batch of {batch_size} (training.global_batch_size), "
            f"{reader.manifest.num_records} pairs in all, none a negative of "
            "another. Give more pairs, or raise training.global_batch_size if "
            "it is 1."
        )
    logging.info(
        "A batch of %d holds %d different pairs, each with at least %d "
        "negatives.",
        batch_size,
        distinct,
        fewest,
    )
    if fewest < max(_FEW_NEGATIVES, batch_size // 10):
        remedy = "raise training.global_batch_size"
        if distinct < batch_size:
            remedy = f"set training.global_batch_size={distinct}"
        logging.warning(
            "A pair has only %d negatives in a batch of %d with %d different "
            "pairs (%d in all), so loss and accuracy mean little. Give more "
            "pairs, or %s.",
            fewest,
            batch_size,
            distinct,
            reader.manifest.num_records,
            remedy,
        )
    _warn_of_copies(reader.manifest, batches[0])


def _parse(record: bytes, manifest: Manifest, hard_negatives: int) -> _Pair:
    """A record with the first `hard_negatives` of its hard negatives."""
    features = tf.train.Example.FromString(record).features.feature
    group = features[GROUP].int64_list.value[0]
    if not manifest.tokens:
        source, target = (
            features[side].bytes_list.value[0] for side in (SOURCE, TARGET)
        )
        found = features[HARD_NEGATIVES].bytes_list.value
    else:
        source, target, ids, lengths = (
            tuple(features[name].int64_list.value)
            for name in (
                *(SOURCE_IDS, TARGET_IDS),
                *(HARD_NEGATIVES_IDS, HARD_NEGATIVES_LENGTHS),
            )
        )
        found, start = [], 0
        for length in lengths[:hard_negatives]:
            found.append(ids[start : start + length])
            start += length
    return _Pair(source, target, tuple(found[:hard_negatives]), group)


def _negatives(pairs: Sequence[_Pair]) -> dict[tuple, int]:
    """For each pair of a batch, the number of texts that are its negatives.

    As in `labse.losses.additive_margin_softmax`: not its own target, nor a text
    whose only source in the batch is the pair's source.
    """
    sources_of = collections.defaultdict(set)
    for pair in pairs:
        sources_of[pair.target].add(pair.source)
    of_one_source = collections.Counter(
        min(sources) for sources in sources_of.values() if len(sources) == 1
    )
    hard = {text for pair in pairs for text in pair.hard_negatives}
    texts = len(sources_of) + len(hard - sources_of.keys())
    return {
        (pair.source, pair.target): texts
        - of_one_source[pair.source]
        - (len(sources_of[pair.target]) > 1)
        for pair in pairs
    }


def _warn_of_copies(manifest: Manifest, batch: Sequence[_Pair]) -> None:
    """Warns of languages that fill a batch with copies of their pairs."""
    rows, distinct = collections.Counter(), collections.defaultdict(set)
    for pair in batch:
        name = manifest.groups[pair.group].name
        rows[name] += 1
        distinct[name].add(pair)
    copied = {
        name: rows[name] - len(distinct[name])
        for name in sorted(rows)
        if rows[name] >= 2 * len(distinct[name])
    }
    if not copied:
        return
    shown = sorted(copied, key=copied.get, reverse=True)
    logging.warning(
        "In %d languages, every pair occurs twice or more in a batch: %s. "
        "Copies teach nothing new. Give more pairs of these, raise "
        "data.language_exponent, or lower training.global_batch_size.",
        len(copied),
        ", ".join(
            f"{name} ({rows[name]} rows, {len(distinct[name])} pairs)"
            for name in shown[:_SHOWN]
        )
        + ", ..." * (len(shown) > _SHOWN),
    )
