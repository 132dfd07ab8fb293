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
    refuse_damage,
)
from labse.files.formats.pair_values import to_text
from labse.files.formats.row_format import Format, Row, RowReader, RowWriter
from labse.files.formats.sides import (
    find_language,
    find_sides,
    lacks_language,
    matches,
    pair_fields,
    text_fields,
)
from labse.files.lines import Line, read_lines, split_lines
from labse.files.reading import (
    UNKNOWN_LANGUAGE,
    Fields,
    MalformedRow,
    decode_row,
)

_NAME = re.compile(
    r"(?P<stem>(?:.*[./])?(?P<first>\w{2,}?)-(?P<second>\w{2,}))"
    r"\.(?P<own>\w{2,})",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)


class MosesName(NamedTuple):
    """What the name of one of the two files says."""

    stem: str  # the name without the language, "a/NAME.en-de"
    languages: tuple[str, str]  # in the name's order
    own: str  # that of the text in the file

    def paths(self, ending: str = "") -> list[str]:
        """Both files, in the order of the languages."""
        return [f"{self.stem}.{each}{ending}" for each in self.languages]


def parse_name(path: str) -> MosesName | None:
    """What a path says, or None where it is not one of a Moses corpus."""
    if compression := compression_of(path):
        path = path[: -len(compression) - 1]
    found = _NAME.fullmatch(path)
    languages = (found["first"], found["second"]) if found else ()
    if len(set(languages)) < 2 or found["own"] not in languages:
        return None
    return MosesName(found["stem"], languages, found["own"])


def paths_of(path: str) -> list[str]:
    """The corpus's two files, in the order of their languages in the name."""
    name = parse_name(path)
    found = []
    for language, plain in zip(name.languages, name.paths(), strict=True):
        endings = ("", *(f".{each}" for each in COMPRESSIONS))
        paths = [plain + ending for ending in endings]
        own = [path] if language == name.own else []
        paths = own or list(filter(os.path.exists, paths))
        if not paths:
            raise InputError(
                f"{path}: pairs are in two files whose names end in "
                f".{name.languages[0]} and .{name.languages[1]}. There is no "
                f"{plain}. Put it beside this one."
            )
        found.append(paths[0])
    return found


class MosesReader(RowReader):
    """Pairs of both files, or the texts of the one that is named."""

    is_multilingual = True

    def find(self) -> tuple[Sequence[str], list[str]]:
        """The languages that can be read, and the files of their texts."""
        name = parse_name(self.path)
        if self.is_pairs:
            return name.languages, paths_of(self.path)
        return [name.own], [self.path]

    def lines(self, name: str) -> Iterator[Line]:
        """The lines of one of the files."""
        return read_lines(name)

    def read_columns(self) -> None:
        """None; refuses what has no texts in the language wanted."""
        languages, names = self.find()
        wanted = self.options.language
        if not self.is_pairs and (wanted or len(names) > 1):
            if not wanted:
                raise InputError(
                    f"{self.shown_as}: texts are in one language. Received "
                    f"{' and '.join(languages)}. Name the language to read."
                )
            place = find_language(languages, wanted)
            if place is None:
                raise lacks_language(self, languages)
            languages, names = [languages[place]], [names[place]]
        self._languages, self._names = languages, names

    def __iter__(self) -> Iterator[Row]:
        options, languages = self.options, self._languages
        if self.is_pairs:
            sides = find_sides(languages, options, (), self.shown_as)
            if sides is None:
                raise lacks_language(self, languages)
        files = [self.lines(name) for name in self._names]
        number = 0
        for lines in itertools.zip_longest(*files):
            if None in lines:
                raise self._uneven(number, lines, files)
            number += 1
            try:
                texts = [decode_row(line) for _, _, line in lines]
            except MalformedRow as row:
                yield number, row
                continue
            if not any(map(str.strip, texts)):
                yield number, None
            elif self.is_pairs:
                yield number, pair_fields(options, languages, texts, sides)
            else:
                yield number, text_fields(options, languages[0], texts[0])

    def _uneven(
        self, number: int, lines: Sequence, files: list[Iterator[Line]]
    ) -> InputError:
        counts = [
            number + (line is not None) + sum(1 for _ in file)
            for line, file in zip(lines, files, strict=True)
        ]
        first, second = self._languages
        return InputError(
            f"{self.shown_as}: line N of one file translates line N of the "
            f"other. Received {counts[0]:,} lines in {first} and "
            f"{counts[1]:,} lines in {second}. Fetch both files again."
        )


