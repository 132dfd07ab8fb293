"""Rows of text files of any kind, with the line each stands on.

    .txt      a text a line: the field `text`
    .tsv      a header, then a row a line; no quotes
    .jsonl    an object a line
    .parquet  a row each; needs pyarrow
    others    TFRecords of tf.train.Example

All but .parquet may be packed: `.gz` follows. A line that is blank is no row.
A byte order mark at the start of a file is dropped.
"""

import glob
import json
import os
from collections.abc import Iterable, Iterator

from labse import features
from labse.errors import InputError
from labse.files.example_records import read_records, parse_example
from labse.preprocessing.text_files import find_files as find_matches
from labse.preprocessing.text_files import read_lines

# What is read of a Parquet file at once.
_BATCH_ROWS = 4096
_BYTE_ORDER_MARK = "\ufeff"

# Made once: `json.dumps` makes one for each call that has options.
_JSON = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    separators=(",", ":"),
    default=str,
)

# Number from 1 of the line, row or record, and its fields; None for a blank.
Row = tuple[int, dict[str, object] | None]


def find_files(patterns: Iterable[str]) -> list[str]:
    """The files in the patterns' order, sorted within one, each once.

    Raises:
      InputError: a pattern is no file and matches none, or matches a folder.
    """
    files: dict[str, None] = {}
    for pattern in patterns:
        # A file's name may hold what would be a glob's star or bracket.
        is_file = os.path.lexists(pattern)
        matches = find_matches([glob.escape(pattern) if is_file else pattern])
        files.update(dict.fromkeys(matches))
    for path in files:
        if os.path.isdir(path):
            raise InputError(
                f"{path}: text is read from files. This is a folder. Name the "
                f"files in it: {os.path.join(path, '*')}."
            )
    return list(files)


def kind_of(path: str) -> str:
    """One of txt, tsv, jsonl, parquet and tfrecord, by the file's name."""
    name = path.removesuffix(".gz")
    for kind in ("txt", "tsv", "jsonl"):
        if name.endswith(f".{kind}"):
            return kind
    return "parquet" if path.endswith(".parquet") else "tfrecord"


def read_rows(path: str, required: tuple[str, ...] = ()) -> Iterator[Row]:
    """Yields number and fields of each row of a file.

    Args:
      path: the file, of one of the kinds above.
      required: fields that every row has.

    Raises:
      InputError: the file is not there, is damaged, has no row, is not UTF-8,
        or a row is not of its kind or lacks a required field; file and line
        are named.
    """
    kind = kind_of(path)
    read = {
        "txt": _read_txt,
        "tsv": _read_tsv,
        "jsonl": _read_jsonl,
        "parquet": _read_parquet,
        "tfrecord": _read_tfrecord,
    }[kind]
    if os.path.isdir(path) or not os.path.exists(path):
        raise InputError(f"{path}: there is no such file.")
    number = 0
    for number, row in read(path, required):
        yield number, row
    if not number:
        raise InputError(
            f"{path}: a file of text holds at least one line. It is empty. "
            "Make or fetch it again, or leave it out."
        )


def text_of(row: dict[str, object], field: str, where: str) -> str:
    """The value of a field that must be text in Unicode characters.

    Raises:
      InputError: it is no string, or not of whole characters.
    """
    value = row[field]
    if not isinstance(value, str):
        raise InputError(
            f"{where}: the field {field!r} is text. Received "
            f"{type(value).__name__}: {str(value)[:80]!r}. Correct the row, or "
            "name another field."
        )
    # JSON can name half a character ("\\ud800"); no file of UTF-8 can hold it.
    if not value.isascii() and not _is_whole(value):
        raise InputError(
            f"{where}: text is UTF-8. Received in the field {field!r} half of "
            "a surrogate pair, which is no character. Correct the row."
        )
    return value


def to_json(value: object, where: str) -> str:
    """Compact JSON of a row's value or values; NaN and infinity become null.

    What JSON does not have, such as a date, becomes text.

    Raises:
      InputError: it holds text that is not of whole characters.
    """
    try:
        text = _JSON.encode(value)
    except ValueError:
        text = _JSON.encode(_without_nan(value))
    if not text.isascii() and not _is_whole(text):
        raise InputError(
            f"{where}: text is UTF-8. Received half of a surrogate pair in "
            f"{ascii(text)[:80]}. Correct the row."
        )
    return text


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    # Of the numbers, only NaN and the infinities have no finite difference.
    return None if isinstance(value, float) and value - value != 0 else value


