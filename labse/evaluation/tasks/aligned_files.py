"""Text files whose lines belong together: line N of one and of the others.

Only line feeds end a line, and a carriage return before one belongs to it:
Unicode's other line separators stand within sentences of real test sets.
"""

from collections.abc import Iterable
from pathlib import Path

from labse.errors import InputError
from labse.files.lines import read_text_lines
from labse.languages import language_tag

# Parts of file names that have the form of a language's code and are none.
_NO_LANGUAGES = ("csv", "gz", "ids", "md", "tsv", "txt", "xz", "zip")


def find_files(
    folder: str | Path, file_set: str | None = None
) -> dict[str, Path]:
    """The files of the set, by language, in the order of their names.

    Args:
      folder: holds the files.
      file_set: which set, where there are several: the names of its files
        with * for the language, as in "test.*".

    Raises:
      InputError: the folder holds no set, not that set, several to choose
        from, or two files of one language in a set.
    """
    folder = Path(folder)
    sets = _find_sets(folder)
    if file_set is not None:
        if file_set not in sets:
            raise InputError(
                "file_set must be the names of a set's files with * for the "
                f"language. Received: {file_set}. {folder} holds "
                f"{_shown(sets) or 'no set'}."
            )
        return dict(sorted(sets[file_set].items()))
    if len(sets) != 1:
        raise InputError(
            "An n-way set is a folder of aligned files, one a language, whose "
            "names differ only in the language's code between dots: "
            "UNv1.0.devset.en, eng_Latn.devtest, newstest2019-ref.fra.txt. "
            f"Received: {folder}, "
            + (
                "not a folder."
                if not folder.is_dir()
                else "without two such files."
                if not sets
                else f"with several sets: {_shown(sets)}. Choose one with "
                f"file_set, as in {next(iter(sets))}"
            )
        )
    (files,) = sets.values()
    return dict(sorted(files.items()))


def _find_sets(folder: Path) -> dict[str, dict[str, Path]]:
    """The sets of two and more files: name with * -> language -> file."""
    sets: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir() if folder.is_dir() else []):
        parts = path.name.split(".")
        for place, part in enumerate(parts):
            if part in _NO_LANGUAGES or not language_tag(part):
                continue
            rest = [*parts[:place], "*", *parts[place + 1 :]]
            # NTREX tells the original from its translations.
            name = ".".join(rest).replace("-src.", "-ref.")
            if path.is_file():
                other = sets.setdefault(name, {}).setdefault(part, path)
                if other != path:
                    raise InputError(
                        f"A set has one file a language. Received: {other} "
                        f"and {path.name}. Take one away."
                    )
    most = {}
    for files in sets.values():
        for path in files.values():
            most[path] = max(len(files), most.get(path, 0))
    # "dev" and "tst" look like languages where eng.dev is beside eng.tst: no
    # set is one whose files all belong to larger ones.
    return {
        name: files
        for name, files in sets.items()
        if len(files) > 1
        and any(most[path] == len(files) for path in files.values())
    }


def _shown(sets: dict[str, dict[str, Path]]) -> str:
    return "; ".join(
        f"{name} ({', '.join(sorted(files)[:5])}"
        + (f" and {len(files) - 5} more)" if len(files) > 5 else ")")
        for name, files in sets.items()
    )


def read_aligned(paths: Iterable[str | Path]) -> list[list[str]]:
    """The lines of each file; line N of one belongs to line N of the others.

    Raises:
      InputError: as `read_lines`, or files differ in their number of lines.
    """
    paths = list(paths)
    files = [read_lines(path) for path in paths]
    for path, lines in zip(paths, files, strict=True):
        if len(lines) != len(files[0]):
            raise InputError(
                "Line N of one file must translate line N of the other. "
                f"Received: {paths[0]} has {len(files[0])} lines and {path} "
                f"has {len(lines)}. Fetch both again, and split lines only on "
                "\\n."
            )
    return files


def read_lines(path: str | Path) -> list[str]:
    r"""The lines of a text file, split on \n only; a \r before it goes.

    Raises:
      InputError: it is no file, is empty, holds an empty line or is not UTF-8.
    """
    lines = []
    for number, line in read_text_lines(path):
        if not line.strip():
            raise InputError(
                f"{path}:{number}: a line must hold a sentence. Received an "
                "empty line. Take it out of all aligned files."
            )
        lines.append(line)
    if not lines:
        raise InputError(f"{path} is empty: it must hold a sentence a line.")
    return lines
