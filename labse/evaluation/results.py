"""What a task found: numbers for a file, examples for a reader.

`metrics.json` holds one object:

```
schema_version   2
task             its name
data             as the user named it
models           a list, one for each --model, of
                   model         as the user named it
                   averages      by the name of a group of rows ("all", ...):
                                   num_rows, and each figure
                   rows          a list of
                                   name        a language, pair or data set
                                   num_items   how many were judged
                                   counted     whether "all" counts it
                                   figures     each by its name
                                   details     whatever else the task tells
                   p_values      where it is not the first model: by the name
                                 of a row, how probable the difference of the
                                 main figure from the first model's is between
                                 equal models
```

A figure is an object of `value`, `low` and `high`: the score and its 95 %
bootstrap interval (`labse.evaluation.statistics`).
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from labse.errors import InputError
from labse.evaluation import retrieval, statistics
from labse.evaluation.statistics import Figure
from labse.files.atomic_write import write_text

SCHEMA_VERSION = 2
ALL = "all"  # The group of all rows that count.


@dataclasses.dataclass(frozen=True)
class Row:
    """How well one language, pair or data set is done.

    Attributes:
      name: of the language, pair or data set.
      figures: by the names of metrics.json; the same in all rows.
      num_items: how many items were judged.
      counted: whether the average over all rows counts it.
      details: what else metrics.json is to tell; JSON values.
    """

    name: str
    figures: dict[str, Figure]
    num_items: int
    counted: bool = True
    details: dict[str, object] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A wrong match, for a reader."""

    row: str
    query: str
    found: str
    score: float
    expected: str
    expected_score: float


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """A source text and the texts nearest to it in all the languages."""

    query: str
    # (text, language, cosine, whether it is a translation), best first
    found: list[tuple[str, str, float, bool]]


@dataclasses.dataclass(frozen=True)
class Curve:
    """Lines over a common axis, such as F1 over the threshold."""

    title: str
    horizontal: str  # What the horizontal axis shows.
    lines: dict[str, list[tuple[float, float]]]
    powers: bool = False  # Whether that axis is logarithmic.


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """All that `labse evaluate` writes and shows of one task and one model.

    Attributes:
      task: its name.
      explanation: what was asked, in a sentence.
      rows: at least one.
      main: the name of the figure that bars show and tests compare.
      groups: named groups of rows beside "all", by the rows' names.
      mistakes: the surest wrong matches.
      neighbours, curves: for the eye.
      published: others' figures for the same test, by their source: of a
        group's name, the main figure.
    """

    task: str
    explanation: str
    rows: list[Row]
    main: str
    groups: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    mistakes: list[Mistake] = dataclasses.field(default_factory=list)
    neighbours: list[Neighbours] = dataclasses.field(default_factory=list)
    curves: list[Curve] = dataclasses.field(default_factory=list)
    published: dict[str, dict[str, float]] = dataclasses.field(
        default_factory=dict
    )

    @property
    def ranked(self) -> list[Row]:
        """All the rows, the best first."""
        return sorted(
            self.rows, key=lambda row: (-row.figures[self.main].value, row.name)
        )

    def members(self, group: str) -> list[Row]:
        """The rows of a group; "all": those that count."""
        if group == ALL:
            return [row for row in self.rows if row.counted]
        return [row for row in self.rows if row.name in self.groups[group]]

    def averages(self) -> dict[str, dict[str, Figure]]:
        """Each group's macro averages; a group without rows is left out."""
        found = {}
        for group in [*self.groups, ALL]:
            rows = self.members(group)
            if rows:
                found[group] = {
                    name: statistics.macro_average(
                        [row.figures[name] for row in rows]
                    )
                    for name in rows[0].figures
                }
        return found

    def macro_average(self) -> dict[str, float]:
        """The mean of each figure over all rows that count."""
        return {
            name: figure.value for name, figure in self.averages()[ALL].items()
        }

    def metrics(self) -> dict:
        """What metrics.json says of one model."""
        return {
            "averages": {
                group: {
                    "num_rows": len(self.members(group)),
                    **{name: each.metrics() for name, each in figures.items()},
                }
                for group, figures in self.averages().items()
            },
            "rows": [
                {
                    "name": row.name,
                    "num_items": row.num_items,
                    "counted": row.counted,
                    "figures": {
                        name: figure.metrics()
                        for name, figure in row.figures.items()
                    },
                    **({"details": row.details} if row.details else {}),
                }
                for row in self.rows
            ],
        }


