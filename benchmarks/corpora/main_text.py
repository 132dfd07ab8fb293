"""The main text of pages: quality and speed, ours and trafilatura's.

    python -m benchmarks.corpora.main_text --data=DATA \
        [--peer_python=ENV/bin/python]

The pages are in `web_fixtures/article_extraction` of the data folder: 181 pages
of news sites and blogs whose body people have marked, from
https://github.com/scrapinghub/article-extraction-benchmark (MIT). The words of
what is extracted are compared with those of the marked body, as multisets, page
by page; precision, recall and F1 are means of the pages. Speed is CPU time of
one core, from HTML as text. The peer is in an environment of its own
(peer_requirements.txt).
"""

import argparse
import collections
import gzip
import json
import pathlib
import re
import subprocess
import tempfile
import time

from benchmarks.machine import machine
from data_pipeline.corpora.main_text import main_text
from data_pipeline.corpora.page_limits import is_too_complex

PEER = pathlib.Path(__file__).with_name("main_text_peer.py")
PAGES = "web_fixtures/article_extraction"
ROUNDS = 3
_WORD = re.compile(r"\w+")


def read_pages(folder: pathlib.Path) -> tuple[list[str], list[str]]:
    """Pages and their marked bodies."""
    truth = json.loads((folder / "ground-truth.json").read_text("utf-8"))
    pages = [
        gzip.decompress((folder / "html" / f"{name}.html.gz").read_bytes())
        for name in truth
    ]
    return (
        [page.decode("utf-8", "replace") for page in pages],
        [each["articleBody"] for each in truth.values()],
    )


def ours(html: str) -> str:
    """The main text, after a look at the page's complexity."""
    return "" if is_too_complex(html) else "\n".join(main_text(html)[0])


def whole_text(html: str) -> str:
    """All text of a page, what a WET holds."""
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(html, alt_texts=False, list_bullets=False)


def measure(extract, pages: list[str]) -> tuple[list[str], float]:
    """What is extracted, and CPU seconds; the best of `ROUNDS`."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        texts = [extract(page) for page in pages]
        seconds.append(time.process_time() - start)
    return texts, min(seconds)


def measure_peer(python: str, pages: list[str]) -> dict[str, tuple]:
    """As `measure`, by the peer's settings."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(pages, file)
        file.flush()
        output = subprocess.run(
            [python, str(PEER), file.name, str(ROUNDS)],
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
    return json.loads(output)


def quality(texts: list[str], bodies: list[str]) -> tuple[float, ...]:
    """Precision, recall and F1 of words, means of the pages."""
    rows = []
    for text, body in zip(texts, bodies, strict=True):
        found, wanted = (
            collections.Counter(_WORD.findall(each.lower()))
            for each in (text, body)
        )
        right = (found & wanted).total()
        precision = right / max(1, found.total())
        recall = right / max(1, wanted.total())
        f1 = 2 * right / max(1, found.total() + wanted.total())
        rows.append((precision, recall, f1))
    return tuple(sum(column) / len(rows) for column in zip(*rows, strict=True))


def main() -> None:
    """Measures both and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--peer_python")
    options = parser.parse_args()
    pages, bodies = read_pages(options.data / PAGES)
    found = {
        "labse (resiliparse)": measure(ours, pages),
        "all text": measure(whole_text, pages),
    }
    if options.peer_python:
        found |= measure_peer(options.peer_python, pages)
    print(f"{len(pages)} pages; {machine()}")
    print(f"{'':24}{'precision':>10}{'recall':>8}{'F1':>8}{'pages/s':>9}")
    rates = {}
    for name, (texts, seconds) in found.items():
        precision, recall, f1 = quality(texts, bodies)
        rates[name] = len(pages) / seconds
        print(
            f"{name:24}{precision:10.3f}{recall:8.3f}{f1:8.3f}"
            f"{rates[name]:9.0f}"
        )
    if "trafilatura" in rates:
        ratio = rates["labse (resiliparse)"] / rates["trafilatura"]
        print(f"labse / trafilatura: {ratio:.1f} times the pages/s")


if __name__ == "__main__":
    main()
