"""Writes pairs: tab-separated columns under a header.

There is no quoting: a row is a line, ended by a line feed alone (some texts
hold other line separators), and a column is what stands between two tabs.
"""

import contextlib
import gzip
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from labse.errors import InputError


@contextlib.contextmanager
def _open_to_write(path: Path) -> Iterator[IO[bytes]]:
    """Opens a temporary neighbour that takes the name at a clean end."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open(temporary, "wb"))
            if path.suffix == ".gz":
                # No name and no time inside: equal rows give equal bytes.
                file = stack.enter_context(
                    gzip.GzipFile("", "wb", fileobj=file, mtime=0)
                )
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_rows(
    path: str | Path, header: Iterable[str], rows: Iterable[Iterable[str]]
) -> int:
    """Writes the rows under the header and returns how many there were.

    Args:
      path: `.tsv`, or `.tsv.gz` for a compressed file.
      header: names of the columns.
      rows: cells without tab or line feed.
    """
    count = 0
    with _open_to_write(Path(path)) as file:
        file.write("\t".join(header).encode() + b"\n")
        for row in rows:
            file.write("\t".join(row).encode() + b"\n")
            count += 1
    return count


def check_output_path(path: str | Path, flag: str) -> None:
    """Raises InputError where pairs could not be written to `path`."""
    path = Path(path)
    if not path.name.endswith((".tsv", ".tsv.gz")):
        raise InputError(
            f"--{flag} must end in .tsv or .tsv.gz. Received: {path}."
        )
    if not path.parent.is_dir():
        raise InputError(
            f"--{flag} must be in a folder that exists. Received: {path}. "
            f"Make the folder {path.parent} first."
        )
