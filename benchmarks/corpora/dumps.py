"""Articles of a MediaWiki dump: speed and what is left, beside two peers.

    python -m benchmarks.corpora.dumps --data=DATA \
        [--peer_python=ENV/bin/python]

The dump is of English articles, in `web_fixtures` of the data folder; its pages
are repeated until there are `--articles` articles.
Ours is `read_dump`, from the XML to paragraphs, in one process. The peers are
in an environment of their own (peer_requirements.txt): WikiExtractor (AGPL)
without templates, one process that extracts; and mwparserfromhell's
`strip_code` on the text of some of the articles. Times are CPU seconds of all
processes; residue is the share of lines that still hold markup.
"""

import argparse
import html
import json
import pathlib
import re
import resource
import subprocess
import tempfile
import time

from benchmarks.machine import machine
from data_pipeline.corpora.dumps import read_dump
from data_pipeline.jobs.drops import Drops
from labse.files.compression import open_unpacked

PEER = pathlib.Path(__file__).with_name("dumps_peer.py")
# Of CPU time on one core: a dump of a million articles in two hours.
FLOOR_ARTICLES_PER_SECOND = 140
_DUMP = (
    "web_fixtures/wiki_dumps/enwiki-latest-pages-articles1.xml-"
    "p000000010p000030302-shortened.bz2"
)
_MARKUP = re.compile(
    r"\{\{|\}\}|\[\[|\]\]|\{\||\|\}|</?[a-zA-Z]+[ >]|'''|^\s*[|!=]|\|\w+="
)
_TEXT = re.compile(r"<text[^>]*>([^<]*)</text>")


def write_repeated(dump: pathlib.Path, articles: int, out: pathlib.Path) -> int:
    """Writes a dump with its pages repeated; returns its size in bytes."""
    in_one = sum(1 for _ in read_dump(str(dump), Drops()))
    with open_unpacked(str(dump)) as file:
        content = file.read().decode("utf-8")
    begin, end = content.index("<page>"), content.rindex("</page>") + 7
    times = -(-articles // in_one)
    with open(out, "w", encoding="utf-8") as file:
        file.write(content[:begin])
        for _ in range(times):
            file.write(content[begin:end])
        file.write(content[end:])
    return out.stat().st_size


def ours(dump: pathlib.Path) -> tuple[list[list[str]], float]:
    """Lines of each article, and CPU seconds."""
    start = time.process_time()
    found = [each.lines for each in read_dump(str(dump), Drops())]
    return found, time.process_time() - start


def wikiextractor(
    python: str, dump: pathlib.Path, folder: pathlib.Path
) -> tuple[list[list[str]], float]:
    """As `ours`; without the start of the program."""
    command = [python, "-m", "wikiextractor.WikiExtractor"]
    start = _seconds_of_children()
    subprocess.run([*command, "--version"], check=True, capture_output=True)
    startup = _seconds_of_children() - start
    start = _seconds_of_children()
    subprocess.run(
        [*command, "--no-templates", "--processes=1", "--json", "-q"]
        + ["-b1G", "-o", str(folder), str(dump)],
        check=True,
        capture_output=True,
    )
    seconds = _seconds_of_children() - start - startup
    texts = [
        json.loads(line)["text"]
        for file in sorted(folder.rglob("wiki_*"))
        for line in file.read_text("utf-8").splitlines()
    ]
    return [text.split("\n") for text in texts if text], seconds


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def mwparserfromhell(
    python: str, dump: pathlib.Path, limit: int
) -> tuple[list[list[str]], float]:
    """As `ours`, of the first articles, without reading the XML."""
    with open_unpacked(str(dump)) as file:
        content = file.read().decode("utf-8")
    texts = [
        html.unescape(match[1])
        for match in _TEXT.finditer(content)
        if not match[1].lower().startswith("#redirect")
    ][:limit]
    output = subprocess.run(
        [python, str(PEER)],
        input=json.dumps(texts).encode(),
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    return json.loads(output)


def main() -> None:
    """Measures all and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--peer_python")
    parser.add_argument("--articles", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        dump = folder / "dump.xml"
        size = write_repeated(options.data / _DUMP, options.articles, dump)
        found = {"labse": ours(dump)}
        if options.peer_python:
            found["WikiExtractor"] = wikiextractor(
                options.peer_python, dump, folder / "out"
            )
            found["mwparserfromhell"] = mwparserfromhell(
                options.peer_python, dump, 100
            )
    print(f"a dump of {size / 1e6:.0f} MB; {machine()}")
    print(
        f"{'':18}{'articles':>9}{'articles/s':>11}{'words':>11}{'residue':>9}"
    )
    rates = {}
    for name, (articles, seconds) in found.items():
        lines = [line for each in articles for line in each if line.strip()]
        residue = sum(1 for line in lines if _MARKUP.search(line)) / len(lines)
        words = sum(len(line.split()) for line in lines) / len(articles)
        rates[name] = len(articles) / seconds
        print(
            f"{name:18}{len(articles):9,}{rates[name]:11.0f}"
            f"{words:11,.0f}{residue:9.2%}"
        )
    for name, rate in rates.items():
        if name != "labse":
            print(f"labse / {name}: {rates['labse'] / rate:.1f} times")
    if rates["labse"] < FLOOR_ARTICLES_PER_SECOND:
        raise SystemExit(f"below {FLOOR_ARTICLES_PER_SECOND} articles/s")


if __name__ == "__main__":
    main()
