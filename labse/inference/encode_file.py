"""A file of texts to a file of vectors, of any size; resumes after a kill.

While it works, OUT.part holds the finished rows as a `.npy` file, and
OUT.progress.json says how many they are, of which texts and of which model.
The same command resumes a run that was killed: it reads the texts again whose
rows are there (their checksum must be the same), truncates what was written
after the last entry, and continues. The same texts go into the same batches,
so the file is the same to the last bit as without a kill.
"""

import dataclasses
import json
import os
import pathlib
import sys

from labse.errors import InputError
from labse.files.atomic_write import write_text
from labse.files.reading import ReadOptions
from labse.files.texts import STANDARD_INPUT, TextStream, open_texts
from labse.files.vector_file import VectorFile
from labse.inference.sentence_model import SentenceModel
from labse.inference.truncation import TruncationCount
from labse.progress import ProgressBar


@dataclasses.dataclass
class Progress:
    """What OUT.part holds; the contents of OUT.progress.json.

    Attributes:
      model: fingerprint of the model.
      dimension: length of a row.
      rows: finished rows, one for each text from the first on.
      lines_digest: SHA-256 of those texts.
      truncated: number of those texts that the model truncated; None where an
        earlier version did not count them.
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
    """Writes the vectors of files of texts; returns the number of rows.

    Args:
      model: turns sentences into vectors.
      inputs: files of texts, or globs; "-" is standard input, a text a line.
      output_path: the .npy file to write: float32 [texts, dimension].
      batch_size: see `SentenceModel.encode`.
      options: what the file does not say by itself.

    Raises:
      InputError: the input breaks a rule of files; the output exists already,
        or was begun with another model or other texts; or the disk is full.
    """
    output = pathlib.Path(output_path)
    check_output(output)
    total = None
    if inputs not in (STANDARD_INPUT, [STANDARD_INPUT]):
        # One pass over the input first: a malformed row is found now, not
        # after hours of work.
        total = open_texts(inputs, options).skip(sys.maxsize)
    texts = open_texts(inputs, options)
    with VectorFile(part_path(output), dimension=model.dimension) as part:
        progress = _resume(part, output, model, texts)
        count = TruncationCount(progress.rows, progress.truncated)
        with ProgressBar(
            total=total, initial=progress.rows, unit=" sentences"
        ) as bar:
            for chunk in texts.chunks():
                part.append(
                    model.encode(chunk, batch_size, on_truncation=count.add)
                )
                progress.rows = part.rows
                progress.lines_digest = texts.digest
                progress.truncated = count.truncated
                state = json.dumps(dataclasses.asdict(progress), indent=2)
                write_text(progress_path(output), state)
                bar.update(len(chunk))
        _check_rows(part.rows, texts.count, total, inputs)
        part.finish()
        os.replace(part.path, output)
        progress_path(output).unlink(missing_ok=True)
    if report := count.report(model.max_length, "lines"):
        print(report, file=sys.stderr)
    return progress.rows


def part_path(output: pathlib.Path) -> pathlib.Path:
    """Where the rows are until all are finished."""
    return output.with_name(output.name + ".part")


def progress_path(output: pathlib.Path) -> pathlib.Path:
    """Where `Progress` is kept."""
    return output.with_name(output.name + ".progress.json")


def check_output(output: pathlib.Path) -> None:
    """Raises `InputError` unless `output` can be written."""
    if output.suffix != ".npy":
        raise InputError(
            f"The output's name must end with .npy. Received: {output}."
        )
    if output.exists():
        raise InputError(f"{output} exists. Delete it, or choose another name.")
    if not output.parent.is_dir():
        raise InputError(
            f"The output must be in a folder that exists. Received: {output}."
        )


def _resume(
    part: VectorFile,
    output: pathlib.Path,
    model: SentenceModel,
    texts: TextStream,
) -> Progress:
    """Brings the file and the texts to where the work continues."""
    path = progress_path(output)
    # Without rows, the entry is left over from a run that finished.
    if not part.path.stat().st_size or not path.is_file():
        path.unlink(missing_ok=True)
        part.keep(0)
        return Progress(model.fingerprint, model.dimension, 0, "", 0)
    progress = _read_progress(path)
    _check_same_work(progress, part.path, model, texts)
    if part.rows < progress.rows:
        raise InputError(
            f"{part.path} is shorter than {path} says. Delete it to start over."
        )
    part.keep(progress.rows)
    print(f"Resuming after {progress.rows} lines.", file=sys.stderr)
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
    part: pathlib.Path,
    model: SentenceModel,
    texts: TextStream,
) -> None:
    remedy = f"To start over, delete {part}."
    if progress.model != model.fingerprint:
        raise InputError(
            f"{part} holds {progress.rows} rows of another model, or of "
            f"another compute_dtype, or the model has changed since. {remedy}"
        )
    if texts.skip(progress.rows) < progress.rows:
        raise InputError(
            f"{part} holds {progress.rows} rows. The input has only "
            f"{texts.count} lines now: it has changed. {remedy}"
        )
    if texts.digest != progress.lines_digest:
        raise InputError(
            f"{part} holds {progress.rows} rows. The input's first "
            f"{progress.rows} lines have changed since. {remedy}"
        )


def _check_rows(
    rows: int, num_texts: int, total: int | None, inputs: str | list[str]
) -> None:
    if rows != num_texts or (total is not None and total != num_texts):
        raise InputError(
            f"{inputs} must not change while it is read. It had {total} texts, "
            f"then {num_texts}; {rows} rows were made. The finished rows are "
            "kept: run the same command again."
        )
