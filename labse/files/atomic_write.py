"""Atomic writes: a file or folder is whole or not there.

What is written stands beside its place as `.NAME.HOST.PID.tmp` until it is
whole. An exception removes it. What a killed process left is never read, and
is removed when the same host writes the same file again.
"""

import contextlib
import glob
import os
import pathlib
import platform
import shutil
from collections.abc import Iterator
from typing import IO

from labse.errors import InputError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A path beside `path` to write to; it is renamed to `path` at the end.

    For libraries that open files themselves. `path` may be a file or a folder
    that does not exist or is empty; its parent is made if it is not there.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.{platform.node()}."
    for left in path.parent.glob(f"{glob.escape(prefix)}*.tmp"):
        if not _is_running(left.name.removeprefix(prefix).removesuffix(".tmp")):
            _remove(left)
    temporary = path.with_name(f"{prefix}{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise


@contextlib.contextmanager
def atomic_file(
    path: str | os.PathLike, mode: str = "w", **options
) -> Iterator[IO]:
    """A file open for writing; it is synced and renamed to `path` at the end.

    Args:
      path: where the file will be; its parent is made if it is not there.
      mode: "w" or "wb"; text is UTF-8 and its line ends stay as written.
      **options: of `open`.
    """
    if "b" not in mode:
        options = {"encoding": "utf-8", "newline": "", **options}
    # The file is closed before it is renamed.
    with atomic_path(path) as temporary, open(temporary, mode, **options) as f:
        yield f
        f.flush()
        os.fsync(f.fileno())


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


def _remove(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