class MosesZipReader(MosesReader):
    """The same of the two files in a zip file."""

    def find(self) -> tuple[Sequence[str], list[str]]:
        """The languages and the names of the corpus's two files."""
        with self._open() as archive:
            names = archive.namelist()
        if len(set(names)) < len(names):
            raise InputError(
                f"{self.shown_as}: a zip file has one member of each name. "
                f"Received twice: {max(names, key=names.count)}. Make it again."
            )
        found = {each.stem: each for each in map(parse_name, names) if each}
        corpora = [
            each for each in found.values() if set(each.paths()) <= set(names)
        ]
        if len(corpora) == 1:
            return corpora[0].languages, corpora[0].paths()
        shown = [each.paths() for each in corpora] or [names]
        raise InputError(
            f"{self.shown_as}: a zip file holds one corpus of two aligned "
            "files, such as NAME.en-de.en and NAME.en-de.de. Received "
            f"{'several' if corpora else 'none'}: "
            f"{'; '.join(', '.join(each[:5]) for each in shown[:5])}. Unpack "
            "it, and name the files."
        )

    def lines(self, name: str) -> Iterator[Line]:
        """The lines of one of the two."""
        with self._open() as archive:
            try:
                member = archive.open(name)
            except (RuntimeError, NotImplementedError) as error:
                raise InputError(
                    f"{self.shown_as}: the file {name} in it is encrypted, or "
                    f"compressed as Python cannot read ({error}). Unpack it, "
                    "and name the files."
                ) from error
            with io.BufferedReader(member) as file:
                yield from split_lines(file, f"{self.shown_as}/{name}")

    @contextlib.contextmanager
    def _open(self) -> Iterator[zipfile.ZipFile]:
        check_exists(self.path)
        with (
            refuse_damage(self.shown_as),
            zipfile.ZipFile(self.path) as archive,
        ):
            yield archive


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
        return self.name.paths(f".{self.compression}" * bool(self.compression))

    def format_row(self, row: Fields, where: str) -> tuple[bytes, ...]:
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
            str(row.get(name) or UNKNOWN_LANGUAGE)
            for name in (features.SOURCE_LANGUAGE, features.TARGET_LANGUAGE)
        ]
        lines = tuple(f"{text}\n".encode() for text in texts)
        for order in (1, -1):
            if all(
                language == UNKNOWN_LANGUAGE or matches(language, name)
                for language, name in zip(
                    languages[::order], self.name.languages, strict=True
                )
            ):
                return lines[::order]
        raise InputError(
            f"{where}: the languages of a Moses corpus are those in its name, "
            f"{'-'.join(self.name.languages)}. Received a pair in "
            f"{'-'.join(languages)}. Choose a name with these, or write .tsv."
        )

    def write(self, rows: Iterator[tuple[bytes, ...]]) -> None:
        """Writes both files."""
        one, two = self.paths()
        with self.open(one) as first, self.open(two) as second:
            for row in rows:
                first.write(row[0])
                second.write(row[1])


class MosesZipWriter(MosesWriter):
    """Writes a zip file of the two."""

    def _name(self) -> MosesName:
        stem = os.path.basename(self.path)[: -len(".zip")]
        name = parse_name(f"{stem}.{re.split('[.-]', stem)[-1]}")
        if name is None:
            raise InputError(
                f"{self.path}: the name of a Moses corpus has its languages, "
                "such as NAME.en-de.zip. Choose such a name."
            )
        return name

    def paths(self) -> list[str]:
        """The zip file."""
        return [self.path]

    def write(self, rows: Iterator[tuple[bytes, ...]]) -> None:
        """Writes one file, the other one into a temporary, then that."""
        # Of the year 1980: the same rows give the same bytes.
        members = [zipfile.ZipInfo(path) for path in self.name.paths()]
        for member in members:
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
        folder = os.path.dirname(self.path) or "."
        with (
            atomic_file(self.path, "wb") as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
            tempfile.TemporaryFile(dir=folder) as second,
        ):
            with archive.open(members[0], "w", force_zip64=True) as first:
                for row in rows:
                    first.write(row[0])
                    second.write(row[1])
            with archive.open(members[1], "w", force_zip64=True) as last:
                second.seek(0)
                shutil.copyfileobj(second, last, 2**20)


MOSES = Format(
    *("moses", "a Moses corpus", (), MosesReader, MosesWriter), is_text=True
)
MOSES_ZIP = Format(
    *("zip", "a zip file of a Moses corpus", (".zip",)),
    *(MosesZipReader, MosesZipWriter),
    is_packable=False,
)
