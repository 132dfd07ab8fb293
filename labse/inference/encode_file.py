"""A file of texts to a file of vectors, of any size, able to go on.

While it works, OUT.part holds the rows that are done, behind the header of a
.npy file, and OUT.progress.json says how many they are, of which lines and of
which model. A process that was killed is started again with the same command:
it reads the lines that are done (their checksum must be the same), cuts off
what was written after the last entry and goes on. The same lines go into the
same batches, so the file comes out as if nothing had happened.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import tqdm

from labse.checkpoints.run_folder import write_atomically
from labse.errors import InputError
from labse.files.reading import ReadOptions
from labse.files.text_stream import STANDARD_INPUT, TextStream, open_texts
from labse.inference.sentence_model import SentenceModel
from labse.inference.truncation import TruncationCount


@dataclasses.dataclass
class Progress:
    """What OUT.part holds; the contents of OUT.progress.json.

    Attributes:
      model: fingerprint of the model.
      dimension: length of a row.
      rows: rows that are done, one for each line from the first on.
      lines_digest: SHA-256 of those lines.
      truncated: how many of them the model cut; None where it does not say.
    """

    model: str
    dimension: int
    rows: int
    lines_digest: str
    truncated: int | None = None


def encode_file(
    model: SentenceModel,
    inputs: str | list[str],
    output_path: str,
    batch_size: int | None = None,
    options: ReadOptions | None = None,
) -> int:
    """Writes the vectors of a file's texts.

    Args:
      model: turns sentences into vectors.
      inputs: files of texts, or globs; "-" is standard input, a text a line.
      output_path: the .npy file to write: float32 [texts, dimension].
      batch_size: see `SentenceModel.encode`.
      options: what the file does not say by itself.

    Returns:
      the number of rows.

    Raises:
      InputError: the input breaks a rule of files; the output is
        there already, or was begun with another model or other lines.
    """
    output = pathlib.Path(output_path)
    check_output(output)
    total = None
    if inputs not in (STANDARD_INPUT, [STANDARD_INPUT]):
        # All are read once before: a bad one is found now, not tomorrow.
        total = open_texts(inputs, options).skip(sys.maxsize)
    lines = open_texts(inputs, options)
    with _open_part(output) as part:
        progress = _resume(part, output, model, lines)
        count = TruncationCount(progress.rows, progress.truncated)
        with tqdm.tqdm(
            total=total, initial=progress.rows, unit=" sentences"
        ) as bar:
            for chunk in lines.chunks():
                vectors = model.encode(
                    chunk, batch_size, on_truncation=count.add
                )
                progress.truncated = count.cut
                _append(part, output, progress, vectors, lines)
                bar.update(len(chunk))
        rows = progress.rows
        _check_rows(rows, lines.count, total, inputs)
        _finish(part, output, progress)
    if report := count.report(model.max_length, "lines"):
        print(report, file=sys.stderr)
    return rows


def part_path(output: pathlib.Path) -> pathlib.Path:
    """Where the rows are while the work goes on."""
    return output.with_name(output.name + ".part")


def progress_path(output: pathlib.Path) -> pathlib.Path:
    """Where it stands how many rows are done."""
    return output.with_name(output.name + ".progress.json")


def check_output(output: pathlib.Path) -> None:
    """Raises InputError unless `output` can be begun or gone on with."""
    if output.suffix != ".npy":
        raise InputError(f"--out must end with .npy. Received: {output}.")
    if output.exists():
        raise InputError(
            f"{output} exists. Delete it, or choose another --out."
        )
    if not output.parent.is_dir():
        raise InputError(
            f"--out must be in a folder that exists. Received: {output}."
        )


@contextlib.contextmanager
def _open_part(output: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens OUT.part to read and write, for this process alone."""
    path = part_path(output)
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"Another process is writing {path}. Wait for it, or choose "
                "another --out."
            ) from error
        yield part


def _resume(
    part: BinaryIO,
    output: pathlib.Path,
    model: SentenceModel,
    lines: TextStream,
) -> Progress:
    """Brings file and lines to where the work goes on."""
    done = progress_path(output)
    size = part.seek(0, os.SEEK_END)
    # Without rows, what stands in the other file is of a finished run.
    if size == 0 or not done.is_file():
        done.unlink(missing_ok=True)
        progress = Progress(model.fingerprint, model.dimension, 0, "", 0)
        part.truncate(0)
        part.seek(0)
        part.write(_header(progress))
        return progress
    progress = _read_progress(done)
    _check_same_work(progress, output, model, lines)
    end = len(_header(progress)) + 4 * progress.dimension * progress.rows
    if size < end:
        raise InputError(
            f"{part_path(output)} is shorter than {done} says. Delete it to "
            "start over."
        )
    part.truncate(end)
    part.seek(end)
    print(
        f"Going on after {progress.rows} lines that are done.", file=sys.stderr
    )
    return progress


def _read_progress(path: pathlib.Path) -> Progress:
    try:
        return Progress(**json.loads(path.read_text("utf-8")))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path} is damaged ({error}). Delete it and the .part beside it "
            "to start over."
        ) from error


def _check_same_work(
    progress: Progress,
    output: pathlib.Path,
    model: SentenceModel,
    lines: TextStream,
) -> None:
    remedy = f"To start over, delete {part_path(output)}."
    if progress.model != model.fingerprint:
        raise InputError(
            f"{part_path(output)} holds {progress.rows} rows of another model "
            "(or another compute_dtype, or the model has changed since). "
            f"{remedy}"
        )
    if lines.skip(progress.rows) < progress.rows:
        raise InputError(
            f"{part_path(output)} holds {progress.rows} rows. The input has "
            f"only {lines.count} lines now: it has changed. {remedy}"
        )
    if lines.digest != progress.lines_digest:
        raise InputError(
            f"{part_path(output)} holds {progress.rows} rows. The input's "
            f"first {progress.rows} lines have changed since. {remedy}"
        )


def _header(progress: Progress) -> bytes:
    """The start of a .npy file; equally long for every number of rows."""
    header = str(
        {
            "descr": "<f4",
            "fortran_order": False,
            "shape": (progress.rows, progress.dimension),
        }
    ).encode("latin-1")
    # Version 1.0: magic, version, length of the rest; 128 bytes in all.
    return b"\x93NUMPY\x01\x00\x76\x00" + header.ljust(117) + b"\n"


def _append(
    part: BinaryIO,
    output: pathlib.Path,
    progress: Progress,
    vectors: np.ndarray,
    lines: TextStream,
) -> None:
    part.write(vectors.astype("<f4", copy=False).tobytes())
    # The rows are on the disk before anything says so.
    part.flush()
    os.fsync(part.fileno())
    progress.rows += len(vectors)
    progress.lines_digest = lines.digest
    text = json.dumps(dataclasses.asdict(progress), indent=2)
    write_atomically(progress_path(output), text.encode())


def _check_rows(
    rows: int, lines: int, total: int | None, inputs: str | list[str]
) -> None:
    if rows != lines or (total is not None and total != lines):
        raise InputError(
            f"{inputs} must not change while it is read. It had {total} texts, "
            f"then {lines}; {rows} rows were made. What is done is kept: "
            "start again."
        )


def _finish(part: BinaryIO, output: pathlib.Path, progress: Progress) -> None:
    part.seek(0)
    part.write(_header(progress))
    part.flush()
    os.fsync(part.fileno())
    os.replace(part_path(output), output)
    progress_path(output).unlink(missing_ok=True)
