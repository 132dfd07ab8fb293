"""A WET file, a WARC and a dump through every program to a pre-training.

The commands are those of docs/from_common_crawl.md.
"""

import bz2
import gzip
import itertools
import json
import random

import pytest

from labse.bin import (
    audit,
    build_vocab,
    clean_monolingual,
    pretrain,
    write_records,
)
from labse.bin.flags import program
from labse.checkpoints import run_folder
from labse.files.texts import Texts

pytest.importorskip("apache_beam")
pytest.importorskip("fastwarc")

# Who, does what, with what, where: one of each makes a sentence.
PARTS = {
    "en": (
        "The old fisherman|My younger sister|Every good teacher|The tired "
        "doctor|Our new neighbour|The young painter|Her grandmother",
        "carefully repairs|often forgets|never sells|quietly watches|gladly "
        "borrows|slowly cleans|proudly shows",
        "the wooden boat|a heavy suitcase|the yellow bicycle|an expensive "
        "watch|the broken window|a long letter|the kitchen table",
        "behind the small church|near the frozen river|before the summer "
        "holidays|in the quiet garden|after the evening news|at the station",
    ),
    "de": (
        "Der alte Fischer|Meine kleine Schwester|Jeder gute Lehrer|Die müde "
        "Ärztin|Unser neuer Nachbar|Die junge Malerin|Ihre Großmutter",
        "repariert sorgfältig|vergisst häufig|verkauft niemals|beobachtet "
        "leise|verleiht gerne|reinigt langsam|zeigt stolz",
        "das hölzerne Boot|einen schweren Koffer|das gelbe Fahrrad|eine teure "
        "Uhr|das zerbrochene Fenster|einen langen Brief|den Küchentisch",
        "hinter der kleinen Kirche|neben dem gefrorenen Fluss|vor den großen "
        "Ferien|im stillen Garten|nach den Nachrichten|am Bahnhof",
    ),
    "ru": (
        "Старый рыбак|Моя младшая сестра|Каждый хороший учитель|Уставшая "
        "женщина|Наш новый сосед|Молодая художница|Её бабушка",
        "аккуратно чинит|часто забывает|никогда не продаёт|тихо "
        "разглядывает|охотно одалживает|медленно чистит|гордо показывает",
        "деревянную лодку|тяжёлый чемодан|жёлтый велосипед|дорогие часы|"
        "разбитое окно|длинное письмо|кухонный стол",
        "за маленькой церковью|возле замёрзшей реки|перед летними "
        "каникулами|в тихом саду|после вечерних новостей|на вокзале",
    ),
}
PAGES, SENTENCES = 12, 8


def pages(language: str, seed: int) -> list[list[str]]:
    """Pages of different sentences, the same for the same seed."""
    parts = [part.split("|") for part in PARTS[language]]
    sentences = [" ".join(words) + "." for words in itertools.product(*parts)]
    random.Random(seed).shuffle(sentences)
    return [
        sentences[start : start + SENTENCES]
        for start in range(0, PAGES * SENTENCES, SENTENCES)
    ]


def record(kind: str, number: int, content: bytes, content_type: str) -> bytes:
    """A record of a web archive."""
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\n"
        f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012d}>\r\n"
        "WARC-Date: 2024-05-18T01:58:10Z\r\n"
        f"WARC-Target-URI: https://example.org/{number}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(content)}\r\n"
    )
    return head.encode() + b"\r\n" + content + b"\r\n\r\n"


def wet(language: str) -> bytes:
    """Text of pages, one gzip member each."""
    return b"".join(
        gzip.compress(
            record(
                "conversion", number, "\n".join(page).encode(), "text/plain"
            ),
            mtime=0,
        )
        for number, page in enumerate(pages(language, 1))
    )


def warc(language: str) -> bytes:
    """Pages as HTML, with a menu and a script around the text."""
    found = []
    for number, page in enumerate(pages(language, 2)):
        text = "".join(f"<p>{sentence}</p>" for sentence in page)
        html = (
            f"<html><head><title>{number}</title></head><body>"
            "<nav><ul><li><a href='/'>Home</a><li><a href='/a'>About</a></ul>"
            f"</nav><article>{text}</article><script>var x = 1;</script>"
            "</body></html>"
        ).encode()
        http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
        http += f"Content-Length: {len(html)}\r\n\r\n".encode()
        found.append(
            gzip.compress(
                record(
                    *("response", number, http + html),
                    "application/http; msgtype=response",
                ),
                mtime=0,
            )
        )
    return b"".join(found)


