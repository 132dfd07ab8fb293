"""Copies a run folder from remote storage to this machine's disk."""

import atexit
import pathlib
import shutil
import tempfile

from labse.files.remote_path import RemotePath, as_path


def copy_to_disk(folder: RemotePath, checkpoint: str) -> str:
    """Copies a run folder's files and one of its checkpoints.

    Args:
      folder: the run folder.
      checkpoint: the prefix, in checkpoints/PLACE of the run folder.

    Returns:
      the copy. It is removed when the process ends; its path ends as that of
      `folder` does, so that messages are understood.
    """
    scratch = tempfile.mkdtemp(prefix="labse-")
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    target = pathlib.Path(scratch, str(folder).partition("://")[2])
    target.mkdir(parents=True)
    for path in folder.iterdir():
        if path.is_file():
            path.copy_to(target / path.name)
    prefix = as_path(checkpoint)
    copied = target / "checkpoints" / prefix.parent.name
    copied.mkdir(parents=True)
    for path in prefix.parent.iterdir():
        if path.name.startswith(f"{prefix.name}."):
            path.copy_to(copied / path.name)
    (prefix.parent / "checkpoint").copy_to(copied / "checkpoint")
    return str(target)
