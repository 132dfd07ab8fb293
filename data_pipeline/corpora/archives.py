"""Web archives: the records of WARC and WET files that hold text.

FastWARC reads them. A file is a sequence of records, each usually a gzip member
of its own (WARC 1.1, https://iipc.github.io/warc-specifications/); one member
for all, Zstandard, no compression and bare line feeds are read too. A record
that is damaged, or whose Content-Length is wrong, is dropped and counted, and
reading resumes at the next one.
"""

import io
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
EMPTY = "a file without a record"
CUT = "the end of a truncated file"
REST = "the rest of a file after a damage"
TOO_MANY = f"the rest of a file after {MAX_DAMAGES} damages"

_SCAN_BYTES = 2**20
_VERSION = b"WARC/"
# The head of a record, or of a member of gzip or Zstandard that may hold one.
_START = re.compile(
    rb"\n(?=WARC/\d)|(?=\x1f\x8b\x08[\0-\x1f])|(?=\x28\xb5\x2f\xfd)"
)
_START_BYTES = 8  # that `_START` looks at
_MEMBER_BYTES = 2**12  # of a member, to see how it begins
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


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
        has_bare_feeds = _has_bare_feeds(file.read(_MEMBER_BYTES))
        after = yield from reader.read(file, 0, has_bare_feeds)
        if not reader.number and after is None:
            reader.drop(EMPTY, f"{path}:1")
        damages = 0
        while after is not None:
            start = _next_start(file, after)
            damages += 1
            if start is None or damages > MAX_DAMAGES:
                reader.drop_rest(TOO_MANY if start is not None else REST)
                return
            after = yield from reader.read(file, start, has_bare_feeds)


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
        self._is_at_end = False  # whether the record read last ends the file

    def drop(self, reason: str, place: str) -> None:
        """Counts a record."""
        drop_record(self._drops, reason, place)

    def drop_rest(self, reason: str) -> None:
        """Counts what is left of the file, if anything is."""
        if reason != REST or not self._is_at_end:
            self.drop(reason, f"{self._path}:{self.number + 1}")

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
        self._is_at_end = False
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
        self._is_at_end = True
        yield from self._release(held)
        # A length that is too large swallows the records that follow.
        if held and held.problem in (TRUNCATED, TOO_LARGE):
            return begin + 1
        if self.number and not (
            _ends_with_member(file, begin) or _ends_with_member(file, 0)
        ):
            self.drop(CUT, f"{self._path}:{self.number + 1}")
        return None

    def _hold(self, raw) -> _Held:
        self._is_counted = False
        place = f"{self._path}:{self.number}"
        name, problem = _value(raw, "WARC-Type").lower(), ""
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
    return Record(
        name,
        _value(raw, "WARC-Target-URI").strip("<>"),
        _value(raw, "Content-Type").lower(),
        _value(raw, "WARC-Identified-Content-Language"),
        content,
        place,
    )


def _value(raw, header: str) -> str:
    """The value of a header, which may be named in any case."""
    found = raw.headers.get_bytes(header.encode()) or b""
    return found.decode(errors="replace").strip()


def _has_bare_feeds(member: bytes) -> bool:
    line, feed, _ = _unpacked(member).lstrip().partition(b"\n")
    return bool(feed) and not line.endswith(b"\r")


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
            member = block[match.end() : match.end() + _MEMBER_BYTES]
            if len(member) < _MEMBER_BYTES:
                file.seek(start)
                member = file.read(_MEMBER_BYTES)
            if _holds_record(member):
                return start
        position += len(block)
        file.seek(position)
        # A head may stand across the end of a block.
        tail = block[-_START_BYTES:]
        block = file.read(_SCAN_BYTES)
        if block:
            block, position = tail + block, position - len(tail)
    return None


def _holds_record(member: bytes) -> bool:
    return _unpacked(member).lstrip().startswith(_VERSION)


def _unpacked(member: bytes) -> bytes:
    """The first bytes of a member; nothing if it is damaged."""
    from fastwarc.stream_io import ZstdReader

    try:
        if member.startswith(_GZIP):
            return zlib.decompressobj(31).decompress(member, 64)
        if member.startswith(_ZSTD):
            return ZstdReader(io.BytesIO(member)).read(64)
    except (zlib.error, OSError):
        return b""
    return member[:64]


def _ends_with_member(file: BinaryIO, begin: int) -> bool:
    """Whether a member of gzip begins at a byte, and the last one is whole.

    True for a file that is not gzip. (FastWARC takes a head that is cut for the
    end of the file.)
    """
    file.seek(begin)
    unpacker = None
    while packed := file.read(_MEMBER_BYTES):
        while packed:
            if unpacker is None or unpacker.eof:
                if not packed.startswith(_GZIP[: len(packed)]):
                    return begin == 0
                unpacker = zlib.decompressobj(31)
            try:
                unpacker.decompress(packed)
            except zlib.error:
                return begin == 0
            packed = unpacker.unused_data
    return unpacker.eof if unpacker else begin == 0
