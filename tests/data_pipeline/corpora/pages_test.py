import gzip

import pytest

from data_pipeline.corpora.pages import read_archive, read_html_file
from data_pipeline.documents import Document
from tests.data_pipeline.corpora.conftest import record, response

HTML = b'<html lang="de"><p>Guten Morgen, liebe Leute.</p></html>'
LINES = ["Guten Morgen, liebe Leute."]


def read(tmp_path, drops, *records):
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(records))
    return list(read_archive(str(path), drops))


def test_a_wet_record(tmp_path, drops):
    path = tmp_path / "a.wet"
    head = (
        "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://a/\r\n"
        "Content-Type: text/plain\r\nContent-Length: 21\r\n"
        "WARC-Identified-Content-Language: "
    )
    text = "Ä b\tc\n\n \nd\u2028e\0\r\nf\r\n".encode()
    assert len(text) == 21
    path.write_bytes(
        b"".join(
            f"{head}{language}\r\n\r\n".encode() + text + b"\r\n\r\n"
            for language in ("deu", "deu,eng")
        )
    )
    lines = ["Ä b c", "d e", "f"]
    assert list(read_archive(str(path), drops)) == [
        Document(lines, f"{path}:1", "de", "http://a/"),
        Document(lines, f"{path}:2", "und", "http://a/"),
    ]


def test_a_response(tmp_path, drops):
    content = response(HTML)
    assert read(tmp_path, drops, record(content, "response")) == [
        Document(LINES, f"{tmp_path}/a.warc:1", "de", "http://a.example/")
    ]


def test_a_response_in_gzip_and_chunks_in_another_encoding(tmp_path, drops):
    html = HTML.replace(b"Morgen", "Mörgen".encode("latin-1"))
    body = gzip.compress(html)
    content = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=latin1\r\n"
        b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    )
    (document,) = read(tmp_path, drops, record(content, "response"))
    assert document.lines == ["Guten Mörgen, liebe Leute."]


@pytest.mark.parametrize(
    "content, reason",
    [
        (response(HTML, status="404 Not Found"), "an HTTP status other than"),
        (response(HTML).replace(b"text/html", b"image/png"), "not HTML"),
        (HTML, "a response without an HTTP head"),
        (response(b""), "no text"),
        (response(b"<html><script>x</script></html>"), "no text"),
        (
            response(b"<div>" * 10_000),
            "a page with too many elements or attributes, or too deep ones",
        ),
        (
            response(b"\x1f\x8b\x08bad", "Content-Encoding: gzip"),
            "a body whose compression is damaged",
        ),
        (
            response(
                gzip.compress(b" " * (2**24 + 1)), "Content-Encoding: gzip"
            ),
            "a body that unpacks to more than",
        ),
    ],
)
def test_pages_that_give_no_document(tmp_path, drops, content, reason):
    good = record(response(HTML), "response")
    found = read(tmp_path, drops, record(content, "response"), good)
    assert [document.lines for document in found] == [LINES]
    ((found_reason, number),) = drops.reasons
    assert found_reason.startswith(reason)
    assert number == "1"


def test_a_file(tmp_path, drops):
    path = tmp_path / "a.html.gz"
    path.write_bytes(gzip.compress(HTML))
    assert list(read_html_file(str(path), drops)) == [
        Document(LINES, f"{path}:1", "de")
    ]
    path.write_bytes(gzip.compress(b"<html>" + b"a" * 2**24))
    assert not list(read_html_file(str(path), drops))
    path.write_bytes(gzip.compress(b"<html></html>"))
    assert not list(read_html_file(str(path), drops))
    reasons = [reason for reason, _ in drops.reasons]
    assert reasons == ["a page of more than 16,777,216 bytes", "no text"]