def dump(language: str) -> bytes:
    """Articles with links, a template, and one that redirects."""
    articles = "".join(
        f"<page><title>Page {number}</title><ns>0</ns><id>{number + 1}</id>"
        "<revision><id>1</id><text xml:space='preserve'>{{Infobox|a=1}}\n"
        + "\n\n".join(f"'''{page[0]}''' [[Link|{page[1]}]]".split("\x00"))
        + "\n\n"
        + "\n\n".join(page[2:])
        + "</text></revision></page>"
        for number, page in enumerate(pages(language, 3))
    )
    return (
        "<mediawiki xmlns='http://www.mediawiki.org/xml/export-0.10/' "
        f"version='0.10' xml:lang='{language}'><siteinfo><sitename>Wikipedia"
        f"</sitename><dbname>{language}wiki</dbname></siteinfo>{articles}"
        "<page><title>Old</title><ns>0</ns><id>99</id><redirect title='Page 1'"
        "/><revision><id>1</id><text>#REDIRECT [[Page 1]]</text></revision>"
        "</page></mediawiki>"
    ).encode()


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """A folder with one corpus of each kind."""
    folder = tmp_path_factory.mktemp("crawl")
    (folder / "pages.warc.wet.gz").write_bytes(wet("en"))
    (folder / "pages.warc.gz").write_bytes(warc("de"))
    (folder / "ruwiki.xml.bz2").write_bytes(bz2.compress(dump("ru")))
    return folder


def run(module, *flags):
    """Runs a program in this process."""
    assert program.run(module, list(map(str, flags)), module.__name__) == 0


def test_from_a_crawl_to_a_pretraining(crawl, tmp_path, capsys):
    clean, records = tmp_path / "clean", tmp_path / "records"
    vocabulary, out = tmp_path / "vocab.txt", tmp_path / "pretrained"
    inputs = [f"--input={path}" for path in sorted(crawl.iterdir())]
    texts = clean / "*/*.jsonl.gz"

    run(clean_monolingual, *inputs, f"--out={clean}", "--workers=1")
    kept = list(Texts([texts]))
    expected = {
        (language, sentence.encode())
        for seed, language in ((1, "en"), (2, "de"), (3, "ru"))
        for page in pages(language, seed)
        for sentence in page
    }
    assert set(kept) == expected
    report = json.loads((clean / "report.json").read_text("utf-8"))
    assert "redirect" in json.dumps(report)

    run(
        build_vocab,
        *(f"--input={texts}", "--vocab_size=400", "--unused=0"),
        f"--out={vocabulary}",
    )
    run(
        audit,
        *(f"--input={texts}", "--monolingual", f"--vocab={vocabulary}"),
        *("--config=pretrain_tiny", f"--out={tmp_path / 'audit'}"),
        "--workers=1",
    )
    run(
        write_records,
        *(f"--input={texts}", "--monolingual", f"--out={records}"),
        "--workers=1",
    )
    run(
        pretrain,
        *("--config=pretrain_tiny", f"--monolingual={records}"),
        *(f"--vocab={vocabulary}", f"--out={out}"),
        *(
            f"--override={setting}"
            for setting in (
                "encoder.hidden_size=16",
                "encoder.intermediate_size=16",
                "data.bilingual_share=0",
                "training.global_batch_size=8",
                "training.num_steps=10",
                "training.warmup_steps=0",
                "training.log_every=5",
                "training.deterministic=false",
                "stacking.num_steps=[5]",
            )
        ),
    )
    lines = (out / run_folder.HISTORY).read_text("utf-8").splitlines()
    steps = [json.loads(line) for line in lines]
    assert [step["step"] for step in steps] == [5, 10]
    assert steps[-1]["mlm_loss"] < 6.5  # log(400) = 6.0
