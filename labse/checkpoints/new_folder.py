"""A folder that is whole or not there."""

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from labse.errors import InputError


def check(out: str) -> None:
    """Raises `InputError` where `out` holds something already."""
    folder = pathlib.Path(out)
    if folder.is_symlink():
        raise InputError(f"--out must be a new folder. {out} is a link.")
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        raise InputError(
            f"--out must be a new folder; nothing is written over. {out} "
            "exists. Choose another name, or remove it first."
        )


@contextlib.contextmanager
def new_folder(out: str) -> Iterator[pathlib.Path]:
    """A folder beside `out` to write in; it is renamed to `out` at the end.

    Raises:
      InputError: `out` exists and is not empty.
    """
    check(out)
    target = pathlib.Path(out).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(
        tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)
    )
    try:
        folder.chmod(0o755)
        yield folder
        folder.replace(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
