"""HTTP responses as crawlers archive them: status, fields and decoded body.

Bodies come in chunks (RFC 9112, section 7.1) and compressed (RFC 9110, section
8.4.1). Archives hold many whose fields say one and whose body is another,
since crawlers decode what they store: the body decides.
"""

import io
import re
import zlib
from typing import NamedTuple

from data_pipeline.corpora.archives import MAX_PAGE_BYTES

# Servers refuse more than 8 to 64 KiB.
_MAX_HEAD_BYTES = 2**16
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/[\d.]+ +(\d{3})\b")
# Extensions may follow a size, and old servers pad it with spaces.
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\n]*)?\r?\n")
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's word for gzip's frame
_MAX_CODINGS = 4
_PIECE_BYTES = 2**12


class UnreadableBody(Exception):
    """Why a body cannot be decoded, in a few words."""


class Response(NamedTuple):
    """A response."""

    status: int
    fields: dict[str, str]  # by name in small letters; the first of each
    body: bytes  # as sent


def parse_response(block: bytes) -> Response | None:
    """The response in the block of a record; None if it has no such head."""
    status = _STATUS.match(block)
    end = _HEAD_END.search(block, 0, _MAX_HEAD_BYTES)
    if not status or not end:
        return None
    fields: dict[str, str] = {}
    for line in block[: end.start()].split(b"\n")[1:]:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    return Response(int(status[1]), fields, block[end.end() :])


def decoded_body(response: Response) -> bytes:
    """The body without chunks and compression, at most `MAX_PAGE_BYTES`.

    Raises:
      UnreadableBody: it is damaged, too large, or compressed in a way that is
        not read.
    """
    body, fields = response.body, response.fields
    # The body was coded in this order.
    names = ("content-encoding", "transfer-encoding")
    codings = [
        coding.strip()
        for name in names
        for coding in fields.get(name, "").lower().split(",")
    ]
    if len(codings) > _MAX_CODINGS:
        raise UnreadableBody("a body in an unknown coding")
    for coding in reversed(codings):
        body = _unpack(body, coding.removeprefix("x-"))
    return body


def _without_chunks(body: bytes) -> bytes:
    """The chunks joined; a body without chunks as it is."""
    chunks, place = [], 0
    while match := _CHUNK_SIZE.match(body, place):
        size = int(match[1], 16)
        if not size:
            break
        chunks.append(body[match.end() : match.end() + size])
        place = match.end() + size
        place += 2 if body.startswith(b"\r\n", place) else 1
    if not match and chunks and place < len(body):
        raise UnreadableBody("a body with wrong chunks")
    return b"".join(chunks) if match or chunks else body


def _unpack(body: bytes, coding: str) -> bytes:
    if coding == "chunked":
        return _without_chunks(body)
    if coding in ("gzip", "deflate"):
        return _inflate(body)
    if coding in ("br", "zstd"):
        return _unpack_with_fastwarc(body, coding)
    if coding in ("", "identity", "none", "utf-8"):
        return body
    if _is_text(body):
        return body
    raise UnreadableBody("a body in an unknown coding")


def _inflate(body: bytes) -> bytes:
    """What gzip or deflate, with or without zlib's frame, packed."""
    if _is_text(body):
        return body
    if body.startswith(_GZIP):
        return _decompress(body, _GZIP_WINDOW)
    try:
        return _decompress(body, 15)
    except UnreadableBody as damage:
        if damage.args[0] != _DAMAGED:
            raise
    return _decompress(body, -15)


_DAMAGED = "a body whose compression is damaged"
_BOMB = f"a body that unpacks to more than {MAX_PAGE_BYTES:,} bytes"


def _decompress(body: bytes, window: int) -> bytes:
    unpacker = zlib.decompressobj(window)
    parts, size, place = [], 0, 0
    while place < len(body):
        if unpacker.eof:
            if window != _GZIP_WINDOW or not body.startswith(_GZIP, place):
                break  # What follows the last member is padding.
            unpacker = zlib.decompressobj(window)
        # In pieces, since what follows a member is copied, and there may be
        # a million of them.
        piece = body[place : place + _PIECE_BYTES]
        try:
            parts.append(unpacker.decompress(piece))
        except zlib.error as error:
            raise UnreadableBody(_DAMAGED) from error
        place += len(piece) - len(unpacker.unused_data)
        size += len(parts[-1])
        if size > MAX_PAGE_BYTES:
            raise UnreadableBody(_BOMB)
    if body and not unpacker.eof:
        raise UnreadableBody("a truncated compressed body")
    return b"".join(parts)


def _unpack_with_fastwarc(body: bytes, coding: str) -> bytes:
    from fastwarc.stream_io import BrotliReader, ZstdReader

    reader = BrotliReader if coding == "br" else ZstdReader
    try:
        found = reader(io.BytesIO(body)).read(MAX_PAGE_BYTES + 1)
    except OSError as error:
        if _is_text(body):
            return body
        raise UnreadableBody(_DAMAGED) from error
    if len(found) > MAX_PAGE_BYTES:
        raise UnreadableBody(_BOMB)
    return found


def _is_text(body: bytes) -> bool:
    """Whether a body that is said to be compressed begins as HTML does."""
    return body[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
