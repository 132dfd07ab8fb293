"""Files of other programs' tests: what each gives, and what is skipped."""

import os
import pathlib

import pytest

from data_pipeline.corpora.documents import find_corpora, read_documents
from data_pipeline.jobs.drops import Drops
from labse.errors import InputError
from labse.files.reading import ReadOptions

ROOT = pathlib.Path(os.environ.get("LABSE_DATA_DIR", ""), "web_fixtures")
REVISIT = {"a revisit of a page": 1}
ARC = "This is an ARC"
WAT = "a WAT file holds metadata"
DUMPS = "wiki_dumps/%s-latest-pages-articles"

# Documents, and records or pages that give none; or an error.
FILES = {
    "FILES.tsv": "the columns are named in a header",
    "README.txt": (9, {}),
    "cc_net/sample.warc.txt": (2, {}),
    "cc_whirlwind/CC-MAIN-2024-22.warc.paths.gz": "a corpus is a web archive",
    "cc_whirlwind/whirlwind.warc": (1, {}),
    "cc_whirlwind/whirlwind.warc.gz": (1, {}),
    "cc_whirlwind/whirlwind.warc.wat": WAT,
    "cc_whirlwind/whirlwind.warc.wat.gz": WAT,
    "cc_whirlwind/whirlwind.warc.wet": (1, {}),
    "cc_whirlwind/whirlwind.warc.wet.gz": (1, {}),
    "dolma/sample-0000.warc.gz": (22, {"not HTML": 2}),
    "dolma/sample-0001.warc.gz": (15, {"not HTML": 2}),
    "jwarc/cc.warc.gz": (1, {}),
    "resiliparse/block-sized-records.warc.gz": (0, {}),
    "resiliparse/clipped.warc.gz": (0, {"a truncated record": 1}),
    "resiliparse/clueweb-quirk.warc.gz": (29, {}),
    "resiliparse/warcfile.warc.gz": (16, {}),
    "warcio/example-bad-non-chunked.warc.gz": (1, REVISIT),
    "warcio/example-digest.warc": (0, {}),
    "warcio/example-iana.org-chunked.warc": (1, {}),
    "warcio/example-resource.warc.gz": (1, {}),
    "warcio/example-trunc.warc": (
        0,
        {"a record with a wrong Content-Length": 1},
    ),
    "warcio/example-wrong-chunks.warc.gz": (1, {}),
    "warcio/example.arc": ARC,
    "warcio/example.arc.gz": ARC,
    "warcio/example.warc": (1, REVISIT),
    "warcio/example.warc.gz": (1, REVISIT),
    "warcio/post-test.warc.gz": (0, {"not HTML": 3}),
    "webarchive_commons/IAH-urls-wget.warc.gz": (
        2,
        {"an HTTP status other than 200": 9, "not HTML": 8},
    ),
    "webarchive_commons/link-extraction-test.warc": (6, {"no text": 1}),
    "webarchive_commons/mutliple-headers.warc": (0, {"no text": 1}),
    # In UTF-16; two of its three pages are templates.
    f"{DUMPS % 'bgwiki'}-shortened.xml.bz2": (
        1,
        {"a page that is no article": 2},
    ),
    f"{DUMPS % 'enwiki'}1.xml-p000000010p000030302-shortened.bz2": (
        106,
        {"a page that is no article": 1, "a redirect": 99},
    ),
    "wiki_dumps/enwiki-table-markup.xml.bz2": (5, {}),
}

pytestmark = pytest.mark.skipif(
    not ROOT.is_dir(), reason="LABSE_DATA_DIR/web_fixtures"
)


@pytest.mark.parametrize("name", FILES)
def test_each_file(name):
    path, expected, drops = ROOT / name, FILES[name], Drops()
    if isinstance(expected, str):
        with pytest.raises(InputError, match=expected):
            find_corpora([path])
            list(read_documents(str(path), ReadOptions(), drops))
        return
    assert find_corpora([path]) == [str(path)]
    found = list(read_documents(str(path), ReadOptions(), drops))
    reasons = {reason: count for _, _, reason, count, _ in drops.to_json()}
    assert (len(found), reasons) == expected
    for document in found:
        assert document.lines
        assert all(line == line.strip() != "" for line in document.lines)
        "".join(document.lines).encode()


def test_the_table_names_every_file():
    found = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*")
        if path.is_file()
    }
    # Pages with marked bodies, which not every copy of the data has.
    found = {name for name in found if "article_extraction/" not in name}
    assert found == set(FILES)


def test_an_archive_and_its_text_tell_the_same():
    """Common Crawl's own WET of a page, and what is read from its WARC."""
    pages = [
        next(
            read_documents(
                str(ROOT / f"cc_whirlwind/whirlwind.warc{ending}"),
                ReadOptions(),
                Drops(),
            )
        )
        for ending in ("", ".wet")
    ]
    assert pages[0].url == pages[1].url
    page, text = (set(" ".join(each.lines).split()) for each in pages)
    assert len(page & text) / len(page) > 0.9
