"""Parquet files, read and written through pyarrow."""

import contextlib
import itertools
from collections.abc import Iterator

from labse.errors import InputError
from labse.files.formats.pair_values import (
    COLUMNS,
    COSINE,
    LINES,
    METADATA,
    SCORES,
    to_json,
    to_typed,
)
from labse.files.formats.row_format import Format, Row, RowReader, RowWriter
from labse.files.reading import Fields, MalformedRow, decode_if_utf_8

_BATCH_ROWS = 4096  # read at once
# A column that has no known type has that of its values in the first group.
ROWS_OF_GROUP = 2**14


def import_parquet(path: str):
    """pyarrow, with its parquet; raises `InputError` if it is not there."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            f"{path}: Parquet needs pyarrow, which cannot be imported "
            f"({error}). Install it: pip install 'labse[mining]'."
        ) from error
    return pyarrow


class ParquetReader(RowReader):
    """The rows of a Parquet file; bytes in UTF-8 are text."""

    def read_columns(self) -> tuple[str, ...]:
        """The names of the columns, in their order."""
        with self._open() as file:
            return tuple(file.schema_arrow.names)

    def has_column(self, name: str) -> bool:
        """Also `a.b`, the field b of the objects in a column a."""
        return name in self.columns or name.partition(".")[0] in self.columns

    def __iter__(self) -> Iterator[Row]:
        number = 0
        with self._open() as file:
            for batch in file.iter_batches(_BATCH_ROWS):
                has_bytes = "binary" in str(batch.schema.types)
                for row in _batch_rows(batch):
                    number += 1
                    yield number, decode_if_utf_8(row) if has_bytes else row

    @contextlib.contextmanager
    def _open(self):
        """The open file; raises `InputError` where it is damaged."""
        arrow = import_parquet(self.path)
        try:
            with arrow.parquet.ParquetFile(self.path, memory_map=True) as file:
                yield file
        except (arrow.ArrowException, OSError) as error:
            raise InputError(
                f"{self.path}: the Parquet file is damaged or truncated "
                f"({error}). Make or fetch it again."
            ) from error


class ParquetWriter(RowWriter):
    """Writes columns, each of one type."""

    def __init__(self, path: str, *arguments):
        import_parquet(path)
        super().__init__(path, *arguments)

    def format_row(self, row: Fields, where: str) -> Fields:
        """The values of a row."""
        fields = {}
        for column in self.columns:
            value = to_typed(row.get(column), column, where)
            if column in METADATA and value is not None:
                value = to_json(value, where)
            fields[column] = value
        return fields

    def write(self, rows: Iterator[Fields]) -> None:
        """Writes the rows in groups."""
        arrow = import_parquet(self.path)
        group = list(itertools.islice(rows, ROWS_OF_GROUP))
        schema, count = self._schema(arrow, group), 0
        with (
            self.open(self.path) as file,
            arrow.parquet.ParquetWriter(file, schema) as writer,
        ):
            while group:
                try:
                    table = arrow.Table.from_pylist(group, schema)
                except (arrow.ArrowException, OverflowError) as error:
                    raise InputError(
                        f"{self.path}: a column of a .parquet file has one "
                        f"type. In pairs {count + 1} to {count + len(group)} "
                        f"a value does not fit: {error}. Write .jsonl instead."
                    ) from error
                writer.write_table(table)
                count += len(group)
                group = list(itertools.islice(rows, ROWS_OF_GROUP))

    def _schema(self, arrow, rows: list[Fields]):
        known = {
            **dict.fromkeys(COLUMNS, arrow.string()),
            **dict.fromkeys(SCORES, arrow.float64()),
            **dict.fromkeys(LINES, arrow.int64()),
            COSINE: arrow.float32(),
        }
        return arrow.schema(
            (name, known.get(name) or _infer(arrow, name, rows))
            for name in self.columns
        )


def _infer(arrow, name: str, rows: list[Fields]):
    try:
        found = arrow.array([row[name] for row in rows]).type
    except (arrow.ArrowException, OverflowError) as error:
        raise InputError(
            f"A column of a .parquet file has one type. The values of {name} "
            f"have several, or are too large: {error}. Write .jsonl instead."
        ) from error
    # Only nulls or empty lists so far: most likely text.
    if arrow.types.is_list(found) and arrow.types.is_null(found.value_type):
        return arrow.list_(arrow.string())
    return arrow.string() if arrow.types.is_null(found) else found


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


PARQUET = Format(
    *("parquet", "a Parquet file", (".parquet",), ParquetReader, ParquetWriter),
    is_packable=False,
)
