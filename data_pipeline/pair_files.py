"""Pairs on disk: tab-separated columns under a header.

There is no quoting: a row is a line, ended by a line feed alone (some texts
hold other line separators), and a column is what stands between two tabs.
"""

import contextlib
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from labse import features
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


def read_header(path: str | Path) -> tuple[str, ...]:
    """The names of the columns, `source` and `target` among them.

    Raises:
      InputError: there is no such file, or it has no such header.
    """
    _, header = next(_numbered_rows(Path(path)), (1, ()))
    missing = {features.SOURCE, features.TARGET} - set(header)
    if missing or len(set(header)) != len(header):
        raise InputError(
            f"{path}, line 1: a file of pairs starts with a header of "
            f"different, tab-separated names, {features.SOURCE} and "
            f"{features.TARGET} among them. Received: {' | '.join(header)!r}. "
            "Add the line as the first one."
        )
    return header


def read_rows(path: str | Path) -> Iterator[tuple[str, ...]]:
    """The rows after the header, in order, each as long as the header.

    Raises:
      InputError: a row has too few or too many columns, an empty source or
        target, or is not UTF-8.
    """
    header = read_header(path)
    texts = [header.index(name) for name in (features.SOURCE, features.TARGET)]
    for line_number, row in _numbered_rows(Path(path)):
        if line_number == 1:
            continue
        if len(row) != len(header):
            raise InputError(
                f"{path}, line {line_number}: a row has as many columns as "
                f"the header, {len(header)}. Received {len(row)}. Look for a "
                "missing tab, or for one inside a text."
            )
        if not all(row[index].strip() for index in texts):
            raise InputError(
                f"{path}, line {line_number}: source and target must not be "
                f"empty. Received: {' | '.join(row)!r}. Take the line out."
            )
        yield row


def _numbered_rows(path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    if not path.is_file():
        raise InputError(
            f"A file of pairs (.tsv or .tsv.gz) is needed. Received: {path}, "
            "which is not a file."
        )
    opener = gzip.open if path.suffix == ".gz" else open
    line_number = 0
    try:
        with opener(path, "rb") as file:
            for line_number, line in enumerate(file, start=1):
                text = line.decode("utf-8-sig" if line_number == 1 else "utf-8")
                yield line_number, tuple(text.rstrip("\r\n").split("\t"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line {line_number}: the text must be UTF-8. {error}."
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}, after line {line_number}: the compressed file is "
            f"damaged ({error}). Make or fetch it again."
        ) from error
