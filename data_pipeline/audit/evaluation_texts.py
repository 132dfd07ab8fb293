"""The texts of evaluation sets, to find them in training data.

Every text of every field counts, of files of any form: where it is not known
which column holds the sentences, a sentence in a column of labels does no harm.
"""

import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from data_pipeline.audit.hashes import hash_text
from data_pipeline.holdout import text_key
from labse.errors import InputError
from labse.files.kinds import find_files, kind_by_name, open_rows
from labse.files.lines import read_lines
from labse.files.reading import ReadOptions

# Shorter texts, such as "yes" or a score, stand everywhere by chance.
MIN_LETTERS = 10
# Notes beside the data.
_NOTES = ("readme", "license", "licence", "counts.tsv")
# Formats that are read as lines, whatever their header; each cell is a text.
_LINES = ("txt", "tsv", "moses")


def find_evaluation_files(patterns: Sequence[str]) -> list[str]:
    """The files of globs, and all files in folders, but for notes.

    Raises:
      InputError: nothing matches a pattern.
    """
    found = []
    for pattern in patterns:
        if not os.path.isdir(pattern):
            found += find_files([pattern])
            continue
        inside = sorted(
            str(path)
            for path in pathlib.Path(pattern).rglob("*")
            if path.is_file()
            and not path.name.startswith(".")
            and not path.name.lower().startswith(_NOTES)
        )
        if not inside:
            raise InputError(
                "An evaluation set is a file, a glob or a folder of files. "
                f"Received a folder without files: {pattern}."
            )
        found += inside
    return list(dict.fromkeys(found))


def read_keys(path: str) -> np.ndarray:
    """Hashes of the texts of a file, uint64, sorted, each once.

    A text of fewer than `MIN_LETTERS` letters, marks and digits is left out,
    and so is one without a letter.
    """
    keys = {
        hash_text(key)
        for text in _texts(path)
        if len(key := text_key(text)) >= MIN_LETTERS and not key.isdigit()
    }
    return np.array(sorted(keys), np.uint64)


def _texts(path: str) -> Iterator[str]:
    kind = kind_by_name(path)
    if kind and kind.rows not in _LINES:
        for _, row in open_rows(path, ReadOptions()):
            yield from _strings(row)
        return
    for _, _, line in read_lines(path):
        text = line.decode("utf-8", "replace")
        yield text
        if "\t" in text:
            yield from text.split("\t")


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _strings(each)
