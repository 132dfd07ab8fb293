"""JSON Lines: an object a line."""

from collections.abc import Iterator

from labse.files.formats.pair_values import to_typed
from labse.files.formats.row_format import (
    Fields,
    Format,
    Record,
    RecordReader,
    RowWriter,
)
from labse.files.json_text import parse_object, to_json
from labse.files.lines import decode_row, read_lines


class JsonlReader(RecordReader):
    """Rows each with fields of their own."""

    def records(self) -> Iterator[Record]:
        """The lines."""
        return read_lines(self.path)

    @staticmethod
    def decode(record: bytes, columns: tuple[str, ...] | None) -> Fields | None:
        """The object of a line."""
        text = decode_row(record)
        return parse_object(text) if text.strip() else None


class JsonlWriter(RowWriter):
    """Writes objects without the fields that are missing or null."""

    blank = b"\n"

    def format_row(self, row: Fields, where: str) -> bytes:
        """A line."""
        fields = {}
        for column in self.columns:
            value = to_typed(row.get(column), column, where)
            if value is not None:
                fields[column] = value
        return (to_json(fields, where) + "\n").encode()


JSONL = Format(
    "jsonl", "JSON lines", (".jsonl",), JsonlReader, JsonlWriter, is_text=True
)
