"""Near duplicates of pages: recall, speed and memory, beside datasketch.

  python -m benchmarks.corpora.near_duplicates --data=DATA [--pages=20000]
      [--peer_python=ENV/bin/python]

Pages are twenty sentences of `lingua_sentences` of the data folder, of one
language. Of some, a copy is made with words replaced at random, until the share
of 5-grams that both have in common (Jaccard) is about one of a few values; with
14 bands of 8 hashes a copy is found with probability 1 - (1 - s^8)^14. Recall
is the share of copies with a band in common, for us and for datasketch's
MinHash with as many bands and hashes, of the same 5-grams. Pages by chance
alike would be false alarms: they are counted, too.

Speed is that of one process from text to keys of bands, without reading and
comparing; memory is its peak. datasketch runs in an environment of its own
(peer_requirements.txt).
"""

import argparse
import collections
import json
import pathlib
import random
import subprocess
import tempfile
import time

from benchmarks.machine import machine, peak_memory
from data_pipeline.cleaning import duplicates
from data_pipeline.documents import Document

_PAGE_LINES = 20
_SHARES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95)
_CHUNK = 256
_SCRIPT = """
import hashlib, json, resource, sys, time
from datasketch import MinHash
bands, size = int(sys.argv[2]), int(sys.argv[3])
with open(sys.argv[1], encoding="utf-8") as file:
    pages = [json.loads(line) for line in file]
start, out = time.process_time(), []
for grams in pages:
    found = MinHash(num_perm=bands * size, seed=1)
    found.update_batch([gram.encode() for gram in grams])
    row = found.hashvalues.tobytes()
    width = len(row) // bands
    parts = [row[width * k : width * (k + 1)] for k in range(bands)]
    out.append([
        hashlib.blake2b(bytes([k]) + part, digest_size=16).hexdigest()
        for k, part in enumerate(parts)
    ])
print(json.dumps([time.process_time() - start, out]))
"""


def make_pages(data: pathlib.Path, count: int) -> list[Document]:
    """Pages of different languages, in an order by chance."""
    chance = random.Random(0)
    lines = {}
    for path in sorted((data / "lingua_sentences").glob("[a-z]*.txt")):
        with open(path, encoding="utf-8", newline="\n") as file:
            lines[path.stem] = [line.strip() for line in file if line.strip()]
    languages = [name for name in sorted(lines) if len(lines[name]) > 500]
    pages = []
    for number in range(count):
        language = languages[number % len(languages)]
        # Sentences again in another order share no more than single ones.
        found = chance.sample(lines[language], _PAGE_LINES)
        pages.append(Document(found, str(number), language))
    return pages


def jaccard(first: Document, second: Document) -> float:
    """The share of 5-grams in common."""
    one, two = (
        set(duplicates.grams(" ".join(page.lines))) for page in (first, second)
    )
    return len(one & two) / len(one | two)


def changed(page: Document, share: float, chance: random.Random) -> Document:
    """A copy that has about this share of 5-grams in common."""
    words = " ".join(page.lines).split(" ")
    if len(words) < 60:  # No spaces: characters are words.
        words = list(" ".join(page.lines))
    order = list(range(len(words)))
    chance.shuffle(order)
    low, high = 0, len(order) // 2
    while low < high:  # Words to replace; more leave less in common.
        middle = (low + high) // 2
        if jaccard(page, _replaced(page, words, order[:middle])) > share:
            low = middle + 1
        else:
            high = middle
    return _replaced(page, words, order[:low])


def _replaced(page: Document, words: list, places: list[int]) -> Document:
    copy = list(words)
    for place in places:
        copy[place] = "\u3007" if len(words[place]) == 1 else f"q{place}"
    joint = " " if any(len(word) > 1 for word in words) else ""
    return Document([joint.join(copy)], page.place, page.language)


def ours(pages: list[Document]) -> tuple[float, list[list]]:
    """Seconds, and the keys of each page."""
    start, keys = time.process_time(), []
    for first in range(0, len(pages), _CHUNK):
        keys += duplicates.page_keys(pages[first : first + _CHUNK])
    return time.process_time() - start, keys


def peers(python: str, pages: list[Document]) -> tuple[float, list[list]]:
    """As `ours`, of datasketch; its time does not have that of the 5-grams."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        for page in pages:
            file.write(
                json.dumps(duplicates.grams(" ".join(page.lines))) + "\n"
            )
        file.flush()
        command = [python, "-c", _SCRIPT, file.name]
        command += [str(duplicates.NUM_BANDS), str(duplicates.BAND_HASHES)]
        found = subprocess.run(
            command, stdout=subprocess.PIPE, check=True, env={}
        )
    return tuple(json.loads(found.stdout))


def recall(keys: list[list], pairs: list[tuple[int, int, float]]) -> dict:
    """Share asked for -> share of the copies that are found."""
    found = collections.defaultdict(list)
    for page, copy, share in pairs:
        found[share].append(bool(set(keys[page]) & set(keys[copy])))
    return {share: sum(each) / len(each) for share, each in found.items()}


def false_alarms(keys: list[list], count: int) -> int:
    """Of the pages without copies, those that are like one before."""
    seen, found = set(), 0
    for each in keys[:count]:
        found += bool(seen & set(each))
        seen.update(each)
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--pages", type=int, default=20_000)
    parser.add_argument("--copies", type=int, default=300)
    parser.add_argument("--peer_python")
    arguments = parser.parse_args()
    pages = make_pages(arguments.data, arguments.pages)
    chance, pairs = random.Random(1), []
    for share in _SHARES:
        for page in range(arguments.copies):
            pairs.append((page, len(pages), share))
            pages.append(changed(pages[page], share, chance))
    print(machine())
    seconds, keys = ours(pages)
    print(
        f"labse: {len(pages) / seconds:,.0f} pages/s with 5-grams, peak "
        f"{peak_memory() / 2**20:,.0f} MiB"
    )
    columns = {"labse": recall(keys, pairs)}
    alarms = [false_alarms(keys, arguments.pages)]
    start = time.process_time()
    for page in pages:
        duplicates.grams(" ".join(page.lines))
    grams = time.process_time() - start
    if arguments.peer_python:
        peer_seconds, peer_keys = peers(arguments.peer_python, pages)
        ours_per_second = len(pages) / (seconds - grams)
        peers_per_second = len(pages) / peer_seconds
        print(
            f"labse / datasketch: {ours_per_second / peers_per_second:.1f} "
            f"times, without 5-grams ({ours_per_second:,.0f} and "
            f"{peers_per_second:,.0f} pages/s)"
        )
        columns["datasketch"] = recall(peer_keys, pairs)
        alarms.append(false_alarms(peer_keys, arguments.pages))
    bands, size = duplicates.NUM_BANDS, duplicates.BAND_HASHES
    print(f"| Jaccard | expected | {' | '.join(columns)} |")
    print("|---" * (2 + len(columns)) + "|")
    for share in _SHARES:
        expected = 1 - (1 - share**size) ** bands
        cells = [f"{column[share]:.3f}" for column in columns.values()]
        print(f"| {share} | {expected:.3f} | {' | '.join(cells)} |")
    print(f"pages taken for like one before: {alarms} of {arguments.pages:,}")


if __name__ == "__main__":
    main()
