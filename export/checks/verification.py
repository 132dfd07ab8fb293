"""Verifies an export folder in a new process.

    python -m export.checks.verification DIR

The process imports nothing of the model's code before its last checks, so
that a SavedModel which needs that code does not pass.
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
    """Verifies `path` and prints one line a check.

    Returns:
      0, or 1 if a check failed.

    Raises:
      InputError: `path` is no export folder.
    """
    folder = pathlib.Path(path)
    if not (folder / layout.RECORD).is_file():
        raise InputError(
            "labse verify takes a folder that labse export wrote; it holds "
            f"{layout.RECORD}. Received: {path}."
        )
    environment = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # TensorFlow Hub's import.
        "PYTHONWARNINGS": "ignore:pkg_resources is deprecated",
        **os.environ,
        # This package is found as it was found here.
        "PYTHONPATH": os.pathsep.join(entry or "." for entry in sys.path),
        "PYTHONUNBUFFERED": "1",
    }
    command = [
        sys.executable,
        "-P",
        "-m",
        "export.checks.verification",
        str(folder),
    ]
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
            f"FAILED   the verifying process ended with exit code {code} "
            "before the last check"
        )
    return FAILED_EXIT_CODE if code else 0


def run_checks(checks: Iterator[tuple[str, Check]]) -> int:
    """Makes every check, whatever the others gave, and prints its line.

    Returns:
      the exit code.
    """
    counts = {"ok": 0, "FAILED": 0, "skipped": 0}
    for name, check in checks:
        try:
            status, detail = "ok", check()
        except Skipped as reason:
            status, detail = "skipped", str(reason)
        except Difference as difference:
            status, detail = "FAILED", str(difference)
        # A model that cannot be loaded or called fails its check; what was
        # raised is its finding.
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

    # Advice on retracing and deprecation, between the lines of the checks.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    sys.exit(run_checks(all_checks.checks(pathlib.Path(sys.argv[1]))))


if __name__ == "__main__":
    # `python -m` runs this file as __main__; the checks raise the classes of
    # the module under its own name.
    from export.checks import verification

    verification.main()
