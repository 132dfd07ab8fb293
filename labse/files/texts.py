"""Texts, from files of any format; see docs/file_formats.md."""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from labse import features
from labse.errors import InputError
from labse.files.fields import language_field, text_field
from labse.files.formats.row_format import Fields
from labse.files.formats.txt import TXT
from labse.files.kinds import find_pair_files, kind_of
from labse.files.pairs import PairFile
from labse.files.reading import UNKNOWN_LANGUAGE, ReadOptions, Tally
from labse.files.rows import open_rows


class Text(NamedTuple):
    """A text, and where it stands."""

    text: str
    language: str
    number: int  # from 1: line, row of a Parquet file, or record
    fields: Fields  # all of the row


class TextFile:
    """The texts of one file: of its column of texts.

    Attributes:
      rows: the file as rows.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        options: ReadOptions,
        tally: Tally,
    ):
        """Opens a file; see `open_rows`.

        Args:
          path: the file.
          options: what it does not say by itself.
          tally: counts what is found.

        Raises:
          InputError: as `open_rows`, or there is no column of texts.
        """
        self.rows = open_rows(path, options, as_pairs=False)
        self.column = text_column(path, options)
        self.rows.require((self.column,))
        self._tally = tally
        self._default = options.language or UNKNOWN_LANGUAGE
        self._is_determined = bool(options.language)

    def parse(self, fields: Fields) -> tuple[str, str]:
        """The text and its language; raises `MalformedRow`."""
        text = text_field(fields, self.column)
        language = language_field(fields, features.LANGUAGE, self._default)
        if not self._is_determined and features.LANGUAGE not in fields:
            self._tally.undetermined.setdefault(
                features.LANGUAGE, self.rows.shown_as
            )
        return text, language

    def __iter__(self) -> Iterator[Text]:
        parse = self.parse
        return filter(
            None,
            self.rows.parsed(
                lambda number, row: Text(*parse(row), number, row), self._tally
            ),
        )


def text_column(path: str | os.PathLike, options: ReadOptions) -> str:
    """The field of the texts in a file."""
    is_txt = kind_of(path).format is TXT
    return features.TEXT if is_txt else options.text_column


class Texts:
    """Texts with their languages, of files of texts or of pairs.

    Iterating yields (language, text in UTF-8), both sides of a pair; the files
    are read anew each time. It raises `InputError` where a file breaks a rule,
    and at the end where too many rows are malformed, where there was no text,
    or none in one of the languages.

    Attributes:
      files: their paths.
      tally: what the last reading found.
    """

    def __init__(
        self,
        patterns: Iterable[str | os.PathLike],
        options: ReadOptions | None = None,
        languages: Iterable[str] = (),
    ):
        """Finds the files and checks their names and headers.

        Args:
          patterns: files or globs.
          options: what the files do not say by themselves.
          languages: only texts of these; all, if none are named.

        Raises:
          InputError: no file matches, or one breaks a rule.
        """
        self.options = options or ReadOptions()
        self.files = find_pair_files(patterns)
        self.languages = tuple(languages)
        self.tally = Tally()
        self._is_first = True
        for path in self.files:
            _TextsOfFile(path, self.options, self.tally)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        self.tally = Tally()
        found = set()
        is_empty = True
        for path in self.files:
            for language, text in _TextsOfFile(path, self.options, self.tally):
                found.add(language)
                if not self.languages or language in self.languages:
                    is_empty = False
                    yield language, text.encode()
        self.tally.check(self.options.max_malformed_share)
        missing = [name for name in self.languages if name not in found]
        if missing or is_empty:
            raise InputError(
                "No text found"
                + (f" in {', '.join(missing)}" if missing else "")
                + f" in {_shown(self.files)}. Received text in: "
                f"{', '.join(sorted(found)) or 'no language'}. Is it the "
                "right file, and the right language code?"
            )
        if self._is_first:
            self.tally.log()
        self._is_first = False


class _TextsOfFile:
    """(language, text) of a file of texts or of pairs, as each row has them."""

    def __init__(self, path: str, options: ReadOptions, tally: Tally):
        self._tally = tally
        sides = (options.source_column, options.target_column)
        rows = open_rows(path, options)
        self._text = self._pair = None
        is_txt = kind_of(path).format is TXT
        if not is_txt and all(rows.has_column(side) for side in sides):
            self._pair = PairFile(path, options, tally)
        rows_differ = rows.columns is None and not rows.is_multilingual
        if rows_differ or self._pair is None:
            text = text_column(path, options)
            if not rows.has_column(text):
                raise rows.lacks(f"{text}, or {' and '.join(sides)},")
            self._text = TextFile(path, options, tally)
        self._sides = sides
        self._rows = rows

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for texts in self._rows.parsed(self._texts, self._tally):
            yield from texts or ()

    def _texts(self, number: int, row: Fields) -> list[tuple[str, str]]:
        if self._is_pair(row):
            source, target, source_language, language = self._pair.parse(row)
            return [(source_language, source), (language, target)]
        text, language = self._text.parse(row)
        return [(language, text)]

    def _is_pair(self, row: Fields) -> bool:
        if self._text is None or self._pair is None:
            return self._text is None
        # Each row has its own fields. `source` beside a text is where the text
        # comes from.
        has = [side.partition(".")[0] in row for side in self._sides]
        return all(has) or (any(has) and self._text.column not in row)


def _shown(files: list[str]) -> str:
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return ", ".join(files[:3]) + more
