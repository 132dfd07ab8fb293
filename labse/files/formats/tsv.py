"""Tab-separated values: a header, then a row a line, without quotes."""

from collections.abc import Iterator

from labse.errors import InputError
from labse.files.formats.pair_values import to_text
from labse.files.formats.quotes import ADVICE, QuotedCells
from labse.files.formats.row_format import (
    Format,
    Record,
    RecordReader,
    RowWriter,
)
from labse.files.lines import decode_line, read_lines
from labse.files.reading import Fields, MalformedRow, decode_row


class TsvReader(RecordReader):
    """Rows of text; a file whose cells look quoted is refused."""

    def read_columns(self) -> tuple[str, ...]:
        """The names in the header."""
        self.header = f"{self.shown_as}:1"
        _, _, line = next(read_lines(self.path), (1, 0, b""))
        columns = tuple(decode_line(line, self.header).split("\t"))
        for name in columns if self.options.tsv_quotes != "text" else ():
            if len(name) > 1 and name[0] == name[-1] == '"':
                raise InputError(
                    f"{self.header}: a column's name looks quoted: {name}. "
                    f"{ADVICE}"
                )
        if len(columns) == 1:
            self.remedy = f"{self.remedy} Are the columns separated by tabs?"
        return columns

    def records(self) -> Iterator[Record]:
        """The lines after the header."""
        lines = read_lines(self.path, self.span)
        if not self.span or not self.span[0]:
            next(lines, None)
        if self.options.tsv_quotes == "text":
            yield from lines
            return
        quoted = QuotedCells(self.path, len(self.columns))
        for line in lines:
            may_be = b'"' in line[2] or quoted.is_open
            if may_be and (found := quoted.find(line[0], line[2])):
                raise InputError(
                    f"{self.shown_as}:{found[0]}: a cell looks quoted: "
                    f"{found[1][:80]}. {ADVICE}"
                )
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


class TsvWriter(RowWriter):
    """Writes a header and lines."""

    blank = b"\n"

    @property
    def head(self) -> bytes:
        """The header, whose names are cells like others."""
        return self.format_row(
            dict(zip(self.columns, self.columns, strict=True)), self.path
        )

    def format_row(self, row: Fields, where: str) -> bytes:
        """A line."""
        columns = self.columns
        cells = [to_text(row.get(column), column, where) for column in columns]
        line = "\t".join(cells)
        # Before the line feed, a carriage return would be dropped.
        if (
            line.count("\t") >= len(cells)
            or "\n" in line
            or line.endswith("\r")
        ):
            named = list(zip(columns, cells, strict=True))
            column, cell = next(
                (each for each in named if "\t" in each[1] or "\n" in each[1]),
                named[-1],
            )
            raise InputError(
                f"{where}: a cell of a TSV holds neither a tab nor the end of "
                f"a line. Received in {column}: {cell[:80]!r}. Write .jsonl or "
                ".parquet instead."
            )
        return (line + "\n").encode()


TSV = Format("tsv", "a TSV", (".tsv",), TsvReader, TsvWriter, is_text=True)
