"""Text files: a text a line."""

from labse import features
from labse.errors import InputError
from labse.files.formats.row_format import Format, RecordReader
from labse.files.reading import Fields, decode_row


class TxtReader(RecordReader):
    """Rows with the field `text` only."""

    @staticmethod
    def decode(record: bytes, columns: tuple[str, ...] | None) -> Fields | None:
        """The text of a line."""
        text = decode_row(record)
        return {features.TEXT: text} if text.strip() else None

    def require(self, *names: str) -> None:
        """Raises `InputError` where another field is needed."""
        if set(names) - {features.TEXT}:
            raise InputError(
                f"{self.shown_as}: the fields {', '.join(names)} are read. A "
                f".txt file has {features.TEXT!r} only: a text a line. Give "
                "another kind of file; if this one has a header and tabs, "
                "rename it to .tsv."
            )


TXT = Format("txt", "a text file", (".txt",), TxtReader, None, is_text=True)
