"""Runs what has no result yet, then writes the page; see the package."""

import argparse
import json
import pathlib
import sys

from benchmarks.ablations import page, verdicts
from benchmarks.ablations.arms import CPU
from benchmarks.ablations.experiments import EXPERIMENTS
from benchmarks.ablations.schedule import ROOT, Schedule
from benchmarks.ablations.units import Unit, result_path, units_of

PAGE = ROOT / "docs/ablations.md"


def read_results(
    units: list[Unit], out: pathlib.Path
) -> dict[str, dict[str, object]]:
    """What the finished units found, by their names."""
    found = {}
    for unit in units:
        path = result_path(out, unit)
        if path.exists():
            found[unit.name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def of_arms(units: list[Unit], found: dict[str, dict]) -> verdicts.Results:
    """The results of the arms, seed by seed."""
    results = {}
    for unit in units:
        if unit.arm is not None and unit.name in found:
            results.setdefault(unit.arm.name, []).append(found[unit.name])
    return results


def _seconds(found: dict[str, dict]) -> float:
    """CPU seconds of the units whose time is known."""
    return sum(result[CPU] or 0 for result in found.values())


def plan(units: list[Unit], results: dict[str, dict]) -> str:
    """A table of the units with their CPU minutes, expected and found."""
    lines = [f"{'unit':32} expected    found   (CPU minutes)"]
    for unit in units:
        found = results.get(unit.name, {}).get(CPU)
        found = "" if found is None else f"{found / 60:8.1f}"
        lines.append(f"{unit.name:32} {unit.cpu_seconds / 60:8.1f} {found}")
    total = sum(unit.cpu_seconds for unit in units) / 60
    lines.append(
        f"{f'{len(units)} units':32} {total:8.1f} {_seconds(results) / 60:8.1f}"
    )
    lines.append(f"On two cores {total / 120:.2f} hours are expected.")
    return "\n".join(lines)


def about(units: list[Unit], found: dict[str, dict]) -> str:
    """When and where the results were computed, by what they say."""
    if not found:
        return "Nothing has been run yet."
    dates = sorted({result["date"] for result in found.values()})
    machines = sorted({result["machine"] for result in found.values()})
    unknown = sum(result[CPU] is None for result in found.values())
    without = f" (not known of {unknown})" if unknown else ""
    return (
        f"{len(found)} of {len(units)} units are done, in "
        f"{_seconds(found) / 3600:.1f} CPU hours{without}, "
        f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))}, on "
        f"{' and '.join(machines)}."
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
        print(plan(units, read_results(units, out)))
        return 0

    def write_page() -> None:
        found = read_results(every, out)
        page.write(options.page, of_arms(every, found), about(every, found))

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
