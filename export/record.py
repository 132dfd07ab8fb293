"""`export.json`: what was exported, and fingerprints of all of it."""

import hashlib
import json
import pathlib

import numpy as np

from export import layout

_BLOCK = 2**22


def file_sha256(path: pathlib.Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def fingerprints(folder: pathlib.Path) -> dict[str, str]:
    """SHA-256 of every file below `folder` except the record itself."""
    return {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / layout.RECORD
    }


def variable_fingerprints(variables) -> dict[str, dict]:
    """Shape, data type and SHA-256 of TensorFlow variables by name."""
    return {
        variable.name.removesuffix(":0"): _fingerprint(variable.numpy())
        for variable in variables
    }


def _fingerprint(value: np.ndarray) -> dict:
    return {
        "shape": list(value.shape),
        "dtype": value.dtype.name,
        "sha256": hashlib.sha256(np.ascontiguousarray(value)).hexdigest(),
    }


def write_record(record: dict, folder: pathlib.Path) -> None:
    """Writes `export.json`."""
    (folder / layout.RECORD).write_text(
        json.dumps(record, indent=1, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )


def read_record(folder: pathlib.Path) -> dict:
    """Reads `export.json`."""
    return json.loads((folder / layout.RECORD).read_text(encoding="utf-8"))
