"""Tab-separated values: a header, then a row a line, without quotes."""

import functools
from collections.abc import Callable, Iterator, Sequence

from labse.errors import InputError
from labse.files.formats import quotes
from labse.files.formats.pair_values import to_text
from labse.files.formats.row_format import (
    Fields,
    Format,
    Record,
    RecordReader,
    RowWriter,
)
from labse.files.lines import decode_row, not_utf_8, read_lines
from labse.files.reading import MalformedRow


class TsvReader(RecordReader):
    """Rows of text; a file whose cells look quoted is refused."""

    def read_columns(self) -> tuple[str, ...]:
        """The names in the header."""
        _, _, line = next(read_lines(self.path), (1, 0, b""))
        try:
            columns = tuple(line.decode().split("\t"))
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self.header}: {not_utf_8(error)}. Convert the file to UTF-8."
            ) from error
        quoted = quotes.quoted_name(columns)
        if quoted and not self.options.quotes_are_text:
            raise InputError(
                f"{self.header}: a column's name looks quoted: {quoted}. "
                f"{quotes.ADVICE}"
            )
        if len(columns) == 1:
            self.remedy = f"{self.remedy} Are the columns separated by tabs?"
        return columns

    @property
    def header(self) -> str:
        """The first line."""
        return f"{self.shown_as}:1"

    def records(self) -> Iterator[Record]:
        """The lines after the header."""
        lines = read_lines(self.path)
        next(lines, None)
        if self.options.quotes_are_text:
            yield from lines
            return
        breaks = quotes.LineBreaks(len(self.columns))
        for line in lines:
            if b'"' in line[2] or breaks.is_open:
                self._check_quotes(line, breaks)
            yield line

    @staticmethod
    def decode(record: bytes, columns: tuple[str, ...] | None) -> Fields | None:
        """From a column's name to its cell."""
        text = decode_row(record)
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

    def _check_quotes(self, line: Record, breaks: quotes.LineBreaks) -> None:
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


class TsvWriter(RowWriter):
    """Writes a header and lines."""

    blank = b"\n"

    def __init__(self, path, compression: str, columns: Sequence[str]):
        super().__init__(path, compression, columns)
        if columns:
            tsv_line({name: name for name in columns}, columns, self.path)

    @property
    def head(self) -> bytes:
        """The header."""
        return "\t".join(self.columns).encode() + b"\n"

    def format_row(self, row: Fields, where: str) -> bytes:
        """A line."""
        return tsv_line(row, self.columns, where)


def tsv_line(row: Fields, columns: Sequence[str], where: str) -> bytes:
    """A line of cells; raises `InputError` where one cannot be a cell."""
    cells = [to_text(row.get(column), column, where) for column in columns]
    line = "\t".join(cells)
    # Before the line feed, a carriage return would be dropped.
    if line.count("\t") >= len(cells) or "\n" in line or line.endswith("\r"):
        named = list(zip(columns, cells, strict=True))
        column, cell = next(
            (each for each in named if "\t" in each[1] or "\n" in each[1]),
            named[-1],
        )
        raise InputError(
            f"{where}: a cell of a TSV holds neither a tab nor the end of a "
            f"line. Received in {column}: {cell[:80]!r}. Write .jsonl or "
            ".parquet instead."
        )
    return (line + "\n").encode()


TSV = Format("tsv", "a TSV", (".tsv",), TsvReader, TsvWriter, is_text=True)
