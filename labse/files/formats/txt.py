"""Text files: a text a line."""

from collections.abc import Iterable, Iterator

from labse import features
from labse.errors import InputError
from labse.files.formats.row_format import (
    Fields,
    Format,
    Record,
    RecordReader,
)
from labse.files.lines import decode_row, read_lines


class TxtReader(RecordReader):
    """Rows with the field `text` only."""

    def records(self) -> Iterator[Record]:
        """The lines."""
        return read_lines(self.path)

    @staticmethod
    def decode(record: bytes, columns: tuple[str, ...] | None) -> Fields | None:
        """The text of a line."""
        text = decode_row(record)
        return {features.TEXT: text} if text.strip() else None

    def require(self, names: Iterable[str]) -> None:
        """Raises `InputError` where another field is needed."""
        names = list(names)
        if set(names) - {features.TEXT}:
            raise InputError(
                f"{self.shown_as}: the fields {', '.join(names)} are read. A "
                f".txt file has {features.TEXT!r} only: a text a line. Give "
                "another kind of file; if this one has a header and tabs, "
                "rename it to .tsv."
            )


TXT = Format("txt", "a text file", (".txt",), TxtReader, None, is_text=True)
