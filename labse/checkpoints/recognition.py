"""Tells by its files what kind of model a path is, and opens it."""

import os
import pathlib
import re

from labse.checkpoints import location, run_folder, tensorflow_model
from labse.checkpoints.huggingface import (
    folder_reader,
    modules_json,
)
from labse.checkpoints.kinds import KINDS
from labse.checkpoints.location import local_folder
from labse.checkpoints.stored_model import ModelOptions, StoredModel
from labse.errors import InputError
from labse.formats import model_file, saved_model_graph

__all__ = ["KINDS", "holds_weights", "local_folder", "open_model"]

# The parts that tell a kind, without the one file that it is known by.
_PARTS = (
    ("a run folder", {"checkpoints", "vocab.txt"}, run_folder.CONFIG),
    ("an export folder", {"text", "encode"}, tensorflow_model.EXPORT_RECORD),
    ("a SavedModel", {"variables"}, saved_model_graph.SAVED_MODEL),
    *(
        ("a Hugging Face folder", {name}, folder_reader.CONFIG)
        for name in (
            *("model.safetensors", "model.safetensors.index.json"),
            *("pytorch_model.bin", "tokenizer.json", "tokenizer_config.json"),
        )
    ),
)
_CHECKPOINT_FILE = re.compile(r"(.+)\.(index|meta|data-\d{5}-of-\d{5})")
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


def holds_weights(path: str) -> bool:
    """Whether a folder says by itself that it is a model to be read.

    Such a folder is never run, whatever SavedModel may lie beside.
    """
    return run_folder.is_run_folder(
        path
    ) or folder_reader.is_huggingface_folder(path)


def open_model(path: str, options: ModelOptions | None = None) -> StoredModel:
    """Opens a model of any kind; reads its configuration, not its weights.

    Args:
      path: see `KINDS`.
      options: what the user says about it.

    Raises:
      InputError: it is none of these, is damaged, or does not record
        something that nobody states.
    """
    options = options or ModelOptions()
    path = local_folder(path)
    _names(pathlib.Path(path))  # A folder that cannot be listed, is said now.
    if run_folder.is_run_folder(path):
        return run_folder.open_run(path, options)
    if folder_reader.is_huggingface_folder(path):
        return folder_reader.open_folder(path, options)
    if tensorflow_model.is_export(path):
        return tensorflow_model.open_export(path, options)
    if _is_saved_model(path):
        return tensorflow_model.open_saved_model(path, options)
    prefix = tensorflow_model.checkpoint_prefix(path)
    if prefix:
        # RUN/checkpoints/best/step-1
        run = pathlib.Path(prefix).absolute().parent.parent.parent
        if run_folder.is_run_folder(str(run)):
            return run_folder.open_run(str(run), options, prefix)
        return tensorflow_model.open_checkpoint(prefix, options)
    lost = _lost_file(pathlib.Path(path))
    if lost:
        raise InputError(lost)
    raise InputError(f"{_received(path)} A model is {KINDS}.")


def _is_saved_model(path: str) -> bool:
    return model_file.exists(pathlib.Path(path) / saved_model_graph.SAVED_MODEL)


def _is_model(path: str) -> bool:
    return (
        holds_weights(path)
        or tensorflow_model.is_export(path)
        or _is_saved_model(path)
    )


def _names(folder: pathlib.Path) -> list[str]:
    """What a folder holds, sorted; nothing, if it is none."""
    if not os.path.isdir(folder):
        return []
    try:
        return sorted(os.listdir(folder))
    except PermissionError as error:
        raise InputError(
            f"The folder {folder} may not be read by this user. Change its "
            "owner or its mode (chmod +rx)."
        ) from error


def _lost_file(folder: pathlib.Path) -> str:
    """What to say of a folder that lacks the file it would be known by."""
    names = set(_names(folder))
    if any(map(modules_json.MODULE_FOLDER.fullmatch, names)):
        modules_json.check_not_lost(folder)
    for kind, parts, missing in _PARTS:
        if parts <= names:
            return (
                f"There is no file {folder / missing}, and {folder} looks like "
                f"{kind}, which has one: it holds {', '.join(sorted(parts))}. "
                + (model_file.refetch_hint(folder) or "Copy or fetch it whole.")
            )
    return ""


def _received(path: str) -> str:
    """What was given that is no model, and what may be meant."""
    try:
        os.stat(path)
    except PermissionError:
        return f"A folder above {path!r} may not be read by this user."
    except OSError as error:
        if os.path.islink(path):
            return f"{path!r} is a link to nothing, {os.readlink(path)}."
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            return f"{path!r} cannot be read: {error.strerror}."
        return f"{path!r} does not exist. {location.how_to_get(path)}".rstrip()
    except ValueError:  # A NUL character.
        return f"{path!r} is no path."
    if not os.path.isdir(path):
        return f"Received the file {path!r}. {_of_a_file(path)}"
    folder = pathlib.Path(path)
    names = _names(folder)
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    models = [
        str(folder / name) for name in names if _is_model(str(folder / name))
    ]
    hint = model_file.refetch_hint(path)
    if models:
        hint = f"Models in it: {', '.join(models[:5])}. Name one."
    elif any(name.startswith("models--") for name in names):
        hint = "It is Hugging Face's cache: name one of its models."
    return (
        f"Received the folder {path!r}, which holds {shown or 'nothing'}. "
        f"{hint}".rstrip()
    )


def _of_a_file(path: str) -> str:
    part = _CHECKPOINT_FILE.fullmatch(path)
    if part:
        return f"A checkpoint is named by its prefix: {part[1]}."
    if path.endswith(_ARCHIVES):
        return "Unpack it, and give the folder."
    return f"Give its folder, {os.path.dirname(path) or '.'}."
