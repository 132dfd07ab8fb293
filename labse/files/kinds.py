"""Finds files, tells their formats by their names, and opens them as rows."""

import glob
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from labse.errors import InputError
from labse.files import content
from labse.files.compression import (
    COMPRESSIONS,
    check_exists,
    check_library,
    compression_of,
    read_start,
)
from labse.files.formats import moses
from labse.files.formats.jsonl import JSONL
from labse.files.formats.moses import MOSES, MOSES_ZIP
from labse.files.formats.parquet import PARQUET
from labse.files.formats.row_format import Format, RowReader
from labse.files.formats.tfrecord import TFRECORD, is_shard_of_records
from labse.files.formats.tmx import TMX
from labse.files.formats.tsv import TSV
from labse.files.formats.txt import TXT
from labse.files.lines import MAX_LINE_BYTES
from labse.files.reading import ReadOptions

FORMATS: dict[str, Format] = {
    each.name: each
    for each in (TXT, TSV, JSONL, PARQUET, TFRECORD, TMX, MOSES, MOSES_ZIP)
}
_ENDINGS = {
    ending: each.name for each in FORMATS.values() for ending in each.endings
}
# Such as train-00000-of-00010; a name's other ending may stand before it.
_SHARD = re.compile(r"-\d+-of-\d+$")
# What OPUS ships beside the two files of a Moses corpus.
_BESIDE_MOSES = (".ids", ".scores", ".xml")


class Kind(NamedTuple):
    """The format and the compression that a file's name tells."""

    rows: str  # one of FORMATS
    compression: str  # one of COMPRESSIONS, or empty

    @property
    def format(self) -> Format:
        """The format of its rows."""
        return FORMATS[self.rows]


def find_files(patterns: Iterable[str | os.PathLike]) -> list[str]:
    """The files in the patterns' order, sorted within one, each once.

    A file that has several names, `a.tsv` and `./a.tsv`, has the first.

    Args:
      patterns: files or globs; `**` matches folders of any depth. For a Moses
        corpus, also what both names begin with, "NAME.en-de".

    Raises:
      InputError: no file matches a pattern, or a folder does.
    """
    files: dict[str, str] = {}
    for pattern in map(os.fspath, patterns):
        # The name of a file may have a star or a bracket.
        is_file = os.path.lexists(pattern)
        name = glob.escape(pattern) if is_file else pattern
        matches = sorted(glob.glob(name, recursive=True))
        matches = matches or _moses_files(pattern)
        if not matches:
            raise InputError(
                "Every input is a file or a glob that matches one. No file "
                f"matches {pattern!r}."
            )
        if not is_file:
            matches = _without_companions(matches)
        for path in matches:
            files.setdefault(os.path.realpath(path), path)
    for path in files.values():
        if os.path.isdir(path):
            raise _folder(path)
        check_exists(path)  # A link may lead nowhere.
    return list(files.values())


def _folder(path: str) -> InputError:
    what, names = "a folder", "*"
    found = os.listdir(path)
    if "manifest.json" in found:
        what, names = "a folder of records", "shard-*.tfrecord"
    elif any(map(is_shard_of_records, found)) or os.path.exists(
        os.path.join(path, "work", "job.json")
    ):
        return InputError(
            f"{path}: a folder of records has a manifest.json. This one has "
            "none, so it holds a part of the records. Run the command that "
            "writes it again: it resumes."
        )
    return InputError(
        f"{path}: text and pairs are read from files. This is {what}. Name the "
        f"files in it: {os.path.join(path, names)}."
    )


def find_pair_files(patterns: Iterable[str | os.PathLike]) -> list[str]:
    """As `find_files`, but only one of the two files of a Moses corpus."""
    found: dict[tuple[str, ...], str] = {}
    for path in find_files(patterns):
        key = tuple(map(os.path.realpath, files_of(path)))
        found.setdefault(key, path)
    return list(found.values())


def files_of(path: str) -> list[str]:
    """The files that hold the pairs: two for a Moses corpus, else `path`."""
    return moses.paths_of(path) if _format_of(path) == "moses" else [path]


def _moses_files(prefix: str) -> list[str]:
    """The files of the corpus "NAME.en-de"."""
    return [
        path
        for path in sorted(glob.glob(f"{glob.escape(prefix)}.*"))
        if (name := moses.parse_name(path)) and name.stem == prefix
    ]


def _without_companions(paths: list[str]) -> list[str]:
    stems = {
        moses.parse_name(path).stem
        for path in paths
        if _format_of(path) == MOSES.name
    }
    return [
        path
        for path in paths
        if not path.endswith(_BESIDE_MOSES)
        or os.path.splitext(path)[0] not in stems
    ]


def kind_of(path: str | os.PathLike) -> Kind:
    """The kind of a file by its name; `InputError` where it tells none."""
    kind = kind_by_name(path)
    if kind is None:
        raise _unknown(os.fspath(path))
    return kind


