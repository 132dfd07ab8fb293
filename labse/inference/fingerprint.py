"""Fingerprints of models."""

import hashlib
import json
import pathlib

from labse.checkpoints import stored_model
from labse.checkpoints.stored_model import StoredModel

_BLOCK_BYTES = 2**24


def of_source(source: StoredModel, compute_dtype: str) -> str:
    """Hexadecimal digest of a model's configuration and files.

    `max_length` is left out, because it can be set to another value. The
    training is left out too, except for what the files contain. For a
    TensorFlow checkpoint the index is read, which has a checksum of every
    tensor; otherwise the files of weights.
    """
    settings = stored_model.config_values(source.config)
    del settings["tokenizer.max_length"]
    return _digest(list(source.files), json.dumps(settings) + compute_dtype)


def of_saved_model(path: str) -> str:
    """Hexadecimal digest of a SavedModel's graph, assets and weights."""
    folder = pathlib.Path(path)
    files = [folder / "saved_model.pb", folder / "variables/variables.index"]
    files += sorted((folder / "assets").glob("**/*"))
    return _digest([file for file in files if file.is_file()], "")


def _digest(paths: list[pathlib.Path], settings: str) -> str:
    digest = hashlib.sha256(settings.encode())
    for path in paths:
        # The length marks where one file ends and the next begins.
        digest.update(path.stat().st_size.to_bytes(8, "little"))
        with open(path, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()
