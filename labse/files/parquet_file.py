"""The rows of a Parquet file."""

from collections.abc import Iterator

from labse.errors import InputError
from labse.files.reading import MalformedRow

# What is read at once.
_BATCH_ROWS = 4096


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


def column_names(path: str) -> tuple[str, ...]:
    """The names of the columns, in their order."""
    parquet, arrow = import_parquet(path)
    try:
        with parquet.ParquetFile(path, memory_map=True) as file:
            return tuple(file.schema_arrow.names)
    except (arrow.ArrowException, OSError) as error:
        raise _damaged(path, 0, error) from error


def read_rows(
    path: str,
) -> Iterator[tuple[int, dict[str, object] | MalformedRow]]:
    """Yields (number from 1, fields) of each row; bytes in UTF-8 are text.

    Raises:
      InputError: the file is damaged, or pyarrow is not installed.
    """
    parquet, arrow = import_parquet(path)
    number = 0
    try:
        with parquet.ParquetFile(path, memory_map=True) as file:
            for batch in file.iter_batches(_BATCH_ROWS):
                has_bytes = _has_bytes(batch.schema)
                for row in _batch_rows(batch):
                    number += 1
                    yield number, _text(row) if has_bytes else row
    except (arrow.ArrowException, OSError) as error:
        raise _damaged(path, number, error) from error


def _has_bytes(schema) -> bool:
    return any("binary" in str(field.type) for field in schema)


def _text(value: object) -> object:
    """The value with text in place of bytes, in lists and objects too.

    Bytes that are not UTF-8 stay, since the column may not be needed.
    """
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    if isinstance(value, list):
        return [_text(each) for each in value]
    if isinstance(value, dict):
        return {key: _text(each) for key, each in value.items()}
    return value


def _damaged(path: str, number: int, error: Exception) -> InputError:
    return InputError(
        f"{path}: a .parquet file is a whole Parquet file. It cannot be "
        f"read after row {number}: {error}. Make or fetch it again."
    )


def _batch_rows(batch) -> list[dict[str, object] | MalformedRow]:
    try:
        return batch.to_pylist()
    except UnicodeDecodeError:
        pass  # Found below, with its row.
    rows = []
    for place in range(len(batch)):
        try:
            rows += batch.slice(place, 1).to_pylist()
        except UnicodeDecodeError as error:
            rows.append(
                MalformedRow("not UTF-8", f"text is UTF-8. Received: {error}")
            )
    return rows
