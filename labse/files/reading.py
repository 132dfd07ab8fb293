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
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """What a file does not say by itself.

    Attributes:
      source_column, target_column: the sides of a pair. A dotted name such as
        `translation.en` is a field of an object in JSON and Parquet.
      text_column: the text of a file that is not of pairs.
      source_language, target_language, language: of files without a column of
        that name; empty: `UNKNOWN_LANGUAGE`. Of files of several languages,
        TMX and Moses, those to read.
      quotes_are_text: whether a TSV may have cells that look as if a
        spreadsheet had quoted them.
      max_malformed_share: malformed rows are left out up to this share of all
        rows, blank lines not counted.
    """

    source_column: str = features.SOURCE
    target_column: str = features.TARGET
    text_column: str = features.TEXT
    source_language: str = ""
    target_language: str = ""
    language: str = ""
    quotes_are_text: bool = False
    max_malformed_share: float = MAX_MALFORMED_SHARE

    def __post_init__(self):
        if not 0 <= self.max_malformed_share <= 1:
            raise InputError(
                "max_malformed_share is a share, from 0 to 1. Received: "
                f"{self.max_malformed_share:g}."
            )


class MalformedRow(Exception):
    """A row that breaks a rule.

    Attributes:
      reason: the rule in a few words, to count by.
      what: what is wrong with this row.
    """

    def __init__(self, reason: str, what: str):
        super().__init__(reason, what)
        self.reason = reason
        self.what = what


class Tally:
    """Counts what a reading finds.

    Attributes:
      num_rows: rows that are taken.
      num_blank: blank lines, which are no rows.
      reasons: malformed rows by reason.
      shown: the first malformed rows, `path:line: what`.
      num_without_language: rows of files of several languages that have no
        text in those that the options name.
      undetermined: column of a language -> the first file without it.
    """

    def __init__(self):
        self.num_rows = self.num_blank = self.num_without_language = 0
        self.reasons: collections.Counter[str] = collections.Counter()
        self.shown: list[str] = []
        self.undetermined: dict[str, str] = {}

    @property
    def num_malformed(self) -> int:
        """Malformed rows, of all reasons."""
        return sum(self.reasons.values())

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
        """All of it, for `from_json`."""
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str) -> "Tally":
        """What `to_json` wrote."""
        tally = cls()
        vars(tally).update(json.loads(text))
        tally.reasons = collections.Counter(tally.reasons)
        return tally

    def check(self, max_share: float) -> None:
        """Raises `InputError` where too large a share is malformed."""
        if self.num_malformed > max_share * self._num_all():
            raise InputError(
                f"{self._describe()}. At most a share of {max_share:g} is left "
                "out (max_malformed_share; labse train: "
                "data.max_malformed_share). Correct the files, or raise it."
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

    def _num_all(self) -> int:
        return self.num_malformed + self.num_rows

    def _describe(self) -> str:
        reasons = ", ".join(
            f"{count:,} {reason}" for reason, count in self.reasons.items()
        )
        return (
            f"{self.num_malformed:,} of {self._num_all():,} rows are malformed "
            f"({reasons}): {'; '.join(self.shown)}"
        )
