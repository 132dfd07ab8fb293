"""Gettext's translation catalogues: where they are, what they say.

A catalogue is a `.po` file (text) or a `.mo` file (the same, compiled, without
the marks of unfinished work). Formats: the GNU gettext manual, "The Format of
PO Files" and "The Format of GNU MO Files",
https://www.gnu.org/software/gettext/manual/.
"""

import codecs
import collections
import dataclasses
import importlib.util
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import polib

from labse import languages
from labse.errors import InputError

PACKAGE_PREFIX = "package:"
SUFFIXES = (".po", ".mo")

# The biggest catalogues in wide use hold a few megabytes; an archive's member
# beyond this is a mistake or a trap, and is read into memory whole.
MAX_CATALOGUE_BYTES = 256 * 2**20

_CHARSET = re.compile(rb"Content-Type:[^\n]*?charset=([\w:.-]+)", re.IGNORECASE)
# What str.splitlines, and so polib, takes for the end of a line, and gettext
# does not.
_FALSE_LINE_ENDS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# A line of a .po file that is neither empty nor a comment.
_PO_LINE = re.compile(
    r"(?:(?:msgctxt|msgid|msgid_plural|msgstr|msgstr\[\d+\])\s+)?"
    r'"(?:[^"\\]|\\.)*"'
)


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """One catalogue, read.

    Attributes:
      name: where it came from, for messages.
      language: its tag, or None where nothing says it clearly.
      entries: polib's entries, without the header.
      plural_forms: the header's Plural-Forms, or "".
    """

    name: str
    language: str | None
    entries: list[polib.POEntry] | list[polib.MOEntry]
    plural_forms: str


def read_catalogues(
    input_name: str, counters: collections.Counter
) -> Iterator[Catalogue]:
    """Reads every catalogue of an input, in the order of their names.

    A `.mo` beside the `.po` of the same name is passed over: it is made from
    it. Members of archives are read in memory and written nowhere.

    Args:
      input_name: folder, wheel, zip file, `.po`, `.mo`, or `package:NAME` for
        an installed Python package.
      counters: receives `catalogues_*`.

    Raises:
      InputError: there is no such input, it holds no catalogue, or one of
        them is damaged.
    """
    if input_name.startswith(PACKAGE_PREFIX):
        files = _files_of_folders(_package_folders(input_name))
    elif os.path.isdir(input_name):
        files = _files_of_folders([Path(input_name)])
    elif input_name.endswith(SUFFIXES) and os.path.isfile(input_name):
        files = iter([_file(Path(input_name))])
    elif os.path.isfile(input_name) and zipfile.is_zipfile(input_name):
        files = _files_of_zip(input_name)
    else:
        raise InputError(
            "An input is a folder, a wheel or other zip file, a .po or .mo "
            "file, or package:NAME for an installed Python package. Received: "
            f"{input_name}, which is "
            + (
                "none of them, or damaged."
                if os.path.exists(input_name)
                else "not there."
            )
        )
    found = False
    for name, path, read in files:
        found = True
        if path.suffix == ".mo" and read is None:
            counters["catalogues_mo_beside_po"] += 1
            continue
        counters["catalogues_read"] += 1
        yield parse_catalogue(name, path, read())
    if not found:
        raise InputError(
            f"An input must hold .po or .mo files. Received: {input_name}, "
            "which holds none."
        )


# A catalogue's name for messages, its path for its language, and how to read
# it; None instead of the latter for a .mo beside its .po.
_CatalogueFile = tuple[str, PurePosixPath, Callable[[], bytes] | None]


def _package_folders(input_name: str) -> list[Path]:
    package = input_name.removeprefix(PACKAGE_PREFIX)
    try:
        spec = importlib.util.find_spec(package) if package else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "package:NAME names a Python package that is installed beside "
            f"labse. Received: {input_name}, which is not. Install it, or give "
            "its folder or wheel."
        )
    return [Path(folder) for folder in spec.submodule_search_locations]


def _file(path: Path) -> _CatalogueFile:
    # The whole path, since the folder above may name the language.
    return str(path), PurePosixPath(path.resolve().as_posix()), path.read_bytes


def _files_of_folders(folders: list[Path]) -> Iterator[_CatalogueFile]:
    for folder in folders:
        paths = {
            Path(parent, name)
            for parent, _, names in os.walk(folder)
            for name in names
            if name.endswith(SUFFIXES)
        }
        for path in sorted(paths):
            name, pure_path, read = _file(path)
            if path.suffix == ".mo" and path.with_suffix(".po") in paths:
                read = None
            yield name, pure_path, read


