"""Random access to the pairs of any number of files.

An index of where each pair starts is made once for each file and kept in a
cache folder, so that the order of training can be a pure function of seed and
step: any pair can be read at any time, and resuming reads nothing twice.
Files: TFRecords of tf.train.Example, `.tsv` and `.tsv.gz` with a header
(`labse.features.PAIR_COLUMNS`; the language columns may be missing).
"""

import glob
import gzip
import hashlib
import mmap
import os
import pathlib
import shutil
import zlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from labse.errors import InputError
from labse.features import SOURCE, SOURCE_LANGUAGE, TARGET, TARGET_LANGUAGE

UNKNOWN_LANGUAGE = "und"  # BCP 47.
_SHOWN = 5
_RECORD_HEADER = 12  # TFRecord: uint64 length, uint32 checksum of the length
_RECORD_FOOTER = 4  # uint32 checksum of the data


class FileIndex(NamedTuple):
    """Where the pairs of one file are."""

    path: str  # what is read: the file, or its decompressed copy
    columns: tuple[str, ...]  # of a TSV; empty for TFRecords
    offsets: np.ndarray  # int64 [pairs], bytes
    lengths: np.ndarray  # int32 [pairs], bytes
    languages: np.ndarray  # str [pairs], "en-de"
    malformed: int
    shown: tuple[str, ...]  # the first malformed lines, for the message


class PairStore:
    """All pairs of some files, numbered from 0 in the files' order.

    Attributes:
      lengths: int32 [n], bytes of each pair's record; a measure of its length.
      languages: int32 [n], index into `language_names`.
      language_names: such as "en-de", sorted.
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
        self.language_names, self.languages = np.unique(
            np.concatenate([file.languages for file in files]),
            return_inverse=True,
        )
        self.languages = self.languages.astype(np.int32)
        self._columns = [file.columns for file in files]
        self._maps = [_map(file.path) for file in files]

    def identity(self) -> str:
        """Changes with the pairs, their order, or where they begin."""
        digest = hashlib.sha256()
        for array in (self.file_ids, self.offsets, self.lengths):
            digest.update(np.ascontiguousarray(array))
        digest.update("\t".join(self.language_names).encode())
        digest.update(np.ascontiguousarray(self.languages))
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.offsets)

    def read(self, indices: np.ndarray) -> tuple[list[bytes], list[bytes]]:
        """The sources and the targets of the pairs `indices`, UTF-8."""
        sources, targets = [], []
        for index in indices:
            file_id = self.file_ids[index]
            start = self.offsets[index]
            record = self._maps[file_id][start : start + self.lengths[index]]
            source, target = _parse(record, self._columns[file_id])[:2]
            sources.append(source)
            targets.append(target)
        return sources, targets


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


def _parse(record: bytes, columns: tuple[str, ...]) -> tuple:
    """Source, target and the languages' name of one record."""
    if columns:
        values = record.rstrip(b"\r").split(b"\t")
        if len(values) != len(columns):
            raise ValueError(
                f"{len(values)} columns, the header has {len(columns)}"
            )
        fields = dict(zip(columns, values, strict=True))
    else:
        example = tf.train.Example.FromString(record)
        fields = {
            name: feature.bytes_list.value[0]
            for name, feature in example.features.feature.items()
            if feature.bytes_list.value
        }
    names = (
        fields.get(name, b"").decode() or UNKNOWN_LANGUAGE
        for name in (SOURCE_LANGUAGE, TARGET_LANGUAGE)
    )
    source, target = fields[SOURCE], fields[TARGET]
    source.decode(), target.decode()
    if not source.strip() or not target.strip():
        raise ValueError("source or target is empty")
    return source, target, "-".join(names)


def _index(path: str, cache: pathlib.Path) -> FileIndex:
    if os.path.isdir(path):
        raise InputError(f"Pairs are read from files. {path} is a folder.")
    status = os.stat(path)
    if not status.st_size:
        raise InputError(f"{path} is empty.")
    identity = f"{os.path.abspath(path)} {status.st_size} {status.st_mtime_ns}"
    name = hashlib.sha256(identity.encode()).hexdigest()[:16]
    saved = cache / f"{name}.npz"
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


def _index_table(path: str, shown_as: str) -> FileIndex:
    offsets, lengths, languages, malformed, shown = [], [], [], 0, []
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
        offset = len(header)
        for number, line in enumerate(file, start=2):
            record = line.rstrip(b"\n")
            try:
                languages.append(_parse(record, columns)[2])
                offsets.append(offset)
                lengths.append(len(record))
            except ValueError as error:
                malformed += 1
                if len(shown) < _SHOWN:
                    shown.append(f"{shown_as}:{number}: {error}")
            offset += len(line)
    return _file_index(
        path, columns, offsets, lengths, languages, malformed, shown
    )


def _index_records(path: str, shown_as: str) -> FileIndex:
    offsets, lengths, languages, malformed, shown = [], [], [], 0, []
    offset = 0
    try:
        records = tf.data.TFRecordDataset(path).as_numpy_iterator()
        for number, record in enumerate(records):
            try:
                languages.append(_parse(record, ())[2])
                offsets.append(offset + _RECORD_HEADER)
                lengths.append(len(record))
            except (ValueError, KeyError, _decode_error()) as error:
                malformed += 1
                if len(shown) < _SHOWN:
                    shown.append(f"{shown_as}: record {number}: {error!r}")
            offset += _RECORD_HEADER + len(record) + _RECORD_FOOTER
    except tf.errors.DataLossError as error:
        raise InputError(
            f"{shown_as} is neither a .tsv, a .tsv.gz nor a whole, "
            f"uncompressed TFRecord file: {error.message}"
        ) from error
    return _file_index(path, (), offsets, lengths, languages, malformed, shown)


def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    return DecodeError


def _file_index(path, columns, offsets, lengths, languages, malformed, shown):
    return FileIndex(
        path,
        columns,
        np.array(offsets, np.int64),
        np.array(lengths, np.int32),
        np.array(languages, np.str_),
        malformed,
        tuple(shown),
    )


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
