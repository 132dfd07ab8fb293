"""RUN/history.jsonl: the logged metrics, one JSON object a line."""

import json
import pathlib

from labse.files.atomic_write import write_bytes

FILE_NAME = "history.jsonl"


def append(folder: pathlib.Path, record: dict) -> None:
    """Adds a record; each has at least `step`."""
    with open(folder / FILE_NAME, "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def validations_after(folder: pathlib.Path, step: int) -> int:
    """The number of validations logged after `step`."""
    path = folder / FILE_NAME
    if not path.exists():
        return 0
    records = map(json.loads, path.read_bytes().splitlines())
    return sum(
        record["step"] > step and "validation" in record for record in records
    )


def truncate(folder: pathlib.Path, step: int) -> None:
    """Drops records after `step`, and an incomplete last line.

    A resumed run logs those steps again.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n") and json.loads(line)["step"] <= step:
            kept.append(line)
    write_bytes(path, b"".join(kept))
