"""warcio's side of `archives.py`; run by the peer's interpreter.

Prints JSON: records that hold text, CPU seconds.
"""

import json
import sys
import time

from warcio.archiveiterator import ArchiveIterator

TYPES = ("conversion", "response", "resource")


def main() -> None:
    """Reads the archive."""
    seconds = []
    for _ in range(int(sys.argv[2])):
        start = time.process_time()
        count = 0
        with open(sys.argv[1], "rb") as file:
            for record in ArchiveIterator(file, no_record_parse=True):
                record.raw_stream.read()
                count += record.rec_type in TYPES
        seconds.append(time.process_time() - start)
    print(json.dumps([count, min(seconds)]))


if __name__ == "__main__":
    main()
