"""RUN/history.jsonl: the logged metrics, one JSON object a line."""

import json
import pathlib

from labse.errors import InputError
from labse.files.atomic_write import write_bytes

FILE_NAME = "history.jsonl"


def append(folder: pathlib.Path, record: dict) -> None:
    """Adds a record; each has at least `step`."""
    with open(folder / FILE_NAME, "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def read(path: str | pathlib.Path) -> list[dict]:
    """The records of a history.jsonl.

    Each has `step`, and numbers by name: `loss`, `in_batch_accuracy` and
    others; `validation` may hold an object of such numbers.

    Raises:
      InputError: a line is something else.
    """
    records = []
    with open(path, encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                record = None
            if not isinstance(record, dict) or not isinstance(
                record.get("step"), int
            ):
                raise InputError(
                    f"{path}:{number}: each line of a training history must "
                    'be a JSON object with a "step". Received: '
                    f"{line.strip()[:80]!r}. Remove the line."
                )
            records.append(record)
    return records


def validations_after(folder: pathlib.Path, step: int) -> int:
    """The number of validations logged after `step`."""
    path = folder / FILE_NAME
    records = read(path) if path.exists() else []
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
