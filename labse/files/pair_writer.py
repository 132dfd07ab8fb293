r"""Writes files of sentence pairs: .tsv, .jsonl, .parquet.

`.gz` may follow .tsv and .jsonl. The columns of mined pairs in their order,
those first that `labse train --train=FILE` reads:

    source, target, source_language, target_language
    cosine               float32
    margin, probability  float64
    source_file, source_line, target_file, target_line
    source_metadata, target_metadata

and then those that the caller adds. Metadata is an object in JSONL, its JSON
text in TSV and Parquet; nothing where there is none. Numbers are written so
that they read back equal: the shortest digits that do. The same rows give the
same bytes.
"""

import contextlib
import fcntl
import gzip
import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from labse import features
from labse.errors import InputError
from labse.files.json_text import to_json
from labse.files.parquet_file import import_parquet

COSINE = "cosine"
MARGIN = "margin"
PROBABILITY = "probability"
_SCORES = (COSINE, MARGIN, PROBABILITY)
_LINES = ("source_line", "target_line")
_METADATA = ("source_metadata", "target_metadata")
COLUMNS = (
    *features.PAIR_COLUMNS,
    COSINE,
    MARGIN,
    PROBABILITY,
    *("source_file", "source_line", "target_file", "target_line"),
    *_METADATA,
)
ENDINGS = (".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz", ".parquet")

_GZIP_LEVEL = 6
# Of a row group; a column that is not in COLUMNS has the type of the first.
_PARQUET_ROWS = 2**14

Values = dict[str, object]


def order_columns(columns: Iterable[str]) -> tuple[str, ...]:
    """Known columns in the order of COLUMNS, then the others as they come."""
    given = dict.fromkeys(columns)
    known = [name for name in COLUMNS if name in given]
    return (*known, *(name for name in given if name not in COLUMNS))


def check_output(path: str | os.PathLike) -> None:
    """Raises InputError unless pairs can be written there, hours later."""
    _check_ending(path)
    if not Path(path).parent.is_dir():
        raise InputError(
            f"Pairs are written into a folder that exists. Received: {path}. "
            "Make the folder, or choose another name."
        )
    if os.path.isdir(path):
        raise InputError(
            f"Pairs are written into a file. Received a folder: {path}."
        )
    if Path(path).suffix == ".parquet":
        import_parquet(os.fspath(path))


def _check_ending(path: str | os.PathLike) -> None:
    if not os.fspath(path).endswith(ENDINGS):
        raise InputError(
            f"A file of pairs ends in {', '.join(ENDINGS)}. Received: {path}. "
            "Choose another name."
        )


def write_pairs(
    path: str | os.PathLike,
    rows: Iterable[Values | None],
    columns: Sequence[str] | None = None,
) -> int:
    """Writes pairs; PATH is there when all are, or is as it was before.

    Args:
      path: its ending says the kind, see above.
      rows: from column to value. A value that is missing or None is an empty
        cell, null, or left out (TSV, Parquet, JSONL). None in place of a row
        is a blank line, and left out of a Parquet file.
      columns: all that rows may have, in the order to write; by default those
        of the first row, known ones first (`COLUMNS` up to `margin` where
        there is no row).

    Returns:
      how many pairs.

    Raises:
      InputError: the ending is none of these; another process writes the file;
        a TSV's value has a tab or a line feed, is of bytes that are not
        UTF-8, or ends its line with a carriage return; a value does not fit
        the type of its column.
    """
    check_output(path)
    path = Path(path)
    rows = iter(rows)
    if columns is None:
        first = next(rows, None)
        columns = COLUMNS[:6] if first is None else list(first)
        rows = itertools.chain([] if first is None else [first], rows)
        columns = order_columns(columns)
    write = _write_parquet if path.suffix == ".parquet" else _write_lines
    with _replaced(path) as file:
        return write(file, path, columns, rows)


