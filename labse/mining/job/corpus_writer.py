"""Reads files of text and writes the numbered corpus that is mined.

The rows of all files are gathered in temporary files: 128 bits of each text's
BLAKE2b hash, by which duplicates are found; numbers; lines of text and of
metadata. Then the first of equal rows are copied.
"""

import contextlib
import hashlib
import json
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from labse import features
from labse.errors import InputError
from labse.files.atomic_write import write_text
from labse.files.formats.pair_values import to_json
from labse.files.kinds import find_files
from labse.files.reading import ReadOptions, Tally
from labse.files.texts import TextFile
from labse.mining.job import corpus as stored
from labse.mining.job.corpus import MinedCorpus, open_corpus

DIGEST = np.dtype([("high", "<u8"), ("low", "<u8")])
# Where a text was read, its language, and where text and metadata end.
_ROW = np.dtype(
    [("line", "<i8"), ("language", "<i4"), ("text", "<i8"), ("fields", "<i8")]
)
_PACKED_ROW = struct.Struct("<qiqq")
_BREAKS = re.compile(r"[\t\n\r]+")
# Rows and bytes that are read or copied at once.
_ROWS = 2**16
_BYTES = 2**24
# Digests are sorted in parts of this many rows, or of a quarter of all rows if
# that is less. Sorting takes about 70 bytes for each row of a part.
_PART_ROWS = 2**24
_LEAST_PARTS = 4


def prepare_corpus(
    patterns: list[str],
    folder: str | Path,
    options: ReadOptions | None = None,
) -> MinedCorpus:
    """Reads files of text and writes the numbered corpus.

    Args:
      patterns: files of texts, or globs; read in this order, sorted within a
        glob.
      folder: where to write; what an earlier run left there is replaced.
      options: what the files do not say by themselves.

    Raises:
      InputError: no file matches, a file breaks a rule, too many rows are
        malformed, or there is no text in all of them.
    """
    folder = Path(folder)
    files = find_files(patterns)
    folder.mkdir(parents=True, exist_ok=True)
    # Without corpus.json, which is written last, the folder holds no corpus.
    for name in (stored.DESCRIPTION, *stored.FILES):
        (folder / name).unlink(missing_ok=True)
    try:
        _prepare(files, folder, options or ReadOptions())
    finally:
        for path in folder.glob("*.tmp"):
            path.unlink()
    return open_corpus(folder)


def _prepare(files: list[str], folder: Path, options: ReadOptions) -> None:
    with contextlib.ExitStack() as stack:
        gathered = _Gathered(folder, options, stack)
        for path in files:
            gathered.add_file(path)
    tally = gathered.tally
    tally.check(options.max_malformed_share)
    if not gathered.num_texts:
        raise InputError(
            f"There is no text in {', '.join(files[:3])}"
            f"{' and others' if len(files) > 3 else ''}: all "
            f"{tally.num_blank} lines are blank. Is it the right file, and "
            "the right column?"
        )
    tally.log()
    digests = _temporary(folder, "digests")
    is_first = _first_of_equals(digests, gathered.num_texts)
    fingerprint = _copy(folder, is_first, gathered.has_metadata)
    about = {
        "format": stored.FORMAT,
        "num_read": tally.num_rows + tally.num_blank + tally.num_malformed,
        "num_blank": tally.num_blank,
        "num_malformed": tally.num_malformed,
        "num_duplicates": int(np.count_nonzero(~is_first)),
        "num_sentences": int(np.count_nonzero(is_first)),
        "fingerprint": fingerprint,
        "has_metadata": gathered.has_metadata,
        "languages": list(gathered.languages),
        "text_column": options.text_column,
        "files": [
            {
                "path": path,
                "size": os.path.getsize(path),
                "first": int(np.count_nonzero(is_first[:start])),
            }
            for path, start in zip(files, gathered.starts, strict=True)
        ],
    }
    write_text(folder / stored.DESCRIPTION, json.dumps(about, indent=2))


def _temporary(folder: Path, name: str) -> Path:
    return folder / f"read.{name}.tmp"


