"""Tells by its files what kind of model a path is, and opens it."""

import pathlib

import tensorflow as tf
import tensorflow_hub as hub

from labse.checkpoints import (
    huggingface_source,
    run_folder,
    saved_model_graph,
    tensorflow_source,
)
from labse.checkpoints.model_source import ModelSource, Stated
from labse.errors import InputError

KINDS = (
    "a run folder (config.yaml inside), a sentence-transformers folder "
    "(modules.json), a Hugging Face BERT folder (config.json), an export "
    "folder (export.json), a SavedModel (saved_model.pb) of an encoder such "
    "as google/LaBSE/2, a BERT checkpoint of TensorFlow 1 or Model Garden "
    "(its prefix, or the folder with bert_model.ckpt.index), or a TF Hub "
    "handle (URL)"
)


def resolve(path: str) -> str:
    """The local folder of a TF Hub handle; a path is its own.

    Raises:
      InputError: it could not be fetched.
    """
    if "://" not in path:
        return path
    try:
        return hub.resolve(path)
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        raise InputError(
            f"The TF Hub handle {path} could not be fetched: {error}"
        ) from error


def holds_weights(path: str) -> bool:
    """Whether a folder says by itself that it is a model to be read.

    Such a folder is never run, whatever SavedModel may lie beside.
    """
    return run_folder.is_run_folder(path) or huggingface_source.is_folder(path)


def open_source(path: str, stated: Stated | None = None) -> ModelSource:
    """Opens a model of any kind; reads its configuration, not its weights.

    Args:
      path: see `KINDS`.
      stated: what the user says about it.

    Raises:
      InputError: it is none of these, is damaged, or does not record
        something that nobody states.
    """
    stated = stated or Stated()
    path = resolve(path)
    folder = pathlib.Path(path)
    if run_folder.is_run_folder(path):
        return run_folder.open_source(path, stated)
    if huggingface_source.is_folder(path):
        return huggingface_source.open_source(path, stated)
    if tensorflow_source.is_export(path):
        return tensorflow_source.open_export(path, stated)
    if (folder / saved_model_graph.SAVED_MODEL).is_file():
        return tensorflow_source.open_saved_model(path, stated)
    prefix = tensorflow_source.checkpoint_prefix(path)
    if prefix:
        # RUN/checkpoints/best/step-1
        run = pathlib.Path(prefix).absolute().parent.parent.parent
        if run_folder.is_run_folder(str(run)):
            return run_folder.open_source(str(run), stated, prefix)
        return tensorflow_source.open_checkpoint(prefix, stated)
    if not folder.exists():
        raise InputError(f"A model is {KINDS}. {path!r} does not exist.")
    if not folder.is_dir():
        raise InputError(f"A model is {KINDS}. Received the file {path!r}.")
    names = sorted(entry.name for entry in folder.iterdir())
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    raise InputError(
        f"A model is {KINDS}. Received the folder {path!r}, which holds "
        f"{shown or 'nothing'}."
    )
