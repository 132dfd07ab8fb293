"""The paper's mining job on this machine: the tables of mining_at_scale.md.

    python benchmarks/mining_plan.py [--encoded=188] [--constants=FILE.json]

Measures what this machine does in a second, prints it, and works through
section 7 of the paper (7.73 billion English and 1.17 billion Chinese sentences)
and smaller jobs by the formulas of `labse.mining.job.planner`. The machine must
be quiet, or every figure is too pessimistic.

--encoded is the rate of the encoder in sentences a second, which
`benchmarks/encode.py` measures. --constants uses what an earlier run measured:
it is the JSON that is printed first.
"""

import argparse
import dataclasses
import json
import math
import pathlib

from labse.mining.job.planner import MachineConstants
from machine import machine

from labse.mining.job import planner

DIMENSION, NUMBER_BYTES = 768, 2  # float16
ENGLISH, CHINESE = 7_730_000_000, 1_170_000_000  # section 7
SMALLER = (100_000, 1_000_000, 10_000_000, 100_000_000)
K = 4
DAYS = (1, 7, 30)


def main() -> None:
    """Measures, or reads, and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoded", type=float, default=188.0)
    parser.add_argument("--constants")
    options = parser.parse_args()
    print(machine(), flush=True)
    if options.constants:
        text = pathlib.Path(options.constants).read_text("utf-8")
        constants = MachineConstants(**json.loads(text))
    else:
        import tensorflow as tf  # noqa: F401  Exact search is faster with it.
        from labse.mining.job.calibration import calibrate

        constants = calibrate(DIMENSION, options.encoded)
    print(json.dumps(dataclasses.asdict(constants), indent=1), flush=True)
    print_jobs(constants)
    print_cluster(constants)


def print_jobs(constants: MachineConstants) -> None:
    """A row for each job and kind."""
    print("\n| job | kind | vectors | index | memory | disk | embed ", end="")
    print("| index | search | select |")
    print("|---" * 10 + "|")
    jobs = [(size, size, K) for size in SMALLER] + [(ENGLISH, CHINESE, 1)]
    for source, target, k in jobs:
        for kind in planner.KINDS:
            made = planner.estimate(
                kind, source, target, DIMENSION, NUMBER_BYTES, k, constants
            )
            cells = [f"{source:.3g} x {target:.3g}, k={k}", kind]
            cells += [
                planner.told_bytes(number)
                for number in (
                    made.vector_bytes,
                    made.index_bytes,
                    made.ram_bytes,
                    made.disk_bytes,
                )
            ]
            cells += map(planner.told_seconds, made.seconds.values())
            print(f"| {' | '.join(cells)} |")


def print_cluster(constants: MachineConstants) -> None:
    """How many machines like this one do the paper's job in some days."""
    made = planner.estimate(
        "pq", ENGLISH, CHINESE, DIMENSION, NUMBER_BYTES, 1, constants
    )
    print("\n| machines like this | days | vectors of each | index of each |")
    print("|---|---|---|---|")
    for days in DAYS:
        machines = math.ceil(made.hours / 24 / days)
        print(
            f"| {machines} | {days} | "
            f"{planner.told_bytes(made.vector_bytes / machines)} | "
            f"{planner.told_bytes(made.index_bytes / machines)} |"
        )


if __name__ == "__main__":
    main()