def _is_whole(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _read_texts(path: str) -> Iterator[tuple[int, str]]:
    for number, line in read_lines(path, strict=True):
        text = line.decode("utf-8")
        if number == 1:
            text = text.removeprefix(_BYTE_ORDER_MARK)
        yield number, text


def _read_txt(path: str, required: tuple[str, ...]) -> Iterator[Row]:
    others = set(required) - {features.TEXT}
    if others:
        raise InputError(
            f"{path}: the fields {', '.join(required)} are read. A .txt file "
            f"has {features.TEXT!r} only: a text a line. Give a .tsv with a "
            "header, a .jsonl or a .parquet."
        )
    for number, text in _read_texts(path):
        yield number, {features.TEXT: text} if text.strip() else None


def _read_tsv(path: str, required: tuple[str, ...]) -> Iterator[Row]:
    lines = _read_texts(path)
    _, first = next(lines, (1, ""))
    header = first.split("\t")
    missing = [name for name in required if name not in header]
    if missing or len(set(header)) != len(header):
        raise InputError(
            f"{path}:1: a TSV begins with a header that names each column "
            f"once, {' and '.join(required)} among them. Received: "
            f"{' | '.join(header)[:200]!r}. Write the names into line 1, or "
            "name other fields."
        )
    for number, text in lines:
        cells = text.split("\t")
        if len(cells) == len(header):
            yield number, dict(zip(header, cells, strict=True))
        elif not text.strip():
            yield number, None
        else:
            raise InputError(
                f"{path}:{number}: a line has as many columns as the header, "
                f"{len(header)}. Received {len(cells)}. Remove tabs inside "
                "texts."
            )


def _read_jsonl(path: str, required: tuple[str, ...]) -> Iterator[Row]:
    for number, text in _read_texts(path):
        if not text.strip():
            yield number, None
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}:{number}: a line of a .jsonl file is a JSON object. "
                f"Received {text[:80]!r} ({error}). Correct the line."
            ) from error
        if not isinstance(row, dict):
            raise InputError(
                f"{path}:{number}: a line of a .jsonl file is a JSON object. "
                f"Received {text[:80]!r}. Correct the line."
            )
        _check_fields(row, required, f"{path}:{number}")
        yield number, row


def _read_tfrecord(path: str, required: tuple[str, ...]) -> Iterator[Row]:
    for number, row in read_examples(path):
        _check_fields(row, required, f"{path}:{number}")
        yield number, row


def _check_fields(
    row: dict[str, object], required: tuple[str, ...], where: str
) -> None:
    for name in required:
        if name not in row:
            raise InputError(
                f"{where}: every row has the field {name!r}. Received: "
                f"{', '.join(row)[:200] or 'no field'}. Correct the row, or "
                "name another field."
            )


def _read_parquet(path: str, required: tuple[str, ...]) -> Iterator[Row]:
    parquet, arrow = import_parquet(path)
    number = 0
    try:
        with parquet.ParquetFile(path, memory_map=True) as file:
            _check_columns(file.schema_arrow, required, path)
            for batch in file.iter_batches(_BATCH_ROWS):
                for row in _batch_rows(batch, path, number):
                    number += 1
                    yield number, row
    except (arrow.ArrowException, OSError) as error:
        raise InputError(
            f"{path}: a .parquet file is a whole Parquet file. It cannot be "
            f"read after row {number}: {error}. Make or fetch it again."
        ) from error


def import_parquet(path: str):
    """The modules pyarrow.parquet and pyarrow.

    Raises:
      InputError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            f"{path}: Parquet needs pyarrow, which cannot be imported "
            f"({error}). Install it: pip install 'labse[mining]'."
        ) from error
    return pyarrow.parquet, pyarrow


def _check_columns(schema, required: tuple[str, ...], path: str) -> None:
    missing = [name for name in required if name not in schema.names]
    if missing or len(set(schema.names)) != len(schema.names):
        raise InputError(
            f"{path}: a .parquet file has each column once, "
            f"{' and '.join(required)} among them. Received: "
            f"{', '.join(schema.names)[:200]}. Name the right fields, or "
            "rename the columns."
        )


def _batch_rows(batch, path: str, start: int) -> list[dict[str, object]]:
    try:
        return batch.to_pylist()
    except UnicodeDecodeError:
        pass  # Found below, with its row.
    rows = []
    for place in range(len(batch)):
        try:
            rows += batch.slice(place, 1).to_pylist()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}:{start + place + 1}: text is UTF-8. Received a row "
                f"that is not ({error}). Convert the text to UTF-8."
            ) from error
    return rows
