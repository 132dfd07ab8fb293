"""Pages: bodies that are marked or extracted, and labelled sentences."""

import gzip
import io
import json

import pytest

pytest.importorskip("resiliparse")

from data_pipeline.quality import pages
from data_pipeline.quality.pages import Page, Skipped, read_bodies, read_pages
from labse.errors import InputError

HTML = b"""<html><body><nav><a href=/>Home page of ours</a></nav>
<article><p>The river rose for three days. Nobody had seen the like of it.</p>
<p>Then it fell, and people went home.</p></article>
<footer>All rights reserved, 2020</footer></body></html>"""
BODY = "The river rose for three days. Nobody had seen the like of it."


def write(path, content=HTML):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wb") as file:
        file.write(content)
    return str(path)


def warc(bodies):
    """A WARC file of responses."""
    file = io.BytesIO()
    for number, body in enumerate(bodies):
        http = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        ) + body
        file.write(
            b"WARC/1.0\r\nWARC-Type: response\r\n"
            b"WARC-Target-URI: http://www.example.org/%d\r\n"
            b"Content-Type: application/http; msgtype=response\r\n"
            b"Content-Length: %d\r\n\r\n%s\r\n\r\n" % (number, len(http), http)
        )
    return file.getvalue()


def test_a_marked_body(tmp_path):
    path = write(tmp_path / "a.html.gz")
    bodies = {"a": (BODY, "https://www.example.com/x")}
    (page,) = read_pages(path, Skipped(), bodies)
    assert page.site == "example.com"
    assert page.body == (BODY,)
    assert "Home page of ours" in page.lines
    assert "All rights reserved, 2020" in page.lines


def test_an_extracted_body(tmp_path):
    (page,) = read_pages(write(tmp_path / "a.html"), Skipped())
    assert page.site == "a.html"
    assert BODY in page.body
    assert "All rights reserved, 2020" not in page.body


def test_a_warc_file(tmp_path):
    path = write(tmp_path / "a.warc.gz", warc([HTML, HTML]))
    found = list(read_pages(path, Skipped()))
    assert [page.site for page in found] == ["example.org"] * 2
    assert found[1].place == f"{path}:2"


def test_pages_left_out(tmp_path, monkeypatch):
    skipped = Skipped()
    assert not list(read_pages(write(tmp_path / "b.html"), skipped, {}))
    monkeypatch.setattr(pages, "MAX_PAGE_BYTES", 100)
    assert not list(read_pages(write(tmp_path / "b.html"), skipped))
    cut = gzip.compress(HTML)[:50]
    (tmp_path / "c.html.gz").write_bytes(cut)
    assert not list(read_pages(str(tmp_path / "c.html.gz"), skipped))
    path = write(tmp_path / "a.warc", warc([HTML]))
    assert not list(read_pages(path, skipped))
    monkeypatch.undo()
    path = write(tmp_path / "d.html", b"<p>All of it is one line of text.</p>")
    assert not list(read_pages(path, skipped))
    assert skipped.reasons == {
        "without a marked body": 1,
        "more than 8,388,608 bytes": 2,
        "damaged gzip": 1,
        "without main content, or without a rest": 1,
    }
    with pytest.raises(InputError, match="WET files and text have no rest"):
        next(read_pages("x.wet.gz", skipped))


@pytest.mark.parametrize(
    "content", ["[]", "{}", "{", '{"a": 1}', '{"a": {"articleBody": 1}}']
)
def test_other_files_than_bodies(tmp_path, content):
    path = tmp_path / "bodies.json"
    path.write_text(content)
    with pytest.raises(InputError, match="marked bodies are a JSON object"):
        read_bodies(path)
    path.write_text(json.dumps({"a": {"articleBody": "x"}}))
    assert read_bodies(path) == {"a": ("x", "")}


def test_labels():
    page = Page(
        "site",
        (
            "Rivers and lakes",
            "The river rose for three days. NOBODY had seen the like of it",
            "more on rose for three days",
            "we saw rose for three days nobody had seen the like",
            "rose for three days nobody had seen the like",
            "Short",
        ),
        (BODY,),
        "place",
    )
    main, rest = pages.label_sentences(page, lambda line: line.split(". "))
    assert main == [
        "The river rose for three days",
        # Other case and no mark.
        "NOBODY had seen the like of it",
        # A part of the body, of more than 30 letters.
        "rose for three days nobody had seen the like",
    ]
    assert rest == [
        "Rivers and lakes",
        "more on rose for three days",
        "we saw rose for three days nobody had seen the like",
    ]
