r"""A text file of any size as lines, one sentence each.

A line ends with \n, and a \r before it belongs to the ending; no other
character ends a line. What stands after the last \n is a line too, if there
is anything.
"""

import contextlib
import gzip
import hashlib
import pathlib
import sys
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from labse.errors import InputError

STANDARD_INPUT = "-"

# A killed process loses at most one chunk. Sorted by length, a larger chunk
# would save little padding.
CHUNK_LINES = 4096
CHUNK_BYTES = 2**22
# A file without line feeds must not fill the memory.
MAX_LINE_BYTES = 2**24


class Lines:
    """The lines of a stream; counts and digests what it has read.

    Attributes:
      count: lines read up to now.
    """

    def __init__(self, stream: BinaryIO, name: str):
        self._stream = stream
        self._name = name
        self._digest = hashlib.sha256()
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._read():
            self.count += 1
            if len(line) > MAX_LINE_BYTES:
                raise InputError(
                    f"{self._name}:{self.count}: a line has at most "
                    f"{MAX_LINE_BYTES:,} bytes. Received a longer one. Is "
                    "this a text file with one sentence a line?"
                )
            self._digest.update(line)
            yield self._decode(line)

    @property
    def digest(self) -> str:
        """SHA-256 of what was read up to now."""
        return self._digest.hexdigest()

    def chunks(self) -> Iterator[list[str]]:
        """The lines that are left, `CHUNK_LINES` or `CHUNK_BYTES` at once."""
        chunk, size = [], 0
        for line in self:
            chunk.append(line)
            size += len(line)
            if len(chunk) == CHUNK_LINES or size >= CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk

    def skip(self, count: int) -> int:
        """Reads up to `count` lines; returns how many there were."""
        return sum(1 for _ in zip(range(count), self, strict=False))

    def _read(self) -> bytes:
        try:
            return self._stream.readline(MAX_LINE_BYTES + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(
                f"{self._name}: the gzip file is damaged or cut off after "
                f"line {self.count}: {error}"
            ) from error

    def _decode(self, line: bytes) -> str:
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self._name}:{self.count}: text is UTF-8. Received the byte "
                f"0x{line[error.start]:02x} at byte {error.start + 1} of the "
                f"line ({error.reason}). Correct the line and start again; "
                "what is done is kept."
            ) from error
        return text.removesuffix("\n").removesuffix("\r")


@contextlib.contextmanager
def open_lines(path: str) -> Iterator[Lines]:
    """Opens a text file, .gz or not, or "-", which is standard input.

    Raises:
      InputError: there is no such file.
    """
    if path == STANDARD_INPUT:
        yield Lines(sys.stdin.buffer, "standard input")
        return
    if not pathlib.Path(path).is_file():
        raise InputError(
            f"--input must be a text file or - for standard input. Received "
            f"{path}, which is no file."
        )
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as stream:
        yield Lines(stream, path)
