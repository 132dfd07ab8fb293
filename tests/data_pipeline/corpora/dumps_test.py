import bz2
import gzip
import json
import subprocess
import sys
import zlib

import pytest

from data_pipeline.corpora.dumps import MAX_ARTICLE_CHARACTERS, read_dump
from data_pipeline.documents import Document
from labse.errors import InputError

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/"
 version="0.11" xml:lang="bg"><siteinfo><sitename>W</sitename>
 <dbname>bgwiki</dbname><base>https://bg.wikipedia.org/wiki/Main_Page</base>
 <namespaces><namespace key="0" /><namespace key="6">Файл</namespace>
 </namespaces></siteinfo>"""
TAIL = "</mediawiki>"


def page(text, number=7, ns=0, more="", model="wikitext"):
    return f"""<page><title>A &amp; b</title><ns>{ns}</ns>
 <id>{number}</id>{more}
 <revision><id>99</id><contributor><username>u</username><id>5</id>
 </contributor><model>{model}</model><format>text/x-wiki</format>
 <text xml:space="preserve">{text}</text></revision></page>"""


def read(tmp_path, drops, *pages, head=HEAD, tail=TAIL):
    path = tmp_path / "a.xml"
    path.write_text(head + "".join(pages) + tail, encoding="utf-8")
    return list(read_dump(str(path), drops))


def test_an_article(tmp_path, drops):
    text = "'''One''' &lt;ref&gt;x&lt;/ref&gt;[[Файл:a.jpg]]\n\n* two"
    assert read(tmp_path, drops, page(text)) == [
        Document(
            ["One", "two"],
            f"{tmp_path}/a.xml:7",
            "bg",
            "https://bg.wikipedia.org/wiki/A_%26_b",
        )
    ]


@pytest.mark.parametrize("title", ["Alien: Covenant", "AC/DC", "/dev"])
def test_address(tmp_path, drops, title):
    text = page("x").replace("A &amp; b", title)
    (found,) = read(tmp_path, drops, text)
    name = title.replace(" ", "_")
    assert found.url == f"https://bg.wikipedia.org/wiki/{name}"


def test_a_page_in_a_page(tmp_path, drops):
    (found,) = read(tmp_path, drops, f"<page>{page('x')}</page>")
    assert found.lines == ["x"]


@pytest.mark.parametrize("encoding", ["no-such", "big5", "utf-32"])
def test_other_encodings_are_refused(tmp_path, drops, encoding):
    head = f'<?xml version="1.0" encoding="{encoding}"?>{HEAD}'
    with pytest.raises(InputError, match="is in UTF-8 or UTF-16"):
        read(tmp_path, drops, page("x"), head=head)


def test_pages_that_give_no_document(tmp_path, drops):
    pages = [
        page("x", 1, ns=10),
        page("x", 2, more='<redirect title="y" />'),
        page("#REDIRECT [[y]]", 3),
        page("{}", 4, model="json"),
        page("{{stub}}", 5),
        page("x" * (MAX_ARTICLE_CHARACTERS + 1), 6),
        page("y", 7),
    ]
    (found,) = read(tmp_path, drops, *pages)
    assert found.lines == ["y"]
    assert drops.reasons == [
        ("a page that is no article", "1"),
        ("a redirect", "2"),
        ("a redirect", "3"),
        ("a page that is not wikitext", "4"),
        ("no text", "5"),
        ("an article of more than 2,097,152 characters", "6"),
    ]


@pytest.mark.parametrize(
    "head, language",
    [
        (HEAD, "bg"),
        (HEAD.replace(' xml:lang="bg"', ""), "bg"),
        ("<mediawiki>", "und"),
        ('<mediawiki xml:lang="zh-min-nan">', "nan"),
        (
            "<mediawiki><siteinfo><dbname>be_x_oldwiki</dbname></siteinfo>",
            "be-tarask",
        ),
        ("<mediawiki><siteinfo><dbname>dewikisource</dbname></siteinfo>", "de"),
    ],
)
def test_language(tmp_path, drops, head, language):
    (found,) = read(tmp_path, drops, page("x"), head=head)
    assert found.language == language


def test_the_last_revision_counts(tmp_path, drops):
    revision = "<revision><text>new</text></revision></page>"
    text = page("old").replace("</page>", revision)
    assert read(tmp_path, drops, text)[0].lines == ["new"]


@pytest.mark.parametrize(
    "name, pack",
    [
        ("a.xml.gz", gzip.compress),
        ("a.xml.bz2", bz2.compress),
        (
            "a.xml.bz2",  # several streams, as in the dumps with an index
            lambda data: bz2.compress(data[:600]) + bz2.compress(data[600:]),
        ),
    ],
)
def test_compressed(tmp_path, drops, name, pack):
    path = tmp_path / name
    path.write_bytes(pack((HEAD + page("x") + TAIL).encode()))
    assert [each.lines for each in read_dump(str(path), drops)] == [["x"]]


def test_utf_16(tmp_path, drops):
    path = tmp_path / "a.xml"
    path.write_bytes((HEAD + page("Ъ") + TAIL).encode("utf-16"))
    assert [each.lines for each in read_dump(str(path), drops)] == [["Ъ"]]


LAUGHS = (
    """<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>"""
)


@pytest.mark.parametrize(
    "head, tail, message",
    [
        (HEAD, "", "truncated"),
        (HEAD, "<page>&b;</page></mediawiki>", "undefined entity"),
        (HEAD, "\0</mediawiki>", "malformed"),
        (HEAD, "<page>&#xD800;</page></mediawiki>", "malformed"),
        (HEAD, "<a>" * 100, "no more than 16 levels"),
    ],
)
def test_damage_after_an_article(tmp_path, drops, head, tail, message):
    path = tmp_path / "a.xml"
    path.write_text(head + page("x") + tail, encoding="utf-8")
    found = []
    with pytest.raises(InputError, match=message) as error:
        for document in read_dump(str(path), drops):
            found.append(document)
    assert [each.lines for each in found] == [["x"]]
    assert str(error.value).startswith(f"{path}:")


def test_document_types_are_refused(tmp_path, drops):
    with pytest.raises(InputError, match="no entity is expanded"):
        read(tmp_path, drops, page("&b;"), head=LAUGHS + HEAD)


def test_a_truncated_bzip2(tmp_path, drops):
    path = tmp_path / "a.xml.bz2"
    path.write_bytes(bz2.compress((HEAD + page("x") + TAIL).encode())[:-20])
    with pytest.raises(InputError, match="damaged or truncated"):
        list(read_dump(str(path), drops))


def test_memory_is_bounded(tmp_path):
    """A text of 100 MiB, and an attribute of 100 MiB."""
    path = tmp_path / "a.xml.gz"
    packer = zlib.compressobj(1, wbits=31)
    part = b"a" * 2**20
    with open(path, "wb") as file:
        begin, end = page("%").split("%")
        file.write(packer.compress((HEAD + begin).encode()))
        for _ in range(100):
            file.write(packer.compress(part))
        more = end + page("x", 8) + '<page a="'
        file.write(packer.compress(more.encode()))
        for _ in range(100):
            file.write(packer.compress(part))
        file.write(packer.flush())
    code = f"""
import json, re
from data_pipeline.corpora.dumps import read_dump
from data_pipeline.jobs.drops import Drops
drops, found = Drops(), []
try:
    for document in read_dump({str(path)!r}, drops):
        found.append(document.lines)
except ValueError as error:
    found.append(str(error))
peak = re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]
print(json.dumps([found, drops.to_json(), int(peak) // 1024]))
"""
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE
    ).stdout
    found, counts, peak = json.loads(output)
    assert found[0] == ["x"]
    assert "a tag has at most 16,777,216 bytes" in found[1]
    assert [row[2:] for row in counts] == [
        [f"an article of more than {MAX_ARTICLE_CHARACTERS:,} characters", 1, 0]
    ]
    assert peak < 200  # MiB, most of them the interpreter's
