"""What a file format is: a reader of rows, and a writer of pairs.

A new format is a module in this folder with a `RowReader`, a `RowWriter` and
the `Format` that names them, and an entry of `FORMATS` in `labse.files.kinds`.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple, TypeVar

from labse.errors import InputError
from labse.files.atomic_write import atomic_file
from labse.files.compression import packing
from labse.files.lines import read_lines
from labse.files.reading import Fields, MalformedRow, ReadOptions, Tally

Parsed = TypeVar("Parsed")
# Number from 1 of the line, row or record; None stands for a blank line.
Row = tuple[int, Fields | MalformedRow | None]
# Number from 1, where it begins in the (decompressed) file, and its bytes.
Record = tuple[int, int, bytes]


class RowReader:
    """The rows of one file; see `open_rows`.

    Attributes:
      columns: their names where all rows have the same, else None.
      header: where they are named, for messages.
      num_without_language: rows left out so far, since they have no text in
        the languages that the options name.
      is_multilingual: whether the format itself tells the texts' languages.
    """

    is_multilingual = False
    remedy = "Write the names into the header, or name other columns."

    def __init__(
        self, path: str, shown_as: str, options: ReadOptions, is_pairs: bool
    ):
        self.path = path
        self.shown_as = self.header = shown_as
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
        """Yields what rows are parsed to, and None for blank lines; counts.

        Malformed rows, for which `parse` raises `MalformedRow`, are left out.
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

    def require(self, *names: str) -> None:
        """Raises `InputError` unless the file can have these fields."""
        if not all(map(self.has_column, names)):
            raise self.lacks(" and ".join(names))

    def has_column(self, name: str) -> bool:
        """Whether rows can have a field, as far as the header says."""
        return self.columns is None or name in self.columns

    def lacks(self, names: str) -> InputError:
        """The error that columns are missing."""
        return InputError(
            f"{self.header}: the columns are named in a header, {names} "
            f"among them. Received: {' | '.join(self.columns)[:200]!r}. "
            f"{self.remedy}"
        )


class RecordReader(RowReader):
    """A format whose rows can be read at their place in the file.

    Attributes:
      place: offset and length in bytes of the row that was yielded last.
      span: of a format of lines, see `read_lines`; None: the whole file.
    """

    place = (0, 0)
    span: tuple[int, int] | None = None

    def records(self) -> Iterator[Record]:
        """Yields rows as bytes, with number and beginning; usually lines."""
        return read_lines(self.path, self.span)

    @staticmethod
    def decode(record: bytes, columns: tuple[str, ...] | None) -> Fields | None:
        """The fields of a row; None for a blank line."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Row]:
        decode, columns = self.decode, self.columns
        for number, start, record in self.records():
            self.place = start, len(record)
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

    def format(self, row: Fields, where: str) -> object:
        """What is written for a row, whose columns are those of the file."""
        if not self.allowed.issuperset(row):
            raise ValueError(
                f"{where}: a row has no columns but {', '.join(self.columns)}. "
                f"Received: {', '.join(row)}."
            )
        return self.format_row(row, where)

    def format_row(self, row: Fields, where: str) -> object:
        """What is written for a row; an `InputError` names `where` it is."""
        raise NotImplementedError

    def write(self, rows: Iterable[object]) -> None:
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


class Format(NamedTuple):
    """A format of files."""

    name: str
    words: str  # as in "this is a TSV"
    endings: tuple[str, ...]  # of file names, as ".tsv"
    reader: type[RowReader]
    writer: type[RowWriter] | None  # None where it cannot hold pairs
    is_text: bool = False  # whether lines end at line feeds
    is_packable: bool = True  # whether files may also be compressed