def formatter(
    path: str | os.PathLike, columns: Sequence[str]
) -> Callable[[Values, str], object]:
    """What makes a row of the file PATH of values and where they come from.

    So that a value that cannot be written is found before hours of work.
    """
    _check_ending(path)
    name = os.fspath(path).removesuffix(".gz")
    form = {
        ".tsv": _tsv_line,
        ".jsonl": _jsonl_line,
        ".parquet": _parquet_row,
    }[os.path.splitext(name)[1]]
    allowed = frozenset(columns)

    def format_row(row: Values, where: str) -> object:
        if not allowed.issuperset(row):
            raise ValueError(
                f"{where}: a row has no columns but {', '.join(columns)}. "
                f"Received: {', '.join(row)}."
            )
        return form(row, columns, where)

    return format_row


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    """A file under another name that becomes `path` if nothing goes wrong."""
    temporary = path.with_name(f"{path.name}.tmp")
    with open(os.open(temporary, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"Another process is writing {temporary}. Wait for it, or "
                "choose another name."
            ) from error
        if not _is_still(file, temporary):
            raise InputError(
                f"Another process has just written {path}. Choose another "
                "name, or start again."
            )
        try:
            _empty(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _is_still(file: BinaryIO, path: Path) -> bool:
    """Whether the open file has that name; another process may rename it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _empty(file: BinaryIO) -> None:
    """A process that was killed may have left something."""
    file.truncate(0)


def _write_lines(
    file: BinaryIO,
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Values | None],
) -> int:
    count = 0
    format_row = formatter(path, columns)
    with contextlib.ExitStack() as stack:
        if path.suffix == ".gz":
            # Neither the time nor the name: the same rows, the same bytes.
            packed = gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0)
            file = stack.enter_context(packed)
        if path.name.removesuffix(".gz").endswith(".tsv"):
            file.write("\t".join(columns).encode("utf-8") + b"\n")
        for row in rows:
            if row is None:
                file.write(b"\n")
                continue
            count += 1
            file.write(format_row(row, f"{path}, pair {count}"))
    return count


def _tsv_line(row: Values, columns: Sequence[str], where: str) -> bytes:
    cells = []
    for column in columns:
        cell = _tsv_cell(row.get(column), column, where)
        is_last = len(cells) == len(columns) - 1
        # Before the line feed, a carriage return would go.
        if "\t" in cell or "\n" in cell or (is_last and cell.endswith("\r")):
            raise InputError(
                f"{where}: a cell of a TSV holds neither a tab nor the end of "
                f"a line. Received in {column}: {cell[:80]!r}. Write .jsonl "
                "or .parquet instead."
            )
        cells.append(cell)
    return ("\t".join(cells) + "\n").encode("utf-8")


def _tsv_cell(value: object, column: str, where: str) -> str:
    if isinstance(value, str):
        return value
    if value is None or (value == {} and column in _METADATA):
        return ""
    if isinstance(value, bytes):
        raise InputError(
            f"{where}: a cell of a TSV is text in UTF-8. Received in {column} "
            f"bytes that are not: {value[:40]!r}. Take the column out."
        )
    value = _number(value, column, where)
    if type(value) is int or column in _SCORES:
        return repr(value)
    if not isinstance(value, bool | float | dict | list):
        return str(value)  # Such as a date.
    cell = to_json(value, where)
    return "" if cell == "null" else cell


def _jsonl_line(row: Values, columns: Sequence[str], where: str) -> bytes:
    fields = {}
    for column in columns:
        value = _typed(row.get(column), column, where)
        if value is not None and not (value == {} and column in _METADATA):
            fields[column] = _number(value, column, where)
    return (to_json(fields, where) + "\n").encode("utf-8")


def _parquet_row(row: Values, columns: Sequence[str], where: str) -> Values:
    fields = {}
    for column in columns:
        value = _typed(row.get(column), column, where)
        if column in _METADATA:
            value = to_json(value, where) if value else None
        elif value is not None:
            value = _number(value, column, where)
        fields[column] = value
    return fields


def _number(value: object, column: str, where: str) -> object:
    """A float of which Python writes the shortest digits that read back."""
    if isinstance(value, np.generic):
        shortest = isinstance(value, np.float32)
        value = float(str(value)) if shortest else value.item()
    if column not in _SCORES:
        return value
    if not math.isfinite(value):
        raise InputError(
            f"{where}: a score is finite. Received for {column}: {value}. "
            "Check the vectors: a model whose loss was once NaN gives such."
        )
    return float(str(np.float32(value))) if column == COSINE else float(value)


def _typed(value: object, column: str, where: str) -> object:
    """What a TSV had as text, as what the column is."""
    if not isinstance(value, str) or column not in _TYPES:
        return value
    if not value:
        return None
    kind, convert = _TYPES[column]
    try:
        return convert(value)
    except ValueError as error:
        raise InputError(
            f"{where}: the column {column} is {kind}. Received: "
            f"{value[:80]!r}. Rename the column, or write .tsv."
        ) from error


def _object(text: str) -> dict:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


_TYPES = {
    **{name: ("a number", float) for name in _SCORES},
    **{name: ("a whole number", int) for name in _LINES},
    **{name: ("a JSON object", _object) for name in _METADATA},
}


def _write_parquet(
    file: BinaryIO,
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Values | None],
) -> int:
    parquet, arrow = import_parquet(os.fspath(path))
    format_row = formatter(path, columns)
    made = (
        format_row(row, f"{path}, pair {number}")
        for number, row in enumerate(
            (row for row in rows if row is not None), start=1
        )
    )
    some = list(itertools.islice(made, _PARQUET_ROWS))
    schema, count = _schema(arrow, columns, some), 0
    with parquet.ParquetWriter(file, schema) as writer:
        while some:
            try:
                table = arrow.Table.from_pylist(some, schema)
            except (arrow.ArrowException, OverflowError) as error:
                raise InputError(
                    f"{path}: a column of a .parquet file has one type. In "
                    f"pairs {count + 1} to {count + len(some)} a value does "
                    f"not fit: {error}. Write .jsonl instead."
                ) from error
            writer.write_table(table)
            count += len(some)
            some = list(itertools.islice(made, _PARQUET_ROWS))
    return count


def _schema(arrow, columns: Sequence[str], rows: list[Values]):
    known = {
        **dict.fromkeys(COLUMNS, arrow.string()),
        **dict.fromkeys((MARGIN, PROBABILITY), arrow.float64()),
        **dict.fromkeys(_LINES, arrow.int64()),
        COSINE: arrow.float32(),
    }
    return arrow.schema(
        [
            (name, known.get(name) or _infer(arrow, name, rows))
            for name in columns
        ]
    )


def _infer(arrow, name: str, rows: list[Values]):
    try:
        found = arrow.array([row[name] for row in rows]).type
    except arrow.ArrowException as error:
        raise InputError(
            f"A column of a .parquet file has one type. The values of {name} "
            f"have several: {error}. Write .jsonl instead."
        ) from error
    # Only nulls so far: most likely text.
    return arrow.string() if arrow.types.is_null(found) else found
