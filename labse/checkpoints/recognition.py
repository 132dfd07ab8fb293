"""Recognises the kind of a model by its files, and opens it."""

import os
import pathlib
import re

from labse.checkpoints import location, run_folder, tensorflow_model
from labse.checkpoints.huggingface import folder_reader, modules_json
from labse.checkpoints.kinds import KINDS
from labse.checkpoints.location import local_folder
from labse.checkpoints.stored_model import ModelOptions, StoredModel
from labse.errors import InputError
from labse.files.remote_path import is_remote
from labse.formats import model_file, saved_model_graph

__all__ = ["KINDS", "holds_weights", "local_folder", "open_model"]

# Kinds that can be recognised without the file that defines them: name,
# parts, the missing file.
_PARTS = (
    ("a run folder", {"checkpoints", "vocab.txt"}, run_folder.CONFIG),
    ("an export folder", {"text", "encode"}, tensorflow_model.EXPORT_RECORD),
    ("a SavedModel", {"variables"}, saved_model_graph.SAVED_MODEL),
    *(
        ("a Hugging Face folder", {name}, folder_reader.CONFIG)
        for name in (
            *("model.safetensors", "model.safetensors.index.json"),
            *("pytorch_model.bin", "pytorch_model.bin.index.json"),
            *("tokenizer.json", "tokenizer_config.json"),
        )
    ),
)
_CHECKPOINT_FILE = re.compile(r"(.+)\.(index|meta|data-\d{5}-of-\d{5})")
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


def holds_weights(path: str) -> bool:
    """Whether a folder is recognised as a model of weights.

    Such a folder is read and never run, even if it also holds a SavedModel.
    """
    return run_folder.is_run_folder(
        path
    ) or folder_reader.is_huggingface_folder(path)


def open_model(path: str, options: ModelOptions | None = None) -> StoredModel:
    """Opens a model of any of the `KINDS`; reads no weights yet.

    Except those of an output layer that is stored beside the table of word
    embeddings, to which it may be tied.

    Raises:
      InputError: it is none of these, it is damaged, or it does not record
        something that the options do not say either.
    """
    options = options or ModelOptions()
    path = local_folder(path)
    if is_remote(path):  # No other kind is remote.
        return run_folder.open_run(path, options)
    _names(pathlib.Path(path))  # Fails now if the folder cannot be listed.
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
    _check_no_file_is_lost(pathlib.Path(path))
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
    """Sorted names in a folder; none if it is not a folder."""
    if not os.path.isdir(folder):
        return []
    try:
        return sorted(os.listdir(folder))
    except PermissionError as error:
        raise InputError(
            f"This user may not read the folder {folder}. Change its owner or "
            "its mode (chmod +rx)."
        ) from error


def _check_no_file_is_lost(folder: pathlib.Path) -> None:
    """Raises `InputError` where the one file that defines a kind is missing."""
    names = set(_names(folder))
    if any(map(modules_json.MODULE_FOLDER.fullmatch, names)):
        modules_json.check_not_lost(folder)
    for kind, parts, missing in _PARTS:
        if parts <= names:
            held = ", ".join(sorted(parts))
            raise model_file.lost(folder / missing, kind, held)


def _received(path: str) -> str:
    """Describes a path that is not a model, and what may be meant."""
    try:
        os.stat(path)
    except PermissionError:
        return f"This user may not read a folder above {path!r}."
    except OSError as error:
        if os.path.islink(path):
            return f"{path!r} is a broken link to {os.readlink(path)}."
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            return f"{path!r} cannot be read: {error.strerror}."
        return f"{path!r} does not exist. {location.how_to_get(path)}".rstrip()
    except ValueError:  # A NUL character.
        return f"{path!r} is not a path."
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
        hint = f"Models in it: {', '.join(models[:5])}. Give one of them."
    elif any(name.startswith("models--") for name in names):
        hint = "It is Hugging Face's cache: give one of its models."
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
