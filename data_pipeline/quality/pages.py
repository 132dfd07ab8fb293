"""Web pages as labelled sentences: main content, and the rest of the page.

The positives and negatives of footnote 8: "the main content of web pages" and
"other text of the same pages". The main content is what people marked, or what
resiliparse's extraction takes for it.
"""

import dataclasses
import gzip
import json
import os
import urllib.parse
import zlib
from collections.abc import Iterator, Mapping

from data_pipeline.holdout import text_key
from labse.errors import InputError

# A page of more bytes is left out: parsing takes about ten times its size.
MAX_PAGE_BYTES = 2**23
# Shorter texts are dropped before a classifier sees them (footnote 6).
MIN_CHARACTERS = 10
# A line that is broken elsewhere than the body's is found in it from this
# number of letters on; shorter ones, such as a menu's, stand there by chance.
MIN_LETTERS_INSIDE = 30

_TOO_LARGE = f"more than {MAX_PAGE_BYTES:,} bytes"
_WARC_ENDINGS = (".warc", ".warc.gz")
_HTML_ENDINGS = (".html", ".htm", ".html.gz", ".htm.gz")


@dataclasses.dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
      site: its host without "www.", or the file's name where no address is
        known. Pages of a site look alike: they are all trained on, or none.
      lines: the text of all of the page, without blank lines.
      body: the lines of its main content.
      place: of the file or record, for messages.
    """

    site: str
    lines: tuple[str, ...]
    body: tuple[str, ...]
    place: str


@dataclasses.dataclass
class Skipped:
    """Number of pages that were left out, by reason."""

    reasons: dict[str, int] = dataclasses.field(default_factory=dict)

    def add(self, reason: str) -> None:
        """Counts one."""
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


def read_bodies(path: str | os.PathLike) -> dict[str, tuple[str, str]]:
    """Marked bodies: name of a page's file, without endings -> (text, address).

    The file is JSON, {NAME: {"articleBody": TEXT, "url": ADDRESS}}, as in
    https://github.com/scrapinghub/article-extraction-benchmark; the address
    may be left out.

    Raises:
      InputError: the file has another form.
    """
    rule = (
        f"{os.fspath(path)}: marked bodies are a JSON object, "
        '{"NAME": {"articleBody": "TEXT", "url": "ADDRESS"}}. '
    )
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except ValueError as error:  # Not UTF-8, or not JSON.
        raise InputError(f"{rule}Received: {error}.") from error
    if not isinstance(found, dict) or not found:
        raise InputError(f"{rule}Received: {str(found)[:80]}.")
    bodies = {}
    for name, page in found.items():
        body = page.get("articleBody") if isinstance(page, dict) else None
        url = page.get("url") or "" if isinstance(page, dict) else ""
        if not isinstance(body, str) or not isinstance(url, str):
            raise InputError(f"{rule}Received for {name}: {str(page)[:80]}.")
        bodies[name] = body, url
    return bodies


def read_pages(
    path: str,
    skipped: Skipped,
    bodies: Mapping[str, tuple[str, str]] | None = None,
) -> Iterator[Page]:
    """The pages of an HTML file or of a WARC file, `.gz` or not.

    Args:
      path: its name ends in .html, .htm or .warc; `.gz` may follow.
      skipped: counts the pages that are left out.
      bodies: of `read_bodies`, for HTML files; without them, bodies are
        extracted. A page without a marked body is left out.

    Raises:
      InputError: the name has another ending.
    """
    name = os.path.basename(path).lower()
    if name.endswith(_WARC_ENDINGS):
        found = _read_warc(path, skipped)
    elif name.endswith(_HTML_ENDINGS):
        found = _read_html(path, skipped, bodies)
    else:
        raise InputError(
            f"{path}: pages are read from {', '.join(_HTML_ENDINGS)} and "
            f"{', '.join(_WARC_ENDINGS)}. WET files and text have no rest of "
            "a page to learn from."
        )
    for content, url, body, place in found:
        page = _parse(content, url or name, body, place)
        if page.body and len(page.body) < len(page.lines):
            yield page
        else:
            skipped.add("without main content, or without a rest")


def _read_html(path, skipped, bodies):
    """(content, address, body or None, place) of a file of one page."""
    name = os.path.basename(path)
    for ending in (".gz", ".html", ".htm"):
        name = name.removesuffix(ending)
    body, url = None, ""
    if bodies is not None:
        if name not in bodies:
            skipped.add("without a marked body")
            return
        body, url = bodies[name]
    open_file = gzip.open if path.endswith(".gz") else open
    try:
        with open_file(path, "rb") as file:
            content = file.read(MAX_PAGE_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        skipped.add("damaged gzip")
        return
    if len(content) > MAX_PAGE_BYTES:
        skipped.add(_TOO_LARGE)
        return
    yield content, url, body, path


def _read_warc(path, skipped):
    """(content, address, None, place) of the HTML pages of a WARC file."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    with open(path, "rb") as file:
        records = ArchiveIterator(
            file,
            record_types=WarcRecordType.response,
            parse_http=True,
            auto_decode="all",
        )
        try:
            for number, record in enumerate(records, 1):
                if "html" not in (record.http_content_type or ""):
                    continue
                content = record.reader.read(MAX_PAGE_BYTES + 1)
                if len(content) > MAX_PAGE_BYTES:
                    skipped.add(_TOO_LARGE)
                    continue
                url = record.headers.get("WARC-Target-URI") or ""
                yield content, url, None, f"{path}:{number}"
        except OSError as error:
            if error.errno:  # Of the system, not of the records.
                raise
            skipped.add(f"damaged WARC, from there on ({error})")


def _parse(content: bytes, url: str, body: str | None, place: str) -> Page:
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import detect_encoding
    from resiliparse.parse.html import HTMLTree

    tree = HTMLTree.parse_from_bytes(content, detect_encoding(content))

    def lines(main_content: bool) -> tuple[str, ...]:
        text = extract_plain_text(
            tree,
            preserve_formatting=True,
            main_content=main_content,
            list_bullets=False,
            alt_texts=False,
        )
        return _lines(text)

    whole = lines(main_content=False)
    main = lines(main_content=True) if body is None else _lines(body)
    return Page(site_of(url), whole, main, place)


def site_of(url: str) -> str:
    """The host of an address without "www."; else the text itself."""
    try:
        host = urllib.parse.urlsplit(url).hostname
    except ValueError:  # "http://[", for one.
        host = None
    return (host or url).removeprefix("www.")


def _lines(text: str) -> tuple[str, ...]:
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return tuple(line for line in lines if line)


def label_sentences(page: Page, split) -> tuple[list[str], list[str]]:
    """The sentences of the main content, and those of the rest.

    A sentence of the page's whole text belongs to the main content if it
    stands there too, in any case and punctuation. Each is taken once, without
    those of fewer than `MIN_CHARACTERS`.

    Args:
      page: the page.
      split: from a line to its sentences.
    """
    body_keys = {text_key(part) for line in page.body for part in split(line)}
    body_keys |= {text_key(line) for line in page.body}
    inside = "".join(text_key(line) for line in page.body)
    main: dict[str, None] = {}
    rest: dict[str, None] = {}
    for line in page.lines:
        for sentence in split(line):
            if len(sentence) < MIN_CHARACTERS:
                continue
            key = text_key(sentence)
            is_main = key in body_keys or (
                len(key) >= MIN_LETTERS_INSIDE and key in inside
            )
            (main if is_main else rest)[sentence] = None
    return list(main), list(rest)
