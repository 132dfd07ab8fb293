"""Finds and reads gettext's translation catalogues.

A catalogue is a `.po` file (text) or a `.mo` file (the same, compiled, without
flags such as fuzzy), which some packages name `.gmo`.
"""

import collections
import dataclasses
import fnmatch
import glob
import importlib.util
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from data_pipeline.gettext import catalogue_entries, header_language
from data_pipeline.gettext.po_parser import Entry, MalformedCatalogue
from labse.errors import InputError

PACKAGE_PREFIX = "package:"
COMPILED_SUFFIXES = (".mo", ".gmo")
SUFFIXES = (".po", *COMPILED_SUFFIXES)

# The largest catalogues in wide use have a few megabytes. Members of archives
# are read into memory, and a larger one is a mistake or an attack.
MAX_CATALOGUE_BYTES = 256 * 2**20


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """The content of a catalogue.

    Attributes:
      name: where it came from, for messages.
      language: its tag, or None if it is unclear.
      why_unclear: why the language is None.
      entries: all except the header.
      plural_forms: the header's Plural-Forms, or "".
    """

    name: str
    language: str | None
    why_unclear: str
    entries: list[Entry]
    plural_forms: str


@dataclasses.dataclass(frozen=True)
class CatalogueFile:
    """A catalogue that has not been read yet.

    Attributes:
      name: where it is, for messages.
      path: in its archive, or absolute; implies language and format.
      path_in_input: in the archive or folder that is the input.
      content: reads the bytes.
    """

    name: str
    path: PurePosixPath
    path_in_input: str
    content: Callable[[], bytes]

    @property
    def sure_language(self) -> str | None:
        """The tag of the language if it is clear from the path."""
        return header_language.sure_language(self.path)

    def read(self) -> Catalogue:
        """Reads and parses it.

        Raises:
          MalformedCatalogue: it cannot be read, or is malformed; the message
            begins with path and line.
        """
        try:
            return parse_catalogue(self.name, self.path, self.content())
        except MalformedCatalogue as error:
            line = "" if error.line is None else f":{error.line}"
            raise MalformedCatalogue(f"{self.name}{line}: {error}") from error
        except OSError as error:
            raise MalformedCatalogue(f"{self.name}: {error}") from error

    def matches(self, pattern: str) -> bool:
        """Whether a glob, whose `*` matches `/` too, matches its path."""
        return any(
            path == pattern or fnmatch.fnmatchcase(path, pattern)
            for path in (self.name, self.path_in_input)
        )


def expand_globs(inputs: Iterable[str]) -> Iterator[str]:
    """The inputs; in place of a glob its matches, sorted."""
    for input_name in inputs:
        # A path that exists is not a glob, whatever its name contains.
        found = not os.path.exists(input_name) and glob.glob(
            input_name, recursive=True
        )
        yield from sorted(found or [input_name])


def find_catalogues(
    input_name: str, counters: collections.Counter
) -> Iterator[CatalogueFile]:
    """The catalogues of an input, in the order of their names.

    A compiled catalogue beside the `.po` of the same name is skipped, because
    it was made from that. Members of archives are read into memory one by one,
    and never written.

    Args:
      input_name: folder, wheel, zip file, `.po`, `.mo`, `.gmo`, or
        `package:NAME` for an installed Python package.
      counters: counts `catalogues_mo_beside_po`.

    Raises:
      InputError: there is no such input, or it has no catalogue.
    """
    if input_name.startswith(PACKAGE_PREFIX):
        files = _files_of_folders(_package_folders(input_name), counters)
    elif os.path.isdir(input_name):
        files = _files_of_folders([Path(input_name)], counters)
    elif _is_catalogue(input_name) and os.path.isfile(input_name):
        path = Path(input_name)
        files = iter([_file(path, path.name)])
    elif os.path.isfile(input_name) and zipfile.is_zipfile(input_name):
        files = _files_of_zip(input_name, counters)
    else:
        raise InputError(
            "An input is a folder, a wheel or other zip file, a .po, .mo or "
            ".gmo file, or package:NAME for an installed Python package. "
            f"Received: {input_name}, which is "
            + (
                "none of these, or damaged."
                if os.path.exists(input_name)
                else "missing."
            )
        )
    found = False
    for file in files:
        found = True
        yield file
    if not found:
        raise InputError(
            "An input must have .po, .mo or .gmo files. Received: "
            f"{input_name}, which has none."
        )


