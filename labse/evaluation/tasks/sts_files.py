"""Reads the files of the STS benchmark (Cer et al. 2017).

A line holds a pair of sentences, in columns separated by tabs, without quoting:

```
genre  file  year  id  score from 0 to 5  sentence 1  sentence 2  [licence ...]
```

or the file begins with a header that names the columns `sentence1`,
`sentence2` and `score` (GLUE's STS-B, and many sets made after it); then they
may be in any order, among others.
"""

import dataclasses
import re
from pathlib import Path

from labse.errors import InputError
from labse.evaluation.tasks import aligned_files

LARGEST_SCORE = 5
_COLUMNS = (
    "genre, file, year, id, score, sentence 1 and sentence 2, separated by "
    "tabs, or be below a header that names score, sentence1 and sentence2"
)
# Names in headers, in lower case, without spaces and underscores.
_HEADER_NAMES = {
    "score": ("score", "similarity", "similarityscore", "relatednessscore"),
    "first": ("sentence1", "sentencea", "text1"),
    "second": ("sentence2", "sentenceb", "text2"),
}


@dataclasses.dataclass(frozen=True)
class ScoredPair:
    """Two sentences and how similar people find them, from 0 to 5."""

    first: str
    second: str
    score: float


@dataclasses.dataclass(frozen=True)
class _Columns:
    """The columns of a file, from 0, and how many it needs."""

    score: int = 4
    first: int = 5
    second: int = 6

    @property
    def needed(self) -> int:
        return 1 + max(self.score, self.first, self.second)


def find_files(data: str | Path) -> list[Path]:
    """The file itself, or the folder's files sts-*.csv.

    Raises:
      InputError: there is none.
    """
    data = Path(data)
    if data.is_file():
        return [data]
    files = sorted(path for path in data.glob("sts-*.csv") if path.is_file())
    if not files:
        what = "a folder without one" if data.is_dir() else "no such path"
        raise InputError(
            "The STS benchmark is a file such as sts-test.csv or a folder of "
            f"such files, sts-*.csv. Received: {data}, {what}."
        )
    return files


def read_pairs(path: str | Path) -> list[ScoredPair]:
    """The pairs of a file, line by line.

    Raises:
      InputError: the file is empty or not UTF-8, a header lacks a column, a
        line has too few columns, no score between 0 and 5 or an empty
        sentence, or all scores are equal.
    """
    # Not csv: sentences hold bare double quotes.
    lines = aligned_files.read_lines(path)
    columns = _read_header(path, lines[0])
    start = 0 if columns is None else 1
    pairs = [
        _read_pair(path, number, line, columns or _Columns())
        for number, line in enumerate(lines[start:], start=start + 1)
    ]
    if not pairs:
        raise InputError(f"{path} has no pairs below its header.")
    if len({pair.score for pair in pairs}) < 2:
        raise InputError(
            f"{path}: a correlation needs pairs with at least two different "
            f"scores. Received: {len(pairs)} with the score {pairs[0].score:g}."
        )
    return pairs


def _read_header(path: str | Path, line: str) -> _Columns | None:
    """The columns that the first line names; None if it holds a pair.

    A line that can be read as a pair is one, even if it resembles a header.
    """
    cells = line.split("\t")
    if len(cells) >= _Columns().needed and _is_score(cells[_Columns.score]):
        return None
    names = [re.sub(r"[\s_-]", "", cell).lower() for cell in cells]
    places = {
        column: [place for place, name in enumerate(names) if name in known]
        for column, known in _HEADER_NAMES.items()
    }
    if not any(places.values()):
        return None
    if any(len(found) != 1 for found in places.values()):
        raise InputError(
            f"{path}:1: a header must name score, sentence1 and "
            f"sentence2, each once. Received: {', '.join(cells)[:200]}. Name "
            "them so, or use the file that has scores."
        )
    return _Columns(**{column: found[0] for column, found in places.items()})


def _is_score(cell: str) -> bool:
    try:
        return 0 <= float(cell) <= LARGEST_SCORE
    except ValueError:
        return False


def _read_pair(
    path: str | Path, number: int, line: str, columns: _Columns
) -> ScoredPair:
    fields = line.split("\t")
    if len(fields) < columns.needed:
        raise InputError(
            f"{path}:{number}: a line must hold {_COLUMNS}. Received: "
            f"{len(fields)} columns in {line[:80]!r}."
        )
    if not _is_score(fields[columns.score]):
        raise InputError(
            f"{path}:{number}: column {columns.score + 1} must be a "
            f"score from 0 to {LARGEST_SCORE}. Received: "
            f"{fields[columns.score]!r}. A line must hold {_COLUMNS}."
        )
    for column in (columns.first, columns.second):
        if not fields[column].strip():
            raise InputError(
                f"{path}:{number}: column {column + 1} must hold a "
                "sentence. Received: nothing. Remove the line."
            )
    return ScoredPair(
        fields[columns.first],
        fields[columns.second],
        float(fields[columns.score]),
    )
