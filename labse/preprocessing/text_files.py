"""Reads files of text in many languages: .tsv with a header, or .txt."""

import glob
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator

from labse import features
from labse.errors import InputError

# A file without line feeds must not fill the memory.
MAX_LINE_BYTES = 2**24

_COLUMN_PAIRS = (
    (features.SOURCE, features.SOURCE_LANGUAGE),
    (features.TARGET, features.TARGET_LANGUAGE),
    (features.TEXT, features.LANGUAGE),
)


class Texts:
    """The texts of many files; read anew each time they are iterated.

    Iterating yields (language, text in valid UTF-8), blank texts left out. It
    raises `InputError` where a file breaks a rule of `read_texts`, where a
    text is no UTF-8, and at the end where there was no text at all or none of
    a language that was asked for.
    """

    def __init__(
        self,
        patterns: Iterable[str],
        language: str | None = None,
        languages: Iterable[str] = (),
    ):
        """Finds the files and checks their names.

        Args:
          patterns: files or globs of them.
          language: the language of `.txt` files.
          languages: only texts of these; all, if none are named.

        Raises:
          InputError: a glob matches nothing, or a file's name breaks a rule.
        """
        self.files = find_files(patterns)
        self.language = language
        self.languages = tuple(languages)
        for path in self.files:
            read_texts(path, language)  # Reads nothing yet, checks the name.

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        found, blank = set(), True
        for path in self.files:
            for language, text in read_texts(path, self.language, strict=True):
                if not text.strip():
                    continue
                found.add(language)
                if not self.languages or language in self.languages:
                    blank = False
                    yield language, text
        missing = [name for name in self.languages if name not in found]
        if missing or blank:
            raise InputError(
                "Every language that is asked for has text. There is none"
                + (f" in {', '.join(missing)}" if missing else "")
                + f" in {_shown(self.files)}. Received text in: "
                f"{', '.join(sorted(found)) or 'no language'}. Is it the "
                "right file, and the right language code?"
            )


def find_files(patterns: Iterable[str]) -> list[str]:
    """The files that match the globs, sorted, each once.

    Raises:
      InputError: a glob matches nothing.
    """
    files = set()
    for pattern in patterns:
        matches = glob.glob(pattern, recursive=True)
        if not matches:
            raise InputError(
                "Every input is a file or a glob that matches one. No file "
                f"matches {pattern!r}."
            )
        files.update(matches)
    return sorted(files)


def read_texts(
    path: str, language: str | None, strict: bool = False
) -> Iterator[tuple[str, bytes]]:
    """Yields (language, text) for each text of a file.

    Args:
      path: `.tsv` with a header (source, target, source_language and
        target_language, or text and language) or `.txt` with a text a line;
        `.gz` may follow.
      language: the language of `.txt` files.
      strict: whether a line that is not UTF-8 breaks a rule.

    Raises:
      InputError: the name, the header or a line breaks a rule.
    """
    name = path.removesuffix(".gz")
    if name.endswith(".tsv"):
        return _read_tsv(path, strict)
    if not name.endswith(".txt"):
        raise InputError(
            f"{path}: an input ends in .tsv, .tsv.gz, .txt or .txt.gz. "
            "Rename the file."
        )
    if not language:
        raise InputError(
            f"{path}: the language of a .txt file is given by --language. "
            "Received none."
        )
    return ((language, line) for _, line in read_lines(path, strict))


def read_lines(path: str, strict: bool = False) -> Iterator[tuple[int, bytes]]:
    r"""Yields (number from 1, line). Only \n, or \r\n, ends a line.

    Args:
      path: the file; one whose name ends in `.gz` is unpacked.
      strict: whether a line that is not UTF-8 is an error.

    Raises:
      InputError: there is no such file, it is a damaged gzip file, a line is
        longer than `MAX_LINE_BYTES`, or is not UTF-8.
    """
    if os.path.isdir(path) or not os.path.exists(path):
        raise InputError(f"{path}: there is no such file.")
    opener = gzip.open if path.endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                _check_line(line, path, number, strict)
                yield number, line.rstrip(b"\r\n")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}: a .gz file is a whole gzip file. It cannot be read: "
            f"{error}. Make or fetch it again."
        ) from error


def _check_line(line: bytes, path: str, number: int, strict: bool) -> None:
    if len(line) > MAX_LINE_BYTES:
        raise InputError(
            f"{path}:{number}: a line has at most {MAX_LINE_BYTES:,} bytes. "
            "Received a longer one. Is this a text file with one text a line?"
        )
    if not strict:
        return
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}:{number}: text is UTF-8. Received the byte "
            f"0x{line[error.start]:02x}, which is not ({error.reason}). "
            "Convert the file to UTF-8."
        ) from error


def _read_tsv(path: str, strict: bool) -> Iterator[tuple[str, bytes]]:
    lines = read_lines(path, strict)
    header = next(lines, (1, b""))[1].decode("utf-8-sig", "replace").split("\t")
    columns = [
        (header.index(text), header.index(language))
        for text, language in _COLUMN_PAIRS
        if text in header and language in header
    ]
    if not columns:
        raise InputError(
            f"{path}:1: a TSV begins with a header that names "
            f"{', '.join(features.PAIR_COLUMNS)} (pairs) or "
            f"{', '.join(features.MONOLINGUAL_COLUMNS)}. Received "
            f"{' | '.join(header)!r}."
        )
    names = {}
    for number, line in lines:
        cells = line.split(b"\t")
        if len(cells) != len(header):
            raise InputError(
                f"{path}:{number}: a line has as many columns as the header, "
                f"{len(header)}. Received {len(cells)}. Remove tabs inside "
                "texts."
            )
        for text, language in columns:
            code = cells[language]
            if code not in names:
                names[code] = _language(code, path, number)
            yield names[code], cells[text]


def _language(code: bytes, path: str, number: int) -> str:
    try:
        name = code.decode()
    except UnicodeDecodeError:
        name = ""
    if not name.strip():
        raise InputError(
            f"{path}:{number}: every text has a language code. Received "
            f"{code!r}."
        )
    return name


def _shown(files: list[str]) -> str:
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return ", ".join(files[:3]) + more
