import gzip
import zlib

import pytest

from data_pipeline.corpora import http_responses
from data_pipeline.corpora.http_responses import (
    Response,
    UnreadableBody,
    decoded_body,
    parse_response,
)

HTML = b"<html>hello</html>"


def test_head():
    block = b"HTTP/1.1 404 Not Found\r\nA: b\r\na: c\r\nno colon\r\n\r\n"
    block += b"body\r\n\r\n"
    assert parse_response(block) == (404, {"a": "b"}, b"body\r\n\r\n")
    assert parse_response(b"HTTP/1.0 200\nX:\xff\n\n") == (200, {"x": "ÿ"}, b"")


@pytest.mark.parametrize(
    "block",
    [b"", b"<html>", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b"],
)
def test_no_head(block):
    assert parse_response(block) is None


def decode(body, **fields):
    names = {name.replace("_", "-"): value for name, value in fields.items()}
    return decoded_body(Response(200, names, body))


@pytest.mark.parametrize(
    "body, expected",
    [
        (b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
        (b"5;a=b\r\nhello\r\n6  \r\n world\r\n0\r\n", b"hello world"),
        (b"5\nhello\n0\n", b"hello"),
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n9\r\n wo", b"hello wo"),  # truncated
        (HTML, HTML),  # not in chunks, whatever its field says
    ],
)
def test_chunks(body, expected):
    assert decode(body, transfer_encoding="chunked") == expected


def test_transfer_coding():
    body = gzip.compress(HTML)
    body = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    assert decode(body, transfer_encoding="gzip, chunked") == HTML


def test_wrong_chunks():
    with pytest.raises(UnreadableBody, match="wrong chunks"):
        decode(b"5\r\nhello\r\nzz\r\nworld", transfer_encoding="chunked")


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


# brotli.compress(b"<html>hello</html>")
BROTLI = bytes.fromhex("8b08803c68746d6c3e68656c6c6f3c2f68746d6c3e03")


@pytest.mark.parametrize(
    "coding, body",
    [
        ("gzip", gzip.compress(HTML)),
        ("gzip", gzip.compress(b"") * 20_000 + gzip.compress(HTML)),
        ("x-gzip", gzip.compress(HTML[:4]) + gzip.compress(HTML[4:])),
        ("gzip", gzip.compress(HTML) + b"padding"),
        ("gzip", HTML),  # a lie: most archives hold decoded bodies
        ("br", HTML),
        ("deflate", zlib.compress(HTML)),
        ("deflate", raw_deflate(HTML)),
        ("br", BROTLI),
        ("gzip, br", HTML),
        ("identity", HTML),
        ("unheard-of", HTML),
        ("deflate, gzip", gzip.compress(zlib.compress(HTML))),
    ],
)
def test_codings(coding, body):
    assert decode(body, content_encoding=coding) == HTML


@pytest.mark.parametrize(
    "coding, body, message",
    [
        ("gzip", gzip.compress(HTML)[:-12], "truncated"),
        ("gzip", b"\x1f\x8b\x08garbage", "damaged"),
        ("deflate", b"garbage", "damaged"),
        ("br", b"garbage", "damaged"),
        ("zstd", b"garbage", "damaged"),
        ("unheard-of", b"garbage", "unknown coding"),
        ("gzip," * 9, HTML, "unknown coding"),
    ],
)
def test_unreadable_bodies(coding, body, message):
    with pytest.raises(UnreadableBody, match=message):
        decode(body, content_encoding=coding)


@pytest.mark.parametrize(
    "pack, coding", [(gzip.compress, "gzip"), (zlib.compress, "deflate")]
)
def test_bombs(pack, coding):
    body = pack(b"\0" * (http_responses.MAX_PAGE_BYTES + 1))
    with pytest.raises(UnreadableBody, match="unpacks to more than 16,777,216"):
        decode(body, content_encoding=coding)
    twice = pack(body)
    with pytest.raises(UnreadableBody, match="unpacks to more"):
        decode(twice, content_encoding=f"{coding}, {coding}")
