"""Pages: HTML, alone or in an archive's response, and plain text of a WET."""

import re
from collections.abc import Iterator

from data_pipeline.corpora.archives import (
    MAX_PAGE_BYTES,
    Record,
    drop_record,
    read_records,
)
from data_pipeline.corpora.character_encoding import decode_page
from data_pipeline.corpora.declared_language import page_language
from data_pipeline.corpora.http_responses import (
    UnreadableBody,
    decoded_body,
    parse_response,
)
from data_pipeline.corpora.main_text import main_text, paragraphs_of
from data_pipeline.corpora.page_limits import is_too_complex
from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Drops
from labse.files.compression import open_unpacked

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w:.-]+)""", re.IGNORECASE)
_OK = 200


class Unusable(Exception):
    """Why a page gives no document, in a few words."""


def read_archive(path: str, drops: Drops) -> Iterator[Document]:
    """Yields the documents of a WARC or WET file, a record each."""
    for record in read_records(path, drops):
        try:
            document = _document_of(record)
        except (Unusable, UnreadableBody) as reason:
            drop_record(drops, reason.args[0], record.place)
            continue
        yield document


def read_html_file(path: str, drops: Drops) -> Iterator[Document]:
    """Yields the document of a file with a page."""
    with open_unpacked(path) as file:
        content = file.read(MAX_PAGE_BYTES + 1)
    place = f"{path}:1"
    if len(content) > MAX_PAGE_BYTES:
        drop_record(
            drops, f"a page of more than {MAX_PAGE_BYTES:,} bytes", place
        )
        return
    try:
        document = _document_of_html(content, "", place, "")
    except Unusable as reason:
        drop_record(drops, reason.args[0], place)
        return
    yield document


def _document_of(record: Record) -> Document:
    if record.type == "conversion":
        return _document_of_text(record)
    content, content_type = record.content, record.content_type
    if record.type == "response":
        response = parse_response(content)
        if response is None:
            raise Unusable("a response without an HTTP head")
        if response.status != _OK:
            raise Unusable("an HTTP status other than 200")
        content_type = response.fields.get("content-type", "").lower()
        _check_type(content_type)
        content = decoded_body(response)
    else:
        _check_type(content_type)
    charset = _CHARSET.search(content_type)
    return _document_of_html(
        content, charset[1] if charset else "", record.place, record.url
    )


def _check_type(content_type: str) -> None:
    if content_type.partition(";")[0].strip() not in _HTML_TYPES:
        raise Unusable("not HTML")


def _document_of_text(record: Record) -> Document:
    if record.content_type.partition(";")[0].strip() not in ("text/plain", ""):
        raise Unusable("not plain text")
    return _document(
        paragraphs_of(decode_page(record.content, "utf-8")),
        record.language,
        record.place,
        record.url,
    )


def _document_of_html(
    content: bytes, charset: str, place: str, url: str
) -> Document:
    html = decode_page(content, charset)
    if is_too_complex(html):
        raise Unusable(
            "a page with too many elements or attributes, or too deep ones"
        )
    lines, language = main_text(html)
    return _document(lines, language, place, url)


def _document(
    lines: list[str], language: str, place: str, url: str
) -> Document:
    if not lines:
        raise Unusable("no text")
    return Document(lines, place, page_language(language), url)
