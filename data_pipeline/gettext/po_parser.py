r"""Parses the text of a `.po` file into its entries, as `msgfmt` does.

Format: the GNU gettext manual, "The Format of PO Files",
https://www.gnu.org/software/gettext/manual/. Everything that `msgfmt` accepts
is accepted: several strings on a line, no space after a keyword, `\101` and
`\x41`, a backslash at the end of a line. Two entries for one msgid are accepted
too, which `msgfmt` refuses. If the lines of a file end in carriage returns
alone, its comments end with them (`msgfmt` reads the rest as a comment).
"""

import dataclasses
import re
from collections.abc import Iterator
from typing import NamedTuple

# What msgcat puts around different translations of one msgid.
_CONFLICT_MARK = "#-#-#-#-#"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A message and its translation.

    Attributes:
      msgid: the message.
      msgstr: its translation, or its plural forms.
      msgctxt: distinguishes equal messages, or None.
      msgid_plural: the message for many, or None.
      fuzzy: an unconfirmed guess.
      obsolete: no longer in the program.
    """

    msgid: str
    msgstr: tuple[str, ...]
    msgctxt: str | None = None
    msgid_plural: str | None = None
    fuzzy: bool = False
    obsolete: bool = False

    @property
    def is_header(self) -> bool:
        """Whether this describes the catalogue."""
        return not self.msgid and self.msgctxt is None and not self.obsolete

    @property
    def in_conflict(self) -> bool:
        """Whether msgcat found several translations and kept them all."""
        return any(_CONFLICT_MARK in text for text in self.msgstr)


class MalformedCatalogue(Exception):
    """A catalogue cannot be read; the message has no full stop.

    Attributes:
      line: of the error, or None.
    """

    def __init__(self, message: str, line: int | None = None):
        """Takes the sentence and the line."""
        super().__init__(message)
        self.line = line


def parse_po(text: str, encoding: str) -> Iterator[Entry]:
    r"""The entries, the header among them.

    Args:
      text: decoded with "surrogateescape": invalid bytes are accepted in
        comments and refused in strings.
      encoding: of bytes that are written as `\303` or `\xc3`.

    Raises:
      MalformedCatalogue: a line is malformed.
    """
    text = text.replace("\r\n", "\n")
    if "\n" not in text:
        text = text.replace("\r", "\n")
    entry, fuzzy = _EntryBuilder(), False
    for token in _tokens(text):
        if token.kind == "string":
            entry.add_string(token, _unescaped(token, encoding))
        elif token.kind == "comment":
            yield from entry.built()
            entry = _EntryBuilder()
            fuzzy = fuzzy or _is_fuzzy(token.value)
        else:
            if not entry.takes(token.value):
                yield from entry.built()
                entry, fuzzy = _EntryBuilder(fuzzy), False
            entry.begin_field(token)
    yield from entry.built()


class _Token(NamedTuple):
    """A keyword (`msgid`, `msgstr[1]`), the inside of a string, or a comment.

    `obsolete`: whether it follows `#~`.
    """

    kind: str
    value: str
    line: int
    obsolete: bool


_TOKEN = re.compile(
    r"""
      (?P<space> [ \t\r\f\v]+ | \\\n )
    | (?P<line_end> \n )
    | (?P<previous> \#~?\|[^\n]* )  # the previous msgid
    | (?P<obsolete> \#~ )
    | (?P<comment> \#[^\n]* )
    | (?P<keyword> domain | msgctxt | msgid (?:_plural)? | msgstr ) (?![\w$])
      (?: \s* \[ \s* (?P<form>[0-9]+) \s* \] )?
    | " (?P<string> [^"\\\n]* (?: \\[\s\S] [^"\\\n]* )* ) "
    """,
    re.VERBOSE,
)


def _tokens(text: str) -> Iterator[_Token]:
    line, position, obsolete = 1, 0, False
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            start = text.rfind("\n", 0, position) + 1
            received = text[start:].split("\n", 1)[0]
            raise MalformedCatalogue(
                "a keyword such as msgid, or a string in quotation marks, is "
                f"expected. Received: {received[:80]!r}",
                line,
            )
        if match["keyword"]:
            form = f"[{int(match['form'])}]" if match["form"] else ""
            yield _Token("keyword", match["keyword"] + form, line, obsolete)
        elif match["string"] is not None:
            yield _Token("string", match["string"], line, obsolete)
        elif match["comment"]:
            yield _Token("comment", match["comment"], line, obsolete)
        elif match["obsolete"]:
            obsolete = True
        elif match["line_end"]:
            obsolete = False
        position = match.end()
        line += match[0].count("\n")


def _is_fuzzy(comment: str) -> bool:
    # The newest releases of gettext write some flags after `#=`.
    is_of_flags = comment[1:2] in (",", "=")
    return is_of_flags and "fuzzy" in re.split(r"[\s,]+", comment[2:])


class _EntryBuilder:
    """Collects the fields of an entry."""

    def __init__(self, fuzzy: bool = False):
        """Starts an entry without fields."""
        self._fuzzy = fuzzy
        self._strings: dict[str, list[str]] = {}  # of each field
        self._first: _Token | None = None

    @property
    def _last(self) -> str | None:
        return next(reversed(self._strings), None)

    def takes(self, keyword: str) -> bool:
        """Whether the field belongs to this entry, not to the next one."""
        if keyword == "msgid":
            return self._last == "msgctxt"
        return keyword not in ("domain", "msgctxt")

    def begin_field(self, token: _Token) -> None:
        """Begins a field."""
        before = _fields_before(token.value)
        if self._last not in before:
            raise MalformedCatalogue(
                f"{token.value} must follow "
                f"{' or '.join(filter(None, before)) or 'no other field'}. "
                f"Received: it after {self._last or 'no other field'}",
                token.line,
            )
        self._first = self._first or token
        self._check_obsolete(token)
        self._strings[token.value] = []

    def add_string(self, token: _Token, text: str) -> None:
        """Adds a piece of the last field's text."""
        if not self._strings:
            raise MalformedCatalogue(
                "a string must follow a keyword such as msgid. Received: "
                f'"{token.value[:80]}"',
                token.line,
            )
        self._check_obsolete(token)
        self._strings[self._last].append(text)

    def _check_obsolete(self, token: _Token) -> None:
        if token.obsolete != self._first.obsolete:
            raise MalformedCatalogue(
                "all lines of an entry, or none, must begin with #~. "
                "Received: some that do",
                token.line,
            )

    def built(self) -> list[Entry]:
        """The entry, if it has fields; a text ends at a NUL, as in C."""
        if not self._strings:
            return []
        missing = [name for name, parts in self._strings.items() if not parts]
        if self._last.startswith("msg") and "msgstr" not in self._last:
            missing.append("msgstr")
        if missing:
            raise MalformedCatalogue(
                "an entry must have a msgid and a msgstr, each with a string. "
                f"Received: one whose {missing[0]} is missing",
                self._first.line,
            )
        texts = {
            name: "".join(parts).split("\0", 1)[0]
            for name, parts in self._strings.items()
        }
        if "domain" in texts:
            return []
        forms = [name for name in texts if name.startswith("msgstr")]
        return [
            Entry(
                texts["msgid"],
                tuple(texts[name] for name in forms),
                texts.get("msgctxt"),
                texts.get("msgid_plural"),
                self._fuzzy,
                self._first.obsolete,
            )
        ]


def _fields_before(keyword: str) -> tuple[str | None, ...]:
    """The possible fields before; None if it may begin the entry."""
    form = re.fullmatch(r"msgstr\[([1-9][0-9]*)\]", keyword)
    if form:
        return (f"msgstr[{int(form[1]) - 1}]",)
    return {
        "domain": (None,),
        "msgctxt": (None,),
        "msgid": (None, "msgctxt"),
        "msgid_plural": ("msgid",),
        "msgstr": ("msgid",),
        "msgstr[0]": ("msgid_plural",),
    }.get(keyword, ())


_ESCAPE = re.compile(
    r"(?P<bytes>(?:\\(?:[0-7]{1,3}|x[0-9A-Fa-f]+))+)|\\(?P<other>[\s\S])"
)
_ESCAPED_BYTE = re.compile(r"\\(?:x(?P<hex>[0-9A-Fa-f]+)|(?P<octal>[0-7]+))")
_ESCAPED = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    '"': '"',
    "\\": "\\",
    "\n": "",  # the string continues in the next line
}
# An invalid byte, in "surrogateescape".
_UNDECODED = re.compile("[\udc80-\udcff]")


def _unescaped(token: _Token, encoding: str) -> str:
    def character(match: re.Match) -> str:
        if match["bytes"]:
            # As in C: any number of hexadecimal digits, the last two count.
            return bytes(
                (int(one["hex"], 16) if one["hex"] else int(one["octal"], 8))
                & 255
                for one in _ESCAPED_BYTE.finditer(match["bytes"])
            ).decode(encoding)
        if match["other"] not in _ESCAPED:
            raise MalformedCatalogue(
                "a backslash is followed by one of abfnrtv, a backslash, a "
                "quotation mark, or the number of a byte. Received: "
                f"{match[0]!r}",
                token.line,
            )
        return _ESCAPED[match["other"]]

    try:
        text = _ESCAPE.sub(character, token.value)
    except UnicodeError as error:
        raise MalformedCatalogue(
            f"a string must be {encoding}. Received: {error}", token.line
        ) from error
    if undecoded := _UNDECODED.search(text):
        raise MalformedCatalogue(
            f"a string must be {encoding}. Received: the byte "
            f"0x{ord(undecoded[0]) - 0xDC00:x}",
            token.line,
        )
    return text
