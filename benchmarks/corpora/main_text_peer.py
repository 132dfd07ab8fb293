"""Trafilatura's side of `main_text.py`; run by the peer's interpreter.

Prints JSON: name of a setting -> texts, CPU seconds.
"""

import functools
import json
import sys
import time

import trafilatura

SETTINGS = {
    "trafilatura": {},
    "trafilatura, fast": {"fast": True},
    "trafilatura, precision": {"favor_precision": True},
    "trafilatura, recall": {"favor_recall": True},
}


def main() -> None:
    """Extracts the pages of a file of JSON by each setting."""
    with open(sys.argv[1], encoding="utf-8") as file:
        pages = json.load(file)
    found = {}
    for name, setting in SETTINGS.items():
        extract = functools.partial(
            trafilatura.extract, include_comments=False, **setting
        )
        seconds = []
        for _ in range(int(sys.argv[2])):
            start = time.process_time()
            texts = [extract(page) or "" for page in pages]
            seconds.append(time.process_time() - start)
        found[name] = texts, min(seconds)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