def metrics(data: str, judged: dict[str, TaskResult]) -> dict:
    """The object of metrics.json; the module's docstring describes it.

    Args:
      data: as the user named it.
      judged: by the name of the model.
    """
    first = next(iter(judged.values()))
    models = []
    for model, result in judged.items():
        entry = {"model": model, **result.metrics()}
        if result is not first:
            entry["p_values"] = p_values(first, result)
        models.append(entry)
    return {
        "schema_version": SCHEMA_VERSION,
        "task": first.task,
        "data": data,
        "models": models,
    }


def p_values(first: TaskResult, other: TaskResult) -> dict[str, float]:
    """By the name of a row, the p-value of the main figures' difference.

    Rows whose main figure is no mean over items have none.
    """
    rows = {row.name: row.figures[first.main] for row in first.rows}
    found = {}
    for row in other.rows:
        one, two = rows[row.name], row.figures[first.main]
        if one.outcomes is not None and two.outcomes is not None:
            found[row.name] = statistics.paired_p_value(
                one.outcomes, two.outcomes
            )
    return found


def retrieval_mistakes(
    row: str, matches: Sequence[retrieval.Match], most: int = 3
) -> list[Mistake]:
    """The wrong matches of the highest scores."""
    wrong = [match for match in matches if not match.is_right]
    wrong.sort(key=lambda match: -match.score)
    return [
        Mistake(
            row,
            match.query,
            match.found,
            match.score,
            match.expected,
            match.expected_score,
        )
        for match in wrong[:most]
    ]


def write_metrics(
    path: str | Path, data: str, judged: dict[str, TaskResult]
) -> None:
    """Writes metrics.json; the module's docstring describes it."""
    text = json.dumps(metrics(data, judged), indent=2, ensure_ascii=False)
    write_text(path, text + "\n")


def choose_languages(
    wanted: Sequence[str], available: Sequence[str], where: str | Path
) -> list[str]:
    """The languages to judge, sorted: the wanted ones, or all if none is.

    Raises:
      InputError: a wanted language is not available.
    """
    unknown = sorted(set(wanted) - set(available))
    if unknown:
        raise InputError(
            f"--languages must be in {where}. Received: {', '.join(unknown)}. "
            f"There are: {', '.join(sorted(set(available)))}."
        )
    return sorted(set(wanted or available))


# Enough examples to see a pattern, few enough to read.
NUM_NEIGHBOUR_QUERIES = 6
NUM_NEIGHBOURS = 6


def find_neighbours(
    embeddings: retrieval.TextEmbeddings,
    pairs: Sequence[tuple[str, str, str]],
) -> list[Neighbours]:
    """Examples: the texts of any language nearest to some source texts.

    The queries are spread over the source texts of 3 to 15 words that have the
    most translations: those show best whether languages share a space. Where
    there are none, any source text will do.

    Args:
      embeddings: holds every text of the pairs.
      pairs: (source, target, language of the target).
    """
    languages: dict[str, str] = {}  # of each target, the first one seen
    translations: dict[str, set[str]] = {}
    for source, target, language in pairs:
        languages.setdefault(target, language)
        translations.setdefault(source, set()).add(target)
    phrases = [text for text in translations if 3 <= len(text.split()) <= 15]
    ranked = sorted(
        phrases or translations,
        key=lambda text: (-len(translations[text]), text),
    )[: 10 * NUM_NEIGHBOUR_QUERIES]
    step = max(1, len(ranked) // NUM_NEIGHBOUR_QUERIES)
    queries = sorted(ranked[::step][:NUM_NEIGHBOUR_QUERIES])
    candidates = list(languages)
    indices, scores = retrieval.nearest(
        embeddings(queries),
        embeddings(candidates),
        min(NUM_NEIGHBOURS, len(candidates)),
    )
    return [
        Neighbours(
            query,
            [
                (
                    candidates[index],
                    languages[candidates[index]],
                    float(score),
                    candidates[index] in translations[query],
                )
                for index, score in zip(row, row_scores, strict=True)
            ],
        )
        for query, row, row_scores in zip(queries, indices, scores, strict=True)
    ]


def summary(result: TaskResult) -> str:
    """The averages, the best and the worst rows, for a terminal."""
    lines = []
    for group, figures in result.averages().items():
        num_rows = len(result.members(group))
        lines.append(f"{result.task}, {group}: mean over {num_rows}")
        lines += [
            f"  {name:<30} {100 * each.value:5.1f} "
            f"({100 * each.low:.1f} to {100 * each.high:.1f})"
            for name, each in figures.items()
        ]
    ranked = [row for row in result.ranked if row.counted]
    for title, some in (("best", ranked[:5]), ("worst", ranked[-5:])):
        scores = ", ".join(
            f"{row.name} {100 * row.figures[result.main].value:.1f}"
            for row in some
        )
        lines.append(f"  {title + ' ' + result.main:<30} {scores}")
    return "\n".join(lines)