def kind_by_name(path: str | os.PathLike) -> Kind | None:
    """As `kind_of`, but None for a name that tells no kind."""
    path = os.fspath(path)
    compression = compression_of(path)
    name = _format_of(path)
    if name is None:
        return None
    if compression and not FORMATS[name].is_packable:
        ending = FORMATS[name].endings[0]
        raise InputError(
            f"{path}: a {ending} file is compressed inside. Decompress it, "
            f"and leave out .{compression}."
        )
    check_library(path, compression)
    return Kind(name, compression)


def _stem_of(path: str) -> tuple[str, bool]:
    """A name without compression and shard, and whether it was a shard."""
    name = os.path.basename(path).lower()
    if compression := compression_of(path):
        name = name[: -len(compression) - 1]
    shard = _SHARD.search(name)
    return (name[: shard.start()], True) if shard else (name, False)


def _format_of(path: str) -> str | None:
    stem, is_shard = _stem_of(path)
    found = _ENDINGS.get(os.path.splitext(stem)[1])
    if found is None and is_shard and not stem.endswith(".csv"):
        return TFRECORD.name
    if found is None and moses.parse_name(path):
        return MOSES.name
    return found


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
      kind: of a file whose content was checked before.
      shown_as: its name in messages; by default `path`.
    """
    path = os.fspath(path)
    if kind is None:
        kind = kind_of(path)
        check_content(path, kind, as_pairs)
    options = options or ReadOptions()
    return kind.format.reader(path, shown_as or path, options, as_pairs)


def check_content(path: str, kind: Kind, as_pairs: bool = True) -> None:
    """Raises `InputError` where the first bytes are of another kind."""
    if as_pairs and kind.rows == MOSES.name:
        for each in moses.paths_of(path):
            check_content(each, Kind(kind.rows, compression_of(each)), False)
        return
    check_exists(path)
    head = read_start(path, "", content.HEAD_BYTES)
    if not head:
        raise InputError(
            f"{path}: the file is empty. Make or fetch it again, or leave it "
            "out."
        )
    found, words, is_right = (
        content.guess_content(head),
        kind.format.words,
        True,
    )
    if kind.compression and found.compression != kind.compression:
        words = COMPRESSIONS[kind.compression].words
        is_right = found is content.BINARY  # Damaged, as the reader says.
    else:
        if kind.compression:
            head = read_start(path, kind.compression, content.HEAD_BYTES)
            if not head:
                return  # Empty or damaged, as the reader says.
            found = content.guess_decompressed(head, kind.compression)
            words += ", compressed"
        rows = kind.rows == TXT.name and content.guess_rows(head)
        if not kind.format.is_text:
            # Binary data of no known kind: the reader says what is damaged.
            wanted = (kind.rows, kind.compression)
            is_right = (found.kind, found.compression) == wanted or (
                found.what == content.BINARY.what
            )
        elif rows and not found.is_foreign:
            found, is_right = rows._replace(compression=kind.compression), False
        else:
            is_right = not found.is_foreign
    if not is_right:
        raise InputError(
            f"{path}: by its name this is {words}. The content looks like "
            f"{found.what}. {found.remedy(path)}"
        )
    if kind.format.is_text and kind.rows != JSONL.name:
        _check_line_ends(path, kind.compression)


def _check_line_ends(path: str, compression: str) -> None:
    start = read_start(path, compression, content.HEAD_BYTES)
    # One carriage return may be a slip.
    if b"\n" in start or start.count(b"\r") < 2:
        return
    start = read_start(path, compression, MAX_LINE_BYTES)
    if start and b"\n" not in start:
        raise InputError(
            f"{path}: a line ends at a line feed. Received carriage returns "
            "(\\r) alone and no line feed. Convert them: "
            "tr '\\r' '\\n' < IN > OUT."
        )


def _unknown(path: str) -> InputError:
    check_exists(path)
    if _stem_of(path)[0].endswith(".csv"):
        return InputError(
            f"{path}: .csv files are not read, since their separators and "
            "quotes differ from program to program. Write the table as .jsonl "
            "(pandas: to_json(orient='records', lines=True)) or as .tsv "
            "(to_csv(sep='\\t', index=False, quoting=csv.QUOTE_NONE))."
        )
    found = content.guess_content(read_start(path, "", content.HEAD_BYTES))
    return InputError(
        f"{path}: the name of a file tells its kind: .txt, .tsv, .jsonl, "
        ".tmx, .parquet, .tfrecord, or NAME-00000-of-00010 for TFRecords, "
        "NAME.en-de.en and NAME.en-de.de or a .zip of them for a Moses "
        "corpus; .gz, .bz2, .xz or .zst may follow. The content looks like "
        f"{found.what}. {found.remedy(path)}"
    )
