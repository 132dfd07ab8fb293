"""The texts of many files as columns on disk: the first step of a corpus."""

import hashlib
import re
from array import array
from pathlib import Path
from typing import BinaryIO

import numpy as np

from labse import features
from labse.mining import record_files

# Of a text: 128 bits of BLAKE2b.
DIGEST = np.dtype([("high", "<u8"), ("low", "<u8")])

_BREAKS = re.compile(r"[\t\n\r]+")
# Written at once.
_ROWS = 2**16


class Gathered:
    """All texts that are not blank, as columns in temporary files.

    `texts` and `metadata` hold lines, `NAME.ends` int64 their ends, `digests`
    16 bytes, `lines` int64 and `languages` int32 for each text.
    """

    _COLUMNS = ("texts.ends", "lines", "languages", "metadata.ends")

    def __init__(self, folder: Path, language: str, text_field: str):
        self.folder = folder
        self.num_read = self.num_blank = self.num_texts = 0
        self.first_of_files: list[int] = []
        self.language_numbers: dict[str, int] = {}
        self.has_metadata = False
        self._language = language
        self._text_field = text_field
        self._files: dict[str, BinaryIO] = {}
        self._blocks = {
            name: array("i" if name == "languages" else "q")
            for name in self._COLUMNS
        }
        self._ends = {"texts": 0, "metadata": 0}

    def path(self, name: str) -> Path:
        """Where a column is."""
        return self.folder / f"read.{name}.tmp"

    def __enter__(self) -> "Gathered":
        for name in (*self._COLUMNS, "texts", "metadata", "digests"):
            # Closed by __exit__.
            self._files[name] = open(self.path(name), "wb")
        return self

    def __exit__(self, *exception) -> None:
        try:
            self._flush()
        finally:
            for file in self._files.values():
                file.close()

    def add_file(self, path: str) -> None:
        """Reads a file to its end."""
        self.first_of_files.append(self.num_texts)
        is_txt = record_files.kind_of(path) == "txt"
        field = features.TEXT if is_txt else self._text_field
        takes_null = record_files.kind_of(path) == "parquet"
        for number, row in record_files.read_rows(path, (field,)):
            self.num_read += 1
            # A table's null is a text that there is not.
            if row is None or (takes_null and row[field] is None):
                self.num_blank += 1
                continue
            where = f"{path}:{number}"
            text = record_files.text_of(row, field, where).strip()
            if not text:
                self.num_blank += 1
                continue
            metadata = ""
            if is_txt:
                language = self._language
            else:
                del row[field]
                language = self._pop_language(row, where)
                if row:
                    metadata = record_files.to_json(row, where)
                    self.has_metadata = True
            self._add(_in_one_line(text), number, language, metadata)

    def _pop_language(self, row: dict[str, object], where: str) -> str:
        if row.get(features.LANGUAGE) in (None, ""):
            row.pop(features.LANGUAGE, None)
            return self._language
        language = record_files.text_of(row, features.LANGUAGE, where).strip()
        del row[features.LANGUAGE]
        return _in_one_line(language) or self._language

    def _add(self, text: str, line: int, language: str, metadata: str) -> None:
        numbers = self.language_numbers
        content = text.encode("utf-8")
        digest = hashlib.blake2b(content, digest_size=DIGEST.itemsize).digest()
        self._files["digests"].write(digest)
        self._write_line("texts", content)
        self._write_line("metadata", metadata.encode("utf-8"))
        self._blocks["lines"].append(line)
        self._blocks["languages"].append(
            numbers.setdefault(language, len(numbers))
        )
        self.num_texts += 1
        if self.num_texts % _ROWS == 0:
            self._flush()

    def _write_line(self, name: str, content: bytes) -> None:
        self._files[name].write(content + b"\n")
        self._ends[name] += len(content) + 1
        self._blocks[f"{name}.ends"].append(self._ends[name])

    def _flush(self) -> None:
        for name, block in self._blocks.items():
            self._files[name].write(block.tobytes())
            del block[:]


def _in_one_line(text: str) -> str:
    return _BREAKS.sub(" ", text)
