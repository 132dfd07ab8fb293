"""TMX (Translation Memory eXchange), read and written as a stream.

https://www.gala-global.org/tmx-14b. A row is a translation unit, `tu`. In its
text, the content of elements that hold native code (`bpt`, `ept`, `ph`, `it`,
`ut`) is left out with what stands inside them, `sub` among it; the text of
`hi` and of all other elements stays. Properties, `prop`, are fields.

Entities are not declared in a file that is read: neither expanded, so that a
small file cannot become a large one, nor fetched from elsewhere. A unit is at
most `MAX_LINE_BYTES` long, so that memory is bounded.
"""

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from labse import features
from labse.errors import InputError
from labse.files.compression import open_unpacked
from labse.files.formats.pair_values import to_text
from labse.files.formats.row_format import Format, Row, RowReader, RowWriter
from labse.files.formats.sides import (
    find_language,
    find_sides,
    lacks_language,
    language_key,
    pair_fields,
    text_fields,
)
from labse.files.lines import MAX_LINE_BYTES
from labse.files.reading import UNKNOWN_LANGUAGE, Fields, MalformedRow

_CODE = frozenset(("bpt", "ept", "ph", "it", "ut"))
_CHUNK_BYTES = 2**16
# What XML 1.0 has no way to write.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class TmxReader(RowReader):
    """Pairs, or the texts of one language."""

    is_multilingual = True

    def __iter__(self) -> Iterator[Row]:
        found: dict[str, None] = {}
        is_any = False
        with open_unpacked(self.path) as file:
            for unit in _Parser(self.shown_as).units(file):
                found.update(dict.fromkeys(unit.languages))
                try:
                    row = self._row(unit, found)
                except MalformedRow as malformed:
                    row = malformed
                if row is None:
                    self.num_without_language += 1
                else:
                    is_any = True
                    yield unit.line, row
        if not is_any and found:
            raise lacks_language(self, found)

    def _row(self, unit: "_Unit", found: dict[str, None]) -> Fields | None:
        """The fields; None without the languages wanted; `found` so far."""
        options, languages = self.options, unit.languages
        where = f"{self.shown_as}:{unit.line}"
        if not all(languages) or not languages:
            raise MalformedRow(
                "a text without a language",
                "a unit has texts whose xml:lang names their language. "
                f"Received {languages}",
            )
        if self.is_pairs:
            # Where no source is named, sides do not change within a file.
            usual = (unit.source_language, *found)
            sides = find_sides(languages, options, usual, where)
            if sides is None:
                return None
            return unit.properties | pair_fields(
                options, languages, unit.texts, sides
            )
        wanted = options.language
        if not wanted and len(set(map(language_key, found))) > 1:
            raise InputError(
                f"{where}: texts are in one language. Received "
                f"{', '.join(found)}. Name the language to read."
            )
        place = find_language(languages, wanted or next(iter(found)))
        if place is None:
            return None
        return unit.properties | text_fields(
            options, languages[place], unit.texts[place]
        )


class _Unit(NamedTuple):
    """A translation unit, where it begins, and its texts as the file has them.

    The source language is what `srclang` says; properties are from type to
    text, or to a list of several.
    """

    line: int
    source_language: str
    languages: list[str]
    texts: list[str]
    properties: dict[str, object]


