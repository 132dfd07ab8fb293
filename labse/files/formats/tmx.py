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
from labse.files.formats.row_format import (
    Fields,
    Format,
    Row,
    RowReader,
    RowWriter,
)
from labse.files.formats.sides import (
    find_language,
    find_sides,
    lacks_language,
    language_key,
)
from labse.files.lines import MAX_LINE_BYTES
from labse.files.reading import MalformedRow

_CODE = frozenset(("bpt", "ept", "ph", "it", "ut"))
_CHUNK_BYTES = 2**16
# What XML 1.0 has no way to write.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class TmxReader(RowReader):
    """Pairs, or the texts of one language."""

    is_multilingual = True

    def __iter__(self) -> Iterator[Row]:
        units = _Units(self.shown_as)
        found: dict[str, None] = {}
        is_any = False
        make_rows = self._pair if self.is_pairs else self._texts
        with open_unpacked(self.path) as file:
            for unit in units.read(file):
                for language in unit.languages:
                    found.setdefault(language)
                try:
                    if not all(unit.languages) or not unit.languages:
                        raise MalformedRow(
                            "a text without a language",
                            "a unit has texts whose xml:lang names their "
                            f"language. Received {unit.languages}",
                        )
                    rows = make_rows(unit, found)
                except MalformedRow as malformed:
                    rows = [malformed]
                if not rows:
                    self.num_without_language += 1
                for row in rows:
                    is_any = True
                    yield unit.line, row
        if not is_any and found:
            wanted = (
                (self.options.source_language, self.options.target_language)
                if self.is_pairs
                else (self.options.language,)
            )
            raise lacks_language(self.shown_as, wanted, found)

    def _pair(self, unit: "_Unit", found: dict[str, None]) -> list[Fields]:
        options = self.options
        sides = find_sides(
            unit.languages,
            options.source_language,
            options.target_language,
            # Where no source is named, sides do not change within a file.
            (unit.source_language, *found),
            f"{self.shown_as}:{unit.line}",
        )
        if sides is None:
            return []
        source, target = sides
        fields = {
            **unit.properties,
            options.source_column: unit.texts[source],
            options.target_column: unit.texts[target],
        }
        languages = unit.languages[source], unit.languages[target]
        return [fields | self.language_fields(languages)]

    def _texts(self, unit: "_Unit", found: dict[str, None]) -> list[Fields]:
        wanted = self.options.language
        if not wanted and len(set(map(language_key, found))) > 1:
            raise InputError(
                f"{self.shown_as}:{unit.line}: texts are in one language. "
                f"Received {', '.join(found)}. Name the language to read."
            )
        place = find_language(unit.languages, wanted or next(iter(found)))
        if place is None:
            return []
        text, language = unit.texts[place], unit.languages[place]
        return [
            {
                **unit.properties,
                self.options.text_column: text,
                features.LANGUAGE: wanted or language,
            }
        ]


class _Unit(NamedTuple):
    """A translation unit.

    Attributes:
      line: where it begins.
      source_language: what `srclang` says; empty: nothing.
      languages: of its texts, as the file has them.
      texts: likewise.
      properties: from type to text, or to a list of several.
    """

    line: int
    source_language: str
    languages: list[str]
    texts: list[str]
    properties: dict[str, object]


class _Units:
    """Collects what the XML parser finds."""

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
        self._language = ""
        self._text: list[str] = []
        self._property = ""
        self._depth = 0  # of elements
        self._code_depth = 0  # of elements that hold code
        self._end_of_last = 0  # byte

    def read(self, file) -> Iterator[_Unit]:
        """Yields the units; raises `InputError` where the XML is malformed."""
        size = 0
        try:
            while chunk := file.read(_CHUNK_BYTES):
                self._parser.Parse(chunk, False)
                size += len(chunk)
                yield from self._take()
                if size - self._end_of_last > MAX_LINE_BYTES:
                    raise self._error(
                        f"a translation unit has at most {MAX_LINE_BYTES:,} "
                        "bytes. Received a longer one",
                    )
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            yield from self._take()
            what = expat.ErrorString(error.code)
            raise self._error(
                f"the XML is malformed or truncated ({what})", error.lineno
            ) from error
        except (LookupError, ValueError) as error:
            # The parser leaves an encoding that it does not know to Python.
            if size or isinstance(error, InputError):
                raise
            raise self._error(
                "the encoding is UTF-8, UTF-16 or one with a byte for each "
                f"character. Received one that is not ({error})"
            ) from error
        yield from self._take()

    def _take(self) -> list[_Unit]:
        done, self._done = self._done, []
        return done

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
        self._depth += 1
        if self._depth == 1 and name != "tmx":
            raise self._error(f"the root of a TMX file is tmx. Received {name}")
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
        elif name == "seg":
            self._listen()
        elif name == "prop":
            self._property = attributes.get("type", "")
            self._listen()
        elif name in _CODE:
            self._code_depth += 1
            self._parser.CharacterDataHandler = None

    def _listen(self) -> None:
        self._text.clear()
        self._parser.CharacterDataHandler = self._text.append

    def _end(self, name: str) -> None:
        self._depth -= 1
        if name in _CODE:
            self._code_depth -= 1
            if not self._code_depth:
                self._parser.CharacterDataHandler = self._text.append
        elif name == "seg" and self._unit is not None:
            self._unit.languages.append(self._language)
            self._unit.texts.append("".join(self._text))
            self._parser.CharacterDataHandler = None
        elif name == "prop":
            self._parser.CharacterDataHandler = None
            if self._unit is not None and self._property:
                self._add_property("".join(self._text))
        elif name == "tu":
            self._done.append(self._unit)
            self._unit = None
            self._end_of_last = self._parser.CurrentByteIndex

    def _add_property(self, text: str) -> None:
        properties = self._unit.properties
        if self._property in properties:
            before = properties[self._property]
            before = before if isinstance(before, list) else [before]
            properties[self._property] = [*before, text]
        else:
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
            str(row.get(name) or "und")
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
