"""Random access to the pairs of any number of files.

An index of where each pair starts is made once for each file and kept in a
cache folder, so that the order of training can be a pure function of seed and
step: any pair can be read at any time, and resuming reads nothing twice.
Files: TFRecords of tf.train.Example, `.tsv` and `.tsv.gz` with a header
(`labse.features.PAIR_COLUMNS`; only source and target must be there).

A pair may bring hard negatives, the hardest first: sentences of the target's
language that do not translate its source. In a TFRecord they are the strings
of the feature `hard_negatives`, in a TSV its column `hard_negatives` holds
them as a JSON list; an empty cell is none. It may name its corpus, the feature
or column `corpus`, which `data.corpus_weights` speaks of.
"""

import glob
import gzip
import hashlib
import json
import mmap
import os
import pathlib
import shutil
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from labse.errors import InputError
from labse.features import (
    CORPUS,
    HARD_NEGATIVES,
    SOURCE,
    SOURCE_LANGUAGE,
    TARGET,
    TARGET_LANGUAGE,
)

UNKNOWN_LANGUAGE = "und"  # BCP 47.
_SHOWN = 5
_RECORD_HEADER = 12  # TFRecord: uint64 length, uint32 checksum of the length
_RECORD_FOOTER = 4  # uint32 checksum of the data


# Of what an index holds; another one is made anew.
_INDEX_VERSION = 3


class Pair(NamedTuple):
    """One pair; texts in UTF-8."""

    source: bytes
    target: bytes
    source_language: str
    target_language: str
    hard_negatives: tuple[bytes, ...]
    corpus: str  # empty where it names none

    @property
    def languages(self) -> str:
        """Both languages' name, "en-de"."""
        return f"{self.source_language}-{self.target_language}"


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


class PairStore:
    """All pairs of some files, numbered from 0 in the files' order.

    Attributes:
      lengths: int32 [n], bytes of each pair's record; a measure of its length.
      languages: int32 [n], index into `language_names`.
      language_names: such as "en-de", sorted.
      corpora: int32 [n], index into `corpus_names`.
      corpus_names: sorted; "" for pairs that name none.
      num_hard_negatives: int32 [n], how many each pair brings.
    """

    def __init__(
        self,
        patterns: list[str],
        cache_folder: str | os.PathLike,
        max_malformed_share: float = 0.0,
    ):
        """Indexes the files, or reads the index made before.

        Args:
          patterns: globs of files.
          cache_folder: for indexes and decompressed files.
          max_malformed_share: lines that are no pair are left out up to this
            share of all lines.

        Raises:
          InputError: no file matches, a file is unreadable, or too many lines
            are no pairs.
        """
        cache = pathlib.Path(cache_folder)
        cache.mkdir(parents=True, exist_ok=True)
        files = [_index(path, cache) for path in match(patterns)]
        _check_malformed(files, max_malformed_share)
        sizes = [len(file.offsets) for file in files]
        if not sum(sizes):
            raise InputError(f"There are no pairs in {', '.join(patterns)}.")
        self.file_ids = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        self.offsets = np.concatenate([file.offsets for file in files])
        self.lengths = np.concatenate([file.lengths for file in files])
        self.language_names, self.languages = _merge(
            [(file.language_names, file.languages) for file in files]
        )
        self.corpus_names, self.corpora = _merge(
            [(file.corpus_names, file.corpora) for file in files]
        )
        self.num_hard_negatives = np.concatenate(
            [file.num_hard_negatives for file in files]
        )
        self._columns = [file.columns for file in files]
        self._maps = [_map(file.path) for file in files]

    def identity(self, with_corpora: bool = False) -> str:
        """Changes with the pairs, their order, or where they begin.

        Args:
          with_corpora: also with their corpora.
        """
        digest = hashlib.sha256()
        for array in (self.file_ids, self.offsets, self.lengths):
            digest.update(np.ascontiguousarray(array))
        digest.update("\t".join(self.language_names).encode())
        digest.update(np.ascontiguousarray(self.languages))
        if self.num_hard_negatives.any():
            digest.update(np.ascontiguousarray(self.num_hard_negatives))
        if with_corpora:
            digest.update("\t".join(self.corpus_names).encode())
            digest.update(np.ascontiguousarray(self.corpora))
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.offsets)

    def read(self, indices: np.ndarray) -> tuple[list[bytes], list[bytes]]:
        """The sources and the targets of the pairs `indices`, UTF-8."""
        pairs = [self.pair(index) for index in indices]
        return [pair.source for pair in pairs], [pair.target for pair in pairs]

    def pair(self, index: int) -> Pair:
        """One pair with all that its record says."""
        file_id = self.file_ids[index]
        start = self.offsets[index]
        record = self._maps[file_id][start : start + self.lengths[index]]
        return _parse(record, self._columns[file_id])


