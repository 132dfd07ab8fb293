"""Files of sentences between the phases of cleaning.

A file has blocks of sentences in the order of the input. In a block, those of
one language are a section by themselves, so that an output of one language
reads nothing else.

    section    zlib: a JSON list of documents, then a sentence a line
    directory  JSON: of each block, language -> offset, size; and its size (u64)
"""

import dataclasses
import itertools
import json
import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from data_pipeline.documents import Document

_BLOCK_SENTENCES = 2**16
_BLOCK_CHARACTERS = 2**23
_LEVEL = 1


class Source(NamedTuple):
    """Where sentences come from: they stand one after the other."""

    first: int  # the number of the first sentence in the input
    count: int  # of sentences
    place: str
    url: str
    corpus: str


@dataclasses.dataclass
class Section:
    """The sentences of one language in a block."""

    sources: list[Source] = dataclasses.field(default_factory=list)
    sentences: list[str] = dataclasses.field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[Source, str]]:
        """Yields each sentence with its source."""
        texts = iter(self.sentences)
        for source in self.sources:
            for text in itertools.islice(texts, source.count):
                yield source, text

    def numbers(self) -> np.ndarray:
        """The number of each sentence in the input, int64 [n], ascending."""
        counts = np.array([source.count for source in self.sources], np.int64)
        firsts = np.array([source.first for source in self.sources], np.int64)
        starts = np.cumsum(counts) - counts  # in the section
        return np.arange(counts.sum()) + np.repeat(firsts - starts, counts)


class SentenceWriter:
    """Writes the sentences of documents.

    Attributes:
      count: sentences written up to now.
    """

    def __init__(self, file: BinaryIO):
        """Takes a file open for writing."""
        self.count = 0
        self._file = file
        self._sections: dict[str, Section] = {}
        self._blocks: list[dict] = []
        self._clear()

    def add(self, document: Document) -> None:
        """Adds the lines of a document, none of which has a line feed."""
        section = self._sections.setdefault(document.language, Section())
        section.sources.append(
            Source(
                self.count,
                len(document.lines),
                document.place,
                document.url,
                document.corpus,
            )
        )
        section.sentences += document.lines
        self.count += len(document.lines)
        self._num_sentences += len(document.lines)
        self._num_characters += sum(map(len, document.lines))
        if (
            self._num_sentences >= _BLOCK_SENTENCES
            or self._num_characters >= _BLOCK_CHARACTERS
        ):
            self._write_block()

    def close(self) -> None:
        """Writes what is left, and the directory."""
        if self._sections:
            self._write_block()
        directory = json.dumps(self._blocks).encode()
        self._file.write(directory)
        self._file.write(len(directory).to_bytes(8, "little"))

    def _write_block(self) -> None:
        block = {}
        for language, section in self._sections.items():
            text = "\n".join([json.dumps(section.sources), *section.sentences])
            content = zlib.compress(text.encode(), _LEVEL)
            block[language] = self._file.tell(), len(content)
            self._file.write(content)
        self._blocks.append(block)
        self._clear()

    def _clear(self) -> None:
        self._sections = {}
        self._num_sentences = self._num_characters = 0


class SentenceFile:
    """Reads a file of sentences.

    Attributes:
      num_blocks: of the file.
    """

    def __init__(self, path: str | os.PathLike):
        """Reads the directory."""
        self._path = path
        with open(path, "rb") as file:
            file.seek(-8, os.SEEK_END)
            size = int.from_bytes(file.read(8), "little")
            file.seek(-8 - size, os.SEEK_END)
            self._blocks = json.loads(file.read(size))
        self.num_blocks = len(self._blocks)

    def languages(self, block: int) -> list[str]:
        """The languages of a block, sorted."""
        return sorted(self._blocks[block])

    def read(self, block: int, language: str) -> Section:
        """The sentences of a language in a block."""
        offset, size = self._blocks[block][language]
        with open(self._path, "rb") as file:
            file.seek(offset)
            content = zlib.decompress(file.read(size))
        head, _, rest = content.decode().partition("\n")
        sources = [Source(*each) for each in json.loads(head)]
        return Section(sources, rest.split("\n"))
