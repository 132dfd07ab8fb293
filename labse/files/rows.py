"""The rows of a file of any format; see docs/file_formats.md."""

import os

from labse.files.formats.row_format import RowReader
from labse.files.kinds import Kind, check_content, kind_of
from labse.files.reading import ReadOptions


def open_rows(
    path: str | os.PathLike,
    options: ReadOptions | None = None,
    *,
    as_pairs: bool = True,
    kind: Kind | None = None,
    shown_as: str = "",
) -> RowReader:
    """A file as rows; its first bytes and its header are checked.

    Args:
      path: the file.
      options: what the file does not say by itself.
      as_pairs: whether a file of several languages gives pairs; texts of one
        of them otherwise.
      kind: of a file whose content was checked before; by default what the
        name says.
      shown_as: its name in messages; by default `path`.

    Raises:
      InputError: there is no such file, it is of another kind than its name
        says, or its header breaks a rule.
    """
    path = os.fspath(path)
    if kind is None:
        kind = kind_of(path)
        check_content(path, kind, as_pairs)
    options = options or ReadOptions()
    return kind.format.reader(path, shown_as or path, options, as_pairs)
