"""The index of the pairs of one file, kept in a cache folder."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from labse.data import pair_record
from labse.data.pair_record import Pair
from labse.features import CORPUS, HARD_NEGATIVES, PAIR_COLUMNS
from labse.files.json_text import to_json
from labse.files.kinds import JSONL, PARQUET, Kind, check_content, kind_of
from labse.files.lines import open_unpacked
from labse.files.pairs import PairFile, check_pair_kind
from labse.files.reading import MalformedRow, ReadOptions, Tally
from labse.files.rows import Fields

# Of what an index holds; another one is made anew.
_INDEX_VERSION = 5


class FileIndex(NamedTuple):
    """The offsets of the pairs of one file, and what training must know."""

    path: str  # of the file, or of its unpacked copy
    kind: Kind  # of that file
    columns: tuple[str, ...] | None  # of a TSV
    offsets: np.ndarray  # int64 [pairs], bytes
    lengths: np.ndarray  # int32 [pairs], bytes
    languages: np.ndarray  # int32 [pairs], index into language_names
    language_names: np.ndarray  # str, such as "en-de", sorted
    corpora: np.ndarray  # int32 [pairs], index into corpus_names
    corpus_names: np.ndarray  # str, sorted
    num_hard_negatives: np.ndarray  # int32 [pairs]
    tally: Tally


def index_file(
    path: str, cache: pathlib.Path, options: ReadOptions
) -> FileIndex:
    """Indexes a file, or reads the index made before.

    Any kind of pairs can be indexed. Compressed files are unpacked into the
    cache; of a Parquet file, what training needs becomes a .jsonl there.

    Args:
      path: of the file.
      cache: folder for the index and for copies.
      options: what the file does not say by itself.

    Raises:
      InputError: the file is unreadable.
    """
    kind = kind_of(path)
    check_pair_kind(path, kind)
    check_content(path, kind)
    name = _name(path, options)
    saved = cache / f"{name}.{_INDEX_VERSION}.npz"
    read, copy = path, None
    if kind.compression or kind.rows == PARQUET:
        copy = cache / f"{name}.{kind.rows}"
        read = str(copy)
    if not saved.exists() or not os.path.exists(read):
        builder = _IndexBuilder(kind)
        _index(path, kind, copy, builder, options)
        temporary = cache / f"{name}.{os.getpid()}.tmp.npz"
        np.savez(temporary, **builder.arrays())
        temporary.replace(saved)
    if kind.rows == PARQUET:
        kind = Kind(JSONL, "")
    with np.load(saved, allow_pickle=False) as arrays:
        found = {field: arrays[field] for field in arrays.files}
    columns = json.loads(str(found.pop("columns")))
    tally = Tally.from_json(str(found.pop("tally")))
    return FileIndex(
        path=read,
        kind=Kind(kind.rows, ""),
        columns=None if columns is None else tuple(columns),
        tally=tally,
        **found,
    )


def _name(path: str, options: ReadOptions) -> str:
    """Changes with the file and with how it is read."""
    status = os.stat(path)
    identity = f"{os.path.abspath(path)} {status.st_size} {status.st_mtime_ns}"
    # How many malformed rows are too many is decided later.
    same = dataclasses.replace(options, max_malformed_share=0)
    return hashlib.sha256(f"{identity} {same}".encode()).hexdigest()[:16]


def _index(
    path: str,
    kind: Kind,
    copy: pathlib.Path | None,
    builder: "_IndexBuilder",
    options: ReadOptions,
) -> None:
    if kind.rows != PARQUET:
        if copy:
            _unpack(path, copy)
        file = PairFile(
            copy or path,
            options,
            builder.tally,
            kind=Kind(kind.rows, ""),
            shown_as=path,
        )
        builder.columns = file.rows.columns
        for number, offset, record in file.rows.records():
            builder.add(file, number, offset, record)
        return
    file = PairFile(path, options, builder.tally)
    wanted = {
        *(*PAIR_COLUMNS, CORPUS, HARD_NEGATIVES),
        *(options.source_column.partition(".")[0], options.source_column),
        *(options.target_column.partition(".")[0], options.target_column),
    }
    with _replacing(copy) as written:
        for number, row in file.rows:
            builder.add_row(file, number, row, wanted, written)


def _unpack(path: str, target: pathlib.Path) -> None:
    with open_unpacked(path) as packed, _replacing(target) as plain:
        shutil.copyfileobj(packed, plain, 2**20)


@contextlib.contextmanager
def _replacing(target: pathlib.Path) -> Iterator[BinaryIO]:
    """A file that gets its name when all is written."""
    temporary = target.with_name(f"{target.stem}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


class _IndexBuilder:
    """Collects the offsets of a file's pairs, and its malformed rows."""

    def __init__(self, kind: Kind):
        self.columns: tuple[str, ...] | None = None
        self.tally = Tally()
        self._kind = kind
        self._rows = []  # offset, length, languages, corpus, negatives

    def add(
        self, file: PairFile, number: int, offset: int, record: bytes
    ) -> None:
        """One row as bytes."""
        try:
            fields = file.rows.decode(record)
            if fields is None:
                self.tally.num_blank += 1
                return
            pair = pair_record.parse(fields, self._kind, file.parse)
        except MalformedRow as row:
            self.tally.add_malformed(file.rows.shown_as, number, row)
            return
        self._add(pair, offset, len(record))

    def add_row(
        self,
        file: PairFile,
        number: int,
        row: Fields | MalformedRow,
        wanted: set[str],
        written: BinaryIO,
    ) -> None:
        """One row as fields, of which those that are wanted are written."""
        try:
            if isinstance(row, MalformedRow):
                raise row
            pair = pair_record.parse(row, self._kind, file.parse)
        except MalformedRow as malformed:
            self.tally.add_malformed(file.rows.shown_as, number, malformed)
            return
        fields = {name: row[name] for name in row if name in wanted}
        where = f"{file.rows.shown_as}:{number}"
        record = to_json(fields, where).encode()
        self._add(pair, written.tell(), len(record))
        written.write(record + b"\n")

    def _add(self, pair: Pair, offset: int, length: int) -> None:
        negatives = len(pair.hard_negatives)
        self.tally.num_rows += 1
        self._rows.append(
            (offset, length, pair.languages, pair.corpus, negatives)
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """The fields of `FileIndex`; columns and tally as JSON."""
        columns = list(zip(*self._rows, strict=True)) or [()] * 5
        languages, language_names = _number(columns[2])
        corpora, corpus_names = _number(columns[3])
        return {
            "columns": np.array(json.dumps(self.columns)),
            "offsets": np.array(columns[0], np.int64),
            "lengths": np.array(columns[1], np.int32),
            "languages": languages,
            "language_names": language_names,
            "corpora": corpora,
            "corpus_names": corpus_names,
            "num_hard_negatives": np.array(columns[4], np.int32),
            "tally": np.array(self.tally.to_json()),
        }


def _number(values: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The index of each value among the names, int32 [n]; sorted names."""
    names = sorted(set(values))
    numbers = {name: number for number, name in enumerate(names)}
    return (
        np.array([numbers[value] for value in values], np.int32),
        np.array(names, np.str_),
    )
