"""Rows of the formats of `labse.files` as documents."""

from collections.abc import Iterator

from data_pipeline.corpora.main_text import paragraphs_of
from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Dropped, Drops
from labse.files.reading import (
    UNKNOWN_LANGUAGE,
    MalformedRow,
    ReadOptions,
    Tally,
)
from labse.files.texts import TextsOfFile


def read_rows(
    path: str, options: ReadOptions, drops: Drops
) -> Iterator[Document]:
    """Yields the texts of a file, of a pair both sides.

    Raises:
      InputError: the file breaks a rule, or at its end, too large a share of
        its rows is malformed.
    """
    tally = Tally()
    texts = TextsOfFile(path, options, tally, with_corpora=True)
    for number, row in texts.rows:
        if row is None:
            continue
        place = f"{path}:{number}"
        try:
            if isinstance(row, MalformedRow):
                raise row
            found = texts.parse(number, row)
        except MalformedRow as malformed:
            tally.add_malformed(path, number, malformed)
            drops.add(
                Dropped("read", malformed.reason, UNKNOWN_LANGUAGE, "", place)
            )
            continue
        tally.num_rows += 1
        for language, text, corpus in found:
            yield _document(text, language, corpus, place)
    tally.num_without_language = texts.rows.num_without_language
    tally.check(options.max_malformed_share)
    tally.log()


def _document(text: str, language: str, corpus: str, place: str) -> Document:
    """A row's text; with line feeds, a page."""
    text = text.strip()
    is_page = "\n" in text
    lines = paragraphs_of(text) if is_page else [text]
    return Document(lines, place, language, corpus=corpus, is_page=is_page)
