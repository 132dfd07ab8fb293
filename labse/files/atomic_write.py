"""Atomic writes: a file or folder is whole or not there.

What is written stands beside its place as `.NAME.HOST.PID.tmp` until it is
whole. An exception removes it. What a killed process left is never read, and
is removed when the same host writes the same file again. Files may be remote
(see `labse.files.remote_path`), new folders are local ones.
"""

import contextlib
import os
import pathlib
import platform
import shutil
from collections.abc import Iterator
from typing import IO

from labse.errors import InputError
from labse.files.remote_path import AnyPath, RemotePath, as_path


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[AnyPath]:
    """A path beside `path` to write to; it is renamed to `path` at the end.

    For libraries that open files themselves. `path` may be a file or a folder
    that does not exist or is empty; its parent is made if it is not there.
    """
    path = as_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.{platform.node()}."
    for left in list(path.parent.iterdir()):
        if not left.name.startswith(prefix) or not left.name.endswith(".tmp"):
            continue
        if not _is_running(left.name.removeprefix(prefix).removesuffix(".tmp")):
            remove(left)
    temporary = path.with_name(f"{prefix}{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        remove(temporary)
        raise


@contextlib.contextmanager
def atomic_file(
    path: str | os.PathLike, mode: str = "w", **options
) -> Iterator[IO]:
    """A file open for writing; it is synced and renamed to `path` at the end.

    Args:
      path: where the file will be; its parent is made if it is not there.
      mode: "w" or "wb"; text is UTF-8 and its line ends stay as written.
      **options: of `open`, for a local file.
    """
    if "b" not in mode:
        options = {"encoding": "utf-8", "newline": "", **options}
    # The file is closed before it is renamed.
    with (
        atomic_path(path) as temporary,
        _open_synced(temporary, mode, options) as file,
    ):
        yield file


@contextlib.contextmanager
def _open_synced(path: AnyPath, mode: str, options: dict) -> Iterator[IO]:
    """The file, open in the block and stored safely at its end."""
    if isinstance(path, RemotePath):
        with path.open(mode) as file:
            yield file
        return
    with open(path, mode, **options) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A new folder to write in; it is renamed to `path` at the end.

    Raises:
      InputError: see `check_new_folder`.
    """
    check_new_folder(path)
    with atomic_path(path) as temporary:
        temporary.mkdir()
        yield temporary


def check_new_folder(path: str | os.PathLike, name: str = "out") -> None:
    """Raises `InputError` unless `path` does not exist or is an empty folder.

    Args:
      path: of a folder to write.
      name: of the caller's argument or flag, for the message.
    """
    folder = pathlib.Path(path)
    if folder.is_symlink():
        raise InputError(f"{name} must be a new folder. {path} is a link.")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(
            f"{name} must be a new folder; nothing is written over. {path} "
            "exists. Choose another name, or remove it first."
        )


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a UTF-8 file atomically."""
    with atomic_file(path) as file:
        file.write(text)


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file atomically."""
    with atomic_file(path, "wb") as file:
        file.write(content)


def _is_running(process: str) -> bool:
    """Whether another process has this number; true if it is no number."""
    if process == str(os.getpid()):
        return False
    return not process.isdecimal() or os.path.exists(f"/proc/{process}")


def remove(path: AnyPath) -> None:
    """Removes a file, or a folder and all in it, if it is there."""
    if isinstance(path, RemotePath):
        path.remove()
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
