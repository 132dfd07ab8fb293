"""Reads files of text and writes the numbered corpus that is mined."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from labse.errors import InputError
from labse.files.atomic_write import write_text
from labse.files.kinds import find_files
from labse.files.reading import ReadOptions
from labse.mining.job import corpus as stored
from labse.mining.job.corpus import MinedCorpus, open_corpus
from labse.mining.job.gathered_texts import DIGEST, Gathered

# Rows and bytes that are written or copied at once.
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
    with Gathered(folder, options) as gathered:
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
    is_first = _first_of_equals(gathered.path("digests"), gathered.num_texts)
    fingerprint = _write_texts(gathered, is_first, stored.TEXTS, stored.OFFSETS)
    _write_array(gathered, is_first, "lines", np.int64, stored.LINES)
    _write_array(gathered, is_first, "languages", np.int32, stored.LANGUAGES)
    if gathered.has_metadata:
        _write_texts(
            gathered, is_first, stored.METADATA, stored.METADATA_OFFSETS
        )
    num_kept = int(np.count_nonzero(is_first))
    about = {
        "format": stored.FORMAT,
        "num_read": tally.num_rows + tally.num_blank + tally.num_malformed,
        "num_blank": tally.num_blank,
        "num_malformed": tally.num_malformed,
        "num_duplicates": int(np.count_nonzero(~is_first)),
        "num_sentences": num_kept,
        "fingerprint": fingerprint,
        "has_metadata": gathered.has_metadata,
        "languages": list(gathered.language_numbers),
        "text_column": options.text_column,
        "files": _describe_files(files, gathered.first_of_files, is_first),
    }
    write_text(folder / stored.DESCRIPTION, json.dumps(about, indent=2))


def _describe_files(
    files: list[str], starts: list[int], is_first: np.ndarray
) -> list[dict[str, object]]:
    """Name, size and first sentence of each file.

    Args:
      files: names.
      starts: each file's first text, dropped texts included.
      is_first: bool [texts], which are kept.
    """
    found, first, last = [], 0, 0
    for path, start in zip(files, starts, strict=True):
        first += int(np.count_nonzero(is_first[last:start]))
        last = start
        size = os.path.getsize(path)
        found.append({"path": path, "size": size, "first": first})
    return found


def _first_of_equals(path: Path, num_texts: int) -> np.ndarray:
    """bool [num_texts]: whether a text is the first of its equals."""
    is_first = np.ones(num_texts, bool)
    num_parts = max(_LEAST_PARTS, -(-num_texts // _PART_ROWS))
    for part in range(num_parts):
        rows, some = _digests_of_part(path, part, num_parts)
        # lexsort is stable: the first of equal texts stays first.
        order = np.lexsort((some["low"], some["high"]))
        some = some[order]
        is_same = some[1:] == some[:-1]
        is_first[rows[order[1:][is_same]]] = False
    return is_first


def _digests_of_part(
    path: Path, part: int, num_parts: int
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a part, int64 [n] in order, and their digests [n]."""
    rows, digests = [], []
    start = 0
    with open(path, "rb") as file:
        while len(block := np.fromfile(file, DIGEST, _ROWS)):
            inside = np.flatnonzero(block["high"] % num_parts == part)
            rows.append(start + inside)
            digests.append(block[inside])
            start += len(block)
    return np.concatenate(rows), np.concatenate(digests)


def _write_array(
    gathered: Gathered,
    is_first: np.ndarray,
    column: str,
    dtype: type,
    name: str,
) -> None:
    with (
        open(gathered.path(column), "rb") as read,
        open(gathered.folder / name, "wb") as written,
    ):
        _write_header(written, dtype, int(np.count_nonzero(is_first)))
        for start in range(0, len(is_first), _ROWS):
            some = is_first[start : start + _ROWS]
            values = np.fromfile(read, dtype, len(some))
            written.write(values[some].tobytes())
        _sync(written)


def _write_texts(
    gathered: Gathered, is_first: np.ndarray, name: str, offsets_name: str
) -> str:
    """Copies the lines that are kept; returns their SHA-256."""
    column = name.partition(".")[0]
    digest = hashlib.sha256()
    end = 0
    with (
        open(gathered.path(column), "rb") as read,
        open(gathered.folder / name, "wb") as written,
        open(gathered.folder / offsets_name, "wb") as offsets,
    ):
        _write_header(offsets, np.int64, int(np.count_nonzero(is_first)) + 1)
        offsets.write(np.int64(0).tobytes())
        for start, lengths in _blocks(gathered.path(f"{column}.ends")):
            stays = is_first[start : start + len(lengths)]
            content = np.fromfile(read, np.uint8, int(lengths.sum()))
            if not stays.all():
                content = content[np.repeat(stays, lengths)]
                lengths = lengths[stays]
            digest.update(content)
            written.write(content.data)
            ends = end + np.cumsum(lengths)
            offsets.write(ends.tobytes())
            end += int(lengths.sum())
        _sync(written)
        _sync(offsets)
    return digest.hexdigest()


def _blocks(ends_path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """First row and int64 [rows] byte lengths of blocks of about _BYTES."""
    start, begin = 0, 0
    with open(ends_path, "rb") as file:
        while len(ends := np.fromfile(file, np.int64, _ROWS)):
            while len(ends):
                fits = int(np.searchsorted(ends, begin + _BYTES, "right"))
                some, ends = np.split(ends, [max(1, fits)])
                yield start, np.diff(some, prepend=begin)
                begin = int(some[-1])
                start += len(some)


def _write_header(file: BinaryIO, dtype: type, length: int) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": (length,),
    }
    np.lib.format.write_array_header_1_0(file, header)


def _sync(file: BinaryIO) -> None:
    """Must come before corpus.json is written, which says it is complete."""
    file.flush()
    os.fsync(file.fileno())
