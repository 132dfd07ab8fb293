"""Writes records of a file in many units: INPUT OUT BEAM'S FLAGS."""

import sys

from data_pipeline.jobs.run import run_units
from labse.data.records import in_units
from labse.data.records.writer import write_records


def main(path, out, *arguments):
    in_units.UNIT_BYTES = 2000
    write_records(
        [path],
        out,
        run_phase=lambda job, label, units: run_units(
            job, label, units, arguments
        ),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
