"""mwparserfromhell's side of `dumps.py`; run by the peer's interpreter.

Takes wikitexts as JSON and prints JSON: lines of each text, CPU seconds.
"""

import json
import sys
import time

from mwparserfromhell import parse


def main() -> None:
    """Strips the markup of all texts."""
    texts = json.load(sys.stdin)
    start = time.process_time()
    found = [parse(text).strip_code().split("\n") for text in texts]
    print(json.dumps([found, time.process_time() - start]))


if __name__ == "__main__":
    main()
