"""How files are read, and what becomes of the rows that break a rule.

The rules are those of docs/file_formats.md. A row that breaks one is
malformed: it is left out, counted by reason, and the first few are shown.
Where their share is too large, the whole reading is refused.
"""

import collections
import dataclasses
import json

from absl import logging

from labse import features
from labse.errors import InputError

MAX_MALFORMED_SHARE = 0.01
UNKNOWN_LANGUAGE = "und"  # ISO 639: undetermined.
Fields = dict[str, object]
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """What a file does not say by itself.

    Attributes:
      source_column, target_column: the sides of a pair. A dotted name such as
        `translation.en` is a field of an object in JSON and Parquet.
      text_column: the text of a file that is not of pairs.
      source_language, target_language, language: of files without a column of
        that name; empty: `UNKNOWN_LANGUAGE`. In TMX and Moses files, those to
        read.
      tsv_quotes: "refuse" a TSV with cells that look as if a spreadsheet had
        quoted them, or take the quotes as "text".
      max_malformed_share: malformed rows are left out up to this share of all
        rows, blank lines not counted.
    """

    source_column: str = features.SOURCE
    target_column: str = features.TARGET
    text_column: str = features.TEXT
    source_language: str = ""
    target_language: str = ""
    language: str = ""
    tsv_quotes: str = "refuse"
    max_malformed_share: float = MAX_MALFORMED_SHARE

    def __post_init__(self):
        if not 0 <= self.max_malformed_share <= 1:
            raise InputError(
                "max_malformed_share is a share, from 0 to 1. Received: "
                f"{self.max_malformed_share:g}."
            )


class MalformedRow(Exception):
    """A row that breaks a rule: which, in a few words, and what is wrong."""

    def __init__(self, reason: str, what: str):
        super().__init__(reason, what)
        self.reason = reason
        self.what = what


@dataclasses.dataclass
class Tally:
    """Counts what a reading finds.

    Attributes:
      num_rows: rows that are taken.
      num_blank: blank lines, which are no rows.
      num_without_language: rows of files of several languages that have no
        text in those that the options name.
      reasons: malformed rows by reason.
      shown: the first malformed rows, `path:line: what`.
      undetermined: column of a language -> the first file without it.
    """

    num_rows: int = 0
    num_blank: int = 0
    num_without_language: int = 0
    reasons: dict[str, int] = dataclasses.field(
        default_factory=collections.Counter
    )
    shown: list[str] = dataclasses.field(default_factory=list)
    undetermined: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def num_malformed(self) -> int:
        """Malformed rows, of all reasons."""
        return sum(self.reasons.values())

    @property
    def num_found(self) -> int:
        """Rows of any kind, but not blank lines."""
        return self.num_rows + self.num_malformed + self.num_without_language

    def add_malformed(self, path: str, number: int, row: MalformedRow) -> None:
        """Counts a malformed row at `path:number`."""
        self.reasons[row.reason] += 1
        if len(self.shown) < _SHOWN:
            self.shown.append(f"{path}:{number}: {row.what}")

    def add(self, other: "Tally") -> None:
        """Counts another reading as well."""
        self.num_rows += other.num_rows
        self.num_blank += other.num_blank
        self.num_without_language += other.num_without_language
        self.reasons += other.reasons
        self.shown = [*self.shown, *other.shown][:_SHOWN]
        self.undetermined = {**other.undetermined, **self.undetermined}

    def to_json(self) -> str:
        """For `from_json`."""
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str) -> "Tally":
        """What `to_json` wrote."""
        tally = cls(**json.loads(text))
        tally.reasons = collections.Counter(tally.reasons)
        return tally

    def check(self, max_share: float) -> None:
        """Raises `InputError` where too large a share is malformed."""
        if self.num_malformed > max_share * (
            self.num_malformed + self.num_rows
        ):
            raise InputError(
                f"{self._describe()}. At most a share of {max_share:g} is left "
                "out. Correct the files, or raise max_malformed_share (in a "
                "config, data.max_malformed_share)."
            )

    def log(self) -> None:
        """Logs what is left out, and which language is not known."""
        if self.num_malformed:
            logging.warning("%s. They are left out.", self._describe())
        if self.num_without_language:
            logging.warning(
                "%s rows have no text in the languages to read. They are left "
                "out.",
                f"{self.num_without_language:,}",
            )
        if self.undetermined:
            logging.warning(
                "Rows of %s have no %s: it is taken as %r (undetermined). Add "
                "the column, or give the language.",
                next(iter(self.undetermined.values())),
                " and no ".join(self.undetermined),
                UNKNOWN_LANGUAGE,
            )

    def _describe(self) -> str:
        reasons = ", ".join(
            f"{count:,} {reason}" for reason, count in self.reasons.items()
        )
        return (
            f"{self.num_malformed:,} of {self.num_malformed + self.num_rows:,} "
            f"rows are malformed ({reasons}): {'; '.join(self.shown)}"
        )


