"""Which files there are, and of which kind each is."""

import glob
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from labse.errors import InputError
from labse.files import content

TXT, TSV, JSONL, PARQUET, TFRECORD = "txt", "tsv", "jsonl", "parquet", "record"
COMPRESSIONS = ("gz", "bz2", "xz")

_ENDINGS = {
    ".txt": TXT,
    ".tsv": TSV,
    ".jsonl": JSONL,
    ".parquet": PARQUET,
    ".tfrecord": TFRECORD,
    ".tfrecords": TFRECORD,
    ".record": TFRECORD,
}
_WORDS = {
    TXT: "a text file",
    TSV: "a TSV",
    JSONL: "JSON lines",
    PARQUET: "a Parquet file",
    TFRECORD: "a TFRecord file",
    "gz": "a gzip file",
    "bz2": "a bzip2 file",
    "xz": "an xz file",
}
# Such as train-00000-of-00010; a name's other ending may stand before it.
_SHARD = re.compile(r"-\d+-of-\d+$")


class Kind(NamedTuple):
    """What a file's name says."""

    rows: str  # one of TXT, TSV, JSONL, PARQUET, TFRECORD
    compression: str  # one of COMPRESSIONS, or empty


def find_files(patterns: Iterable[str | os.PathLike]) -> list[str]:
    """The files in the patterns' order, sorted within one, each once.

    A file that has several names, `a.tsv` and `./a.tsv`, has the first.

    Args:
      patterns: files or globs; `**` stands for folders of any depth.

    Raises:
      InputError: a pattern is no file and matches none, or matches a folder.
    """
    files: dict[str, str] = {}
    for pattern in map(os.fspath, patterns):
        # A file's name may hold what would be a glob's star or bracket.
        is_file = os.path.lexists(pattern)
        name = glob.escape(pattern) if is_file else pattern
        matches = sorted(glob.glob(name, recursive=True))
        if not matches:
            raise InputError(
                "Every input is a file or a glob that matches one. No file "
                f"matches {pattern!r}."
            )
        for path in matches:
            files.setdefault(os.path.realpath(path), path)
    for path in files.values():
        if os.path.isdir(path):
            raise InputError(
                f"{path}: text and pairs are read from files. This is a "
                f"folder. Name the files in it: {os.path.join(path, '*')}."
            )
    return list(files.values())


def kind_of(path: str | os.PathLike) -> Kind:
    """The kind of a file by its name; its content is not looked at.

    Raises:
      InputError: the name tells no kind. What the content looks like is said.
    """
    path = os.fspath(path)
    name = os.path.basename(path).lower()
    stem, _, ending = name.rpartition(".")
    compression = ending if stem and ending in COMPRESSIONS else ""
    if compression:
        name = stem
    shard = _SHARD.search(name)
    stem = name[: shard.start()] if shard else name
    kind = _ENDINGS.get(os.path.splitext(stem)[1])
    if kind is None and shard and not stem.endswith(".csv"):
        kind = TFRECORD
    if kind == PARQUET and compression:
        raise InputError(
            f"{path}: a .parquet file is compressed inside. Decompress it, "
            f"and leave out .{compression}."
        )
    if kind is None:
        raise _unknown(path, stem)
    return Kind(kind, compression)


def check_content(path: str, kind: Kind) -> None:
    """Raises `InputError` where the first bytes are of another kind.

    Args:
      path: the file.
      kind: what its name says.
    """
    check_exists(path)
    head = content.head(path)
    if not head:
        raise InputError(
            f"{path}: the file is empty. Make or fetch it again, or leave it "
            "out."
        )
    found = content.look(head)
    if kind.compression and found.compression == kind.compression:
        _check_unpacked(path, kind, content.head(path, kind.compression))
        return
    if kind.compression:
        # Binary data of no known kind: the reader says what is damaged.
        is_right = found is content.BINARY
    else:
        found, is_right = _compare(found, kind, head)
    if not is_right:
        raise InputError(
            f"{path}: by its name this is "
            f"{_WORDS[kind.compression or kind.rows]}. The content looks like "
            f"{found.what}. {found.remedy(path)}"
        )
    _check_line_ends(path, kind)


def _check_unpacked(path: str, kind: Kind, head: bytes) -> None:
    if not head:
        return  # Empty or damaged, as the reader says.
    found = content.look_into(head)
    found, is_right = _compare(found, kind, head)
    if not is_right:
        # That of the better name.
        found = found._replace(compression=kind.compression)
        raise InputError(
            f"{path}: by its name this is {_WORDS[kind.rows]}, packed. "
            f"Unpacked, the content looks like {found.what}. "
            f"{found.remedy(path)}"
        )
    _check_line_ends(path, kind)


def _compare(
    found: content.Look, kind: Kind, head: bytes
) -> tuple[content.Look, bool]:
    """What the unpacked content looks like, and whether it may be so named."""
    if kind.rows in (PARQUET, TFRECORD):
        # Binary data of no known kind: the reader says what is damaged.
        is_right = found.kind == kind.rows or found.what == content.BINARY.what
        return found, is_right
    rows = content.look_at_txt(head) if kind.rows == TXT else None
    if rows and not found.is_foreign:
        return rows, False
    return found, not found.is_foreign


def _check_line_ends(path: str, kind: Kind) -> None:
    if kind.rows in (TXT, TSV) and content.ends_lines_by_returns(
        path, kind.compression
    ):
        raise InputError(
            f"{path}: a line ends at a line feed. Received carriage returns "
            "(\\r) alone and no line feed. Convert them: "
            "tr '\\r' '\\n' < IN > OUT."
        )


def check_exists(path: str) -> None:
    """Raises `InputError` unless a file is there."""
    if os.path.isdir(path):
        raise InputError(f"{path}: this is a folder. Name the files in it.")
    if not os.path.exists(path):
        raise InputError(f"{path}: there is no such file.")


def _unknown(path: str, stem: str) -> InputError:
    check_exists(path)
    if stem.endswith(".csv"):
        return InputError(
            f"{path}: .csv files are not read, since their separators and "
            "quotes differ from program to program. Write the table as .jsonl "
            "(pandas: to_json(orient='records', lines=True)) or as .tsv "
            "(to_csv(sep='\\t', index=False, quoting=csv.QUOTE_NONE))."
        )
    found = content.look(content.head(path))
    return InputError(
        f"{path}: the name of a file tells its kind: .txt, .tsv, .jsonl, "
        ".parquet, .tfrecord, or NAME-00000-of-00010 for TFRecords; .gz, .bz2 "
        f"or .xz may follow. The content looks like {found.what}. "
        f"{found.remedy(path)}"
    )
