import bz2
import gzip
import pickle

import pytest

from data_pipeline.corpora.documents import find_corpora, read_documents
from data_pipeline.documents import Document
from labse.errors import InputError
from labse.files.reading import ReadOptions
from tests.data_pipeline.corpora.conftest import record, response

HTML = b"<!DOCTYPE html><html><p>A page with some words.</p></html>"
WARC = record(response(HTML), "response")
DUMP = (
    b"<mediawiki><page><title>T</title><ns>0</ns><id>7</id>"
    b"<revision><text>Some words.</text></revision></page></mediawiki>"
)


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.warc", WARC),
        ("a.warc.gz", gzip.compress(WARC)),
        ("a.warc.txt", WARC),
        ("a.warc", gzip.compress(WARC)),
        ("a.xml", DUMP),
        ("a.xml.bz2", bz2.compress(DUMP)),
        (
            "a.xml-p1p41242.bz2",
            bz2.compress(DUMP[:40]) + bz2.compress(DUMP[40:]),
        ),
        ("a.xml.gz", gzip.compress(DUMP)),
        ("a.html", HTML),
        ("a.htm.gz", gzip.compress(HTML)),
        ("page", HTML),
        ("a.html", b"<p>A page with some words."),
        ("a.txt", b"A line of text."),
        ("a.jsonl.gz", gzip.compress(b'{"text": "a text"}\n')),
    ],
)
def test_kinds(tmp_path, drops, name, content):
    path = write(tmp_path, name, content)
    assert find_corpora([tmp_path / "*"]) == [path]
    (document,) = read_documents(path, ReadOptions(), drops)
    assert document.lines
    assert document.place.startswith(f"{path}:")
    assert pickle.loads(pickle.dumps(document)) == document
    assert not drops.reasons


def test_zstandard(tmp_path, drops):
    zstandard = pytest.importorskip("zstandard")
    packer = zstandard.ZstdCompressor()
    path = write(tmp_path, "a.warc.zst", packer.compress(WARC) * 2)
    assert find_corpora([path]) == [path]
    assert len(list(read_documents(path, ReadOptions(), drops))) == 2


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.warc", b"", "the file is empty"),
        ("a.warc", b"some text", "The content looks like text in UTF-8"),
        ("a.xml", b"<html></html>", None),
        (
            "a.xml",
            b'<?xml version="1.0"?><rss><a/></rss>',
            "XML whose root is rss",
        ),
        ("a.csv", b"a,b\n", r"a corpus is a web archive \(.warc, .wet\)"),
        ("a.pdf", b"%PDF-1.4", "The content looks like a PDF"),
        ("a.txt", HTML, "The content looks like HTML"),
        ("a.warc.bz2", bz2.compress(WARC), "of an archive is gzip, Zstandard"),
        ("a.html", gzip.compress(HTML), "The content is a gzip file"),
        ("a.arc", b"filedesc://a.arc 1.1.1.1 2 text/plain 7\n", "is an ARC"),
        ("a.warc.wat", record(b"{}", "metadata"), "a WAT file holds metadata"),
        (
            "a.warc.gz",
            gzip.compress(gzip.compress(WARC)),
            "compressed twice|gzip",
        ),
    ],
)
def test_other_kinds(tmp_path, name, content, message):
    path = write(tmp_path, name, content)
    if message is None:
        assert find_corpora([path]) == [path]
        return
    with pytest.raises(InputError, match=message) as error:
        find_corpora([path])
    assert str(error.value).startswith(path)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="No file matches"):
        find_corpora([tmp_path / "*.warc"])


def test_a_damaged_archive_is_counted(tmp_path, drops):
    path = write(tmp_path, "a.warc.gz", gzip.compress(WARC)[:15])
    assert find_corpora([path]) == [path]
    assert not list(read_documents(path, ReadOptions(), drops))
    assert drops.reasons == [("a file without a record", "1")]


def test_rows(tmp_path, drops):
    rows = (
        b'{"text": "one", "language": "de", "corpus": "c"}\n'
        b'{"text": "two\\n\\n three ", "language": "fr"}\n'
        b"\n"
        b'{"text": 4}\n'
        b'{"source": "a", "target": "b", "source_language": "en",'
        b' "target_language": "fr"}\n'
    )
    path = write(tmp_path, "a.jsonl", rows)
    options = ReadOptions(max_malformed_share=0.5)
    assert list(read_documents(path, options, drops)) == [
        Document(["one"], f"{path}:1", "de", corpus="c", is_page=False),
        Document(["two", "three"], f"{path}:2", "fr"),
        Document(["a"], f"{path}:5", "en", is_page=False),
        Document(["b"], f"{path}:5", "fr", is_page=False),
    ]
    assert drops.reasons == [("text is not text", "4")]
    with pytest.raises(InputError, match=f"{path}:4"):
        list(read_documents(path, ReadOptions(), drops))


def test_rows_of_moses_files_are_read_once(tmp_path, drops):
    path = write(tmp_path, "c.de-en.de", b"eins\nzwei\n")
    write(tmp_path, "c.de-en.en", b"one\ntwo\n")
    assert find_corpora([tmp_path / "c.*"]) == [path]
    found = list(read_documents(path, ReadOptions(), drops))
    assert [(each.language, *each.lines) for each in found] == [
        ("de", "eins"),
        ("en", "one"),
        ("de", "zwei"),
        ("en", "two"),
    ]


def test_a_line_of_text_has_a_limit(tmp_path, drops):
    path = write(tmp_path, "a.txt", b"a" * (2**24 + 1))
    with pytest.raises(InputError, match=f"{path}:1: a line has at most"):
        list(read_documents(path, ReadOptions(), drops))
