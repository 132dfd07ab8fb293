"""Whether the pairs are what a run's configuration speaks of."""

import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from absl import logging

from labse.checkpoints import run_folder
from labse.data.pair_store import PairStore
from labse.errors import InputError
from labse.features import CORPUS


def check_hard_negatives(store: PairStore, wanted: int) -> None:
    """Says how many pairs have them; raises `InputError` where none has."""
    if not wanted:
        return
    found = np.minimum(store.num_hard_negatives, wanted)
    if not found.any():
        raise InputError(
            f"data.hard_negatives={wanted} needs pairs with hard negatives (a "
            "column of a TSV or a feature of a TFRecord). No pair has any. "
            "Make them with labse mine-hard-negatives, or set 0."
        )
    logging.info(
        "Of %d pairs %d have %d hard negatives, %d have fewer, %d have none.",
        len(found),
        np.sum(found == wanted),
        wanted,
        np.sum((found > 0) & (found < wanted)),
        np.sum(found == 0),
    )


def check_corpora(store: PairStore, weights: Mapping[str, float]) -> None:
    """Raises `InputError` where a weight is that of no corpus."""
    unknown = set(weights) - set(store.corpus_names)
    if unknown:
        names = ", ".join(filter(None, store.corpus_names)) or "none"
        raise InputError(
            "data.corpus_weights must name corpora of the pairs (the column or "
            f"feature {CORPUS!r}). Received: {', '.join(sorted(unknown))}. "
            f"There are: {names}. Leave the others out."
        )


def pair_weights(
    store: PairStore, weights: Mapping[str, float]
) -> np.ndarray | None:
    """As how many pairs each pair counts: float64 [n]; None: all as one."""
    if not weights:
        return None
    of_corpora = [weights.get(name, 1.0) for name in store.corpus_names]
    return np.array(of_corpora)[store.corpora]


def check_same_pairs(folder: pathlib.Path, pairs_identity: str) -> None:
    """Raises `InputError` where a run would go on with other pairs."""
    path = folder / run_folder.INDEX / "identity"
    identity = pairs_identity.encode()
    known = path.read_bytes() if path.exists() else identity
    begun = tf.train.latest_checkpoint(folder / run_folder.LAST)
    if begun and known != identity:
        raise InputError(
            f"The training pairs are not those that {folder} began with, so "
            "the order of the data would be another one. Give the same files, "
            f"or begin a new run with --init={folder}."
        )
    run_folder.write_atomically(path, identity)
