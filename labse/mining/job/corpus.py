r"""The sentences of one side of a mining job, numbered, without duplicates.

    texts.txt          each text and \n, UTF-8; its SHA-256 is the fingerprint
    offsets.npy        int64 [n + 1], where each text begins
    lines.npy          int64 [n], the line (row, record) each was read from
    languages.npy      int32 [n], into the languages of corpus.json
    metadata.jsonl     the other fields of each row; only if there are any
    metadata_offsets.npy   int64 [n + 1], likewise
    corpus.json        counts and files; written last

White space around a text is removed, and each run of tabs, line feeds and
carriage returns inside it becomes one space, so that it fits on a line. Blank
lines and malformed rows are dropped, and so are all but the first of equal
texts. Texts are equal if 128 bits of their BLAKE2b hashes are: among 10^10
different texts, a collision has a probability of 10^-19.
`labse.mining.job.corpus_writer` writes these files.
"""

import json
import os
from bisect import bisect_right
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from labse.errors import InputError

DESCRIPTION = "corpus.json"
TEXTS = "texts.txt"
OFFSETS = "offsets.npy"
LINES = "lines.npy"
LANGUAGES = "languages.npy"
METADATA = "metadata.jsonl"
METADATA_OFFSETS = "metadata_offsets.npy"
FILES = (TEXTS, OFFSETS, LINES, LANGUAGES, METADATA, METADATA_OFFSETS)

FORMAT = 2


class SentenceOrigin(NamedTuple):
    """Where a sentence was read, and the other fields of its row."""

    file: str
    line: int  # from 1; the row of a Parquet file, the record of a TFRecord
    language: str
    metadata: dict[str, object]


class MinedCorpus:
    """Numbered sentences on disk, read when they are needed.

    Attributes:
      num_read: texts in the files, blank ones too.
      num_blank: blank lines.
      num_malformed: dropped because they broke a rule.
      num_duplicates: dropped because the same text came before.
      fingerprint: SHA-256 of the texts in order, in hexadecimal digits.
    """

    def __init__(self, folder: Path, unnamed: Path | None = None):
        """Opens what `prepare_corpus` wrote; see `open_corpus`."""
        self._folder = folder
        about = _read_description(folder)
        self.num_read: int = about["num_read"]
        self.num_blank: int = about["num_blank"]
        self.num_malformed: int = about["num_malformed"]
        self.num_duplicates: int = about["num_duplicates"]
        self.fingerprint: str = about["fingerprint"]
        self._num_sentences: int = about["num_sentences"]
        kept, blank = self._num_sentences, self.num_blank
        bad, duplicates = self.num_malformed, self.num_duplicates
        if self.num_read != kept + blank + bad + duplicates:
            raise InputError(
                f"{folder}: each row that is read is kept, blank, malformed or "
                f"a duplicate. Received: {self.num_read} read, {kept} kept, "
                f"{blank} blank, {bad} malformed, {duplicates} duplicates. "
                "Delete the folder and prepare it again."
            )
        self._files = [
            "" if Path(file["path"]).parent == unnamed else file["path"]
            for file in about["files"]
        ]
        self._first_of_files = [file["first"] for file in about["files"]]
        self._language_names = about["languages"]
        self._offsets = self._array(OFFSETS, len(self) + 1)
        self._lines = self._array(LINES, len(self))
        self._languages = self._array(LANGUAGES, len(self))
        # Read, not mapped: mapped pages would count as this process's memory.
        self._texts = self._open(TEXTS, self._offsets)
        self._metadata = None
        if about["has_metadata"]:
            self._metadata_offsets = self._array(
                METADATA_OFFSETS, len(self) + 1
            )
            self._metadata = self._open(METADATA, self._metadata_offsets)

    def __len__(self) -> int:
        return self._num_sentences

    def texts(self, start: int, stop: int) -> list[str]:
        """The texts from number `start` up to, not including, `stop`."""
        self._check_range(start, stop)
        content = _read(self._texts, self._offsets, start, stop)
        return content.decode("utf-8").split("\n")[:-1]

    def text(self, number: int) -> str:
        """The text of one number."""
        return self.texts(number, number + 1)[0]

    def place(self, number: int) -> SentenceOrigin:
        """Where the first of equal sentences was read."""
        self._check_range(number, number + 1)
        metadata = b""
        if self._metadata:
            offsets = self._metadata_offsets
            metadata = _read(self._metadata, offsets, number, number + 1)
        return SentenceOrigin(
            self._files[bisect_right(self._first_of_files, number) - 1],
            int(self._lines[number]),
            self._language_names[self._languages[number]],
            json.loads(metadata) if metadata.strip() else {},
        )

    def _check_range(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= len(self):
            raise IndexError(
                f"Sentences are numbered 0 to {len(self) - 1}. Received: "
                f"{start} to {stop}."
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


def open_corpus(folder: str | Path, unnamed: Path | None = None) -> MinedCorpus:
    """Opens a prepared corpus.

    Args:
      folder: where `prepare_corpus` wrote it.
      unnamed: a folder; the files in it count as texts without a file.

    Raises:
      InputError: the folder holds none, or a damaged one.
    """
    return MinedCorpus(Path(folder), unnamed)


def _read(file: BinaryIO, offsets: np.ndarray, start: int, stop: int) -> bytes:
    begin, end = int(offsets[start]), int(offsets[stop])
    parts = []
    while begin < end:  # A read may return fewer bytes than requested.
        parts.append(os.pread(file.fileno(), end - begin, begin))
        begin += len(parts[-1])
        if not parts[-1]:
            raise _damaged(Path(file.name).parent, f"{file.name} is truncated")
    return b"".join(parts)


def _read_description(folder: Path) -> dict:
    path = folder / DESCRIPTION
    if not path.is_file():
        raise InputError(
            f"{folder} holds no prepared corpus: {DESCRIPTION} is missing. "
            "Prepare it again."
        )
    try:
        about = json.loads(path.read_text("utf-8"))
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']}")
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, f"{DESCRIPTION}: {error}") from error
    return about


def _damaged(folder: Path, what: str) -> InputError:
    return InputError(
        f"{folder} holds a prepared corpus that is damaged ({what}). Delete "
        "the folder and prepare it again."
    )
