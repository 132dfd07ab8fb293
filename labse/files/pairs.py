"""Pairs of sentences, from files of any format; see docs/file_formats.md."""

import functools
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from labse import features
from labse.errors import InputError
from labse.files.formats.row_format import RecordReader
from labse.files.formats.txt import TXT
from labse.files.kinds import (
    Kind,
    files_of,
    find_pair_files,
    kind_of,
    open_rows,
)
from labse.files.reading import (
    Fields,
    ReadOptions,
    Tally,
    language_field,
    text_field,
)


class Pair(NamedTuple):
    """A pair, and its place."""

    source: str
    target: str
    source_language: str
    target_language: str
    path: str
    number: int  # from 1: line, row of a Parquet file, or record
    fields: Fields  # all of the row


def parse_pair(
    fields: Fields, options: ReadOptions, tally: Tally, path: str
) -> tuple[str, str, str, str]:
    """Source, target and their languages; raises `MalformedRow`."""
    source, target = features.SOURCE_LANGUAGE, features.TARGET_LANGUAGE
    return (
        text_field(fields, options.source_column),
        text_field(fields, options.target_column),
        language_field(fields, source, options, tally, path),
        language_field(fields, target, options, tally, path),
    )


class PairFile:
    """The pairs of one file.

    Attributes:
      rows: the file as rows.
      parse: `parse_pair` of one of them.
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
        self.parse = functools.partial(
            parse_pair, options=options, tally=tally, path=self.rows.shown_as
        )

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
      num_bytes: the size of all files.
    """

    def __init__(
        self,
        patterns: Iterable[str | os.PathLike],
        options: ReadOptions | None = None,
    ):
        """Finds the files, or globs of them; checks names and headers."""
        self.options = options or ReadOptions()
        self.files = find_pair_files(patterns)
        self.tally = Tally()
        self._sizes = {path: _size(path) for path in self.files}
        self.num_bytes = sum(self._sizes.values())
        self._read_bytes, self._current = 0, None
        self._is_first = True
        for path in self.files:
            self.open(path)

    def open(self, path: str) -> Iterable:
        """What one of the files holds, counted by the tally."""
        raise NotImplementedError

    def read(self) -> Iterator:
        """Yields what all hold.

        Raises:
          InputError: a file is empty beside others, or too much is malformed.
        """
        self.tally = Tally()
        self._read_bytes = 0
        for path in self.files:
            self._current = path, self.open(path)
            found = self.tally.num_found
            yield from self._current[1]
            self._current = None
            # Of one alone, those who read it say that there is nothing.
            if found == self.tally.num_found and len(self.files) > 1:
                raise without_rows(path)
            self._read_bytes += self._sizes[path]
        self.tally.check(self.options.max_malformed_share)
        if self._is_first:
            self.tally.log()
        self._is_first = False

    @property
    def position(self) -> int:
        """Of `num_bytes`, how many have been read.

        Of the file that is being read, only where its rows stand in it as they
        are: not of a compressed one, nor of Parquet.
        """
        if self._current is None:
            return self._read_bytes
        path, opened = self._current
        rows = getattr(opened, "rows", None)
        if not isinstance(rows, RecordReader) or kind_of(path).compression:
            return self._read_bytes
        return self._read_bytes + min(sum(rows.place), self._sizes[path])

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
        """Yields the pairs, and None for each blank line."""
        yield from self.read()
        if not self.tally.num_rows:
            raise InputError(
                f"There are no pairs in {self}. Is it the right file?"
            )


def _size(path: str) -> int:
    return sum(map(os.path.getsize, files_of(path)))


def without_rows(path: str) -> InputError:
    """The error that a file among others has no rows."""
    return InputError(
        f"{path}: the file has no rows. Make or fetch it again, or leave it "
        "out."
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
