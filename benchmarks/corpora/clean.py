"""Cleaning: lines a second, workers and memory, beside datatrove.

  python -m benchmarks.corpora.clean --data=DATA [--lines=400000]
      [--peer_python=ENV/bin/python]

The input is `lingua_sentences` of the data folder, 75 languages, as pages of
ten lines that declare their language, with a number in each line so that few
are equal, in 8 files of .jsonl.gz. Each case is a run of the program, start and
end included:

  filters    the rules of C4 and sentences, as the peer has them
  all        every step but language identification
  languages  every step

each with one worker and two; `all` also with ten times the input, for memory:
the largest process, and the sum of all at their peaks. The peer is datatrove's
C4QualityFilter in an environment of its own (peer_requirements.txt): it reads
and writes the same files and drops by the same rules, but writes pages. Its
reader and filter alone are another case with its deduplication of three
sentences. Both ratios are printed: it is one run on one machine.
"""

import argparse
import gzip
import itertools
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import threading
import time

from benchmarks.machine import machine, memory, process_tree

_FILES = 8
_PAGE_LINES = 10
_LANGUAGE_STEPS = "document_language,sentence_language"
_CASES = {
    "filters": f"{_LANGUAGE_STEPS},near_duplicates,spans,exact_duplicates",
    "all": _LANGUAGE_STEPS,
    "languages": "",
}
_LIKE = {"filters": "filters", "spans": "all"}  # the peer's case and ours
_GROWTH = 10


def read_sentences(data: pathlib.Path) -> list[tuple[str, list[str]]]:
    """Languages and their sentences."""
    found = []
    for path in sorted((data / "lingua_sentences").glob("[a-z]*.txt")):
        with open(path, encoding="utf-8", newline="\n") as file:
            lines = [line.strip() for line in file]
        found.append((path.stem, [line for line in lines if line]))
    return found


def write_input(folder: pathlib.Path, texts: list, num_lines: int) -> None:
    """Writes pages, one language after the other."""
    folder.mkdir()
    pages = itertools.cycle(
        (language, lines[start : start + _PAGE_LINES])
        for language, lines in texts
        for start in range(0, len(lines), _PAGE_LINES)
    )
    number = 0
    for name in range(_FILES):
        path = folder / f"{name}.jsonl.gz"
        with gzip.open(path, "wt", 1, encoding="utf-8") as file:
            while number < num_lines * (name + 1) // _FILES:
                language, lines = next(pages)
                text = "\n".join(
                    f"{number + k} {line}" for k, line in enumerate(lines)
                )
                number += len(lines)
                page = {"text": text, "language": language, "id": str(number)}
                file.write(json.dumps(page, ensure_ascii=False) + "\n")


class Peaks(threading.Thread):
    """Watches the memory of a process and all that it starts."""

    def __init__(self, process: int):
        super().__init__(daemon=True)
        self._process = process
        self._end = threading.Event()
        self.peaks: dict[int, int] = {}

    def run(self) -> None:
        """Looks until `stop`."""
        while not self._end.wait(0.1):
            for process in process_tree(self._process):
                try:
                    found = memory(process)
                except OSError:
                    continue
                if "VmHWM" in found:
                    self.peaks[process] = found["VmHWM"]

    def stop(self) -> None:
        """Ends the thread."""
        self._end.set()
        self.join()


def run(command: list[str], environment: dict) -> tuple:
    """Seconds by the clock and of processors; peaks of memory in bytes.

    These are the largest process's, and the sum of all.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    peaks = Peaks(process.pid)
    peaks.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - start
    peaks.stop()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if process.returncode:
        sys.exit(errors.decode()[-3000:])
    sizes = peaks.peaks.values()
    return seconds, used, max(sizes), sum(sizes)


def clean(folder: pathlib.Path, out: str, case: str, workers: int) -> list[str]:
    """The command of the program."""
    return [
        *(sys.executable, "-m", "labse.bin.cli", "clean-monolingual"),
        *(f"--input={folder}/*.jsonl.gz", f"--out={out}"),
        *(f"--workers={workers}", f"--skip_steps={_CASES[case]}"),
    ]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--lines", type=int, default=400_000)
    parser.add_argument("--peer_python")
    parser.add_argument("--cases", default="filters,all,languages,growth")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    lines, cases = arguments.lines, arguments.cases.split(",")
    peer = pathlib.Path(__file__).with_name("clean_peer.py")
    print(machine())
    used = {}
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        texts = read_sentences(arguments.data)
        write_input(root / "small", texts, lines)
        runs = itertools.product(cases, arguments.workers)
        for case, workers in [one for one in runs if one[0] in _CASES]:
            out = str(root / f"{case}-{workers}")
            command = clean(root / "small", out, case, workers)
            used[case, workers] = show(case, workers, lines, run(command, {}))
        runs = itertools.product(("filters", "spans"), arguments.workers)
        for case, workers in runs if arguments.peer_python else ():
            out = str(root / f"peer-{case}-{workers}")
            command = [arguments.peer_python, str(peer), case]
            command += [str(root / "small"), out, str(workers)]
            found = run(command, {"PYTHONPATH": ""})
            seconds = show(f"datatrove {case}", workers, lines, found)
            ours = used.get((_LIKE[case], workers))
            if ours:
                print(
                    f"labse / datatrove, {case}, {workers} workers: "
                    f"{seconds / ours:.1f} times the lines/s of processor"
                )
        if "growth" in cases:
            write_input(root / "large", texts, _GROWTH * lines)
            command = clean(root / "large", str(root / "large-out"), "all", 2)
            show("all, x10", 2, _GROWTH * lines, run(command, {}))


def show(name: str, workers: int, lines: int, found: tuple) -> float:
    """Prints a row; returns the seconds of processors."""
    seconds, used, largest, total = found
    cells = [
        f"{name:18} {workers} workers",
        f"{seconds:6.1f} s, {lines / seconds:8,.0f} lines/s",
        f"processors {used:6.1f} s, {lines / used:8,.0f} lines/s",
        f"largest process {largest / 2**20:,.0f} MiB",
        f"all {total / 2**20:,.0f} MiB",
    ]
    print("; ".join(cells), flush=True)
    return used


if __name__ == "__main__":
    main()
