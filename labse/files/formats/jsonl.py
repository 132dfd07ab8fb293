"""JSON Lines: an object a line."""

import json

from labse.files.formats.pair_values import is_whole, to_json, to_typed
from labse.files.formats.row_format import Format, RecordReader, RowWriter
from labse.files.reading import Fields, MalformedRow, decode_row


class JsonlReader(RecordReader):
    """Rows each with fields of their own."""

    @staticmethod
    def decode(record: bytes, columns: tuple[str, ...] | None) -> Fields | None:
        """The object of a line."""
        text = decode_row(record)
        return _parse_object(text) if text.strip() else None


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


def _unique(items: list[tuple[str, object]]) -> dict[str, object]:
    """An object; `json` would take the last of two equal keys."""
    found = dict(items)
    if len(found) != len(items):
        names = [name for name, _ in items]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedRow(
            "a key twice",
            f"an object has each key once. Received {twice!r} twice",
        )
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def _parse_object(text: str) -> Fields:
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise MalformedRow(
            "not JSON",
            f"a line is a JSON object. Received {text[:80]!r} ({error})",
        ) from error
    if not isinstance(value, dict):
        raise MalformedRow(
            "not a JSON object",
            f"a line is a JSON object. Received {text[:80]!r}",
        )
    # JSON can name half a character; no file of UTF-8 can hold it.
    if "\\ud" in text or "\\uD" in text:
        whole = json.dumps(value, ensure_ascii=False)
        if not is_whole(whole):
            raise MalformedRow(
                "half a character",
                "text is UTF-8. Received half of a surrogate pair in "
                f"{ascii(whole)[:80]}",
            )
    return value


JSONL = Format(
    "jsonl", "JSON lines", (".jsonl",), JsonlReader, JsonlWriter, is_text=True
)
