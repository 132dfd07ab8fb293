"""Pairs of sentences, from files of any format; see docs/file_formats.md."""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from labse import features
from labse.errors import InputError
from labse.files.formats.txt import TXT
from labse.files.kinds import Kind, find_pair_files, kind_of, open_rows
from labse.files.reading import (
    UNKNOWN_LANGUAGE,
    Fields,
    ReadOptions,
    Tally,
    language_field,
    text_field,
)

_LANGUAGES = (features.SOURCE_LANGUAGE, features.TARGET_LANGUAGE)


class Pair(NamedTuple):
    """A pair, and its place."""

    source: str
    target: str
    source_language: str
    target_language: str
    path: str
    number: int  # from 1: line, row of a Parquet file, or record
    fields: Fields  # all of the row


class PairParser:
    """Turns the fields of a row into a pair."""

    def __init__(self, options: ReadOptions, tally: Tally, shown_as: str = ""):
        """Takes the rules; the tally notes if the file lacks a language."""
        self._columns = options.source_column, options.target_column
        self._given = [
            (name, getattr(options, name) or UNKNOWN_LANGUAGE)
            for name in _LANGUAGES
        ]
        self._noted = tally.undetermined
        self._unnoted = [x for x in _LANGUAGES if not getattr(options, x)]
        self._shown_as = shown_as

    def __call__(self, fields: Fields) -> tuple[str, str, str, str]:
        """Source, target and their languages; raises `MalformedRow`."""
        for name in self._unnoted:
            if name not in fields:
                self._noted.setdefault(name, self._shown_as)
        source, target = self._columns
        return (
            text_field(fields, source),
            text_field(fields, target),
            language_field(fields, *self._given[0]),
            language_field(fields, *self._given[1]),
        )


class PairFile:
    """The pairs of one file.

    Attributes:
      rows: the file as rows.
      parse: its `PairParser`.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        options: ReadOptions,
        tally: Tally,
        *,
        kind: Kind | None = None,
        shown_as: str = "",
    ):
        """Opens a file as `open_rows` does; the tally counts what is found."""
        self._tally = tally
        check_pair_kind(shown_as or path, kind)
        self.rows = open_rows(path, options, kind=kind, shown_as=shown_as)
        self.rows.require(options.source_column, options.target_column)
        self.parse = PairParser(options, tally, self.rows.shown_as)

    def __iter__(self) -> Iterator[Pair | None]:
        """Yields the pairs; None for a blank line, nothing for malformed."""
        path, parse = self.rows.shown_as, self.parse
        return self.rows.parsed(
            lambda number, row: Pair(*parse(row), path, number, row),
            self._tally,
        )


class Files:
    """Files of texts or pairs; read anew each time they are iterated.

    Attributes:
      files: their paths.
      tally: what the last reading found.
    """

    def __init__(
        self,
        patterns: Iterable[str | os.PathLike],
        options: ReadOptions | None = None,
    ):
        """Finds the files, or globs of them; checks names and headers.

        Raises:
          InputError: no file matches, or one breaks a rule.
        """
        self.options = options or ReadOptions()
        self.files = find_pair_files(patterns)
        self.tally = Tally()
        self._is_first = True
        for path in self.files:
            self.open(path)

    def open(self, path: str) -> Iterable:
        """What one of the files holds, counted by the tally."""
        raise NotImplementedError

    def read(self) -> Iterator:
        """Yields what all hold; `InputError` if too much is malformed."""
        self.tally = Tally()
        for path in self.files:
            yield from self.open(path)
        self.tally.check(self.options.max_malformed_share)
        if self._is_first:
            self.tally.log()
        self._is_first = False

    def __str__(self) -> str:
        more = f" and {len(self.files) - 3} more" if self.files[3:] else ""
        return ", ".join(self.files[:3]) + more


class PairFiles(Files):
    """The pairs of many files."""

    def open(self, path: str) -> PairFile:
        """The pairs of one of the files."""
        return PairFile(path, self.options, self.tally)

    def __iter__(self) -> Iterator[Pair]:
        return (pair for pair in self.with_blanks() if pair is not None)

    def with_blanks(self) -> Iterator[Pair | None]:
        """Yields the pairs, and None for each blank line.

        Raises:
          InputError: a file breaks a rule; at the end, too many rows are
            malformed or there is no pair.
        """
        yield from self.read()
        if not self.tally.num_rows:
            raise InputError(
                f"There are no pairs in {self}. Is it the right file?"
            )


def check_pair_kind(path: str | os.PathLike, kind: Kind | None = None) -> None:
    """Raises `InputError` where a file cannot hold pairs, by its name."""
    if (kind or kind_of(path)).format is TXT:
        raise InputError(
            f"{os.fspath(path)}: pairs are in .tsv, .jsonl, .parquet, .tmx, "
            "TFRecord or Moses files. Received a .txt. If it has a header and "
            "tabs, rename it to .tsv; if it is one of two aligned files, name "
            "them as NAME.en-de.en and NAME.en-de.de."
        )
