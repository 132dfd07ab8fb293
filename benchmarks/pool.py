r"""P@1 among as many candidates as the paper's UN set has: time and memory.

    python benchmarks/pool.py --model=RUN --data=UN --work=FOLDER \
        [--candidates=11300000] [--source=fr] [--target=en]

UN is a folder of aligned files (the UN corpus' development set of 4,000
lines). Its target lines are cut in two, and each first half put before others'
second halves, until there are enough further candidates: text of the right
kind and length, each line with half of a right answer in it, so harder than
other sentences would be. Then it runs

    labse evaluate --task=n_way --pivot=TARGET --languages=SOURCE \
        --pool=TARGET=FOLDER/pool.txt --cache=FOLDER/embeddings

and reports its time and memory: the process's own (anonymous) memory, and with
the file pages that it had mapped, which the system reclaims when it needs
them. Everything is kept in FOLDER, so a killed run resumes.
"""

import argparse
import hashlib
import pathlib
import subprocess
import sys
import time

from machine import machine, memory

from labse.evaluation.tasks import aligned_files
from labse.files import atomic_write


def spliced(lines: list[str], number: int) -> list[str]:
    """`number` distinct lines: each first half with others' second halves."""
    words = [line.split() for line in lines]
    halves = [
        (" ".join(line[: len(line) // 2]), " ".join(line[len(line) // 2 :]))
        for line in words
        if len(line) > 1
    ]
    distinct = {}
    for shift in range(1, len(halves)):
        for row, (first, _) in enumerate(halves):
            distinct[f"{first} {halves[(row + shift) % len(halves)][1]}"] = None
            if len(distinct) == number:
                return list(distinct)
    raise SystemExit(
        f"{len(lines):,} lines give {len(distinct):,} spliced ones. Lower "
        f"--candidates, which needs {number:,}."
    )


def measured(command: list[str]) -> tuple[float, dict[str, int]]:
    """Runs a command; returns seconds and its peak memory, sampled at 2 Hz."""
    started = time.monotonic()
    most = {"RssAnon": 0, "VmRSS": 0}
    process = subprocess.Popen(command)
    while process.poll() is None:
        now = memory(process.pid)
        most = {name: max(most[name], now.get(name, 0)) for name in most}
        time.sleep(0.5)
    if process.returncode:
        sys.exit(process.returncode)
    return time.monotonic() - started, most


def main() -> None:
    """Makes the pool and evaluates the model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--candidates", type=int, default=11_300_000)
    parser.add_argument("--source", default="fr")
    parser.add_argument("--target", default="en")
    options = parser.parse_args()

    work, target = options.work, options.target
    work.mkdir(parents=True, exist_ok=True)
    files = aligned_files.find_files(options.data)
    lines = aligned_files.read_lines(files[target])
    number = options.candidates - len(lines)
    if number < 1:
        parser.error(f"--candidates must be more than {len(lines):,}.")
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]
    pool = work / f"pool-{target}-{digest}-{number}.txt"
    if not pool.exists():
        with atomic_write.atomic_file(pool) as file:
            for line in spliced(lines, number):
                file.write(line + "\n")
    seconds, most = measured(
        [
            *(sys.executable, "-m", "labse.bin.cli", "evaluate"),
            *(f"--model={options.model}", "--task=n_way"),
            *(f"--data={options.data}", f"--out={work / 'report'}"),
            *(f"--languages={options.source}", f"--pivot={target}"),
            *(f"--pool={target}={pool}", f"--cache={work / 'embeddings'}"),
        ]
    )
    print(f"{machine()}")
    print(
        f"{options.candidates:,} candidates: {seconds / 60:.1f} min; peak "
        f"memory {most['RssAnon'] / 1e9:.1f} GB of its own, "
        f"{most['VmRSS'] / 1e9:.1f} GB with mapped files."
    )


if __name__ == "__main__":
    main()
