"""Dumps of MediaWiki: the articles of a wiki, read as a stream.

https://www.mediawiki.org/wiki/Help:Export, versions 0.3 to 0.11; UTF-8 or
UTF-16, plain or compressed, also in many streams of bzip2. Declarations of a
document type are refused, so that no entity is expanded.
"""

import re
import urllib.parse
from collections.abc import Iterator
from typing import BinaryIO
from xml.parsers import expat

from data_pipeline.corpora.archives import drop_record
from data_pipeline.corpora.declared_language import page_language
from data_pipeline.corpora.wikitext import (
    COMMON_NAMESPACES,
    paragraphs_of_wikitext,
)
from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Drops
from labse.errors import InputError
from labse.files.compression import open_unpacked
from labse.files.reading import UNKNOWN_LANGUAGE

# MediaWiki saves no page of more than 2 MiB ($wgMaxArticleSize).
MAX_ARTICLE_CHARACTERS = 2**21
# A tag, a comment or an attribute that does not end fills the memory.
MAX_TOKEN_BYTES = 2**24
_CHUNK_BYTES = 2**16
_DATABASE = re.compile(
    r"(.+?)(wiki|wiktionary|wikibooks|wikinews|wikiquote|wikisource|"
    r"wikiversity|wikivoyage)"
)
_ENCODINGS = ("utf-8", "utf-16", "us-ascii")
_WIKITEXT = ("", "wikitext")
_REDIRECT = re.compile(r"\s*#redirect", re.IGNORECASE)
# Of namespaces, those whose links show no text: media, files and categories.
_UNSHOWN_NAMESPACES = ("-2", "6", "14")
# Elements of a page and of <siteinfo> whose text is needed, by their parents.
_FIELDS = frozenset(
    ("page/title", "page/ns", "page/id", "revision/model", "revision/text")
    + ("siteinfo/dbname", "siteinfo/base", "namespaces/namespace")
)


def read_dump(path: str, drops: Drops) -> Iterator[Document]:
    """Yields the articles of a dump; redirects and other pages are dropped.

    Raises:
      InputError: the dump is damaged, truncated, or declares a document type.
        The articles before that place have been yielded.
    """
    parser = _Parser(path)
    with open_unpacked(path) as file:
        for page in parser.pages(file):
            place = f"{path}:{page.get('page/id') or page['line']}"
            reason = _reason_to_drop(page)
            text = "".join(page.get("revision/text", ()))
            if not reason and _REDIRECT.match(text):
                reason = "a redirect"
            lines = []
            if not reason:
                lines = paragraphs_of_wikitext(text, parser.namespaces)
                reason = "" if lines else "no text"
            if reason:
                drop_record(drops, reason, place)
                continue
            url = parser.url_of(page.get("page/title", ""))
            yield Document(lines, place, parser.language, url)


def _reason_to_drop(page: dict) -> str:
    if page.get("page/ns", "0") != "0":
        return "a page that is no article"
    if "redirect" in page:
        return "a redirect"
    if page.get("revision/model", "") not in _WIKITEXT:
        return "a page that is not wikitext"
    if page["size"] > MAX_ARTICLE_CHARACTERS:
        return f"an article of more than {MAX_ARTICLE_CHARACTERS:,} characters"
    return ""


class _Parser:
    """The pages of one dump.

    Attributes:
      language: of the wiki, a tag.
    """

    def __init__(self, path: str):
        self.language = UNKNOWN_LANGUAGE
        self._namespaces: dict[str, str] = {}  # key -> name
        self._path = path
        self._base = ""
        self._open: list[str] = []
        self._page: dict | None = None
        self._done: list[dict] = []
        self._key = ""
        self._text: list[str] = []
        self._size = 0
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.buffer_size = _CHUNK_BYTES
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.XmlDeclHandler = self._check_encoding
        parser.StartDoctypeDeclHandler = self._refuse_document_type

    def pages(self, file: BinaryIO) -> Iterator[dict]:
        """Yields each page as its fields, by `_FIELDS`."""
        size, chunk = 0, b"-"
        while chunk:
            chunk = file.read(_CHUNK_BYTES)
            try:
                self._parser.Parse(chunk, not chunk)
            except InputError:
                yield from self._done
                raise
            except expat.ExpatError as error:
                yield from self._done
                what = expat.ErrorString(error.code)
                raise self._error(
                    f"the XML is malformed or truncated ({what})", error.lineno
                ) from error
            yield from self._done
            self._done.clear()
            size += len(chunk)
            if size - self._parser.CurrentByteIndex > MAX_TOKEN_BYTES:
                raise self._error(
                    f"a tag has at most {MAX_TOKEN_BYTES:,} bytes. Received a "
                    "longer one"
                )

    @property
    def namespaces(self) -> frozenset[str]:
        """Names, in small letters, of those whose links show nothing."""
        return COMMON_NAMESPACES.union(self._namespaces.values())

    def url_of(self, title: str) -> str:
        """The address of a page; empty where the dump does not name one."""
        if not self._base:
            return ""
        name = urllib.parse.quote(title.replace(" ", "_"), safe="/:(),'!*")
        return f"{self._base.rpartition('/')[0]}/{name}"

    def _error(self, what: str, line: int = 0) -> InputError:
        line = line or self._parser.CurrentLineNumber
        return InputError(
            f"{self._path}:{line}: {what}. Make or fetch the dump again, or "
            "leave it out."
        )

    def _check_encoding(self, _, encoding: str | None, *__) -> None:
        if (encoding or "utf-8").lower() not in _ENCODINGS:
            raise self._error(
                f"a dump is in UTF-8 or UTF-16. Received {encoding}"
            )

    def _refuse_document_type(self, name: str, *_) -> None:
        raise self._error(
            "a dump declares no document type, and no entity is expanded. "
            f"Received <!DOCTYPE {name}"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        parent = self._open[-1] if self._open else ""
        if len(self._open) > 16:
            raise self._error(
                f"a dump has no more than 16 levels. Received {name}"
            )
        self._open.append(name)
        if name == "mediawiki":
            self._declare(attributes.get("xml:lang", ""))
        elif name == "page":
            line = self._parser.CurrentLineNumber
            self._page = {"line": line, "size": 0}
        elif name == "redirect" and self._page is not None:
            self._page["redirect"] = True
        key = f"{parent}/{name}"
        if key in _FIELDS:
            if name == "namespace":
                key = attributes.get("key", "")
            self._key, self._text, self._size = key, [], 0
            self._parser.CharacterDataHandler = self._add

    def _add(self, text: str) -> None:
        self._size += len(text)
        if self._size <= MAX_ARTICLE_CHARACTERS:
            self._text.append(text)

    def _end(self, name: str) -> None:
        self._open.pop()
        if self._parser.CharacterDataHandler:
            self._parser.CharacterDataHandler = None
            self._keep(self._key, "".join(self._text))
        elif name == "page" and self._page is not None:
            self._done.append(self._page)
            self._page = None

    def _keep(self, key: str, value: str) -> None:
        if self._page is not None:
            self._page[key] = value
            if key == "revision/text":
                self._page["size"] = self._size
        elif key == "siteinfo/dbname":
            match = _DATABASE.fullmatch(value.strip())
            self._declare(match[1] if match else "")
        elif key == "siteinfo/base":
            self._base = value.strip()
        elif key in _UNSHOWN_NAMESPACES and value:
            self._namespaces[key] = value.strip().lower()

    def _declare(self, language: str) -> None:
        if language and self.language == UNKNOWN_LANGUAGE:
            self.language = page_language(language)
