"""Phase 1: an input is read, cleaned and split into sentences."""

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from data_pipeline.cleaning import duplicates
from data_pipeline.cleaning.job.cleaning_job import (
    CleaningJob,
    file_name,
    write_json,
)
from data_pipeline.cleaning.job.key_files import KeyWriter
from data_pipeline.cleaning.job.sentence_files import SentenceWriter
from data_pipeline.cleaning.settings import (
    EXACT_DUPLICATES,
    NEAR_DUPLICATES,
    SPANS,
)
from data_pipeline.cleaning.steps.sentence_rules import Split
from data_pipeline.cleaning.steps.step import apply_all
from data_pipeline.corpora.declared_language import declared_language
from data_pipeline.corpora.documents import read_documents
from data_pipeline.documents import Document
from data_pipeline.jobs.report import Counts
from labse.files.chunks import chunked

_tag = functools.cache(declared_language)
READ = "read"
COUNTS = "counts.json"
# Documents whose MinHash is computed at once.
_CHUNK_DOCUMENTS = 256
_CHUNK_CHARACTERS = 2**21


@dataclasses.dataclass(frozen=True)
class ReadUnit:
    """Cleans one input; `size` is its bytes."""

    number: int
    size: int

    @property
    def name(self) -> str:
        """Of what it makes in the work folder."""
        return file_name(READ, self.number)

    def run(self, job: CleaningJob) -> None:
        """Writes read/NUMBER, unless it is there."""
        job.work.make(self.name, {}, lambda path: self._write(job, path))

    def _write(self, job: CleaningJob, folder: pathlib.Path) -> None:
        folder.mkdir(exist_ok=True)
        with (
            job.counting(self.name) as counts,
            _Writer(job, folder) as writer,
        ):
            for chunk in self._chunks(job, counts):
                writer.add([one for one in chunk if one.lines])
        found = {**counts.to_json(), "sentences": writer.num_sentences}
        write_json(folder / COUNTS, found)

    def _chunks(
        self, job: CleaningJob, counts: Counts
    ) -> Iterator[list[Document]]:
        """Yields documents after all steps."""
        steps = job.settings.steps()
        documents = read_documents(
            job.paths[self.number], job.options, counts.drops
        )
        for chunk in chunked(
            documents, _size, _CHUNK_DOCUMENTS, _CHUNK_CHARACTERS
        ):
            for document in chunk:
                # A row's may be any text, and names a folder.
                document.language = _tag(document.language)
            counts.add_total("documents read", len(chunk))
            counts.add_total("lines read", _count_lines(chunk))
            counts.add_total("characters read", sum(map(_size, chunk)))
            for step in steps:
                before = _count_lines(chunk)
                apply_all(step, chunk, counts.drops)
                if step.name == Split.name:
                    more = _count_lines(chunk) - before
                    counts.add_total("lines added by splitting", more)
            yield chunk


class _Writer:
    """Writes the sentences of documents, and their keys.

    sentences                  see `SentenceWriter`
    near_duplicates, spans,
    exact_duplicates           keys, see `KeyWriter`
    pages                      of each page, u64: its first sentence, and
                               the number of its sentences
    """

    @property
    def num_sentences(self) -> int:
        """Written up to now."""
        return self._sentences.count

    def __init__(self, job: CleaningJob, folder: pathlib.Path):
        self._job, self._folder = job, folder
        self._num_pages = 0

    def __enter__(self) -> "_Writer":
        with contextlib.ExitStack() as stack:

            def begin(name: str):
                file = open(self._folder / name, "wb")  # noqa: SIM115
                return stack.enter_context(file)

            self._sentences = SentenceWriter(begin("sentences"))
            self._pages = begin("pages")
            self._keys = {
                kind: KeyWriter(begin(kind), self._job.num_partitions)
                for kind in self._job.kinds
            }
            self._files = stack.pop_all()
        return self

    def __exit__(self, kind, error, trace) -> None:
        with self._files:
            if error is None:
                self._sentences.close()
                for keys in self._keys.values():
                    keys.close()

    def add(self, documents: list[Document]) -> None:
        """Writes documents with lines, which are sentences."""
        starts = []
        for document in documents:
            starts.append(self._sentences.count)
            self._sentences.add(document)
            self._add_sentence_keys(document, starts[-1])
        if NEAR_DUPLICATES in self._keys:
            self._add_pages(
                [
                    (document, start)
                    for document, start in zip(documents, starts, strict=True)
                    if document.is_page
                ]
            )

    def _add_sentence_keys(self, document: Document, start: int) -> None:
        if not {SPANS, EXACT_DUPLICATES} & self._keys.keys():
            return
        keys = duplicates.sentence_keys(document)
        if EXACT_DUPLICATES in self._keys:
            for number, key in enumerate(keys, start):
                self._keys[EXACT_DUPLICATES].add(key, number)
        if SPANS in self._keys:
            for number, key in enumerate(duplicates.span_keys(keys), start):
                self._keys[SPANS].add(key, number)

    def _add_pages(self, pages: list[tuple[Document, int]]) -> None:
        if not pages:
            return
        found = duplicates.page_keys([page for page, _ in pages])
        for (page, start), keys in zip(pages, found, strict=True):
            where = np.array([start, len(page.lines)], "<u8")
            self._pages.write(where.tobytes())
            for key in keys:
                self._keys[NEAR_DUPLICATES].add(key, self._num_pages)
            self._num_pages += 1


def read_pages(path: pathlib.Path) -> np.ndarray:
    """First sentence and number of sentences of each page, u64 [n, 2]."""
    if not path.stat().st_size:
        return np.zeros((0, 2), "<u8")
    return np.memmap(path, "<u8", "r").reshape(-1, 2)


def _count_lines(documents: Sequence[Document]) -> int:
    return sum(len(document.lines) for document in documents)


def _size(document: Document) -> int:
    return sum(map(len, document.lines))
