"""What tells one model from another, without reading its weights."""

import hashlib
import pathlib

from labse.checkpoints import run_folder


def of_run(path: str, precision: str) -> str:
    """Hexadecimal digest of a run's configuration, vocabulary and weights.

    The index of a TensorFlow checkpoint holds a checksum of every tensor, so
    it stands for the weights.
    """
    folder = pathlib.Path(path)
    index = pathlib.Path(run_folder.best_or_last(folder) + ".index")
    files = [folder / run_folder.CONFIG, folder / run_folder.VOCABULARY, index]
    return _digest(files, precision)


def of_saved_model(path: str) -> str:
    """Hexadecimal digest of a SavedModel's graph, assets and weights."""
    folder = pathlib.Path(path)
    files = [folder / "saved_model.pb", folder / "variables/variables.index"]
    files += sorted((folder / "assets").glob("**/*"))
    return _digest([file for file in files if file.is_file()], "")


def _digest(files: list[pathlib.Path], setting: str) -> str:
    digest = hashlib.sha256(setting.encode())
    for file in files:
        # The length keeps apart where one file ends and the next begins.
        digest.update(file.stat().st_size.to_bytes(8, "little"))
        digest.update(file.read_bytes())
    return digest.hexdigest()
