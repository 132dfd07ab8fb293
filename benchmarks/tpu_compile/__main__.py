"""Compiles the table; see the package's docstring."""

import argparse
import json
import os
import pathlib
import subprocess

from benchmarks.tpu_compile.configurations import (
    CONFIGURATIONS,
    ORDER,
    REPLICAS,
    TOPOLOGIES,
)
from benchmarks.tpu_compile.fingerprint import ROOT, fingerprint


def run(environment: str, module: str, *arguments: str) -> str:
    """The output of a module in one of the two environments."""
    return subprocess.run(
        [
            ROOT / environment / "bin/python",
            *("-m", f"benchmarks.tpu_compile.{module}", *arguments),
        ],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def lowered(name: str, code: str, folder: pathlib.Path) -> pathlib.Path:
    """The step's HLO in `folder`, where it stays for other topologies.

    `code` is the configuration's fingerprint.
    """
    configuration = CONFIGURATIONS[name]
    path = folder / f"{name}.{code}.hlo"
    if not path.with_suffix(".json").exists():
        run(
            ".venv-tpu-lower",
            "lower",
            f"--preset={configuration.preset}",
            f"--rows={configuration.rows}",
            f"--hard_negatives={configuration.hard_negatives}",
            f"--replicas={REPLICAS}",
            f"--out={path}",
            *(f"--override={each}" for each in configuration.overrides),
        )
    return path


def compiled(hlo: pathlib.Path, topology: str, keeps_text: bool) -> dict:
    """The result for a topology."""
    arguments = [str(hlo), f"--topology={TOPOLOGIES[topology]}"]
    if keeps_text:
        arguments.append(f"--text={hlo.with_suffix('')}.{topology}.txt")
    output = run(".venv-tpu-compile", "compile_step", *arguments)
    facts = json.loads(hlo.with_suffix(".json").read_text())
    return {**facts, **json.loads(output.splitlines()[-1])}


def read(path: pathlib.Path) -> dict:
    """Results by configuration, its fingerprint, and topology."""
    return json.loads(path.read_text()) if path.exists() else {}


def of_this_code(results: dict) -> dict:
    """Results by configuration and topology; those of other code are left."""
    return {
        name: results.get(name, {}).get(fingerprint(configuration), {})
        for name, configuration in CONFIGURATIONS.items()
    }


def table(results: dict) -> str:
    """Markdown: a row for each configuration, a column for each topology."""
    head = "".join(f" {topology} |" for topology in TOPOLOGIES)
    lines = [f"| |{head} TFLOP |", "|---" * (len(TOPOLOGIES) + 2) + "|"]
    for name, configuration in CONFIGURATIONS.items():
        rows = results.get(name, {})
        if not rows:
            continue
        flops = [row["flops"] / 1e12 for row in rows.values() if row["fits"]]
        cells = "".join(f" {cell(rows.get(t))} |" for t in TOPOLOGIES)
        count = f"{flops[0]:.1f}" if flops else ""
        lines.append(f"| {configuration.title} |{cells} {count} |")
    return "\n".join(lines)


def cell(result: dict | None) -> str:
    """GiB of a core; what would be needed where it does not fit."""
    if result is None:
        return ""
    total = result.get("gib", {}).get("total")
    if result["fits"]:
        return f"{total:.1f}"
    return f"no: {total:.1f}" if total else "no"


def main() -> None:
    """Compiles what is missing in the results, then prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tpu_compile")
    parser.add_argument("--configuration", choices=CONFIGURATIONS)
    parser.add_argument("--topology", choices=TOPOLOGIES)
    parser.add_argument(
        "--results", type=pathlib.Path, default="runs/tpu_compile/results.json"
    )
    parser.add_argument("--table_only", action="store_true")
    parser.add_argument("--keep_text", action="store_true")
    options = parser.parse_args()
    folder = options.results.parent
    folder.mkdir(parents=True, exist_ok=True)
    results = read(options.results)
    for name, topology in ORDER:
        code = fingerprint(CONFIGURATIONS[name])
        if options.table_only or topology in results.get(name, {}).get(
            code, {}
        ):
            continue
        if options.configuration not in (None, name):
            continue
        if options.topology not in (None, topology):
            continue
        hlo = lowered(name, code, folder)
        result = compiled(hlo, topology, options.keep_text)
        print(name, topology, json.dumps(result), flush=True)
        # Another process may have added to them.
        results = read(options.results)
        by_code = results.setdefault(name, {})
        by_code.setdefault(code, {})[topology] = result
        new = options.results.with_suffix(".new")
        new.write_text(json.dumps(results, indent=1))
        new.replace(options.results)
    print(table(of_this_code(results)))


if __name__ == "__main__":
    main()
