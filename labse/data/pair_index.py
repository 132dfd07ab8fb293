"""Where the pairs of one file start; kept in a cache folder."""

import gzip
import hashlib
import os
import pathlib
import shutil
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from labse.data import pair_record
from labse.errors import InputError
from labse.features import SOURCE, TARGET

SHOWN = 5  # malformed lines of a file
_RECORD_HEADER = 12  # TFRecord: uint64 length, uint32 checksum of the length
_RECORD_FOOTER = 4  # uint32 checksum of the data
# Of what an index holds; another one is made anew.
_INDEX_VERSION = 3


class FileIndex(NamedTuple):
    """Where the pairs of one file are."""

    path: str  # what is read: the file, or its decompressed copy
    columns: tuple[str, ...]  # of a TSV; empty for TFRecords
    offsets: np.ndarray  # int64 [pairs], bytes
    lengths: np.ndarray  # int32 [pairs], bytes
    languages: np.ndarray  # int32 [pairs], index into language_names
    language_names: np.ndarray  # str, such as "en-de", sorted
    corpora: np.ndarray  # int32 [pairs], index into corpus_names
    corpus_names: np.ndarray  # str, sorted
    num_hard_negatives: np.ndarray  # int32 [pairs]
    malformed: int
    shown: tuple[str, ...]  # the first malformed lines, for the message


def index_file(path: str, cache: pathlib.Path) -> FileIndex:
    """Indexes a file, or reads the index made before.

    Args:
      path: of TFRecords, or .tsv or .tsv.gz with a header.
      cache: folder for the index and the decompressed file.

    Raises:
      InputError: the file is unreadable.
    """
    if os.path.isdir(path):
        raise InputError(f"Pairs are read from files. {path} is a folder.")
    status = os.stat(path)
    if not status.st_size:
        raise InputError(f"{path} is empty.")
    identity = f"{os.path.abspath(path)} {status.st_size} {status.st_mtime_ns}"
    name = hashlib.sha256(identity.encode()).hexdigest()[:16]
    saved = cache / f"{name}.{_INDEX_VERSION}.npz"
    plain = path
    if path.endswith(".gz"):
        plain = _decompress(path, cache / f"{name}.tsv")
    if not saved.exists():
        is_table = plain.endswith(".tsv")
        index = (_index_table if is_table else _index_records)(plain, path)
        temporary = cache / f"{name}.{os.getpid()}.tmp.npz"
        arrays = index._asdict()
        # The folder may be moved; where its files are is known anew each time.
        del arrays["path"]
        np.savez(temporary, **arrays)
        temporary.replace(saved)
    with np.load(saved, allow_pickle=False) as arrays:
        return FileIndex(
            path=plain,
            columns=tuple(arrays["columns"].tolist()),
            offsets=arrays["offsets"],
            lengths=arrays["lengths"],
            languages=arrays["languages"],
            language_names=arrays["language_names"],
            corpora=arrays["corpora"],
            corpus_names=arrays["corpus_names"],
            num_hard_negatives=arrays["num_hard_negatives"],
            malformed=int(arrays["malformed"]),
            shown=tuple(arrays["shown"].tolist()),
        )


def _decompress(path: str, target: pathlib.Path) -> str:
    if not path.endswith(".tsv.gz"):
        raise InputError(
            f"Of compressed files only .tsv.gz is read. Received: {path}."
        )
    if target.exists():
        return str(target)
    temporary = target.with_name(f"{target.stem}.{os.getpid()}.tmp")
    try:
        with gzip.open(path) as compressed, open(temporary, "wb") as plain:
            shutil.copyfileobj(compressed, plain, 2**20)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path} is not a whole gzip file: {error}."
        ) from error
    temporary.replace(target)
    return str(target)


class _IndexBuilder:
    """Collects where a file's pairs are and which of its records are none."""

    def __init__(self, path: str, shown_as: str, columns: tuple[str, ...]):
        self._path = path
        self._shown_as = shown_as
        self._columns = columns
        self._rows = []  # offset, length, languages, corpus, negatives
        self._malformed, self._shown = 0, []

    def add(self, record: bytes, offset: int, place: str) -> None:
        """One record; `place` tells where it is in the file."""
        try:
            pair = pair_record.parse(record, self._columns)
        except (ValueError, KeyError, _decode_error()) as error:
            self._malformed += 1
            if len(self._shown) < SHOWN:
                said = error if self._columns else repr(error)
                self._shown.append(f"{self._shown_as}:{place}: {said}")
            return
        negatives = len(pair.hard_negatives)
        self._rows.append(
            (offset, len(record), pair.languages, pair.corpus, negatives)
        )

    def index(self) -> FileIndex:
        """All of it."""
        columns = list(zip(*self._rows, strict=True)) or [()] * 5
        return FileIndex(
            self._path,
            self._columns,
            np.array(columns[0], np.int64),
            np.array(columns[1], np.int32),
            *_number(columns[2]),
            *_number(columns[3]),
            np.array(columns[4], np.int32),
            self._malformed,
            tuple(self._shown),
        )


def _number(values: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Which of the names each value is, int32 [n], and the names, sorted."""
    names = sorted(set(values))
    numbers = {name: number for number, name in enumerate(names)}
    return (
        np.array([numbers[value] for value in values], np.int32),
        np.array(names, np.str_),
    )


def _index_table(path: str, shown_as: str) -> FileIndex:
    with open(path, "rb") as file:
        header = file.readline()
        # A file that went through Windows may begin with a byte order mark.
        text = header.decode("utf-8-sig", errors="replace")
        columns = tuple(text.rstrip("\r\n").split("\t"))
        if not {SOURCE, TARGET} <= set(columns):
            raise InputError(
                f"{shown_as}:1 must name its columns, tab-separated, {SOURCE} "
                f"and {TARGET} among them. Received: {columns}."
            )
        builder = _IndexBuilder(path, shown_as, columns)
        offset = len(header)
        for number, line in enumerate(file, start=2):
            builder.add(line.rstrip(b"\n"), offset, str(number))
            offset += len(line)
    return builder.index()


def _index_records(path: str, shown_as: str) -> FileIndex:
    builder = _IndexBuilder(path, shown_as, ())
    offset = 0
    try:
        records = tf.data.TFRecordDataset(path).as_numpy_iterator()
        for number, record in enumerate(records):
            builder.add(record, offset + _RECORD_HEADER, f" record {number}")
            offset += _RECORD_HEADER + len(record) + _RECORD_FOOTER
    except tf.errors.DataLossError as error:
        raise InputError(
            f"{shown_as} is neither a .tsv, a .tsv.gz nor a whole, "
            f"uncompressed TFRecord file: {error.message}"
        ) from error
    return builder.index()


def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    return DecodeError
