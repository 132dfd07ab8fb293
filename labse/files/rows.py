"""The rows of a file of any kind; see docs/file_formats.md.

    .txt       a text a line: the field `text`
    .tsv       a header, then a row a line; no quotes
    .jsonl     an object a line
    .parquet   a row each; needs pyarrow
    TFRecords  a tf.train.Example each

This is the only place that decides which rows of a file are malformed by
themselves; `pairs` and `texts` add what a pair and a text must have.
"""

import functools
import os
from collections.abc import Callable, Iterable, Iterator

from labse import features
from labse.errors import InputError
from labse.files import example_records, parquet_file, quotes
from labse.files.json_text import parse_object
from labse.files.kinds import (
    JSONL,
    PARQUET,
    TFRECORD,
    TSV,
    TXT,
    Kind,
    check_content,
    kind_of,
)
from labse.files.lines import Line, not_utf_8, read_lines
from labse.files.reading import MalformedRow

Fields = dict[str, object]
# Number from 1 of the line, row or record; None stands for a blank line.
Row = tuple[int, Fields | MalformedRow | None]
Decoder = Callable[[bytes], Fields | None]


class RowFile:
    """A file as rows.

    Attributes:
      path: of the file.
      shown_as: its name in messages.
      kind: see `kinds`.
      columns: of a TSV or Parquet file; None where each row has its own.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        quotes_are_text: bool = False,
        *,
        kind: Kind | None = None,
        shown_as: str = "",
    ):
        """Looks at the first bytes, and reads the columns' names.

        Args:
          path: the file.
          quotes_are_text: see `ReadOptions`.
          kind: of the file; by default what its name says.
          shown_as: its name in messages; by default `path`.

        Raises:
          InputError: there is no such file, it is of another kind than its
            name says, or its header breaks a rule.
        """
        self.path = os.fspath(path)
        self.shown_as = shown_as or self.path
        self.kind = kind or kind_of(path)
        self._quotes_are_text = quotes_are_text
        if kind is None:
            check_content(self.path, self.kind)
        self.columns = self._read_columns()

    def require(self, names: Iterable[str]) -> None:
        """Raises `InputError` unless the file can have these fields."""
        names = list(names)
        if self.kind.rows == TXT and set(names) - {features.TEXT}:
            raise InputError(
                f"{self.shown_as}: the fields {', '.join(names)} are read. A "
                f".txt file has {features.TEXT!r} only: a text a line. Give "
                "another kind of file; if this one has a header and tabs, "
                "rename it to .tsv."
            )
        if any(not self.has_column(name) for name in names):
            raise self.lacks(" and ".join(names))

    def lacks(self, names: str) -> InputError:
        """The error that the columns lack what is needed."""
        remedy = "Write the names into the header, or name other columns."
        if len(self.columns) == 1 and self.kind.rows == TSV:
            remedy = f"{remedy} Are the columns separated by tabs?"
        return InputError(
            f"{self._header}: the columns are named in a header, {names} "
            f"among them. Received: {' | '.join(self.columns)[:200]!r}. "
            f"{remedy}"
        )

    def has_column(self, name: str) -> bool:
        """Whether the file can have a field, as far as its header says."""
        if self.columns is None:
            return True
        # A field of an object, `translation.en`, where there are objects.
        root = name.partition(".")[0]
        return name in self.columns or (
            self.kind.rows == PARQUET and root in self.columns
        )

    def records(self) -> Iterator[Line]:
        """Yields each row as bytes, with its number and where it begins.

        Not for Parquet, which has none.
        """
        if self.kind.rows == TFRECORD:
            yield from example_records.read_records(self.path, self.shown_as)
            return
        lines = read_lines(self.path)
        if self.kind.rows == TSV:
            next(lines, None)
        # Once a file is known to be sound, nothing but the quotes is left.
        if self.kind.rows != TSV or self._quotes_are_text:
            yield from lines
            return
        breaks = quotes.LineBreaks(len(self.columns))
        for line in lines:
            if b'"' in line[2] or breaks.is_open:
                self._check_quotes(line, breaks)
            yield line

    @functools.cached_property
    def decode(self) -> Decoder:
        """Turns the bytes of a row into its fields.

        It gives None for a blank line, and raises `MalformedRow`.
        """
        return decoder(self.kind, self.columns)

    def __iter__(self) -> Iterator[Row]:
        if self.kind.rows == PARQUET:
            yield from parquet_file.read_rows(self.path)
            return
        decode = self.decode
        for number, _, record in self.records():
            try:
                yield number, decode(record)
            except MalformedRow as row:
                yield number, row

    @property
    def _header(self) -> str:
        """Where the columns' names stand."""
        line = ":1" if self.kind.rows == TSV else ""
        return f"{self.shown_as}{line}"

    def _read_columns(self) -> tuple[str, ...] | None:
        if self.kind.rows == PARQUET:
            columns = parquet_file.column_names(self.path)
        elif self.kind.rows == TSV:
            columns = self._read_header()
        else:
            return None
        twice = {name for name in columns if columns.count(name) > 1}
        if twice:
            raise InputError(
                f"{self._header}: the header names each column once. "
                f"Received twice: {', '.join(map(repr, sorted(twice)))}. "
                "Rename one, or take it out."
            )
        return columns

    def _read_header(self) -> tuple[str, ...]:
        _, _, line = next(read_lines(self.path), (1, 0, b""))
        try:
            columns = tuple(line.decode().split("\t"))
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self._header}: {not_utf_8(error)}. Convert the file to "
                "UTF-8."
            ) from error
        quoted = quotes.quoted_name(columns)
        if quoted and not self._quotes_are_text:
            raise InputError(
                f"{self._header}: a column's name looks quoted: {quoted}. "
                f"{quotes.ADVICE}"
            )
        return columns

    def _check_quotes(self, line: Line, breaks: quotes.LineBreaks) -> None:
        number, _, record = line
        cells = record.decode(errors="replace").split("\t")
        found = quotes.quoted_cell(cells)
        if found and (found[1] or not self._has_bare_quotes):
            raise self._looks_quoted(number, found[0])
        wrapped = quotes.wrapped_cell(cells)
        if wrapped and not self._has_unquoted_cells:
            raise self._looks_quoted(number, wrapped)
        broken = breaks.add(number, cells)
        if broken:
            raise self._looks_quoted(*broken)

    def _looks_quoted(self, number: int, cell: str) -> InputError:
        return InputError(
            f"{self.shown_as}:{number}: a cell looks quoted: {cell[:80]}. "
            f"{quotes.ADVICE}"
        )

    @functools.cached_property
    def _has_bare_quotes(self) -> bool:
        return self._has_cells(quotes.has_bare_quote, b'"')

    @functools.cached_property
    def _has_unquoted_cells(self) -> bool:
        return self._has_cells(quotes.has_unquoted, b',"')

    def _has_cells(
        self, test: Callable[[list[str]], bool], characters: bytes
    ) -> bool:
        """Whether the cells of a line, which has one of these, pass a test."""
        return any(
            test(line.decode(errors="replace").split("\t"))
            for _, _, line in read_lines(self.path)
            if any(character in line for character in characters)
        )


def decoder(kind: Kind, columns: tuple[str, ...] | None) -> Decoder:
    """See `RowFile.decode`."""
    if kind.rows == TSV:
        return functools.partial(_decode_table_row, columns)
    return {
        TXT: _decode_text,
        JSONL: _decode_object,
        TFRECORD: example_records.parse_example,
    }[kind.rows]


def _decode_line(record: bytes) -> str:
    try:
        return record.decode()
    except UnicodeDecodeError as error:
        raise MalformedRow("not UTF-8", not_utf_8(error)) from error


def _decode_text(record: bytes) -> Fields | None:
    text = _decode_line(record)
    return {features.TEXT: text} if text.strip() else None


def _decode_table_row(columns: tuple[str, ...], record: bytes) -> Fields | None:
    text = _decode_line(record)
    cells = text.split("\t")
    if len(cells) == 1 and not text.strip():
        return None
    if len(cells) != len(columns):
        raise MalformedRow(
            "wrong number of columns",
            f"a line has as many columns as the header, {len(columns)}. "
            f"Received {len(cells)}",
        )
    return dict(zip(columns, cells, strict=True))


def _decode_object(record: bytes) -> Fields | None:
    text = _decode_line(record)
    return parse_object(text) if text.strip() else None
