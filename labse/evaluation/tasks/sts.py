"""STS benchmark: do similar sentences get similar vectors, as people see it?

The paper's Table 6 and Cer et al. 2017 (https://arxiv.org/abs/1708.00055). A
file holds a pair of sentences a line, in columns set apart by tabs, without
quoting:

```
genre  file  year  id  score from 0 to 5  sentence 1  sentence 2  [licence ...]
```

or begins with a header that names the columns `sentence1`, `sentence2` and
`score` (GLUE's STS-B, and many sets made after it); then they may stand
anywhere, beside others.

`pearson_arccos` is the paper's figure: Pearson's correlation of the scores that
people gave with 1 - arccos(cosine) / pi, the similarity of Cer et al. 2018
(Universal Sentence Encoder, section 5). `pearson_cosine` and `spearman_cosine`
correlate the cosine itself; the second asks for the order only, so that arccos
would not change it.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from labse.errors import InputError
from labse.evaluation import results, retrieval, statistics
from labse.evaluation.tasks import aligned_files

TASK = "sts"
_MOST_MISTAKES = 3
_LARGEST_SCORE = 5
_COLUMNS = (
    "genre, file, year, id, score, sentence 1 and sentence 2, set apart by "
    "tabs, or be below a header that names score, sentence1 and sentence2"
)
# Names in headers, in small letters, without spaces and underscores.
_HEADER_NAMES = {
    "score": ("score", "similarity", "similarityscore", "relatednessscore"),
    "first": ("sentence1", "sentencea", "text1"),
    "second": ("sentence2", "sentenceb", "text2"),
}
# float32 vectors that should be equal differ in angle by about this much.
_SAME = 1e-6


@dataclasses.dataclass(frozen=True)
class ScoredPair:
    """Two sentences and how similar people find them, from 0 to 5."""

    first: str
    second: str
    score: float


@dataclasses.dataclass(frozen=True)
class _Columns:
    """Where a file has what, from 0, and how many columns it needs."""

    score: int = 4
    first: int = 5
    second: int = 6

    @property
    def needed(self) -> int:
        return 1 + max(self.score, self.first, self.second)


def evaluate(
    encode_fn: retrieval.EncodeFn, data: str | Path
) -> results.TaskResult:
    """Judges the encoder on every file.

    "all" counts the test file alone; without one the development file alone;
    without either every file.

    Args:
      encode_fn: list of n texts -> float32 [n, dim].
      data: a file of the benchmark, or a folder with files sts-*.csv.

    Raises:
      InputError: a file or an embedding is not as it must be, or a file has
        too little in it for a correlation: one score for all its pairs, from
        people or from the model.
    """
    files = {_name(path): path for path in find_files(data)}
    pairs = {name: read_pairs(path) for name, path in files.items()}
    embeddings = retrieval.TextEmbeddings(
        encode_fn,
        (
            text
            for rows in pairs.values()
            for pair in rows
            for text in (pair.first, pair.second)
        ),
    )
    counted = next(([name] for name in ("test", "dev") if name in files), files)
    rows, mistakes = [], []
    for name, path in files.items():
        gold = np.array([pair.score for pair in pairs[name]])
        angles = _angles(embeddings, pairs[name])
        if np.ptp(angles) < _SAME:
            raise InputError(
                f"{path}: a correlation needs similarities that differ. "
                f"Received: the angle {angles[0]:.6f} for each of the "
                f"{len(angles)} pairs. The model gives all texts one vector; "
                "look at its training loss, and whether it reads its input."
            )
        figures = _figures(gold, angles)
        rows.append(
            results.Row(name, figures, len(gold), counted=name in counted)
        )
        mistakes += _mistakes(
            name, pairs[name], gold, arccos_similarity(angles)
        )
    return results.TaskResult(
        TASK,
        "The similarity of two sentences' vectors is to rise with the score "
        "that people gave the pair: correlations, 100 if it always does.",
        rows,
        "pearson_arccos",
        mistakes=mistakes,
    )


def _figures(
    gold: np.ndarray, angles: np.ndarray
) -> dict[str, statistics.Figure]:
    arccos, cosines = arccos_similarity(angles), np.cos(angles)
    gold_places, cosine_places = _places(gold), _places(cosines)

    def spearman(rows: np.ndarray) -> float:
        return correlation(
            _ranks(gold_places[rows]), _ranks(cosine_places[rows])
        )

    return {
        "pearson_arccos": statistics.resampled(
            lambda rows: correlation(gold[rows], arccos[rows]), len(gold)
        ),
        "pearson_cosine": statistics.resampled(
            lambda rows: correlation(gold[rows], cosines[rows]), len(gold)
        ),
        "spearman_cosine": statistics.resampled(spearman, len(gold)),
    }


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's r of float [n] and float [n]; 0 where one is constant.

    Constant data never come here whole, but a bootstrap's draw of few items
    may hold one item only; it shows no relation.
    """
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def _places(values: np.ndarray) -> np.ndarray:
    """int64 [n]: the place of each value among the distinct ones."""
    return np.unique(values, return_inverse=True)[1]