def _is_catalogue(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _is_compiled(path: PurePosixPath) -> bool:
    return path.suffix.lower() in COMPILED_SUFFIXES


def _package_folders(input_name: str) -> list[Path]:
    package = input_name.removeprefix(PACKAGE_PREFIX)
    try:
        spec = importlib.util.find_spec(package) if package else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "package:NAME is an installed Python package. Received: "
            f"{input_name}, which is not installed. Install it, or pass its "
            "folder or wheel."
        )
    return [Path(folder) for folder in spec.submodule_search_locations]


def _file(path: Path, path_in_input: str) -> CatalogueFile:
    # The absolute path, since the parent folder may be named by a language.
    whole = PurePosixPath(os.path.realpath(path))
    return CatalogueFile(str(path), whole, path_in_input, path.read_bytes)


def _files_of_folders(
    folders: list[Path], counters: collections.Counter
) -> Iterator[CatalogueFile]:
    for folder in folders:
        paths = [
            PurePosixPath(parent, name)
            for parent, _, names in os.walk(folder)
            for name in names
            if _is_catalogue(name)
        ]
        for path in _without_made_from_others(paths, counters):
            path_in_input = str(path.relative_to(folder))
            yield _file(Path(path), path_in_input)


def _files_of_zip(
    archive_name: str, counters: collections.Counter
) -> Iterator[CatalogueFile]:
    try:
        archive = zipfile.ZipFile(archive_name)
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{archive_name} must be an intact zip file. Received: {error}. "
            "Make or download it again."
        ) from error
    with archive:
        members = _catalogues_in(archive, archive_name)
        for path in _without_made_from_others(members, counters):
            info = members[path]
            yield CatalogueFile(
                f"{archive_name}: {info.filename}",
                path,
                info.filename,
                lambda info=info: _read_member(archive, info),
            )


def _catalogues_in(
    archive: zipfile.ZipFile, archive_name: str
) -> dict[PurePosixPath, zipfile.ZipInfo]:
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if not _is_catalogue(info.filename):
            continue
        path = PurePosixPath(info.filename)
        if path in members:
            raise InputError(
                "An archive has one member of each name. Received twice in "
                f"{archive_name}: {path}. Unpack it, and pass the folder."
            )
        members[path] = info
    return members


def _without_made_from_others(
    paths: Iterable[PurePosixPath], counters: collections.Counter
) -> list[PurePosixPath]:
    """The paths, sorted, without those compiled from another one."""
    paths = sorted(paths)
    texts = {path.with_suffix("") for path in paths if not _is_compiled(path)}
    kept = [
        path
        for path in paths
        if not (_is_compiled(path) and path.with_suffix("") in texts)
    ]
    if len(kept) < len(paths):
        counters["catalogues_mo_beside_po"] += len(paths) - len(kept)
    return kept


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > MAX_CATALOGUE_BYTES:
        raise MalformedCatalogue(
            f"a catalogue in an archive has at most {MAX_CATALOGUE_BYTES} "
            f"bytes. Received: {info.file_size}. Unpack the archive and pass "
            "its folder"
        )
    try:
        return archive.read(info)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        RuntimeError,  # encrypted
        NotImplementedError,  # an unknown compression
    ) as error:
        raise MalformedCatalogue(
            f"it cannot be read from the archive ({error})"
        ) from error


def parse_catalogue(
    name: str, path: PurePosixPath, content: bytes
) -> Catalogue:
    """Parses the content of a catalogue.

    Args:
      name: for messages.
      path: its suffix is the format; it may imply the language.
      content: the file's bytes.

    Raises:
      MalformedCatalogue: the content is not of that format.
    """
    parse = catalogue_entries.parse_po_file
    if _is_compiled(path):
        parse = catalogue_entries.parse_mo_file
    header, entries = parse(content)
    language, why_unclear = header_language.catalogue_language(
        path, header.get("language", "")
    )
    return Catalogue(
        name, language, why_unclear, entries, header.get("plural-forms", "")
    )