class _Gathered:
    """Writes all texts that are not blank to temporary files.

    Attributes:
      num_texts: written so far, duplicates included.
      starts: the first text of each file.
      languages: their numbers, in the order in which they came.
      has_metadata: whether any text has other fields.
      tally: of the rows read.
    """

    def __init__(self, folder: Path, options: ReadOptions, stack):
        self.num_texts = 0
        self.starts: list[int] = []
        self.languages: dict[str, int] = {}
        self.has_metadata = False
        self.tally = Tally()
        self._options = options

        def create(name: str) -> BinaryIO:
            return stack.enter_context(open(_temporary(folder, name), "wb"))

        self._digests, self._rows = create("digests"), create("rows")
        self._texts, self._metadata = create("texts"), create("metadata")

    def add_file(self, path: str) -> None:
        """Reads a file to its end."""
        self.starts.append(self.num_texts)
        file = TextFile(path, self._options, self.tally)
        numbers = self.languages
        for text, language, line, fields in file:
            del fields[file.column.partition(".")[0]]
            fields.pop(features.LANGUAGE, None)
            metadata = to_json(fields, f"{path}:{line}") if fields else ""
            self.has_metadata |= bool(fields)
            content = _BREAKS.sub(" ", text.strip()).encode("utf-8")
            digest = hashlib.blake2b(content, digest_size=DIGEST.itemsize)
            self._digests.write(digest.digest())
            self._texts.write(content + b"\n")
            self._metadata.write(metadata.encode("utf-8") + b"\n")
            row = _PACKED_ROW.pack(
                line,
                numbers.setdefault(language, len(numbers)),
                self._texts.tell(),
                self._metadata.tell(),
            )
            self._rows.write(row)
            self.num_texts += 1


def _first_of_equals(path: Path, num_texts: int) -> np.ndarray:
    """bool [num_texts]: whether a text is the first of its equals."""
    is_first = np.ones(num_texts, bool)
    num_parts = max(_LEAST_PARTS, -(-num_texts // _PART_ROWS))
    for part in range(num_parts):
        rows, digests = [], []
        for start, block in _blocks(path, DIGEST):
            inside = np.flatnonzero(block["high"] % num_parts == part)
            rows.append(start + inside)
            digests.append(block[inside])
        some = np.concatenate(digests)
        # lexsort is stable: the first of equal texts stays first.
        order = np.lexsort((some["low"], some["high"]))
        some = some[order]
        is_same = some[1:] == some[:-1]
        is_first[np.concatenate(rows)[order[1:][is_same]]] = False
    return is_first


def _blocks(path: Path, dtype: np.dtype) -> Iterator[tuple[int, np.ndarray]]:
    """The rows of a file, [_ROWS or fewer], and the number of the first."""
    start = 0
    with open(path, "rb") as file:
        while len(block := np.fromfile(file, dtype, _ROWS)):
            yield start, block
            start += len(block)


def _copy(folder: Path, is_first: np.ndarray, has_metadata: bool) -> str:
    """Writes the rows that are kept; returns the SHA-256 of their texts."""
    num_kept = int(np.count_nonzero(is_first))
    with contextlib.ExitStack() as stack:

        def create(name, dtype=None, length=num_kept) -> BinaryIO:
            file = stack.enter_context(open(folder / name, "wb"))
            # Before corpus.json is written, which says that all is complete.
            stack.callback(lambda: (file.flush(), os.fsync(file.fileno())))
            if dtype:
                header = np.lib.format.header_data_from_array_1_0(
                    np.empty(0, dtype)
                ) | {"shape": (length,)}
                np.lib.format.write_array_header_1_0(file, header)
            return file

        def lines(column: str, name: str, offsets: str) -> _Lines:
            return _Lines(
                stack.enter_context(open(_temporary(folder, column), "rb")),
                create(name),
                create(offsets, np.int64, num_kept + 1),
            )

        line = create(stored.LINES, np.int64)
        language = create(stored.LANGUAGES, np.int32)
        texts = lines("texts", stored.TEXTS, stored.OFFSETS)
        if has_metadata:
            metadata = lines(
                "metadata", stored.METADATA, stored.METADATA_OFFSETS
            )
        for start, rows in _blocks(_temporary(folder, "rows"), _ROW):
            stays = is_first[start : start + len(rows)]
            line.write(rows["line"][stays].tobytes())
            language.write(rows["language"][stays].tobytes())
            texts.copy(rows["text"], stays)
            if has_metadata:
                metadata.copy(rows["fields"], stays)
    return texts.digest.hexdigest()


class _Lines:
    """Copies some of the lines of a file, and writes their offsets."""

    def __init__(self, read: BinaryIO, written: BinaryIO, offsets: BinaryIO):
        self.digest = hashlib.sha256()
        self._read, self._written, self._offsets = read, written, offsets
        self._begin = self._end = 0  # of what was read, and written
        offsets.write(np.int64(0).tobytes())

    def copy(self, ends: np.ndarray, stays: np.ndarray) -> None:
        """Copies the next lines: their ends, int [rows], and which stay."""
        while len(ends):
            fits = int(np.searchsorted(ends, self._begin + _BYTES, "right"))
            some, ends = np.split(ends, [max(1, fits)])
            kept, stays = np.split(stays, [len(some)])
            lengths = np.diff(some, prepend=self._begin)
            content = np.fromfile(self._read, np.uint8, int(lengths.sum()))
            content = content[np.repeat(kept, lengths)]
            self.digest.update(content)
            self._written.write(content.data)
            new_ends = self._end + np.cumsum(lengths[kept])
            self._offsets.write(new_ends.tobytes())
            self._begin = int(some[-1])
            self._end += len(content)
