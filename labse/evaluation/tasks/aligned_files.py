"""Text files whose lines correspond: line N of one to line N of the others.

Only line feeds end a line, and a carriage return before one belongs to it:
Unicode's other line separators occur within sentences of real test sets.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from labse.errors import InputError
from labse.evaluation import results
from labse.files.lines import read_text_lines
from labse.languages import language_tag

# Parts of file names that have the form of a language's code but are not one.
_NO_LANGUAGES = ("csv", "gz", "ids", "md", "tsv", "txt", "xz", "zip")


def find_files(
    folder: str | Path, file_set: str | None = None
) -> dict[str, Path]:
    """The files of the set, by language, in the order of their names.

    Args:
      file_set: which set, where there are several: the names of its files
        with * for the language, as in "test.*".

    Raises:
      InputError: the folder holds no set, not that set, several sets without
        a choice, or two files of one language in a set.
    """
    folder = Path(folder)
    sets = _find_sets(folder)
    if file_set is not None:
        if file_set not in sets:
            raise InputError(
                "file_set must be the names of a set's files with * for the "
                f"language. Received: {file_set}. {folder} holds "
                f"{_listed(sets) or 'no set'}."
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
                else f"with several sets: {_listed(sets)}. Choose one with "
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
            # NTREX names the original otherwise than its translations.
            name = ".".join(rest).replace("-src.", "-ref.")
            if path.is_file():
                other = sets.setdefault(name, {}).setdefault(part, path)
                if other != path:
                    raise InputError(
                        f"A set has one file a language. Received: {other} "
                        f"and {path.name}. Remove one."
                    )
    most = {}
    for files in sets.values():
        for path in files.values():
            most[path] = max(len(files), most.get(path, 0))
    # "dev" and "tst" look like languages where eng.dev is beside eng.tst: sets
    # whose files all belong to larger sets are left out.
    return {
        name: files
        for name, files in sets.items()
        if len(files) > 1
        and any(most[path] == len(files) for path in files.values())
    }


def _listed(sets: dict[str, dict[str, Path]]) -> str:
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
    r"""The lines of a text file, split on \n only, without a \r before it.

    Raises:
      InputError: it is not a file, is empty, has an empty line or is not
        UTF-8.
    """
    lines = []
    for number, line in read_text_lines(path):
        if not line.strip():
            raise InputError(
                f"{path}:{number}: a line must hold a sentence. Received an "
                "empty line. Remove it from all aligned files."
            )
        lines.append(line)
    if not lines:
        raise InputError(f"{path} is empty: it must hold a sentence a line.")
    return lines


@dataclasses.dataclass(frozen=True)
class Language:
    """A language: its name, its lines, and these followed by its pool's."""

    name: str
    lines: list[str]
    candidates: list[str]


def read_languages(
    files: Mapping[str, Path],
    languages: Sequence[str],
    pivot: str | None,
    pools: Mapping[str, str | Path],
) -> dict[str, Language]:
    """The languages to evaluate, by name.

    Args:
      languages: only these, and the pivot; all by default.
      pivot: one of the languages, if any.
      pools: by language, a file of further candidates.

    Raises:
      InputError: a language is unknown, there are not two, or as
        `read_aligned`.
    """
    folder = next(iter(files.values())).parent
    for argument, names in (
        ("pivot must be a language", [pivot] if pivot else []),
        ("pools must name languages", pools),
    ):
        unknown = [name for name in names if name not in files]
        if unknown:
            raise InputError(
                f"{argument} of {folder}. Received: {', '.join(unknown)}. "
                f"There are: {', '.join(files)}."
            )
    if languages and pivot:
        languages = [*languages, pivot]
    names = results.choose_languages(languages, list(files), folder)
    if len(names) < 2:
        raise InputError(
            "Languages are evaluated in pairs, so there must be at least two. "
            f"Received: {names[0]} of {folder}."
        )
    lines = read_aligned(files[name] for name in names)
    return {
        name: Language(name, texts, [*texts, *_further(texts, pools.get(name))])
        for name, texts in zip(names, lines, strict=True)
    }


def _further(lines: list[str], pool: str | Path | None) -> list[str]:
    """The distinct lines of a pool's file that are not among the lines."""
    if pool is None:
        return []
    own = set(lines)
    return [line for line in dict.fromkeys(read_lines(pool)) if line not in own]
