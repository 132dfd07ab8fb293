"""What holds for every file of a model: it came from somewhere.

It may be missing, cut off, a link to nothing, or another thing under the right
name. Whoever reads one opens it here, so that each of these is one error that
names the file and says what to do.
"""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator
from typing import BinaryIO

from labse.errors import InputError

_HEAD_BYTES = 512
_WEB_PAGE = (
    "is a web page, not weights or another file of a model. Fetch the file "
    "itself again."
)
# What is found instead of a file: its first bytes in lower case.
_STRANGERS = (
    (
        b"version https://git-lfs.github.com/spec/v1",
        "is a Git LFS pointer, the note that stands for a big file in a "
        "repository, and not the file. Run `git lfs install` and `git lfs "
        "pull` there, or download the file itself.",
    ),
    (b"<!doctype", _WEB_PAGE),
    (b"<html", _WEB_PAGE),
)
# models--sentence-transformers--LaBSE, in ~/.cache/huggingface/hub
_HUGGING_FACE_CACHE = re.compile(r"models--(?:(.+?)--)?(.+)")


def is_there(path: str | os.PathLike) -> bool:
    """Whether there is anything by that name: a link to nothing, too."""
    return os.path.lexists(path)


def damaged(path: str | os.PathLike, what: str) -> InputError:
    """The error for a file that is not what it should be.

    Args:
      path: the file.
      what: what is wrong, as it goes on after the path, without a full stop.
    """
    return InputError(f"{path} {what}. {cached(path) or _AGAIN}")


_AGAIN = "Fetch or copy it again."


def cached(path: str | os.PathLike) -> str:
    """How to get a file of a hub's cache anew; empty if it is in none."""
    path = pathlib.Path(os.path.abspath(path))
    for folder in [path, *path.parents][:-1]:
        note = folder.with_name(f"{folder.name}.descriptor.txt")
        if note.is_file():
            # TF Hub's: https://github.com/tensorflow/hub, resolver.py
            named = re.search(
                "Module: (.*)", note.read_text("utf-8", "replace")
            )
            handle = named[1].strip() if named else "a TF Hub handle"
            return (
                f"It belongs to {handle} in TF Hub's cache: delete the folder "
                f"{folder}, and the model is fetched again when it is loaded."
            )
        found = _HUGGING_FACE_CACHE.fullmatch(folder.name)
        if found:
            name = "/".join(part for part in found.groups() if part)
            return (
                f"It belongs to {name} in Hugging Face's cache: delete the "
                f"folder {folder}, and download the model again (hf download "
                f"{name})."
            )
    return ""


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Opens a file for reading bytes.

    Raises:
      InputError: it is not there, is no file, or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            yield file
    except FileNotFoundError as error:
        if os.path.islink(path):
            raise damaged(
                path,
                f"is a link to {os.readlink(path)}, which is missing (cp -L "
                "copies what links stand for)",
            ) from error
        raise InputError(
            f"There is no file {path}. {cached(path) or _AGAIN}"
        ) from error
    except IsADirectoryError as error:
        raise damaged(path, "is a folder where a file should be") from error
    except PermissionError as error:
        raise InputError(
            f"{path} may not be read by this user. Change its owner or its "
            "mode (chmod +r)."
        ) from error
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror})") from error


def head(path: str | os.PathLike) -> tuple[int, bytes]:
    """The size of a file and its first bytes (at most 512).

    Raises:
      InputError: see `opened`; or it is a Git LFS pointer, or a web page.
    """
    with opened(path) as file:
        start = file.read(_HEAD_BYTES)
        size = os.fstat(file.fileno()).st_size
    for beginning, what in _STRANGERS:
        if start.lstrip().lower().startswith(beginning):
            raise InputError(f"{path} {what}")
    return size, start


def read(path: str | os.PathLike, max_bytes: int) -> bytes:
    """The bytes of a small file.

    Raises:
      InputError: see `head`; or the file is bigger than such a file can be.
    """
    size, _ = head(path)
    if size > max_bytes:
        raise InputError(
            f"{path} has {size:,} bytes; such a file has at most "
            f"{max_bytes:,}. Is it the right file?"
        )
    with opened(path) as file:
        return file.read()
