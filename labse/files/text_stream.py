"""The texts of files of any size as a stream, none left out.

Row N of the output belongs to text N. So a malformed line is refused here, and
so is a malformed row, unless a share of them is given.

    .txt, Moses  every line is a text, an empty one too
    others       every row's text; a blank line is no row
"""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator

from labse.errors import InputError
from labse.files.chunks import chunked
from labse.files.fields import text_field
from labse.files.formats.moses import MOSES
from labse.files.formats.txt import TXT
from labse.files.kinds import find_files, kind_of
from labse.files.lines import decode_line, read_lines, split_lines
from labse.files.reading import ReadOptions, Tally
from labse.files.rows import open_rows

STANDARD_INPUT = "-"
NO_ROW_LEFT_OUT = ReadOptions(max_malformed_share=0.0)

# A killed process loses at most one chunk. A larger one, sorted by length,
# would save little padding.
CHUNK_TEXTS = 4096
CHUNK_CHARACTERS = 2**22


class TextStream:
    """Texts, counted and digested as they are read.

    Attributes:
      count: texts read up to now.
    """

    def __init__(self, texts: Iterator[str]):
        self._texts = texts
        self._digest = hashlib.sha256()
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            self.count += 1
            content = text.encode()
            # A text of a row may have several lines.
            self._digest.update(len(content).to_bytes(8, "little"))
            self._digest.update(content)
            yield text

    @property
    def digest(self) -> str:
        """SHA-256 of what was read up to now."""
        return self._digest.hexdigest()

    def chunks(self) -> Iterator[list[str]]:
        """What is left, `CHUNK_TEXTS` or `CHUNK_CHARACTERS` at once."""
        return chunked(self, len, CHUNK_TEXTS, CHUNK_CHARACTERS)

    def skip(self, count: int) -> int:
        """Reads up to `count` texts; returns how many there were."""
        return sum(1 for _ in zip(range(count), self, strict=False))


def open_texts(
    patterns: str | Iterable[str], options: ReadOptions | None = None
) -> TextStream:
    """The texts of files, or globs of them, or of "-": standard input.

    Standard input has a text a line.

    Raises:
      InputError: no file matches; or later, a file or a row breaks a rule.
    """
    if isinstance(patterns, str):
        patterns = [patterns]
    patterns = list(patterns)
    if STANDARD_INPUT not in patterns:
        paths = find_files(patterns)
        return TextStream(_files(paths, options or NO_ROW_LEFT_OUT))
    if len(patterns) > 1:
        raise InputError(
            "Standard input (-) is read alone. Received beside it: "
            f"{', '.join(patterns)}."
        )
    name = "standard input"
    lines = split_lines(sys.stdin.buffer, name)
    return TextStream(
        decode_line(line, f"{name}:{number}") for number, _, line in lines
    )


def _files(paths: list[str], options: ReadOptions) -> Iterator[str]:
    tally = Tally()
    for path in paths:
        if kind_of(path).format not in (TXT, MOSES):
            yield from _rows(path, options, tally)
            continue
        if os.path.getsize(path):
            open_rows(
                path, options, as_pairs=False
            )  # Looks at what the content is.
        for number, _, line in read_lines(path):
            yield decode_line(line, f"{path}:{number}")
    tally.check(options.max_malformed_share)
    tally.log()


def _rows(path: str, options: ReadOptions, tally: Tally) -> Iterator[str]:
    rows = open_rows(path, options, as_pairs=False)
    rows.require((options.text_column,))
    texts = rows.parsed(
        lambda number, row: text_field(row, options.text_column), tally
    )
    is_strict = not options.max_malformed_share
    for text in filter(None, texts):
        if is_strict and tally.num_malformed:
            break
        yield text
    if is_strict and tally.num_malformed:
        raise InputError(
            f"{tally.shown[0]}. Vector N is that of row N, so no row is left "
            "out. Correct the row or take it out, or raise "
            "max_malformed_share, which is 0 here."
        )
