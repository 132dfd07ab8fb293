"""All benchmarks of corpora after each other, and a table of their ratios.

    python -m benchmarks.corpora --data=DATA [--peer_python=ENV/bin/python]

A benchmark is a module of this package with a `main`; its docstring says what
it measures and beside which peer. Their output is shown as it comes, and the
lines that compare, "labse / PEER: ...", stand in the table at the end. The
peers are in an environment of their own (peer_requirements.txt).
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

from benchmarks.machine import machine

FOLDER = pathlib.Path(__file__).parent
_COMPARES = "labse / "


def find_benchmarks() -> dict[str, str]:
    """Modules with a `main`: name -> source."""
    sources = {
        path.stem: path.read_text("utf-8")
        for path in sorted(FOLDER.glob("[!_]*.py"))
        if not path.stem.endswith("_peer")
    }
    return {
        name: source
        for name, source in sources.items()
        if "def main()" in source
    }


def run(name: str, source: str, options, folder: str) -> tuple[float, list]:
    """Runs a benchmark; returns its minutes and its lines that compare."""
    command = [sys.executable, "-m", f"benchmarks.corpora.{name}"]
    command += [f"--data={options.data}"]
    if options.peer_python and '"--peer_python"' in source:
        command += [f"--peer_python={options.peer_python}"]
    if '"--out"' in source:
        command += [f"--out={folder}/{name}"]
    print(f"== {name}", flush=True)
    start = time.perf_counter()
    found = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith(_COMPARES):
                found.append(line.strip())
    if process.returncode:
        found.append(f"failed with {process.returncode}")
    return (time.perf_counter() - start) / 60, found


def main() -> None:
    """Runs all; exits with 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--peer_python")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = {
            name: run(name, source, options, folder)
            for name, source in find_benchmarks().items()
        }
    print(f"\n{machine()}\n{'benchmark':20}{'minutes':>8}  comparison")
    for name, (minutes, lines) in rows.items():
        for number, line in enumerate(lines or ["no peer"]):
            begin = f"{name:20}{minutes:8.1f}" if not number else " " * 28
            print(f"{begin}  {line}")
    if any("failed" in line for _, lines in rows.values() for line in lines):
        sys.exit(1)


if __name__ == "__main__":
    main()