def text_field(fields: Fields, name: str) -> str:
    """The text of a field; raises `MalformedRow` where there is none.

    Bytes in UTF-8 are replaced by text. `a.b` is the field b of the object in
    a. Null and a field that is not there have the same verdict.
    """
    value = fields.get(name)
    if type(value) is str and value.strip():  # Nearly always.
        return value
    if value is None and "." in name and name not in fields:
        value = fields
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        names = ", ".join(fields)[:200] or "none"
        raise MalformedRow(
            f"without {name}",
            f"the field {name!r} is null"
            if name in fields
            else f"a row has the field {name!r}. Received the fields: {names}",
        )
    text = _text(value, name)
    if isinstance(value, bytes) and name in fields:
        fields[name] = text
    if not text.strip():
        raise MalformedRow(f"empty {name}", f"{name} is empty")
    return text


def language_field(
    fields: Fields, name: str, options: ReadOptions, tally: Tally, path: str
) -> str:
    """The language code in a field; without it, that of the options."""
    if name not in fields:
        given = getattr(options, name)
        if not given:
            tally.undetermined.setdefault(name, path)
        return given or UNKNOWN_LANGUAGE
    value = fields[name]
    if type(value) is str and value.isalnum():  # Nearly always.
        return value
    # Tabs and line feeds would break the tables that are made of it.
    text = " ".join(optional_text(fields, name).split())
    if not text:
        raise MalformedRow(f"empty {name}", f"{name} is empty")
    return text


def optional_text(fields: Fields, name: str) -> str:
    """The text of a field; empty where it is null or not there."""
    value = fields.get(name)
    return "" if value is None else _text(value, name)


def _text(value: object, name: str) -> str:
    if isinstance(value, bytes):
        return decode_row(value, f"{name}: ")
    if not isinstance(value, str):
        raise MalformedRow(
            f"{name} is not text",
            f"the field {name!r} is text. Received {type(value).__name__}: "
            f"{str(value)[:80]!r}",
        )
    return value


def decode_row(content: bytes, name: str = "") -> str:
    """The text of a line or field; raises `MalformedRow` unless it is UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise MalformedRow("not UTF-8", name + not_utf_8(error)) from error


def decode_if_utf_8(value: object) -> object:
    """The value with text in place of bytes, in lists and objects too.

    Bytes that are not UTF-8 stay, since the field may not be needed.
    """
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    if isinstance(value, list):
        return [decode_if_utf_8(each) for each in value]
    if isinstance(value, dict):
        return {key: decode_if_utf_8(each) for key, each in value.items()}
    return value


def not_utf_8(error: UnicodeDecodeError) -> str:
    """What is wrong, in words."""
    return (
        f"text is UTF-8. Received the byte 0x{error.object[error.start]:02x} "
        f"at byte {error.start + 1}, which is not ({error.reason})"
    )
