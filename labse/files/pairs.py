"""Pairs of sentences, from files of any format; see docs/file_formats.md."""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from labse import features
from labse.errors import InputError
from labse.files.fields import language_field, text_field
from labse.files.formats.row_format import Fields
from labse.files.formats.txt import TXT
from labse.files.kinds import Kind, find_pair_files, kind_of
from labse.files.reading import UNKNOWN_LANGUAGE, ReadOptions, Tally
from labse.files.rows import open_rows

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

    def __init__(self, options: ReadOptions):
        self._options = options
        self._source_language, self._target_language = (
            getattr(options, name) or UNKNOWN_LANGUAGE for name in _LANGUAGES
        )

    def __call__(self, fields: Fields) -> tuple[str, str, str, str]:
        """Source, target and their languages; raises `MalformedRow`."""
        return (
            text_field(fields, self._options.source_column),
            text_field(fields, self._options.target_column),
            language_field(
                fields, features.SOURCE_LANGUAGE, self._source_language
            ),
            language_field(
                fields, features.TARGET_LANGUAGE, self._target_language
            ),
        )


class PairFile:
    """The pairs of one file.

    Attributes:
      rows: the file as rows.
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
        """Opens a file; see `open_rows`.

        Args:
          path: the file.
          options: what it does not say by itself.
          tally: counts what is found.
          kind: see `open_rows`.
          shown_as: see `open_rows`.

        Raises:
          InputError: as `open_rows`, or there is no column of a side.
        """
        self._tally = tally
        self._parse = PairParser(options)
        self._undetermined = [
            name for name in _LANGUAGES if not getattr(options, name)
        ]
        check_pair_kind(shown_as or path, kind)
        self.rows = open_rows(path, options, kind=kind, shown_as=shown_as)
        self.rows.require((options.source_column, options.target_column))

    def parse(self, fields: Fields) -> tuple[str, str, str, str]:
        """Source, target and their languages; raises `MalformedRow`."""
        for name in self._undetermined:
            if name not in fields:
                self._tally.undetermined.setdefault(name, self.rows.shown_as)
        return self._parse(fields)

    def __iter__(self) -> Iterator[Pair | None]:
        """Yields the pairs; None for a blank line, nothing for malformed."""
        path, parse = self.rows.shown_as, self.parse
        return self.rows.parsed(
            lambda number, row: Pair(*parse(row), path, number, row),
            self._tally,
        )


class PairFiles:
    """The pairs of many files; read anew each time they are iterated.

    Attributes:
      files: their paths.
      tally: what the last reading found.
    """

    def __init__(
        self,
        patterns: Iterable[str | os.PathLike],
        options: ReadOptions | None = None,
    ):
        """Finds the files and checks their names and headers.

        Args:
          patterns: files or globs.
          options: what the files do not say by themselves.

        Raises:
          InputError: no file matches, or one does not hold pairs.
        """
        self.options = options or ReadOptions()
        self.files = find_pair_files(patterns)
        self.tally = Tally()
        self._is_first = True
        for path in self.files:
            PairFile(path, self.options, self.tally)

    def __iter__(self) -> Iterator[Pair]:
        return (pair for pair in self.with_blanks() if pair is not None)

    def with_blanks(self) -> Iterator[Pair | None]:
        """Yields the pairs, and None for each blank line.

        Raises:
          InputError: a file breaks a rule; at the end, too many rows are
            malformed or there is no pair.
        """
        self.tally = Tally()
        for path in self.files:
            yield from PairFile(path, self.options, self.tally)
        self.tally.check(self.options.max_malformed_share)
        if not self.tally.num_rows:
            raise InputError(
                f"There are no pairs in {', '.join(self.files[:3])}"
                f"{' and others' if len(self.files) > 3 else ''}. Is it the "
                "right file?"
            )
        if self._is_first:
            self.tally.log()
        self._is_first = False


def check_pair_kind(path: str | os.PathLike, kind: Kind | None = None) -> None:
    """Raises `InputError` where a file cannot hold pairs, by its name."""
    if (kind or kind_of(path)).format is TXT:
        raise InputError(
            f"{os.fspath(path)}: pairs are in .tsv, .jsonl, .parquet, .tmx, "
            "TFRecord or Moses files. Received a .txt. If it has a header and "
            "tabs, rename it to .tsv; if it is one of two aligned files, name "
            "them as NAME.en-de.en and NAME.en-de.de."
        )
