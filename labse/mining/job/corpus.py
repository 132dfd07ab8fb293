r"""The sentences of one side of mining, numbered, without repetitions.

    texts.txt          each text and \n, UTF-8; its SHA-256 is the fingerprint
    offsets.npy        int64 [n + 1], where each text begins
    lines.npy          int64 [n], the line (row, record) each stood on
    languages.npy      int32 [n], into the languages of corpus.json
    metadata.jsonl     the other fields of each row; only if there are any
    metadata_offsets.npy   int64 [n + 1], likewise
    corpus.json        counts and files; written last

A text is stripped of the white space around it, and each run of tabs, line
feeds and carriage returns inside becomes one space, so that it fits in a line.
Blank lines and malformed rows are dropped, and of equal texts all but the
first. Equality is that
of 128 bits of BLAKE2b: of 10^10 different texts, two are taken for one with a
chance of 10^-19.
"""

import hashlib
import json
import os
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from labse.errors import InputError
from labse.files.kinds import find_files
from labse.files.reading import ReadOptions
from labse.mining.job.gathered_texts import DIGEST, Gathered

_DESCRIPTION = "corpus.json"
_TEXTS = "texts.txt"
_OFFSETS = "offsets.npy"
_LINES = "lines.npy"
_LANGUAGES = "languages.npy"
_METADATA = "metadata.jsonl"
_METADATA_OFFSETS = "metadata_offsets.npy"
_FILES = (_TEXTS, _OFFSETS, _LINES, _LANGUAGES, _METADATA, _METADATA_OFFSETS)

_FORMAT = 2
# Written or copied at once.
_ROWS = 2**16
_BYTES = 2**24
# Digests are sorted in parts of so many rows, or a quarter of them all: about
# 70 bytes a row of the part, so less than 20 bytes a sentence.
_PART_ROWS = 2**24
_LEAST_PARTS = 4


class Place(NamedTuple):
    """Where a sentence was read, and what stood beside it."""

    file: str
    line: int  # from 1; the row of a Parquet file, the record of a TFRecord
    language: str
    metadata: dict[str, object]


