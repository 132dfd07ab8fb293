"""One clear error where a disk is full."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator

from labse.errors import InputError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def full_disk_is_input_error(folder: str | os.PathLike) -> Iterator[None]:
    """Raises `InputError` where the disk of a folder is full in the block."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        free = shutil.disk_usage(folder).free
        raise InputError(
            f"The disk of {folder} is full ({free / 1e9:.2f} GB free). "
            "Finished files are kept: free some space and start again with "
            "the same arguments."
        ) from error
