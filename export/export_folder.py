"""Writes an export folder: three SavedModels and what proves them."""

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
from export.models import (
    encode_model,
    preprocess_model,
    server_operations,
    text_model,
)
from labse.checkpoints import run_folder
from labse.configs.schema import ExperimentConfig
from labse.files.atomic_write import atomic_folder, check_new_folder
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.version import __version__


class Run(NamedTuple):
    """A run, loaded in float32."""

    folder: pathlib.Path
    checkpoint: str
    encoder: SentenceEncoder
    config: ExperimentConfig
    tokenizer: WordPieceTokenizer


def load_run(path: str) -> Run:
    """Loads a run's best checkpoint, or else its last.

    Whatever precision it was trained with, it is exported in float32: the
    variables are float32 in both.

    Raises:
      InputError: `path` is no run, or has no checkpoint that fits.
    """
    encoder, config, vocabulary = run_folder.load_encoder(path, "float32")
    folder = pathlib.Path(path).resolve()
    checkpoint = pathlib.Path(run_folder.best_or_last(folder))
    return Run(
        folder,
        checkpoint.relative_to(folder).as_posix(),
        encoder,
        config,
        WordPieceTokenizer.from_config(vocabulary, config.tokenizer),
    )


def write(run_path: str, out: str) -> pathlib.Path:
    """Exports the run `run_path` to the new folder `out`.

    It is written under a temporary name beside `out` and renamed at the end:
    `out` is a whole export or does not exist.

    Raises:
      InputError: `run_path` is no run, or `out` exists and is not empty.
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
        "Wrote %s: %.1f MB, %.0f s. Prove it: labse verify %s",
        target,
        size / 1e6,
        time.monotonic() - start,
        target,
    )
    return target


def _write_models(run: Run, folder: pathlib.Path) -> None:
    max_length = run.config.tokenizer.max_length
    with tempfile.TemporaryDirectory() as assets:
        vocabulary = pathlib.Path(assets) / layout.VOCABULARY_NAME
        # As bytes: some pieces hold characters that text mode would change.
        pieces = run.tokenizer.vocabulary.pieces
        vocabulary.write_bytes("".join(f"{p}\n" for p in pieces).encode())
        asset = str(vocabulary)
        models = {
            layout.TEXT: lambda: text_model.build(
                run.encoder, run.tokenizer, asset, max_length
            ),
            layout.PREPROCESS: lambda: preprocess_model.build(
                run.tokenizer, asset, max_length
            ),
            layout.ENCODE: lambda: encode_model.build(
                run.encoder, asset, run.config.tokenizer.lower_case
            ),
        }
        for name, build in models.items():
            root, signatures = build()
            _save(root, str(folder / name), signatures)


def _save(root, path: str, signatures: dict) -> None:
    # It tells at length how it renames internal tensors.
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        tf.saved_model.save(root, path, signatures=signatures)
    finally:
        logging.set_verbosity(verbosity)


def _write_evidence(run: Run, folder: pathlib.Path) -> None:
    """Everything beside the SavedModels themselves; the record comes last."""
    max_length = run.config.tokenizer.max_length
    made = golden.compute(run.encoder, run.tokenizer, max_length)
    golden.save(made, folder)
    largest = max(warmup.BATCH_SIZES)
    texts = made.texts[:largest]
    inputs = run.tokenizer(tf.constant(texts), max_length)[0]
    inputs = {name: value.numpy() for name, value in inputs.items()}
    warmup.write(folder / layout.TEXT, warmup.text_requests(texts, inputs))
    warmup.write(folder / layout.ENCODE, warmup.encode_requests(inputs))
    operations = {
        name: server_operations.operations(folder / name)
        for name in layout.MODELS
    }
    (folder / layout.OPERATIONS).write_text(
        json.dumps(operations, indent=1) + "\n"
    )
    (folder / layout.README).write_text(
        model_card.render(run.folder, run.checkpoint, run.config, run.encoder),
        encoding="utf-8",
    )
    record.save(
        {
            "labse_version": __version__,
            "tensorflow_version": tf.__version__,
            "run": str(run.folder),
            "checkpoint": run.checkpoint,
            "config": dataclasses.asdict(run.config),
            "files": record.fingerprints(folder),
            "variables": record.variable_fingerprints(run.encoder.variables),
        },
        folder,
    )
