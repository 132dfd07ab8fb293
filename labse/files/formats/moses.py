"""Moses corpora as OPUS ships them: two text files whose lines are aligned.

`NAME.en-de.en` and `NAME.en-de.de` are one corpus, and any of the two names
it. A zip file holds the two, beside others such as README and LICENSE.
"""

import contextlib
import io
import itertools
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from absl import logging

from labse import features
from labse.errors import InputError
from labse.files.atomic_write import atomic_file
from labse.files.compression import (
    COMPRESSIONS,
    check_exists,
    compression_of,
    open_unpacked,
    refuse_damage,
)
from labse.files.formats.pair_values import to_text
from labse.files.formats.row_format import (
    Fields,
    Format,
    Row,
    RowReader,
    RowWriter,
)
from labse.files.formats.sides import (
    find_language,
    find_sides,
    lacks_language,
    matches,
)
from labse.files.lines import decode_row, split_lines
from labse.files.reading import MalformedRow

_NAME = re.compile(
    r"(?P<stem>(?:.*[./])?(?P<first>\w{2,}?)-(?P<second>\w{2,}))"
    r"\.(?P<own>\w{2,})",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
_UND = "und"


class MosesName(NamedTuple):
    """What the name of one of the two files says.

    Attributes:
      stem: the name without the language, "a/NAME.en-de".
      languages: both, in the name's order.
      own: that of the text in the file.
    """

    stem: str
    languages: tuple[str, str]
    own: str

    def path_of(self, language: str) -> str:
        """The file of a language, not compressed."""
        return f"{self.stem}.{language}"


def parse_name(path: str) -> MosesName | None:
    """What a path says, or None where it is not one of a Moses corpus."""
    if compression := compression_of(path):
        path = path[: -len(compression) - 1]
    found = _NAME.fullmatch(path)
    if not found or found["own"] not in (found["first"], found["second"]):
        return None
    if found["first"] == found["second"]:
        return None
    languages = (found["first"], found["second"])
    return MosesName(found["stem"], languages, found["own"])


def paths_of(path: str) -> list[str]:
    """The corpus's two files in the order of the languages in their name.

    Raises:
      InputError: there is only one.
    """
    name = parse_name(path)
    return [
        path if language == name.own else _existing(name, language, path)
        for language in name.languages
    ]


def _existing(name: MosesName, language: str, path: str) -> str:
    plain = name.path_of(language)
    for ending in ("", *(f".{each}" for each in COMPRESSIONS)):
        if os.path.exists(plain + ending):
            return plain + ending
    raise InputError(
        f"{path}: pairs are in two files whose names end in "
        f".{name.languages[0]} and .{name.languages[1]}. There is no {plain}. "
        "Put it beside this one."
    )


class MosesReader(RowReader):
    """Pairs of both files, or the texts of the one that is named."""

    is_multilingual = True

    def __iter__(self) -> Iterator[Row]:
        name = parse_name(self.path)
        if self.is_pairs:
            return self.aligned(
                name.languages,
                [_lines(path) for path in paths_of(self.path)],
            )
        language = self.options.language or name.own
        return self.texts(language, _lines(self.path))

    def read_columns(self) -> None:
        """None; refuses a text in another language than the one wanted."""
        wanted, own = self.options.language, parse_name(self.path).own
        if wanted and not self.is_pairs and not matches(own, wanted):
            raise lacks_language(self.shown_as, [wanted], [own])

    def texts(self, language: str, lines: Iterator[bytes]) -> Iterator[Row]:
        """The rows of one of the files."""
        for number, line in enumerate(lines, start=1):
            try:
                text = decode_row(line)
            except MalformedRow as row:
                yield number, row
                continue
            column = self.options.text_column
            is_blank = not text.strip()
            fields = {column: text, features.LANGUAGE: language}
            yield number, None if is_blank else fields

    def aligned(
        self, languages: Sequence[str], files: list[Iterator[bytes]]
    ) -> Iterator[Row]:
        """The rows of two files, which have as many lines."""
        options = self.options
        wanted = (options.source_language, options.target_language)
        sides = find_sides(languages, *wanted, (), self.shown_as)
        if sides is None:
            raise lacks_language(self.shown_as, wanted, languages)
        files = [files[side] for side in sides]
        columns = (options.source_column, options.target_column)
        found = self.language_fields([languages[side] for side in sides])
        number = 0
        for number, lines in enumerate(itertools.zip_longest(*files), start=1):
            if None in lines:
                break
            try:
                texts = [decode_row(line) for line in lines]
            except MalformedRow as row:
                yield number, row
                continue
            if not any(map(str.strip, texts)):
                yield number, None
                continue
            yield number, {**dict(zip(columns, texts, strict=True)), **found}
        else:
            return
        counts = [
            number + sum(1 for _ in file) - (line is None)
            for file, line in zip(files, lines, strict=True)
        ]
        raise InputError(
            f"{self.shown_as}: line N of one file translates line N of the "
            "other. Received "
            + " and ".join(
                f"{count:,} lines in {languages[side]}"
                for side, count in zip(sides, counts, strict=True)
            )
            + ". Fetch both files again."
        )


def _lines(path: str) -> Iterator[bytes]:
    with open_unpacked(path) as file:
        for _, _, line in split_lines(file, path):
            yield line


class MosesZipReader(MosesReader):
    """The same of the two files in a zip file."""

    def __iter__(self) -> Iterator[Row]:
        names = self._names()
        languages = parse_name(names[0]).languages
        if self.is_pairs:
            files = [self._lines(name) for name in names]
            return self.aligned(languages, files)
        wanted = self.options.language
        if not wanted:
            raise InputError(
                f"{self.shown_as}: texts are in one language. Received "
                f"{' and '.join(languages)}. Name the language to read."
            )
        place = find_language(languages, wanted)
        if place is None:
            raise lacks_language(self.shown_as, [wanted], languages)
        return self.texts(wanted, self._lines(names[place]))

    def read_columns(self) -> None:
        """None; finds out whether there is one corpus."""
        self._names()

    def _names(self) -> list[str]:
        """The names of the corpus's two files."""
        check_exists(self.path)
        with (
            refuse_damage(self.shown_as),
            zipfile.ZipFile(self.path) as archive,
        ):
            names = archive.namelist()
        if len(set(names)) < len(names):
            raise InputError(
                f"{self.shown_as}: a zip file has one member of each name. "
                f"Received twice: {max(names, key=names.count)}. Make it again."
            )
        corpora = {
            found.stem: [found.path_of(name) for name in found.languages]
            for found in map(parse_name, names)
            if found
        }
        corpora = [each for each in corpora.values() if set(each) <= set(names)]
        if len(corpora) == 1:
            return corpora[0]
        found = corpora or [names]
        raise InputError(
            f"{self.shown_as}: a zip file holds one corpus of two aligned "
            "files, such as NAME.en-de.en and NAME.en-de.de. Received "
            f"{'several' if corpora else 'none'}: "
            f"{'; '.join(', '.join(each[:5]) for each in found[:5])}. Unpack "
            "it, and name the files."
        )

    def _lines(self, name: str) -> Iterator[bytes]:
        shown = f"{self.shown_as}/{name}"
        with (
            refuse_damage(self.shown_as),
            zipfile.ZipFile(self.path) as archive,
            self._open(archive, name) as file,
        ):
            for _, _, line in split_lines(io.BufferedReader(file), shown):
                yield line

    def _open(self, archive: zipfile.ZipFile, name: str):
        try:
            return archive.open(name)
        except (RuntimeError, NotImplementedError) as error:
            raise InputError(
                f"{self.shown_as}: the file {name} in it is encrypted, or "
                f"compressed as Python cannot read ({error}). Unpack it, and "
                "name the files."
            ) from error


class MosesWriter(RowWriter):
    """Writes two files, one after the other renamed to their names.

    They hold texts only: other columns are left out, which is logged.
    """

    has_columns = False

    def __init__(self, path, compression: str, columns: Sequence[str]):
        super().__init__(path, compression, columns)
        left_out = [c for c in columns if c not in features.PAIR_COLUMNS]
        if left_out:
            logging.warning(
                "%s holds texts only: %s are left out.",
                self.path,
                ", ".join(left_out),
            )
        self.name = self._name()

    def _name(self) -> MosesName:
        return parse_name(self.path)

    def paths(self) -> list[str]:
        """Both files, in the order of the languages in their name."""
        ending = f".{self.compression}" if self.compression else ""
        return [
            self.name.path_of(language) + ending
            for language in self.name.languages
        ]

    def format_row(self, row: Fields, where: str) -> tuple[bytes, bytes]:
        """A line of each file."""
        sides = (features.SOURCE, features.TARGET)
        texts = [to_text(row.get(side), side, where) for side in sides]
        for text in texts:
            if "\n" in text or text.endswith("\r") or not text.strip():
                raise InputError(
                    f"{where}: a line of a Moses corpus is a text that is not "
                    f"empty. Received: {text[:80]!r}. Write .jsonl instead."
                )
        languages = [
            str(row.get(name) or _UND)
            for name in (features.SOURCE_LANGUAGE, features.TARGET_LANGUAGE)
        ]
        lines = tuple(f"{text}\n".encode() for text in texts)
        if self._are(languages, self.name.languages):
            return lines
        if self._are(languages[::-1], self.name.languages):
            return lines[::-1]
        raise InputError(
            f"{where}: the languages of a Moses corpus are those in its name, "
            f"{'-'.join(self.name.languages)}. Received a pair in "
            f"{'-'.join(languages)}. Choose a name with these, or write .tsv."
        )

    @staticmethod
    def _are(languages: Sequence[str], named: Sequence[str]) -> bool:
        return all(
            language == _UND or matches(language, name)
            for language, name in zip(languages, named, strict=True)
        )

    def write(self, rows: Iterator[tuple[bytes, bytes]]) -> None:
        """Writes both files."""
        with contextlib.ExitStack() as stack:
            files = [
                stack.enter_context(self.open(path)) for path in self.paths()
            ]
            for row in rows:
                for file, line in zip(files, row, strict=True):
                    file.write(line)


class MosesZipWriter(MosesWriter):
    """Writes a zip file of the two."""

    def _name(self) -> MosesName:
        stem = self.path[: -len(".zip")]
        language = re.split(r"[.-]", os.path.basename(stem))[-1]
        name = parse_name(f"{os.path.basename(stem)}.{language}")
        if name is None:
            raise InputError(
                f"{self.path}: the name of a Moses corpus has its languages, "
                "such as NAME.en-de.zip. Choose such a name."
            )
        return name

    def paths(self) -> list[str]:
        """The zip file."""
        return [self.path]

    def write(self, rows: Iterator[tuple[bytes, bytes]]) -> None:
        """Writes one file, the other one into a temporary, then that."""
        paths = [self.name.path_of(name) for name in self.name.languages]
        folder = os.path.dirname(self.path) or "."
        with (
            atomic_file(self.path, "wb") as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
            tempfile.TemporaryFile(dir=folder) as second,
        ):
            # A fixed time: the same rows give the same bytes.
            with archive.open(
                _member(paths[0]), "w", force_zip64=True
            ) as first:
                for one, other in rows:
                    first.write(one)
                    second.write(other)
            with archive.open(_member(paths[1]), "w", force_zip64=True) as last:
                second.seek(0)
                shutil.copyfileobj(second, last, 2**20)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)  # of the year 1980
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    return member


MOSES = Format(
    "moses",
    "a Moses corpus",
    (),
    MosesReader,
    MosesWriter,
    is_text=True,
)
MOSES_ZIP = Format(
    "zip",
    "a zip file of a Moses corpus",
    (".zip",),
    MosesZipReader,
    MosesZipWriter,
    is_packable=False,
)
