"""Web archives: the records of WARC and WET files that hold text.

FastWARC reads them. A file is a sequence of records, each usually a gzip member
of its own (WARC 1.1, https://iipc.github.io/warc-specifications/); one member
for all, Zstandard, no compression and bare line feeds are read too. A record
that is damaged, or whose Content-Length is wrong, is dropped and counted, and
reading resumes at the next one.
"""

import re
import zlib
from collections.abc import Generator, Iterator
from typing import BinaryIO, NamedTuple

from data_pipeline.jobs.drops import Dropped, Drops
from labse.files.reading import UNKNOWN_LANGUAGE

# Common Crawl cuts pages at 1 or 5 MiB. What is larger is data, and looking for
# the main text takes several times a page's size.
MAX_PAGE_BYTES = 2**24
# Damages of a file after which its rest is left. Each may cost a pass over the
# file, where a length is a lie, so the time must have a bound.
MAX_DAMAGES = 100
# The types of records that hold text or a page. A revisit stands for a page
# that another file holds; the other types describe the crawl.
TEXT_TYPES = ("conversion", "response", "resource")
REVISIT = "revisit"

TRUNCATED = "a truncated record"
TOO_LARGE = f"a record of more than {MAX_PAGE_BYTES:,} bytes"
WRONG_LENGTH = "a record with a wrong Content-Length"
NO_LENGTH = "a record without a Content-Length"
DAMAGED = "a damaged record"
TOO_MANY = f"the rest of a file after {MAX_DAMAGES} damages"

_SCAN_BYTES = 2**20
_VERSION = b"WARC/"
# The head of a record, or of a gzip member that may hold one.
_START = re.compile(rb"\n(?=WARC/\d)|(?=\x1f\x8b\x08[\0-\x1f])")
_MEMBER_BYTES = 2**12  # of a member, to see how it begins


class Record(NamedTuple):
    """A record of an archive."""

    type: str  # one of `TEXT_TYPES`
    url: str
    content_type: str
    language: str  # its WARC-Identified-Content-Language, or empty
    content: bytes
    place: str  # path:number from 1


class _Held(NamedTuple):
    """A record whose end is not known to be right yet."""

    record: Record | None  # None: of a type without text
    problem: str  # why it cannot be used, or empty
    begin: int  # of its member or its head, in the file
    place: str


def read_records(path: str, drops: Drops) -> Iterator[Record]:
    """Yields the records that hold text; counts those that are unreadable."""
    reader = _Reader(path, drops)
    with open(path, "rb") as file:
        head = file.readline(64)
        after, damages = 0, 0
        while after is not None:
            start = _next_start(file, after) if damages else 0
            if start is None:
                return
            if damages > MAX_DAMAGES:
                reader.drop(TOO_MANY, f"{path}:{reader.number}")
                return
            after = yield from reader.read(file, start, _has_bare_feeds(head))
            damages += 1


def drop_record(drops: Drops, reason: str, place: str) -> None:
    """Counts a record that gives no document."""
    drops.add(Dropped("read", reason, UNKNOWN_LANGUAGE, "", place))


class _Reader:
    """The reading of one file.

    Attributes:
      number: of the record that was read last, from 1.
    """

    def __init__(self, path: str, drops: Drops):
        self.number = 0
        self._path = path
        self._drops = drops
        self._is_counted = False  # whether what follows is counted as damaged

    def drop(self, reason: str, place: str) -> None:
        """Counts a record."""
        drop_record(self._drops, reason, place)

    def read(
        self, file: BinaryIO, start: int, has_bare_feeds: bool
    ) -> Generator[Record, None, int | None]:
        """Yields records from a byte of the file on, up to a damage.

        Returns:
          After a damage, the byte after which the next record begins.
        """
        from fastwarc.warc import ArchiveIterator

        file.seek(start)
        held, begin = None, start
        try:
            for raw in ArchiveIterator(
                file, parse_http=False, quirks_mode=has_bare_feeds
            ):
                yield from self._release(held)
                held, begin = None, raw.stream_pos
                self.number += 1
                held = self._hold(raw)
        except OSError as error:
            held = self._blame(held, error)
            yield from self._release(held)
            return begin + 1
        yield from self._release(held)
        # A length that is too large swallows the records that follow.
        is_open = held and held.problem in (TRUNCATED, TOO_LARGE)
        return begin + 1 if is_open else None

    def _hold(self, raw) -> _Held:
        self._is_counted = False
        place = f"{self._path}:{self.number}"
        name, problem = str(raw.record_type), ""
        record = None
        length = raw.content_length
        if raw.headers.get_bytes(b"Content-Length") is None:
            problem = NO_LENGTH
        elif length > MAX_PAGE_BYTES:
            problem = TOO_LARGE if name in TEXT_TYPES else ""
        else:
            content = raw.reader.read(MAX_PAGE_BYTES) if length else b""
            if len(content) < length:
                problem = TRUNCATED
            elif name in TEXT_TYPES:
                record = _to_record(raw, name, content, place)
            elif name == REVISIT:
                problem = "a revisit of a page"
        return _Held(record, problem, raw.stream_pos, place)

    def _blame(self, held: _Held | None, error: OSError) -> _Held | None:
        """Which record an error is the fault of: this one, or the next."""
        if held and "Invalid WARC header" in str(error):
            # What follows its content is not the head of a record.
            return held._replace(problem=held.problem or WRONG_LENGTH)
        if not self._is_counted:
            self.drop(DAMAGED, f"{self._path}:{self.number + 1}")
        self._is_counted = True
        return held

    def _release(self, held: _Held | None) -> Iterator[Record]:
        if held and held.problem:
            self.drop(held.problem, held.place)
        elif held and held.record:
            yield held.record


def _to_record(raw, name: str, content: bytes, place: str) -> Record:
    def value(header: str) -> str:
        found = raw.headers.get_bytes(header.encode()) or b""
        return found.decode(errors="replace").strip()

    return Record(
        name,
        value("WARC-Target-URI").strip("<>"),
        value("Content-Type").lower(),
        value("WARC-Identified-Content-Language"),
        content,
        place,
    )


def _has_bare_feeds(line: bytes) -> bool:
    return line.startswith(_VERSION) and not line.endswith(b"\r\n")


def _next_start(file: BinaryIO, begin: int) -> int | None:
    """Where the first record at or after a byte begins; None without one."""
    # The line feed before a head.
    position = max(0, begin - 1)
    file.seek(position)
    block = file.read(_SCAN_BYTES)
    while block:
        for match in _START.finditer(block):
            start = position + match.end()
            if start < begin:
                continue
            if match.group():
                return start
            file.seek(start)
            if _holds_record(file.read(_MEMBER_BYTES)):
                return start
        position += len(block)
        file.seek(position)
        # A head may stand across the end of a block.
        tail = block[-8:] if len(block) == _SCAN_BYTES else b""
        block = file.read(_SCAN_BYTES)
        if block:
            block, position = tail + block, position - len(tail)
    return None


def _holds_record(member: bytes) -> bool:
    try:
        start = zlib.decompressobj(31).decompress(member, 16)
    except zlib.error:
        return False
    return start.lstrip().startswith(_VERSION)
