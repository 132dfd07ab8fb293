"""Writes files of sentence pairs, of every format that holds pairs.

The columns of mined pairs come in their order, `COLUMNS`, those first that
training reads; then those that the caller adds. The same rows give the same
bytes. docs/file_formats.md says what each format holds.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from labse.errors import InputError
from labse.files.formats.pair_values import COLUMNS
from labse.files.formats.pair_values import COSINE as COSINE
from labse.files.formats.pair_values import MARGIN as MARGIN
from labse.files.formats.row_format import RowWriter
from labse.files.kinds import FORMATS, kind_by_name
from labse.files.reading import Fields

ENDINGS = sum((each.endings for each in FORMATS.values() if each.writer), ())


def check_output(
    path: str | os.PathLike, needed_columns: Sequence[str] = ()
) -> None:
    """Raises `InputError` unless pairs, with columns, can be written there."""
    path = os.fspath(path)
    writer = open_writer(path)
    if needed_columns and not writer.has_columns:
        raise InputError(
            f"{path}: a Moses corpus holds texts only. It cannot hold "
            f"{', '.join(needed_columns)}. Write .tsv or .jsonl instead."
        )
    if not Path(path).parent.is_dir():
        raise InputError(
            f"Pairs are written into a folder that exists. Received: {path}. "
            "Make the folder, or choose another name."
        )
    if os.path.isdir(path):
        raise InputError(
            f"Pairs are written into a file. Received a folder: {path}."
        )
    for other in writer.paths():
        if os.path.exists(other) and not os.path.exists(path):
            raise InputError(
                f"{path} would also replace {other}, which exists. Delete it, "
                "or choose another name."
            )


def write_pairs(
    path: str | os.PathLike,
    rows: Iterable[Fields | None],
    columns: Sequence[str] | None = None,
) -> int:
    """Writes pairs; PATH is there when all are, or is as it was before.

    Args:
      path: its name tells the format.
      rows: from column to value. A value that is missing or None is an empty
        cell, null, or left out. None in place of a row is a blank line in a
        .tsv and a .jsonl, and left out elsewhere.
      columns: all that rows may have, in the order to write; by default those
        of the first row, known ones first (`COLUMNS` up to `margin` where
        there is no row).

    Returns:
      the number of pairs.
    """
    check_output(path)
    rows = iter(rows)
    if columns is None:
        first = next(rows, None)
        columns = COLUMNS[:6] if first is None else first
        known = [name for name in COLUMNS if name in columns]
        columns = tuple(dict.fromkeys([*known, *columns]))
        rows = itertools.chain([] if first is None else [first], rows)
    writer = open_writer(path, columns)
    count = 0

    def formatted() -> Iterator[object]:
        nonlocal count
        for row in rows:
            if row is not None:
                count += 1
                yield writer.format(row, f"{writer.path}, pair {count}")
            elif writer.blank is not None:
                yield writer.blank

    lines = formatted()
    # What fails before the first row, or takes hours, leaves no file behind.
    first = list(itertools.islice(lines, 1))
    writer.write(itertools.chain(first, lines))
    return count


def open_writer(
    path: str | os.PathLike, columns: Sequence[str] = ()
) -> RowWriter:
    """The writer of a file of pairs; the file itself is not touched."""
    kind = kind_by_name(path)
    if kind is None or kind.format.writer is None:
        raise InputError(
            f"A file of pairs ends in {', '.join(ENDINGS)}, or is named as a "
            "Moses corpus, NAME.en-de.en; .gz, .bz2, .xz or .zst may follow "
            f"all but .parquet and .zip. Received: {path}. Choose another name."
        )
    return kind.format.writer(path, kind.compression, columns)
