"""Verifies an export folder in a new process.

    python -m export.checks.verification DIR

Before its last checks the process imports none of the model's code, so that a
SavedModel that needs that code fails.
"""

import logging
import os
import pathlib
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator

from export import layout
from export.checks.outcome import Check, Difference, Skipped
from labse.errors import InputError

FAILED_EXIT_CODE = 1
# Advice that TensorFlow's C++ code logs through Abseil, which knows nothing of
# TF_CPP_MIN_LOG_LEVEL: "W0000 00:00:1795828753.003028   10167 file.cc:9] ...".
# Errors (E) and what ends the process (F) are not among it.
_ADVICE = re.compile(
    r"[IW]\d{4} [\d:.]+ +\d+ \S+\.cc:\d+\] |"
    r"WARNING: All log messages before absl::InitializeLog\(\) is called "
)


def verify(path: str) -> int:
    """Verifies `path`, prints a line for each check; returns 1 if one failed.

    Raises:
      InputError: `path` is not an export folder.
    """
    folder = pathlib.Path(path)
    if not (folder / layout.RECORD).is_file():
        raise InputError(
            f"An export folder has a file {layout.RECORD}. {path} has none. "
            "Pass a folder that labse export wrote."
        )
    environment = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # TensorFlow Hub's import.
        "PYTHONWARNINGS": "ignore:pkg_resources is deprecated",
        **os.environ,
        # The same package as in this process.
        "PYTHONPATH": os.pathsep.join(entry or "." for entry in sys.path),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-P", "-m", __name__, str(folder)]
    is_quiet = environment["TF_CPP_MIN_LOG_LEVEL"] in ("2", "3")
    with subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
    ) as process:
        for line in process.stderr:
            if not (is_quiet and _ADVICE.match(line)):
                print(line, end="", file=sys.stderr)
    code = process.returncode
    if code not in (0, FAILED_EXIT_CODE):
        print(
            f"FAILED   the process of the checks ended with exit code {code} "
            "before the last one"
        )
    return FAILED_EXIT_CODE if code else 0


def run_checks(checks: Iterator[tuple[str, Check]]) -> int:
    """Runs every check, prints its line, and returns the exit code."""
    counts = {"ok": 0, "FAILED": 0, "skipped": 0}
    for name, check in checks:
        try:
            status, detail = "ok", check()
        except Skipped as reason:
            status, detail = "skipped", str(reason)
        except Difference as difference:
            status, detail = "FAILED", str(difference)
        # If a model cannot be loaded or called, the check has failed with
        # whatever was raised.
        except Exception as error:
            traceback.print_exc()
            first_line = (str(error).splitlines() or [""])[0]
            status, detail = "FAILED", f"{type(error).__name__}: {first_line}"
        counts[status] += 1
        print(f"{status:<8} {name:<44} {detail}")
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    print(f"{sum(counts.values())} checks: {summary}")
    return FAILED_EXIT_CODE if counts["FAILED"] else 0


def main() -> None:
    """The new process."""
    from export.checks import all_checks

    # No advice on retracing and deprecation between the lines of the checks.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    sys.exit(run_checks(all_checks.checks(pathlib.Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
