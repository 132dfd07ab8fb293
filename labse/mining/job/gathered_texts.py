"""The texts of many files as temporary columns on disk."""

import hashlib
import re
from array import array
from pathlib import Path
from typing import BinaryIO

import numpy as np

from labse import features
from labse.files.formats.pair_values import to_json
from labse.files.reading import ReadOptions, Tally
from labse.files.texts import TextFile

# 128 bits of a text's BLAKE2b hash.
DIGEST = np.dtype([("high", "<u8"), ("low", "<u8")])

_BREAKS = re.compile(r"[\t\n\r]+")
# Rows that are written at once.
_ROWS = 2**16


class Gathered:
    """All texts that are not blank, duplicates included, by column.

    `texts` and `metadata` hold lines, `NAME.ends` int64 their ends, `digests`
    16 bytes, `lines` int64 and `languages` int32 for each text.
    """

    _COLUMNS = ("texts.ends", "lines", "languages", "metadata.ends")

    def __init__(self, folder: Path, options: ReadOptions):
        self.folder = folder
        self.num_texts = 0
        self.tally = Tally()
        self.first_of_files: list[int] = []
        self.language_numbers: dict[str, int] = {}
        self.has_metadata = False
        self._options = options
        self._files: dict[str, BinaryIO] = {}
        self._blocks = {
            name: array("i" if name == "languages" else "q")
            for name in self._COLUMNS
        }
        self._ends = {"texts": 0, "metadata": 0}

    def path(self, name: str) -> Path:
        """The file of a column."""
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
        file = TextFile(path, self._options, self.tally)
        for text, language, number, fields in file:
            del fields[file.column.partition(".")[0]]
            fields.pop(features.LANGUAGE, None)
            metadata = ""
            if fields:
                metadata = to_json(fields, f"{path}:{number}")
                self.has_metadata = True
            self._add(_in_one_line(text.strip()), number, language, metadata)

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
