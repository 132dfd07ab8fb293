r"""The lines of a text file, compressed or not, of any size.

A line ends at \n, and one \r before it belongs to the ending; no other
character ends a line. What stands after the last \n is a line too, if there is
anything. A byte order mark at the start of the file goes.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO

from labse.errors import InputError
from labse.files.compression import open_unpacked
from labse.files.reading import not_utf_8

# A file without line feeds must not fill the memory.
MAX_LINE_BYTES = 2**24
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# Number from 1, where it begins in the (unpacked) file, and its bytes.
Line = tuple[int, int, bytes]


def read_lines(
    path: str | os.PathLike, span: tuple[int, int] | None = None
) -> Iterator[Line]:
    """Yields the lines of a file, none longer than `MAX_LINE_BYTES`.

    Args:
      path: the file.
      span: of a file that is not compressed, yields the lines that begin at
        these bytes only, from the first to before the last. Their numbers
        count from the first of them. Spans that follow each other have each
        line of the file once.
    """
    path = os.fspath(path)
    with open_unpacked(path) as file:
        if span is None:
            yield from split_lines(file, path)
            return
        begin = _seek_line(file, span[0])
        for number, start, line in split_lines(file, path, begin):
            if start >= span[1]:
                return
            yield number, start, line


def _seek_line(file: BinaryIO, start: int) -> int:
    """Goes to the first line that begins at `start` or after; returns where."""
    if not start:
        return 0
    file.seek(start - 1)
    while (part := file.readline(MAX_LINE_BYTES)) and part[-1] != 10:
        pass
    return file.tell()


def split_lines(file: BinaryIO, name: str, begin: int = 0) -> Iterator[Line]:
    """Yields the lines of an open file, which stands at the byte `begin`.

    `name` is for messages.
    """
    number, end = 0, begin
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        start, end = end, end + len(line)
        if len(line) > MAX_LINE_BYTES:
            raise InputError(
                f"{name}:{number}: a line has at most {MAX_LINE_BYTES:,} "
                "bytes. Received a longer one. Is this a text file with one "
                "text a line?"
            )
        if line[-1] == 10:
            line = line[:-1]
        if line.endswith(b"\r"):
            line = line[:-1]
        if not start and line.startswith(_BYTE_ORDER_MARK):
            if end == len(_BYTE_ORDER_MARK):
                return  # No line: there is nothing else.
            line = line[3:]
            start += 3
        yield number, start, line


def read_text_lines(path: str | os.PathLike) -> Iterator[tuple[int, str]]:
    """Yields (number from 1, line); raises `InputError` if one is no UTF-8."""
    for number, _, line in read_lines(path):
        yield number, decode_line(line, f"{os.fspath(path)}:{number}")


def decode_line(line: bytes, where: str) -> str:
    """The text of a line; raises `InputError` unless it is UTF-8."""
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}: {not_utf_8(error)}. Correct the line, or convert the "
            "file to UTF-8."
        ) from error