class _Parser:
    """Collects the units that the XML parser finds."""

    def __init__(self, shown_as: str):
        self._shown_as = shown_as
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.EntityDeclHandler = self._refuse_entity
        parser.SkippedEntityHandler = self._refuse_entity
        self._done: list[_Unit] = []
        self._default = ""  # `srclang` of the header
        self._unit: _Unit | None = None
        self._language = self._property = ""
        self._text: list[str] = []
        self._is_root = True  # of the next element
        self._code_depth = 0  # of elements that hold code
        self._end_of_last = 0  # byte

    def units(self, file) -> Iterator[_Unit]:
        """Yields the units; raises `InputError` where the XML is malformed."""
        size, error = 0, None
        while error is None:
            chunk = file.read(_CHUNK_BYTES)
            try:
                self._parser.Parse(chunk, not chunk)
            except expat.ExpatError as found:
                error = found
            except (LookupError, ValueError) as found:
                # The parser leaves an encoding that it does not know to Python.
                if size or isinstance(found, InputError):
                    raise
                raise self._error(
                    "the encoding is UTF-8, UTF-16 or one with a byte for each "
                    f"character. Received one that is not ({found})"
                ) from found
            yield from self._done
            self._done.clear()
            size += len(chunk)
            if size - self._end_of_last > MAX_LINE_BYTES:
                raise self._error(
                    f"a translation unit has at most {MAX_LINE_BYTES:,} bytes. "
                    "Received a longer one",
                )
            if not chunk:
                break
        if error:
            what = expat.ErrorString(error.code)
            raise self._error(
                f"the XML is malformed or truncated ({what})", error.lineno
            ) from error

    def _error(self, what: str, line: int = 0) -> InputError:
        line = line or self._parser.CurrentLineNumber
        return InputError(
            f"{self._shown_as}:{line}: {what}. Correct the file, or make or "
            "fetch it again."
        )

    def _refuse_entity(self, name: str, *_) -> None:
        raise self._error(
            "a TMX file declares no entities, and none is expanded. Received "
            f"{name!r}"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._is_root and name != "tmx":
            raise self._error(f"the root of a TMX file is tmx. Received {name}")
        self._is_root = False
        if name == "tu":
            if self._unit is not None:
                raise self._error("a tu has no tu inside. Received one")
            source = attributes.get("srclang", self._default)
            source = "" if source == "*all*" else source
            line = self._parser.CurrentLineNumber
            self._unit = _Unit(line, source, [], [], {})
        elif name == "tuv":
            # TMX 1.1 has `lang`.
            language = attributes.get("xml:lang") or attributes.get("lang")
            self._language = language or ""
        elif name == "header":
            self._default = attributes.get("srclang", "")
        elif name in ("seg", "prop"):
            self._property = attributes.get("type", "")
            self._text.clear()
            self._parser.CharacterDataHandler = self._text.append
        elif name in _CODE:
            self._code_depth += 1
            self._parser.CharacterDataHandler = None

    def _end(self, name: str) -> None:
        if name in _CODE:
            self._code_depth -= 1
            if not self._code_depth:
                self._parser.CharacterDataHandler = self._text.append
        elif name in ("seg", "prop"):
            self._parser.CharacterDataHandler = None
            if self._unit is not None:
                self._end_text(name, "".join(self._text))
        elif name == "tu":
            self._done.append(self._unit)
            self._unit = None
            self._end_of_last = self._parser.CurrentByteIndex

    def _end_text(self, name: str, text: str) -> None:
        properties = self._unit.properties
        if name == "seg":
            self._unit.languages.append(self._language)
            self._unit.texts.append(text)
        elif self._property in properties:
            before = properties[self._property]
            before = before if isinstance(before, list) else [before]
            properties[self._property] = [*before, text]
        elif self._property:
            properties[self._property] = text


class TmxWriter(RowWriter):
    """Writes a unit a pair, with its other columns as properties."""

    head = (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4">\n'
        b'<header creationtool="labse" creationtoolversion="1" '
        b'segtype="sentence" o-tmf="labse" adminlang="en" srclang="*all*" '
        b'datatype="plaintext"/>\n<body>\n'
    )
    tail = b"</body>\n</tmx>\n"

    def format_row(self, row: Fields, where: str) -> bytes:
        """A line."""
        languages = [
            str(row.get(name) or UNKNOWN_LANGUAGE)
            for name in (features.SOURCE_LANGUAGE, features.TARGET_LANGUAGE)
        ]
        parts = [f"<tu srclang={quoteattr(languages[0])}>"]
        for column in self.columns:
            text = to_text(row.get(column), column, where)
            if column not in features.PAIR_COLUMNS and text:
                parts.append(f"<prop type={quoteattr(column)}>")
                parts.append(f"{_escape(text)}</prop>")
        sides = (features.SOURCE, features.TARGET)
        for side, language in zip(sides, languages, strict=True):
            text = to_text(row.get(side), side, where)
            parts.append(f"<tuv xml:lang={quoteattr(language)}><seg>")
            parts.append(f"{_escape(text)}</seg></tuv>")
        unit = f"{''.join(parts)}</tu>\n"
        if found := _NOT_XML.search(unit):
            raise InputError(
                f"{where}: XML has no way to write U+{ord(found[0]):04X}. "
                f"Received {row.get(features.SOURCE)!r:.80}. Take the "
                "character out, or write .jsonl."
            )
        return unit.encode()


# The parser would turn a carriage return into a line feed.
_escape = functools.partial(escape, entities={"\r": "&#13;"})


TMX = Format("tmx", "a TMX file", (".tmx",), TmxReader, TmxWriter)
