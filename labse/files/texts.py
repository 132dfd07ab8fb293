"""Texts, from files of any format; see docs/file_formats.md."""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from labse import features
from labse.errors import InputError
from labse.files.chunks import chunked
from labse.files.formats.moses import MOSES
from labse.files.formats.txt import TXT
from labse.files.kinds import find_files, kind_of, open_rows
from labse.files.lines import decode_line, read_lines, split_lines
from labse.files.pairs import Files, parse_pair
from labse.files.reading import (
    Fields,
    ReadOptions,
    Tally,
    language_field,
    optional_text,
    text_field,
)

STANDARD_INPUT = "-"
NO_ROW_LEFT_OUT = ReadOptions(max_malformed_share=0.0)
# A killed process loses at most one chunk. A larger one, sorted by length,
# would save little padding.
CHUNK_TEXTS = 4096
CHUNK_CHARACTERS = 2**22


class Text(NamedTuple):
    """A text, and where it stands."""

    text: str
    language: str
    number: int  # from 1: line, row of a Parquet file, or record
    fields: Fields  # all of the row


def parse_text(
    fields: Fields, column: str, options: ReadOptions, tally: Tally, path: str
) -> tuple[str, str]:
    """The text and its language; raises `MalformedRow`."""
    text = text_field(fields, column)
    return text, language_field(fields, features.LANGUAGE, options, tally, path)


def text_column(path: str | os.PathLike, options: ReadOptions) -> str:
    """The field of the texts in a file."""
    is_txt = kind_of(path).format is TXT
    return features.TEXT if is_txt else options.text_column


class TextFile:
    """The texts of one file: of its column of texts.

    Attributes:
      rows: the file as rows.
      column: the field of the texts.
    """

    def __init__(
        self, path: str | os.PathLike, options: ReadOptions, tally: Tally
    ):
        """Opens a file as `open_rows` does; the tally counts what is found."""
        self.rows = open_rows(path, options, as_pairs=False)
        self.column = text_column(path, options)
        self.rows.require(self.column)
        self._rules = options, tally, self.rows.shown_as

    def __iter__(self) -> Iterator[Text]:
        column, rules = self.column, self._rules

        def parse(number: int, row: Fields) -> Text:
            return Text(*parse_text(row, column, *rules), number, row)

        return filter(None, self.rows.parsed(parse, rules[1]))


class Texts(Files):
    """Texts with their languages, of files of texts or of pairs.

    Iterating yields (language, text in UTF-8), both sides of a pair. It raises
    `InputError` where a file breaks a rule, and at the end where too many rows
    are malformed, where there was no text, or none in one of the languages.
    """

    def __init__(
        self,
        patterns: Iterable[str | os.PathLike],
        options: ReadOptions | None = None,
        languages: Iterable[str] = (),
    ):
        """As `Files`; with languages, only texts of these."""
        self.languages = tuple(languages)
        super().__init__(patterns, options)

    def open(self, path: str) -> "TextsOfFile":
        """The texts of one of the files."""
        return TextsOfFile(path, self.options, self.tally)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        found = set()
        for language, text, _ in self.read():
            found.add(language)
            if not self.languages or language in self.languages:
                yield language, text.encode()
        missing = [name for name in self.languages if name not in found]
        if missing or not found:
            raise InputError(
                "No text found"
                + (f" in {', '.join(missing)}" if missing else "")
                + f" in {self}. Received text in: "
                f"{', '.join(sorted(found)) or 'no language'}. Is it the "
                "right file, and the right language code?"
            )


class TextsWithCorpora(Texts):
    """As `Texts`, but it yields (language, text in UTF-8, corpus).

    The corpus is that of the row's column `corpus`; "" without one.
    """

    def open(self, path: str) -> "TextsOfFile":
        """The texts of one of the files."""
        return TextsOfFile(path, self.options, self.tally, with_corpora=True)

    def __iter__(self) -> Iterator[tuple[str, bytes, str]]:
        for language, text, corpus in self.read():
            yield language, text.encode(), corpus


class TextsOfFile:
    """(language, text, corpus) of a file of texts or of pairs, row by row.

    Attributes:
      rows: the file as rows.
    """

    def __init__(
        self,
        path: str,
        options: ReadOptions,
        tally: Tally,
        with_corpora: bool = False,
    ):
        """Opens a file; the corpora are "" unless they are wanted."""
        self._rules = options, tally, path
        self._with_corpora = with_corpora
        self.rows = rows = open_rows(path, options)
        self._sides = (options.source_column, options.target_column)
        self._column = column = text_column(path, options)
        self._has_pairs = kind_of(path).format is not TXT and all(
            map(rows.has_column, self._sides)
        )
        rows_differ = rows.columns is None and not rows.is_multilingual
        self._has_texts = rows_differ or not self._has_pairs
        if self._has_texts and not rows.has_column(column):
            raise rows.lacks(f"{column}, or {' and '.join(self._sides)},")

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        for texts in self.rows.parsed(self.parse, self._rules[1]):
            yield from texts or ()

    def parse(self, number: int, row: Fields) -> list[tuple[str, str, str]]:
        """The texts of a row; raises `MalformedRow`."""
        corpus = ""
        if self._with_corpora:
            corpus = optional_text(row, features.CORPUS)
        if self._is_pair(row):
            source, target, source_language, language = parse_pair(
                row, *self._rules
            )
            return [
                (source_language, source, corpus),
                (language, target, corpus),
            ]
        text, language = parse_text(row, self._column, *self._rules)
        return [(language, text, corpus)]

    def _is_pair(self, row: Fields) -> bool:
        if not self._has_texts or not self._has_pairs:
            return self._has_pairs
        # Each row has its own fields. `source` beside a text is where the text
        # comes from.
        has = [side.partition(".")[0] in row for side in self._sides]
        return all(has) or (any(has) and self._column not in row)


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

    Text N of the stream belongs to line N of a .txt, a Moses file or standard
    input, where an empty line is a text too, and to row N of other files. A
    malformed line is refused, and so is a malformed row, unless a share of
    them is given.

    Raises:
      InputError: no file matches; or later, a file or a row breaks a rule.
    """
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    if STANDARD_INPUT not in patterns:
        paths = find_files(patterns)
        return TextStream(_of_files(paths, options or NO_ROW_LEFT_OUT))
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


def _of_files(paths: list[str], options: ReadOptions) -> Iterator[str]:
    tally = Tally()
    for path in paths:
        if kind_of(path).format not in (TXT, MOSES):
            yield from _of_rows(path, options, tally)
            continue
        if os.path.getsize(path):  # Looks at what the content is.
            open_rows(path, options, as_pairs=False)
        for number, _, line in read_lines(path):
            yield decode_line(line, f"{path}:{number}")
    tally.check(options.max_malformed_share)
    tally.log()


def _of_rows(path: str, options: ReadOptions, tally: Tally) -> Iterator[str]:
    column = options.text_column
    rows = open_rows(path, options, as_pairs=False)
    rows.require(column)
    is_strict = not options.max_malformed_share
    for text in rows.parsed(lambda number, row: text_field(row, column), tally):
        if is_strict and tally.num_malformed:
            break
        if text is not None:
            yield text
    if is_strict and tally.num_malformed:
        raise InputError(
            f"{tally.shown[0]}. Vector N is that of row N, so no row is left "
            "out. Correct the row or take it out, or raise "
            "max_malformed_share, which is 0 here."
        )