def _files_of_zip(archive_name: str) -> Iterator[_CatalogueFile]:
    try:
        archive = zipfile.ZipFile(archive_name)
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{archive_name} must be a sound zip file. Received: {error}. "
            "Make or fetch it again."
        ) from error
    with archive:
        members = {
            info.filename: info
            for info in archive.infolist()
            if info.filename.endswith(SUFFIXES)
        }
        for member in sorted(members):
            path = PurePosixPath(member)
            name = f"{archive_name}: {member}"
            if path.suffix == ".mo" and str(path.with_suffix(".po")) in members:
                yield name, path, None
            else:
                info = members[member]
                yield name, path, lambda info=info: _read(archive, info)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > MAX_CATALOGUE_BYTES:
        raise InputError(
            f"A catalogue in an archive may hold {MAX_CATALOGUE_BYTES} bytes. "
            f"Received: {archive.filename}: {info.filename} with "
            f"{info.file_size}. Unpack the archive and give its folder."
        )
    try:
        return archive.read(info)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,  # encrypted
        NotImplementedError,  # an unknown compression
    ) as error:
        raise InputError(
            f"{archive.filename}: {info.filename} cannot be read from the "
            f"archive ({error}). Make or fetch the archive again."
        ) from error


def parse_catalogue(
    name: str, path: PurePosixPath, content: bytes
) -> Catalogue:
    """Parses the content of a catalogue.

    Args:
      name: for messages.
      path: says the format by its suffix and perhaps the language.
      content: the file's bytes.

    Raises:
      InputError: the content is not what the suffix promises.
    """
    try:
        encoding = _encoding(content)
        if path.suffix == ".mo":
            _check_mo(content)
            catalogue = polib.mofile(content, encoding=encoding)
        else:
            text = content.decode(encoding).removeprefix("\ufeff")
            text = _FALSE_LINE_ENDS.sub(" ", text)
            _check_po(text)
            # A text that ends a line cannot be taken for a file's name.
            catalogue = polib.pofile(text + "\n", encoding=encoding)
    except (OSError, ValueError, LookupError) as error:
        message = re.sub(r"\s+", " ", str(error)).strip(" .")
        raise InputError(
            f"{name} is not a sound {path.suffix} catalogue: {message}. "
            "Repair it (msgfmt --check shows where), or leave it out."
        ) from error
    # polib keeps a header that is not the first entry among the entries.
    entries = [entry for entry in catalogue if entry.msgid]
    return Catalogue(
        name=name,
        language=catalogue_language(path, catalogue.metadata),
        entries=entries,
        plural_forms=catalogue.metadata.get("Plural-Forms", ""),
    )


def _encoding(content: bytes) -> str:
    """The encoding that the header declares; UTF-8 where it does not."""
    match = _CHARSET.search(content)
    declared = match[1].decode("ascii") if match else "CHARSET"
    if declared == "CHARSET":  # what stands in a template, yet to be filled in
        return "utf-8"
    try:
        return codecs.lookup(declared).name
    except LookupError as error:
        raise ValueError(
            f"its header declares an unknown charset, {declared}"
        ) from error


def _check_po(text: str) -> None:
    """Raises ValueError where a line holds no keyword and quoted string.

    polib would take the first and the last character of what is there for the
    quotation marks.
    """
    for line_number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if line and line[0] != "#" and not _PO_LINE.fullmatch(line):
            raise ValueError(f"line {line_number} is {line[:80]!r}")


def _check_mo(content: bytes) -> None:
    """Raises ValueError where a string lies outside the file.

    polib would read what is left of such a string without a word.
    """
    order = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}.get(
        content[:4]
    )
    if order is None:
        raise ValueError("it does not begin with the magic number")
    try:
        count, *tables = struct.unpack_from(f"{order}3I", content, 8)
        for table in tables:
            cells = struct.unpack_from(f"{order}{2 * count}I", content, table)
            ends = map(sum, zip(cells[::2], cells[1::2], strict=True))
            if max(ends, default=0) > len(content):
                raise ValueError("it ends inside a string")
    except struct.error as error:
        raise ValueError("it ends inside its tables") from error


def catalogue_language(
    path: PurePosixPath, metadata: dict[str, str]
) -> str | None:
    """The tag of a catalogue's language, or None where it is unclear.

    Looked for, the surest place first: `<LOCALE>/LC_MESSAGES/x.po`, where the
    run-time itself looks; `<locale>.po`; the header's Language together with
    `<locale>/x.po`, which must not contradict each other, since a folder may
    be called `my` (Burmese) and a header copied from another language.
    """
    if path.parent.name == "LC_MESSAGES":
        return languages.language_tag(path.parent.parent.name)
    stem = languages.language_tag(path.stem)
    if stem and languages.is_known_language(stem):
        return stem
    header = languages.language_tag(metadata.get("Language", ""))
    folder = languages.language_tag(path.parent.name)
    if folder is None or not languages.is_known_language(folder):
        return header
    same = header is None or (
        languages.primary_language(header) == languages.primary_language(folder)
    )
    return folder if same else None
