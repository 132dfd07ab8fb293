"""What holds for every file of weights that was made elsewhere.

Such a file was fetched from somewhere: it may be cut off, it may be another
thing under the right name, and it may have been made to do harm. So sizes are
checked before memory is taken, and what is quoted from it is kept short.
"""

import math
import os
import pathlib

from labse.errors import InputError

# Far above any tensor of a language model; keeps NumPy's own limits away.
MAX_DIMENSIONS = 32
MAX_DIMENSION = 2**31
MAX_BYTES = 2**62

_FETCH = "Fetch the file itself again."
# What is found instead of weights: its first bytes in lower case.
_STRANGERS = (
    (
        b"version https://git-lfs.github.com/spec/v1",
        "is a Git LFS pointer, the note that stands for the weights in a "
        "repository, and not the weights. Run `git lfs pull` there, or "
        "download the file itself.",
    ),
    (b"<!doctype", f"is a web page, not weights. {_FETCH}"),
    (b"<html", f"is a web page, not weights. {_FETCH}"),
)


def shown(value: object) -> str:
    """A value from the file, for a message: no control codes, and short."""
    if isinstance(value, list | tuple):
        if len(value) > 8 or any(isinstance(x, list | tuple) for x in value):
            return f"a list of {len(value):,}"
        return f"[{', '.join(shown(item) for item in value)}]"
    if not isinstance(value, str | int | float | None):
        return f"a {type(value).__name__}"
    quoted = repr(value)
    return quoted if len(quoted) <= 80 else f"{quoted[:77]}..."


def check(path: pathlib.Path) -> tuple[int, bytes]:
    """The size of a file and its first bytes (at most 512).

    Raises:
      InputError: there is no such file, or it is a Git LFS pointer or a web
        page under the name of weights.
    """
    if not path.is_file():
        raise InputError(
            f"There is no file {path}. Give the folder or file of weights."
        )
    with open(path, "rb") as file:
        head = file.read(512)
        size = os.fstat(file.fileno()).st_size
    for start, what in _STRANGERS:
        if head.lstrip().lower().startswith(start):
            raise InputError(f"{path} {what}")
    return size, head


def is_shape(shape: object) -> bool:
    """Whether `shape` is a list or tuple of whole numbers that NumPy takes."""
    return (
        isinstance(shape, list | tuple)
        and len(shape) <= MAX_DIMENSIONS
        and all(type(size) is int for size in shape)
        and all(0 <= size <= MAX_DIMENSION for size in shape)
        # NumPy multiplies what is beside a zero as well.
        and math.prod(max(1, size) for size in shape) <= MAX_BYTES // 8
    )
