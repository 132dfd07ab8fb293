"""Files of models that others made: opened here, with one error for each fault.

Such a file may be missing, truncated, a broken link, another thing under the
right name, or made to do harm. Each error names the file and says what to do;
sizes are checked before memory is allocated, and quotations are short.
"""

import contextlib
import math
import os
import pathlib
import re
from collections.abc import Iterator
from typing import BinaryIO

from labse.errors import InputError
from labse.files.remote_path import as_path, is_remote

# Far above any tensor of a language model; keeps NumPy's own limits away.
MAX_DIMENSIONS = 32
MAX_DIMENSION = 2**31
MAX_BYTES = 2**62
_HEAD_BYTES = 512
_WEB_PAGE = (
    "is a web page, not weights or another file of a model. Fetch the file "
    "itself."
)
# What lies in the place of a file: its first bytes in lower case.
_PLACEHOLDERS = (
    (
        b"version https://git-lfs.github.com/spec/v1",
        "is a Git LFS pointer, the placeholder of a large file in a "
        "repository. Run `git lfs install` and `git lfs pull` there, or "
        "download the file itself.",
    ),
    (b"<!doctype", _WEB_PAGE),
    (b"<html", _WEB_PAGE),
)
# models--sentence-transformers--LaBSE, in ~/.cache/huggingface/hub
_HUGGING_FACE_CACHE = re.compile(r"models--(?:(.+?)--)?(.+)")


def exists(path: str | os.PathLike) -> bool:
    """Whether the name exists, if only as a broken link."""
    if is_remote(path):
        return as_path(path).exists()
    return os.path.lexists(path)


def damaged(path: str | os.PathLike, what: str) -> InputError:
    """The error for a file that is not what it should be.

    `what` is the rest of the sentence that the path begins, without a full
    stop.
    """
    return InputError(f"{path} {what}. {refetch_hint(path) or _AGAIN}")


def lost(path: pathlib.Path, kind: str, held: str) -> InputError:
    """The error for a folder that lacks the file that defines its kind."""
    return InputError(
        f"There is no file {path}, and {path.parent} looks like {kind}, which "
        f"has one: it holds {held}. "
        f"{refetch_hint(path.parent) or 'Copy or fetch it whole.'}"
    )


_AGAIN = "Fetch or copy it again."


def refetch_hint(path: str | os.PathLike) -> str:
    """How to fetch a file of a hub's cache again; "" if it is in none."""
    if is_remote(path):
        return ""
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
def open_binary(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Opens a file for reading bytes.

    Raises:
      InputError: it does not exist, is not a file, or cannot be read.
    """
    try:
        with as_path(path).open("rb") as file:
            yield file
    except FileNotFoundError as error:
        if os.path.islink(path):
            raise damaged(
                path,
                f"is a link to {os.readlink(path)}, which is missing (cp -L "
                "copies the files that links name)",
            ) from error
        raise InputError(
            f"There is no file {path}. {refetch_hint(path) or _AGAIN}"
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


def read_head(path: str | os.PathLike) -> tuple[int, bytes]:
    """The size of a file and its first bytes (at most 512).

    Raises:
      InputError: see `open_binary`; or it is a Git LFS pointer, or a web page.
    """
    with open_binary(path) as file:
        start = file.read(_HEAD_BYTES)
        file.seek(0, os.SEEK_END)
        size = file.tell()
    for beginning, what in _PLACEHOLDERS:
        if start.lstrip().lower().startswith(beginning):
            raise InputError(f"{path} {what}")
    return size, start


def read_bytes(path: str | os.PathLike, max_bytes: int) -> bytes:
    """The bytes of a small file.

    Raises:
      InputError: see `read_head`; or the file has more than `max_bytes`.
    """
    size, _ = read_head(path)
    if size > max_bytes:
        raise InputError(
            f"{path} has {size:,} bytes; such a file has at most "
            f"{max_bytes:,}. Is it the right file?"
        )
    with open_binary(path) as file:
        return file.read()


def shown(value: object, longest: int = 80) -> str:
    """A value from a file, for a message: no control codes, and short."""
    if isinstance(value, list | tuple):
        if len(value) > 8 or any(isinstance(x, list | tuple) for x in value):
            return f"a list of {len(value):,}"
        return f"[{', '.join(shown(item) for item in value)}]"
    if not isinstance(value, str | int | float | None):
        return f"a {type(value).__name__}"
    quoted = repr(value)
    return quoted if len(quoted) <= longest else f"{quoted[: longest - 3]}..."


def is_shape(shape: object) -> bool:
    """Whether `shape` is a list or tuple of sizes that NumPy can take."""
    return (
        isinstance(shape, list | tuple)
        and len(shape) <= MAX_DIMENSIONS
        and all(type(size) is int for size in shape)
        and all(0 <= size <= MAX_DIMENSION for size in shape)
        # NumPy multiplies what is beside a zero as well.
        and math.prod(max(1, size) for size in shape) <= MAX_BYTES // 8
    )