class Corpus:
    """Numbered sentences on disk; only what is asked for is in memory.

    Attributes:
      num_read: texts in the files, blank ones too.
      num_blank: blank lines.
      num_malformed: dropped because they broke a rule.
      num_duplicates: dropped because the same text came before.
      fingerprint: SHA-256 of the texts in order, in hexadecimal digits.
    """

    def __init__(self, folder: Path):
        """Opens what `prepare` made; see `open_corpus`."""
        self._folder = folder
        about = _read_description(folder)
        self.num_read: int = about["num_read"]
        self.num_blank: int = about["num_blank"]
        self.num_malformed: int = about["num_malformed"]
        self.num_duplicates: int = about["num_duplicates"]
        self.fingerprint: str = about["fingerprint"]
        self._num_sentences: int = about["num_sentences"]
        _check_counts(self, str(folder))
        self._files = [file["path"] for file in about["files"]]
        self._first_of_files = [file["first"] for file in about["files"]]
        self._language_names = about["languages"]
        self._offsets = self._array(_OFFSETS, len(self) + 1)
        self._lines = self._array(_LINES, len(self))
        self._languages = self._array(_LANGUAGES, len(self))
        # Read, not mapped: mapped pages would count as this process's memory.
        self._texts = self._open(_TEXTS, self._offsets)
        self._metadata = None
        if about["has_metadata"]:
            self._metadata_offsets = self._array(
                _METADATA_OFFSETS, len(self) + 1
            )
            self._metadata = self._open(_METADATA, self._metadata_offsets)

    def __len__(self) -> int:
        return self._num_sentences

    def texts(self, start: int, stop: int) -> list[str]:
        """The texts from number `start` up to, not including, `stop`."""
        if not 0 <= start <= stop <= len(self):
            raise IndexError(
                f"Sentences are numbered 0 to {len(self) - 1}. Received: "
                f"{start} to {stop}."
            )
        content = _read(self._texts, self._offsets, start, stop)
        return content.decode("utf-8").split("\n")[:-1]

    def text(self, number: int) -> str:
        """The text of one number."""
        return self.texts(number, number + 1)[0]

    def place(self, number: int) -> Place:
        """Where a sentence was read first."""
        if not 0 <= number < len(self):
            raise IndexError(
                f"Sentences are numbered 0 to {len(self) - 1}. Received: "
                f"{number}."
            )
        metadata = b""
        if self._metadata:
            offsets = self._metadata_offsets
            metadata = _read(self._metadata, offsets, number, number + 1)
        return Place(
            self._files[bisect_right(self._first_of_files, number) - 1],
            int(self._lines[number]),
            self._language_names[self._languages[number]],
            json.loads(metadata) if metadata.strip() else {},
        )

    def _array(self, name: str, length: int) -> np.ndarray:
        try:
            found = np.load(self._folder / name, "r", allow_pickle=False)
        except (OSError, EOFError, ValueError) as error:
            raise _damaged(self._folder, f"{name}: {error}") from error
        if found.shape != (length,):
            raise _damaged(self._folder, f"{name} has shape {found.shape}")
        return found

    def _open(self, name: str, offsets: np.ndarray) -> BinaryIO:
        try:
            # Open as long as the corpus is.
            file = open(self._folder / name, "rb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise _damaged(self._folder, f"{name}: {error}") from error
        size = os.fstat(file.fileno()).st_size
        if size != offsets[-1]:
            raise _damaged(
                self._folder, f"{name} has {size} bytes, not {offsets[-1]}"
            )
        return file


def open_corpus(folder: str | Path) -> Corpus:
    """Opens a prepared corpus.

    Raises:
      InputError: the folder holds none, or a part of one.
    """
    return Corpus(Path(folder))


def prepare(
    patterns: list[str],
    folder: str | Path,
    options: ReadOptions | None = None,
) -> Corpus:
    """Reads files of text and writes the numbered corpus.

    Args:
      patterns: files of texts, or globs; read in this order, sorted within a
        glob.
      folder: where to; what is left of an earlier try is replaced.
      options: what the files do not say by themselves.

    Raises:
      InputError: no file matches, a file breaks a rule, too many rows are
        malformed, or there is no text in all of them.
    """
    folder = Path(folder)
    files = find_files(patterns)
    folder.mkdir(parents=True, exist_ok=True)
    # From here on the folder holds no corpus until a whole one is there.
    (folder / _DESCRIPTION).unlink(missing_ok=True)
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
    fingerprint = _write_texts(gathered, is_first, _TEXTS, _OFFSETS)
    _write_array(gathered, is_first, "lines", np.int64, _LINES)
    _write_array(gathered, is_first, "languages", np.int32, _LANGUAGES)
    if gathered.has_metadata:
        _write_texts(gathered, is_first, _METADATA, _METADATA_OFFSETS)
    for name in _FILES:
        if _temporary(folder, name).exists():
            _temporary(folder, name).replace(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    num_kept = int(np.count_nonzero(is_first))
    about = {
        "format": _FORMAT,
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
    temporary = _temporary(folder, _DESCRIPTION)
    temporary.write_text(json.dumps(about, indent=2), "utf-8")
    temporary.replace(folder / _DESCRIPTION)


def _describe_files(
    files: list[str], starts: list[int], is_first: np.ndarray
) -> list[dict[str, object]]:
    """Name, size and first sentence of each file.

    Args:
      files: names.
      starts: each file's first text, counting those that are dropped.
      is_first: bool [texts], which stay.
    """
    found, first, last = [], 0, 0
    for path, start in zip(files, starts, strict=True):
        first += int(np.count_nonzero(is_first[last:start]))
        last = start
        size = os.path.getsize(path)
        found.append({"path": path, "size": size, "first": first})
    return found


def _first_of_equals(path: Path, num_texts: int) -> np.ndarray:
    """Whether no equal text came before each: bool [num_texts]."""
    is_first = np.ones(num_texts, bool)
    num_parts = max(_LEAST_PARTS, -(-num_texts // _PART_ROWS))
    for part in range(num_parts):
        rows, some = _digests_of_part(path, part, num_parts)
        # Stable: of equal ones the first stays first.
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
        open(_temporary(gathered.folder, name), "wb") as written,
    ):
        _write_header(written, dtype, int(np.count_nonzero(is_first)))
        for start in range(0, len(is_first), _ROWS):
            some = is_first[start : start + _ROWS]
            values = np.fromfile(read, dtype, len(some))
            written.write(values[some].tobytes())
        _to_disk(written)


def _write_texts(
    gathered: Gathered, is_first: np.ndarray, name: str, offsets_name: str
) -> str:
    """Copies the lines that stay; returns their SHA-256."""
    column = name.partition(".")[0]
    digest = hashlib.sha256()
    end = 0
    with (
        open(gathered.path(column), "rb") as read,
        open(_temporary(gathered.folder, name), "wb") as written,
        open(_temporary(gathered.folder, offsets_name), "wb") as offsets,
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
        _to_disk(written)
        _to_disk(offsets)
    return digest.hexdigest()


def _blocks(ends_path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """First row and int64 lengths of blocks: many lines, or a long one."""
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


def _to_disk(file: BinaryIO) -> None:
    """Before corpus.json says that it is there."""
    file.flush()
    os.fsync(file.fileno())


def _temporary(folder: Path, name: str) -> Path:
    return folder / f"{name}.tmp"


def _read(file: BinaryIO, offsets: np.ndarray, start: int, stop: int) -> bytes:
    begin, end = int(offsets[start]), int(offsets[stop])
    parts = []
    while begin < end:  # A read may give less than was asked for.
        parts.append(os.pread(file.fileno(), end - begin, begin))
        begin += len(parts[-1])
        if not parts[-1]:
            raise _damaged(Path(file.name).parent, f"{file.name} is cut off")
    return b"".join(parts)


def _read_description(folder: Path) -> dict:
    path = folder / _DESCRIPTION
    if not path.is_file():
        raise InputError(
            f"{folder} holds no prepared corpus: {_DESCRIPTION} is not there. "
            "Prepare it again."
        )
    try:
        about = json.loads(path.read_text("utf-8"))
        if about["format"] != _FORMAT:
            raise ValueError(f"format {about['format']}")
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, f"{_DESCRIPTION}: {error}") from error
    return about


def _damaged(folder: Path, what: str) -> InputError:
    return InputError(
        f"{folder} holds a prepared corpus that is not whole ({what}). Delete "
        "the folder and prepare it again."
    )


def _check_counts(corpus: Corpus, name: str) -> None:
    kept, blank = len(corpus), corpus.num_blank
    bad, duplicates = corpus.num_malformed, corpus.num_duplicates
    if corpus.num_read != kept + blank + bad + duplicates:
        raise InputError(
            f"{name}: each row that is read is kept, blank, malformed or a "
            f"duplicate. Received: {corpus.num_read} read, {kept} kept, "
            f"{blank} blank, {bad} malformed, {duplicates} duplicates. Delete "
            "the folder and prepare it again."
        )
