"""What a file format is: a reader of rows, and a writer of pairs.

A new format is a module in this folder with a `RowReader`, a `RowWriter` and
the `Format` that names them, and a line in `labse.files.formats.table`.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, TypeVar

from labse import features
from labse.errors import InputError
from labse.files.atomic_write import atomic_file
from labse.files.compression import packing
from labse.files.reading import MalformedRow, ReadOptions, Tally

Fields = dict[str, object]
Parsed = TypeVar("Parsed")
# Number from 1 of the line, row or record; None stands for a blank line.
Row = tuple[int, Fields | MalformedRow | None]
# Number from 1, where it begins in the (decompressed) file, and its bytes.
Record = tuple[int, int, bytes]


class RowReader:
    """The rows of one file.

    Attributes:
      path: of the file.
      shown_as: its name in messages.
      columns: their names where all rows have the same, else None.
      num_without_language: rows left out so far, since they have no text in
        the languages that the options name.
      is_multilingual: whether the format itself tells the texts' languages.
    """

    columns: tuple[str, ...] | None = None
    is_multilingual = False

    def __init__(
        self, path: str, shown_as: str, options: ReadOptions, is_pairs: bool
    ):
        """Reads the names of the columns.

        Args:
          path: the file.
          shown_as: its name in messages.
          options: what the file does not say by itself.
          is_pairs: whether rows are pairs; texts otherwise. Of no meaning
            where columns have names.

        Raises:
          InputError: the header breaks a rule.
        """
        self.path = path
        self.shown_as = shown_as
        self.options = options
        self.is_pairs = is_pairs
        self.num_without_language = 0
        self.columns = self.read_columns()
        names = self.columns or ()
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise InputError(
                f"{self.header}: the header names each column once. Received "
                f"twice: {', '.join(map(repr, sorted(twice)))}. Rename one, or "
                "take it out."
            )

    def read_columns(self) -> tuple[str, ...] | None:
        """The names of the columns, where all rows have the same."""
        return None

    def __iter__(self) -> Iterator[Row]:
        raise NotImplementedError

    def parsed(
        self, parse: Callable[[int, Fields], Parsed], tally: Tally
    ) -> Iterator[Parsed | None]:
        """Yields what the rows are parsed to, and counts them.

        Args:
          parse: from a row's number and its fields; raises `MalformedRow`.
          tally: counts what is found.

        Yields:
          None for a blank line; nothing for a malformed row.
        """
        for number, row in self:
            if row is None:
                tally.num_blank += 1
                yield None
                continue
            try:
                if isinstance(row, MalformedRow):
                    raise row
                parsed = parse(number, row)
            except MalformedRow as malformed:
                tally.add_malformed(self.shown_as, number, malformed)
                continue
            tally.num_rows += 1
            yield parsed
        tally.num_without_language += self.num_without_language

    def require(self, names: Iterable[str]) -> None:
        """Raises `InputError` unless the file can have these fields."""
        names = list(names)
        if any(not self.has_column(name) for name in names):
            raise self.lacks(" and ".join(names))

    def has_column(self, name: str) -> bool:
        """Whether rows can have a field, as far as the header says."""
        return self.columns is None or name in self.columns

    @property
    def header(self) -> str:
        """Where the columns are named, for messages."""
        return self.shown_as

    def lacks(self, names: str) -> InputError:
        """The error that columns are missing."""
        return InputError(
            f"{self.header}: the columns are named in a header, {names} "
            f"among them. Received: {' | '.join(self.columns)[:200]!r}. "
            f"{self.remedy}"
        )

    remedy = "Write the names into the header, or name other columns."

    def language_fields(self, languages: Sequence[str]) -> Fields:
        """Those of a pair, for formats that name the languages themselves."""
        names = (features.SOURCE_LANGUAGE, features.TARGET_LANGUAGE)
        wanted = (getattr(self.options, name) for name in names)
        return {
            name: flag or found
            for name, flag, found in zip(names, wanted, languages, strict=True)
        }


class RecordReader(RowReader):
    """A format whose rows can be read at their place in the file."""

    def records(self) -> Iterator[Record]:
        """Yields each row as bytes, with its number and where it begins."""
        raise NotImplementedError

    @staticmethod
    def decode(record: bytes, columns: tuple[str, ...] | None) -> Fields | None:
        """The fields of a row; None for a blank line.

        Raises:
          MalformedRow: the row breaks a rule.
        """
        raise NotImplementedError

    def __iter__(self) -> Iterator[Row]:
        decode, columns = self.decode, self.columns
        for number, _, record in self.records():
            try:
                yield number, decode(record, columns)
            except MalformedRow as row:
                yield number, row


class RowWriter:
    """Writes rows of a format: bytes after bytes, unless a format differs.

    Attributes:
      allowed: the columns that rows may have.
      blank: what a blank line is written as; None: it is left out.
      has_columns: whether a file holds more than texts and languages.
    """

    blank: bytes | None = None
    has_columns = True
    head = tail = b""

    def __init__(
        self, path: str | os.PathLike, compression: str, columns: Sequence[str]
    ):
        self.path = os.fspath(path)
        self.compression = compression
        self.columns = columns
        self.allowed = frozenset(columns)

    def paths(self) -> list[str]:
        """The files that are written."""
        return [self.path]

    def format_row(self, row: Fields, where: str) -> object:
        """What is written for a row.

        Raises:
          InputError: the format cannot hold a value; `where` it comes from is
            named.
        """
        raise NotImplementedError

    def write(self, rows: Iterator[object]) -> None:
        """Writes what `format_row` made; the file is whole or not there."""
        with self.open(self.path) as file:
            file.write(self.head)
            for row in rows:
                file.write(row)
            file.write(self.tail)

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """A file that is compressed as its name says, written atomically."""
        with (
            atomic_file(path, "wb") as file,
            packing(file, self.compression) as packed,
        ):
            yield packed


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of files.

    Attributes:
      name: a short word.
      words: as in "this is a TSV".
      endings: of file names, as ".tsv".
      reader: class of its `RowReader`.
      writer: class of its `RowWriter`; None where it cannot hold pairs.
      is_text: whether its lines end at line feeds.
      is_packable: whether files may also be compressed.
    """

    name: str
    words: str
    endings: tuple[str, ...]
    reader: type[RowReader]
    writer: type[RowWriter] | None
    is_text: bool = False
    is_packable: bool = True

    @property
    def is_indexable(self) -> bool:
        """Whether rows can be read at their place in a file."""
        return issubclass(self.reader, RecordReader)
