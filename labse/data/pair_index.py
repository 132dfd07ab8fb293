"""The index of the pairs of one file, kept in a cache folder."""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from labse.data import pair_record
from labse.features import CORPUS, HARD_NEGATIVES, PAIR_COLUMNS
from labse.files.atomic_write import atomic_file
from labse.files.compression import open_unpacked
from labse.files.formats.jsonl import JSONL
from labse.files.formats.pair_values import to_json
from labse.files.formats.row_format import RecordReader
from labse.files.kinds import Kind, check_content, files_of, kind_of
from labse.files.pairs import PairFile, check_pair_kind
from labse.files.reading import Fields, ReadOptions, Tally

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
    cache; of a file whose rows cannot be read at their place, such as Parquet
    and TMX, what training needs becomes a .jsonl there.

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
    is_indexable = issubclass(kind.format.reader, RecordReader)
    indexed = kind if is_indexable else Kind(JSONL.name, "")
    if kind.compression or indexed is not kind:
        copy = cache / f"{name}.{indexed.rows}"
        read = str(copy)
    if not saved.exists() or not os.path.exists(read):
        index = _index_rows if is_indexable else _index_copied_rows
        arrays = index(path, kind, copy, options)
        with atomic_file(saved, "wb") as file:
            np.savez(file, **arrays)
    with np.load(saved, allow_pickle=False) as arrays:
        found = {field: arrays[field] for field in arrays.files}
    columns = json.loads(str(found.pop("columns")))
    tally = Tally.from_json(str(found.pop("tally")))
    return FileIndex(
        path=read,
        kind=Kind(indexed.rows, ""),
        columns=None if columns is None else tuple(columns),
        tally=tally,
        **found,
    )


def _name(path: str, options: ReadOptions) -> str:
    """Changes with the file and with how it is read."""
    found = [(os.path.abspath(each), os.stat(each)) for each in files_of(path)]
    identity = " ".join(
        f"{each} {status.st_size} {status.st_mtime_ns}"
        for each, status in found
    )
    # How many malformed rows are too many is decided later.
    same = dataclasses.replace(options, max_malformed_share=0)
    return hashlib.sha256(f"{identity} {same}".encode()).hexdigest()[:16]


def _index_rows(
    path: str, kind: Kind, copy: pathlib.Path | None, options: ReadOptions
) -> dict[str, np.ndarray]:
    """Indexes the rows of a file, or of its unpacked copy."""
    if copy:
        with open_unpacked(path) as packed, atomic_file(copy, "wb") as plain:
            shutil.copyfileobj(packed, plain, 2**20)
    tally = Tally()
    plain_kind = Kind(kind.rows, "")
    file = PairFile(
        copy or path, options, tally, kind=plain_kind, shown_as=path
    )
    return _arrays(file, kind, tally, lambda number, row: file.rows.place)


def _index_copied_rows(
    path: str, kind: Kind, copy: pathlib.Path, options: ReadOptions
) -> dict[str, np.ndarray]:
    """Copies what training needs of the rows to a .jsonl, and indexes it."""
    tally = Tally()
    file = PairFile(path, options, tally)
    sides = (options.source_column, options.target_column)
    wanted = {*PAIR_COLUMNS, CORPUS, HARD_NEGATIVES, *sides}
    wanted |= {side.partition(".")[0] for side in sides}
    with atomic_file(copy, "wb") as written:

        def write(number: int, row: Fields) -> tuple[int, int]:
            fields = {name: row[name] for name in row if name in wanted}
            record = to_json(fields, f"{path}:{number}").encode()
            start = written.tell()
            written.write(record + b"\n")
            return start, len(record)

        return _arrays(file, kind, tally, write)


def _arrays(
    file: PairFile,
    kind: Kind,
    tally: Tally,
    place_of: Callable[[int, Fields], tuple[int, int]],
) -> dict[str, np.ndarray]:
    """The fields of `FileIndex`; columns and tally as JSON."""

    def parse(number: int, row: Fields) -> tuple:
        pair = pair_record.parse(row, kind, file.parse)
        negatives = len(pair.hard_negatives)
        place = place_of(number, row)
        return (*place, pair.languages, pair.corpus, negatives)

    rows = filter(None, file.rows.parsed(parse, tally))
    columns = list(zip(*rows, strict=True)) or [()] * 5
    languages, language_names = _number(columns[2])
    corpora, corpus_names = _number(columns[3])
    return {
        "columns": np.array(json.dumps(file.rows.columns)),
        "offsets": np.array(columns[0], np.int64),
        "lengths": np.array(columns[1], np.int32),
        "languages": languages,
        "language_names": language_names,
        "corpora": corpora,
        "corpus_names": corpus_names,
        "num_hard_negatives": np.array(columns[4], np.int32),
        "tally": np.array(tally.to_json()),
    }


def _number(values: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The index of each value among the names, int32 [n]; sorted names."""
    names = sorted(set(values))
    numbers = {name: number for number, name in enumerate(names)}
    return (
        np.array([numbers[value] for value in values], np.int32),
        np.array(names, np.str_),
    )
