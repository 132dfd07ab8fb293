"""Checks of a run's pairs before training, and their order."""

import collections
import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from absl import logging

from labse.checkpoints import run_folder
from labse.configs.schema import ExperimentConfig
from labse.data.example_order import ExampleOrder
from labse.data.pair_store import PairStore
from labse.errors import InputError
from labse.features import CORPUS
from labse.files.atomic_write import write_bytes

# Batches whose negatives are counted before training; the others are alike.
_CHECKED_BATCHES = 4
# Fewer than this, or than a tenth of the batch, trigger a warning.
_FEW_NEGATIVES = 10
_SHOWN = 5


def check_hard_negatives(store: PairStore, wanted: int) -> None:
    """Logs how many pairs have them; raises `InputError` if none has."""
    if not wanted:
        return
    found = np.minimum(store.num_hard_negatives, wanted)
    if not found.any():
        raise InputError(
            f"data.hard_negatives={wanted} needs pairs with a column or "
            "feature hard_negatives. No pair has any. Make them with labse "
            "mine-hard-negatives, or set 0."
        )
    logging.info(
        "Hard negatives: of %d pairs, %d have %d, %d have fewer, %d have none.",
        len(found),
        np.sum(found == wanted),
        wanted,
        np.sum((found > 0) & (found < wanted)),
        np.sum(found == 0),
    )


def check_corpora(store: PairStore, weights: Mapping[str, float]) -> None:
    """Raises `InputError` if a weight's corpus does not occur."""
    unknown = set(weights) - set(store.corpus_names)
    if unknown:
        names = ", ".join(filter(None, store.corpus_names)) or "none"
        raise InputError(
            "data.corpus_weights must name corpora of the pairs (column or "
            f"feature {CORPUS!r}). Received: {', '.join(sorted(unknown))}. "
            f"Found: {names}. Leave the others out."
        )


def pair_weights(
    store: PairStore, weights: Mapping[str, float]
) -> np.ndarray | None:
    """The weight of each pair: float64 [n]; None if all are 1."""
    if not weights:
        return None
    of_corpora = [weights.get(name, 1.0) for name in store.corpus_names]
    return np.array(of_corpora)[store.corpora]


def example_order(store: PairStore, config: ExperimentConfig) -> ExampleOrder:
    """The order of a run's pairs."""
    return ExampleOrder(
        store.languages,
        config.training.global_batch_size,
        config.training.seed,
        config.data.language_exponent,
        pair_weights(store, config.data.corpus_weights),
    )


def check_negatives(
    store: PairStore, order: ExampleOrder, config: ExperimentConfig
) -> None:
    """Logs how many negatives a pair has in the first batches; warns of few.

    Raises:
      InputError: no pair has any, so the loss would be 0 from the start.
    """
    batch_size = config.training.global_batch_size
    steps = range(min(_CHECKED_BATCHES, config.training.num_steps))
    batches = [order.batch(step) for step in steps]
    found = [
        _negatives(
            [store.pair(index) for index in batch], config.data.hard_negatives
        )
        for batch in batches
    ]
    distinct = min(len(negatives) for negatives in found)
    fewest = min(min(negatives.values()) for negatives in found)
    if not any(max(negatives.values()) for negatives in found):
        raise InputError(
            "A pair needs other pairs in its batch as negatives, with another "
            f"source and another target. Received: {distinct} different pairs "
            f"in a batch of {batch_size} (training.global_batch_size), "
            f"{len(store)} pairs in all, none a negative of another. Give more "
            "pairs, or raise training.global_batch_size if it is 1."
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
            len(store),
            remedy,
        )
    _warn_of_copies(store, batches[0])


def _negatives(
    pairs: list, hard_negatives: int
) -> dict[tuple[bytes, bytes], int]:
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
    hard = {
        text for pair in pairs for text in pair.hard_negatives[:hard_negatives]
    }
    texts = len(sources_of) + len(hard - sources_of.keys())
    return {
        (pair.source, pair.target): texts
        - of_one_source[pair.source]
        - (len(sources_of[pair.target]) > 1)
        for pair in pairs
    }


def _warn_of_copies(store: PairStore, batch: np.ndarray) -> None:
    """Warns of languages that fill a batch with copies of their pairs."""
    rows = np.bincount(
        store.languages[batch], minlength=len(store.language_names)
    )
    distinct = np.bincount(
        store.languages[np.unique(batch)], minlength=len(store.language_names)
    )
    copied = np.flatnonzero(rows >= 2 * np.maximum(distinct, 1))
    if not copied.size:
        return
    shown = copied[np.argsort(distinct[copied] - rows[copied], kind="stable")]
    logging.warning(
        "In %d languages, every pair occurs twice or more in a batch: %s. "
        "Copies teach nothing new. Give more pairs of these, raise "
        "data.language_exponent, or lower training.global_batch_size.",
        len(copied),
        ", ".join(
            f"{store.language_names[each]} ({rows[each]} rows, "
            f"{distinct[each]} pairs)"
            for each in shown[:_SHOWN]
        )
        + ", ..." * (len(shown) > _SHOWN),
    )


def check_same_pairs(folder: pathlib.Path, pairs_identity: str) -> None:
    """Raises `InputError` if a run would be resumed with other pairs."""
    path = folder / run_folder.INDEX / "identity"
    identity = pairs_identity.encode()
    known = path.read_bytes() if path.exists() else identity
    started = tf.train.latest_checkpoint(str(folder / run_folder.LAST))
    if started and known != identity:
        raise InputError(
            f"The training pairs are not those that {folder} started with, so "
            "the order of the data would change. Give the same files, or start "
            f"a new run from its encoder: init={folder} and another run folder."
        )
    write_bytes(path, identity)
