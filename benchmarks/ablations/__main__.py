"""Runs what has no result yet, then writes the page; see the package."""

import argparse
import json
import pathlib
import sys
import time

from benchmarks.ablations import page, verdicts
from benchmarks.ablations.experiments import EXPERIMENTS
from benchmarks.ablations.schedule import ROOT, Schedule
from benchmarks.ablations.units import Unit, result_path, units_of
from benchmarks.machine import machine

PAGE = ROOT / "docs/ablations.md"


def collect(
    units: list[Unit], out: pathlib.Path
) -> tuple[verdicts.Results, dict[str, float]]:
    """The results of the arms, seed by seed; CPU seconds of every unit."""
    results, seconds = {}, {}
    for unit in units:
        path = result_path(out, unit)
        if not path.exists():
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        seconds[unit.name] = result["cpu_seconds"]
        if unit.arm is not None:
            results.setdefault(unit.arm.name, []).append(result)
    return results, seconds


def plan(units: list[Unit], seconds: dict[str, float]) -> str:
    """A table of the units with their CPU minutes, expected and found."""
    lines = [f"{'unit':32} expected    found   (CPU minutes)"]
    for unit in units:
        found = seconds.get(unit.name)
        found = "" if found is None else f"{found / 60:8.1f}"
        lines.append(f"{unit.name:32} {unit.cpu_seconds / 60:8.1f} {found}")
    total = sum(unit.cpu_seconds for unit in units) / 60
    lines.append(
        f"{f'{len(units)} units':32} {total:8.1f} "
        f"{sum(seconds.values()) / 60:8.1f}"
    )
    lines.append(f"On two cores {total / 120:.2f} hours are expected.")
    return "\n".join(lines)


def _about(units: list[Unit], seconds: dict[str, float]) -> str:
    return (
        f"{len(seconds)} of {len(units)} units are done, in "
        f"{sum(seconds.values()) / 3600:.1f} CPU hours. Last one: "
        f"{time.strftime('%Y-%m-%d')}, {machine().partition(';')[0]}."
    )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablations")
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("runs/ablations")
    )
    names = [experiment.name for experiment in EXPERIMENTS]
    parser.add_argument(
        "--experiments", nargs="+", choices=names, default=names
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--page", type=pathlib.Path, default=PAGE)
    parser.add_argument("--plan", action="store_true", help="Run nothing.")
    parser.add_argument(
        "--page_only", action="store_true", help="Run nothing; write the page."
    )
    return parser


def main() -> int:
    """Runs the experiments that are chosen, all by default."""
    parser = _arguments()
    options = parser.parse_args()
    out = options.out.resolve()
    every = units_of()
    units = units_of(
        [each for each in EXPERIMENTS if each.name in options.experiments]
    )
    if options.plan:
        print(plan(units, collect(units, out)[1]))
        return 0

    def write_page() -> None:
        results, seconds = collect(every, out)
        page.write(options.page, results, _about(every, seconds))

    if not options.page_only:
        if options.data is None:
            parser.error("--data is required.")
        finished = Schedule(
            units,
            lambda unit: result_path(out, unit).exists(),
            [f"--data={options.data.resolve()}", f"--out={out}"],
            out / "logs",
            options.processes,
        ).run(write_page)
        if not finished:
            return 143
    write_page()
    return 0


if __name__ == "__main__":
    sys.exit(main())
