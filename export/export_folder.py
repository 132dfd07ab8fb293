"""Writes an export folder: three SavedModels and the evidence for them."""

import dataclasses
import json
import pathlib
import tempfile
import time
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from export import golden, layout, record, warmup
from export.card import model_card
from export.models.encode_model import build_encode_model
from export.models.preprocess_model import build_preprocess_model
from export.models.server_operations import operations
from export.models.text_model import build_text_model
from labse.checkpoints import run_folder
from labse.checkpoints.vocabulary.vocab_txt import write_vocabulary
from labse.configs.schema import ExperimentConfig
from labse.files.atomic_write import atomic_folder, check_new_folder
from labse.files.remote_path import is_remote
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.version import __version__


class TrainedModel(NamedTuple):
    """A run, loaded in float32; a remote one is copied to `folder`."""

    name: str
    folder: pathlib.Path
    checkpoint: str
    encoder: SentenceEncoder
    config: ExperimentConfig
    tokenizer: WordPieceTokenizer


def load_run(path: str) -> TrainedModel:
    """Loads a run's best checkpoint, or the last if there is no best one.

    An export is float32 whatever `compute_dtype` the run was trained with: its
    variables are float32 in any case.

    Raises:
      InputError: `path` is not a run, or has no checkpoint that fits it.
    """
    local = run_folder.local_run(path)
    encoder, config, vocabulary = run_folder.load_encoder(local, "float32")
    folder = pathlib.Path(local).resolve()
    checkpoint = pathlib.Path(run_folder.best_or_last(folder))
    return TrainedModel(
        path if is_remote(path) else str(folder),
        folder,
        checkpoint.relative_to(folder).as_posix(),
        encoder,
        config,
        WordPieceTokenizer.from_config(vocabulary, config.tokenizer),
    )


def export_run(run_path: str, out: str) -> pathlib.Path:
    """Exports the run `run_path` to the new folder `out`.

    `out` is a complete export or does not exist.

    Raises:
      InputError: `run_path` is not a run, or `out` exists and is not empty.
    """
    target = pathlib.Path(out)
    check_new_folder(target)
    start = time.monotonic()
    run = load_run(run_path)
    with atomic_folder(target) as temporary:
        _write_models(run, temporary)
        _write_evidence(run, temporary)
    size = sum(f.stat().st_size for f in target.rglob("*") if f.is_file())
    logging.info(
        "Wrote %s: %.1f MB, %.0f s. Verify it: labse verify %s",
        target,
        size / 1e6,
        time.monotonic() - start,
        target,
    )
    return target


def _write_models(run: TrainedModel, folder: pathlib.Path) -> None:
    max_length = run.config.tokenizer.max_length
    with tempfile.TemporaryDirectory() as assets:
        path = pathlib.Path(assets) / layout.VOCABULARY_NAME
        write_vocabulary(path, run.tokenizer.vocabulary)
        asset = str(path)
        text = build_text_model(run.encoder, run.tokenizer, asset, max_length)
        _save(folder / layout.TEXT, *text)
        preprocess = build_preprocess_model(run.tokenizer, asset, max_length)
        _save(folder / layout.PREPROCESS, *preprocess)
        lower_case = run.config.tokenizer.lower_case
        encode = build_encode_model(run.encoder, asset, lower_case)
        _save(folder / layout.ENCODE, *encode)


def _save(path: pathlib.Path, root, signatures: dict) -> None:
    # At INFO, TensorFlow logs every tensor that it renames.
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        tf.saved_model.save(root, str(path), signatures=signatures)
    finally:
        logging.set_verbosity(verbosity)


def _write_evidence(run: TrainedModel, folder: pathlib.Path) -> None:
    """Everything besides the SavedModels; the record comes last."""
    max_length = run.config.tokenizer.max_length
    made = golden.compute_golden(run.encoder, run.tokenizer, max_length)
    golden.write_golden(made, folder)
    largest = max(warmup.BATCH_SIZES)
    texts = made.texts[:largest]
    inputs = run.tokenizer(tf.constant(texts), max_length)[0]
    inputs = {name: value.numpy() for name, value in inputs.items()}
    warmup.write_requests(
        folder / layout.TEXT, warmup.text_requests(texts, inputs)
    )
    warmup.write_requests(
        folder / layout.ENCODE, warmup.encode_requests(inputs)
    )
    needed = {name: operations(folder / name) for name in layout.MODELS}
    (folder / layout.OPERATIONS).write_text(json.dumps(needed, indent=1) + "\n")
    (folder / layout.README).write_text(
        model_card.render_card(
            run.folder, run.checkpoint, run.config, run.encoder
        ),
        encoding="utf-8",
    )
    record.write_record(
        {
            "labse_version": __version__,
            "tensorflow_version": tf.__version__,
            "run": run.name,
            "checkpoint": run.checkpoint,
            "config": dataclasses.asdict(run.config),
            "files": record.fingerprints(folder),
            "variables": record.variable_fingerprints(run.encoder.variables),
        },
        folder,
    )
