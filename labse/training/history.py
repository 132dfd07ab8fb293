"""RUN/history.jsonl: the logged metrics, one JSON object a line."""

import io
import json
import os

from labse.checkpoints import run_folder
from labse.errors import InputError
from labse.files.atomic_write import write_bytes
from labse.files.remote_path import AnyPath, as_path


def append(folder: AnyPath, record: dict) -> None:
    """Adds a record; each has at least `step`."""
    with (folder / run_folder.HISTORY).open("a") as file:
        file.write(json.dumps(record) + "\n")  # ASCII.


def read(path: str | os.PathLike) -> list[dict]:
    """The records of a history.jsonl.

    Each has `step`, and numbers by name: `loss`, `in_batch_accuracy` and
    others; `validation` may hold an object of such numbers.

    Raises:
      InputError: a line is something else.
    """
    records = []
    text = as_path(path).read_bytes().decode("utf-8")
    for number, line in enumerate(io.StringIO(text, newline="\n"), start=1):
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


def validations_after(folder: AnyPath, step: int) -> int:
    """The number of validations logged after `step`."""
    path = folder / run_folder.HISTORY
    records = read(path) if path.exists() else []
    return sum(
        record["step"] > step and "validation" in record for record in records
    )


def has_validation(folder: AnyPath, step: int) -> bool:
    """Whether the validation of a step was logged."""
    path = folder / run_folder.HISTORY
    records = read(path) if path.exists() else []
    return any(
        record["step"] == step and "validation" in record for record in records
    )


def truncate(folder: AnyPath, step: int) -> None:
    """Drops records after `step`, and an incomplete last line.

    A resumed run logs those steps again.
    """
    path = folder / run_folder.HISTORY
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n") and json.loads(line)["step"] <= step:
            kept.append(line)
    write_bytes(path, b"".join(kept))
