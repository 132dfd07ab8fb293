"""Parses the content of a translation catalogue: its header and its entries.

A catalogue is a `.po` file (text, `po_parser`) or a `.mo` file (the same,
compiled, without flags such as fuzzy: the GNU gettext manual, "The Format of
GNU MO Files", https://www.gnu.org/software/gettext/manual/).
"""

import codecs
import re
import struct
from collections.abc import Iterable

from data_pipeline.gettext.po_parser import Entry, MalformedCatalogue, parse_po
from labse.files.content import guess_content

_CHARSET = re.compile(r"charset=([\w:.-]+)", re.IGNORECASE)
_HEAD_BYTES = 64
_BYTE_ORDERS = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}


def parse_po_file(content: bytes) -> tuple[dict[str, str], list[Entry]]:
    """The fields of the header and the other entries of a `.po` file.

    Raises:
      MalformedCatalogue: the content is malformed.
    """
    _check_bytes_per_character(content)
    content = content.removeprefix(codecs.BOM_UTF8)
    encoding = _encoding(_header_of_bytes(content))
    text = _decode(content, encoding, "surrogateescape")
    return _header_and_entries(parse_po(text, encoding))


def _check_bytes_per_character(content: bytes) -> None:
    for width in (32, 16):
        name = f"UTF-{width}"
        # The comments and keywords at its start are ASCII.
        if guess_content(content[:_HEAD_BYTES]).what == f"text in {name}":
            raise MalformedCatalogue(
                f"a .po file is in UTF-8, or in another charset that begins "
                f"with ASCII. Received text in {name}. Convert it: iconv -f "
                f"{name} -t UTF-8 IN > OUT"
            )


def _header_of_bytes(content: bytes) -> str:
    """The header, which is ASCII in any charset, and usually comes first."""
    try:
        for entry in parse_po(content.decode("latin-1"), "latin-1"):
            if entry.is_header:
                return entry.msgstr[0]
    except MalformedCatalogue:
        pass  # Raised again when the text is read in its charset.
    return ""


def _header_and_entries(
    entries: Iterable[Entry],
) -> tuple[dict[str, str], list[Entry]]:
    entries = list(entries)
    header = next((entry for entry in entries if entry.is_header), None)
    fields: dict[str, str] = {}
    for line in header.msgstr[0].split("\n") if header else ():
        name, colon, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        # If msgcat joined headers with different values, none is used.
        if colon and fields.setdefault(name, value) != value:
            fields[name] = ""
    return fields, [entry for entry in entries if entry.msgid]


def _encoding(header: str) -> str:
    """The encoding that a header declares; UTF-8 by default."""
    match = _CHARSET.search(header)
    declared = match[1] if match else "CHARSET"
    if declared == "CHARSET":  # the placeholder of a template
        return "utf-8"
    try:
        return codecs.lookup(declared).name
    except LookupError as error:
        raise MalformedCatalogue(
            f"its header declares an unknown charset, {declared}"
        ) from error


def _decode(content: bytes, encoding: str, errors: str = "strict") -> str:
    try:
        return content.decode(encoding, errors)
    except (UnicodeError, LookupError) as error:
        raise MalformedCatalogue(
            f"it is not text of its charset: {error}"
        ) from error


def parse_mo_file(content: bytes) -> tuple[dict[str, str], list[Entry]]:
    """The fields of the header and the other entries of a `.mo` file.

    Raises:
      MalformedCatalogue: the content is malformed.
    """
    messages = list(
        zip(*(_strings(content, table) for table in (0, 1)), strict=True)
    )
    header = next((form for msgid, form in messages if not msgid), b"")
    encoding = _encoding(header.decode("latin-1"))
    return _header_and_entries(
        _mo_entry(_decode(message, encoding), _decode(translation, encoding))
        for message, translation in messages
    )


def _strings(content: bytes, table: int) -> list[bytes]:
    """The messages, table 0, or the translations, table 1."""
    order = _BYTE_ORDERS.get(content[:4])
    if order is None:
        raise MalformedCatalogue("it does not begin with the magic number")
    try:
        revision, count, *tables = struct.unpack_from(f"{order}4I", content, 4)
        if revision >> 16 > 1:
            raise MalformedCatalogue(
                f"its format has the unknown major revision {revision >> 16}"
            )
        cells = struct.unpack_from(
            f"{order}{2 * count}I", content, tables[table]
        )
    except struct.error as error:
        raise MalformedCatalogue("it ends inside its tables") from error
    spans = list(zip(cells[1::2], cells[::2], strict=True))
    if any(start + length > len(content) for start, length in spans):
        raise MalformedCatalogue("it ends inside a string")
    return [content[start : start + length] for start, length in spans]


def _mo_entry(message: str, translation: str) -> Entry:
    context, end_of_context, message = message.rpartition("\x04")
    msgid, has_plural, msgid_plural = message.partition("\0")
    return Entry(
        msgid,
        tuple(translation.split("\0")),
        context if end_of_context else None,
        msgid_plural if has_plural else None,
    )