def match(patterns: list[str]) -> list[str]:
    """The files that match, each once, sorted within a pattern."""
    paths = []
    for pattern in patterns:
        found = sorted(glob.glob(pattern))
        if not found:
            raise InputError(f"No file matches {pattern!r}.")
        paths += [path for path in found if path not in paths]
    return paths


def _map(path: str) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _parse(record: bytes, columns: tuple[str, ...]) -> Pair:
    """A record's pair; raises ValueError or KeyError where it is none."""
    if columns:
        values = record.rstrip(b"\r").split(b"\t")
        if len(values) != len(columns):
            raise ValueError(
                f"{len(values)} columns, the header has {len(columns)}"
            )
        fields = dict(zip(columns, values, strict=True))
        negatives = _json_list(fields.get(HARD_NEGATIVES, b""))
    else:
        example = tf.train.Example.FromString(record)
        features = example.features.feature
        fields = {
            name: feature.bytes_list.value[0]
            for name, feature in features.items()
            if feature.bytes_list.value
        }
        negatives = ()
        other = [
            name
            for name in (SOURCE_LANGUAGE, TARGET_LANGUAGE, CORPUS)
            if features[name].WhichOneof("kind") not in (None, "bytes_list")
        ]
        if other:
            raise ValueError(f"the feature {other[0]} is not of bytes")
        if HARD_NEGATIVES in fields:
            negatives = tuple(features[HARD_NEGATIVES].bytes_list.value)
    source, target = fields[SOURCE], fields[TARGET]
    for text in (source, target, *negatives):
        text.decode()
    if not source.strip() or not target.strip():
        raise ValueError("source or target is empty")
    if not all(text.strip() for text in negatives):
        raise ValueError("a hard negative is empty")
    languages = (
        fields.get(name, b"").decode() or UNKNOWN_LANGUAGE
        for name in (SOURCE_LANGUAGE, TARGET_LANGUAGE)
    )
    corpus = fields.get(CORPUS, b"").decode()
    return Pair(source, target, *languages, negatives, corpus)


def _json_list(cell: bytes) -> tuple[bytes, ...]:
    """The strings of a TSV's cell of hard negatives."""
    if not cell.strip():
        return ()
    try:
        texts = json.loads(cell)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{HARD_NEGATIVES} is no JSON: {error}") from error
    if not isinstance(texts, list) or not all(
        isinstance(text, str) for text in texts
    ):
        raise ValueError(f"{HARD_NEGATIVES} is no JSON list of strings")
    return tuple(text.encode() for text in texts)


def _index(path: str, cache: pathlib.Path) -> FileIndex:
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
            pair = _parse(record, self._columns)
        except (ValueError, KeyError, _decode_error()) as error:
            self._malformed += 1
            if len(self._shown) < _SHOWN:
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


def _merge(
    files: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """(names, numbers) of each file -> all names, and all numbers in these."""
    names = np.unique(np.concatenate([names for names, _ in files]))
    numbers = [
        np.searchsorted(names, own_names).astype(np.int32)[own]
        for own_names, own in files
    ]
    return names, np.concatenate(numbers)


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


def _check_malformed(files: list[FileIndex], max_share: float) -> None:
    malformed = sum(file.malformed for file in files)
    if not malformed:
        return
    total = malformed + sum(len(file.offsets) for file in files)
    shown = [line for file in files for line in file.shown][:_SHOWN]
    message = f"{malformed} of {total} lines are no pairs; " + "; ".join(shown)
    if malformed > max_share * total:
        raise InputError(
            f"{message}. At most a share of {max_share} is left out "
            "(data.max_malformed_share). Mend the files or raise the share."
        )
    logging.warning("%s. They are left out.", message)