def _ranks(places: np.ndarray) -> np.ndarray:
    """float [n]: ranks, equal values sharing their mean rank.

    Counting places is several times faster than sorting, and the bootstrap
    does it thousands of times.
    """
    counts = np.bincount(places)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


def _angles(
    embeddings: retrieval.TextEmbeddings, pairs: Sequence[ScoredPair]
) -> np.ndarray:
    return angles_between(
        embeddings([pair.first for pair in pairs]),
        embeddings([pair.second for pair in pairs]),
    )


def angles_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float64 [n], from 0 to pi: the angles of vectors [n, dim], row by row.

    From the lengths of the difference and the sum (Kahan 2006, "How futile are
    mindless assessments of roundoff", section 12): arccos of a cosine near 1
    loses half of the digits, and is NaN where rounding carries it above 1.
    """
    first, second = (
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for vectors in (first.astype(np.float64), second.astype(np.float64))
    )
    return 2 * np.arctan2(
        np.linalg.norm(first - second, axis=1),
        np.linalg.norm(first + second, axis=1),
    )


def arccos_similarity(angles: np.ndarray) -> np.ndarray:
    """1 for the same direction, 0 for the opposite one."""
    return 1 - angles / np.pi


def _mistakes(
    name: str,
    pairs: Sequence[ScoredPair],
    gold: np.ndarray,
    similarities: np.ndarray,
) -> list[results.Mistake]:
    """The pairs farthest from the line that Pearson's r measures."""
    slope, start = np.polyfit(gold, similarities, 1)
    expected = start + slope * gold
    worst = np.argsort(-np.abs(similarities - expected), kind="stable")
    return [
        results.Mistake(
            name,
            pairs[item].first,
            pairs[item].second,
            float(similarities[item]),
            f"rated {gold[item]:g} of {_LARGEST_SCORE}",
            float(expected[item]),
        )
        for item in worst[:_MOST_MISTAKES]
    ]


def _name(path: Path) -> str:
    return path.stem.removeprefix("sts-")


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
            f"{path}: a correlation needs pairs with two different scores at "
            f"least. Received: {len(pairs)} with the score {pairs[0].score:g}."
        )
    return pairs


def _read_header(path: str | Path, line: str) -> _Columns | None:
    """The columns that the first line names; None if it holds a pair.

    A line that can be read as a pair is one, whatever its sentences say.
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
            f"{path}, line 1: a header must name score, sentence1 and "
            f"sentence2, each once. Received: {', '.join(cells)[:200]}. Name "
            "them so, or take the file that has scores."
        )
    return _Columns(**{column: found[0] for column, found in places.items()})


def _is_score(cell: str) -> bool:
    try:
        return 0 <= float(cell) <= _LARGEST_SCORE
    except ValueError:
        return False


def _read_pair(
    path: str | Path, number: int, line: str, columns: _Columns
) -> ScoredPair:
    fields = line.split("\t")
    if len(fields) < columns.needed:
        raise InputError(
            f"{path}, line {number}: a line must hold {_COLUMNS}. Received: "
            f"{len(fields)} columns in {line[:80]!r}."
        )
    if not _is_score(fields[columns.score]):
        raise InputError(
            f"{path}, line {number}: column {columns.score + 1} must be a "
            f"score from 0 to {_LARGEST_SCORE}. Received: "
            f"{fields[columns.score]!r}. A line must hold {_COLUMNS}."
        )
    for column in (columns.first, columns.second):
        if not fields[column].strip():
            raise InputError(
                f"{path}, line {number}: column {column + 1} must hold a "
                "sentence. Received: nothing. Take the line out."
            )
    return ScoredPair(
        fields[columns.first],
        fields[columns.second],
        float(fields[columns.score]),
    )
