"""Web archives: records and documents a second, beside warcio.

    python -m benchmarks.corpora.archives --data=DATA \
        [--peer_python=ENV/bin/python]

The archive is one of `web_fixtures` of the data folder, with a gzip member for
each record, repeated to `--megabytes`. Both sides read every record with its
content, on one core; ours also checks what it reads and resumes after damage.
`documents` is the whole
way, with main text. The peer is in an environment of its own
(peer_requirements.txt).
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

from benchmarks.machine import machine, peak_memory
from data_pipeline.corpora.archives import read_records
from data_pipeline.corpora.documents import read_documents
from data_pipeline.jobs.drops import Drops
from labse.files.reading import ReadOptions

PEER = pathlib.Path(__file__).with_name("archives_peer.py")
ARCHIVE = "web_fixtures/dolma/sample-0000.warc.gz"
ROUNDS = 3


def write_repeated(source: pathlib.Path, megabytes: int, out: str) -> None:
    """Writes the archive as often as it fits."""
    times = max(1, int(megabytes * 1e6 / source.stat().st_size))
    with open(out, "wb") as file:
        for _ in range(times):
            with open(source, "rb") as content:
                shutil.copyfileobj(content, file)


def best_seconds(read) -> tuple[int, float]:
    """What `read` yields, counted, and the CPU seconds of the best round."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        count = sum(1 for _ in read())
        seconds.append(time.process_time() - start)
    return count, min(seconds)


def main() -> None:
    """Measures both and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--peer_python")
    parser.add_argument("--megabytes", type=int, default=10)
    options = parser.parse_args()
    with tempfile.NamedTemporaryFile(suffix=".warc.gz") as file:
        path = file.name
        write_repeated(options.data / ARCHIVE, options.megabytes, path)
        found = {
            "labse, records": best_seconds(lambda: read_records(path, Drops())),
            "labse, documents": best_seconds(
                lambda: read_documents(path, ReadOptions(), Drops())
            ),
        }
        if options.peer_python:
            output = subprocess.run(
                [options.peer_python, str(PEER), path, str(ROUNDS)],
                check=True,
                stdout=subprocess.PIPE,
            ).stdout
            found["warcio, records"] = json.loads(output)
    print(f"{options.megabytes} MB; {machine()}")
    for name, (count, seconds) in found.items():
        print(f"{name:18}{count:8,}{count / seconds:10,.0f} a second")
    if options.peer_python:
        ratio = found["warcio, records"][1] / found["labse, records"][1]
        print(f"labse / warcio, records: {ratio:.1f} times")
    print(f"peak memory {peak_memory() / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
