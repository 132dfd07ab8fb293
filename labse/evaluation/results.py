"""The result of a task: figures for a file, examples for a reader.

`metrics.json` holds one object:

```
schema_version   2
task             its name
data             as the user named it
models           a list, one for each model, of
                   model         as the user named it
                   averages      by the name of a group of rows ("all", ...):
                                   num_rows, and each figure
                   rows          a list of
                                   name        a language, pair or data set
                                   num_items   number of items evaluated
                                   counted     whether "all" counts it
                                   figures     each by its name
                                   details     whatever else the task reports
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
from collections.abc import Mapping, Sequence
from pathlib import Path

from labse.errors import InputError
from labse.evaluation import statistics
from labse.evaluation.published import PublishedTable
from labse.evaluation.statistics import Figure
from labse.files import atomic_write

SCHEMA_VERSION = 2
ALL = "all"  # The group of all rows that count.


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
class Row:
    """The figures of one language, pair or data set.

    Attributes:
      name: of the language, pair or data set.
      figures: by the names of metrics.json; the same in all rows.
      num_items: number of items evaluated.
      counted: whether the average over all rows counts it.
      details: what else metrics.json reports; JSON values.
      mistakes: the wrong matches of the highest scores.
    """

    name: str
    figures: dict[str, Figure]
    num_items: int
    counted: bool = True
    details: dict[str, object] = dataclasses.field(default_factory=dict)
    mistakes: Sequence[Mistake] = ()


@dataclasses.dataclass(frozen=True)
class NeighbourExample:
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
    log_x: bool = False


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """Everything that `labse evaluate` writes about one task and one model.

    Attributes:
      task: its name.
      explanation: what is measured, in a sentence.
      rows: at least one.
      main: the name of the figure that bars show and tests compare.
      groups: named groups of rows beside "all", by the rows' names.
      neighbours, curves: for the eye.
      published: tables of others' results on the same test.
    """

    task: str
    explanation: str
    rows: list[Row]
    main: str
    groups: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    neighbours: Sequence[NeighbourExample] = ()
    curves: Sequence[Curve] = ()
    published: Sequence[PublishedTable] = ()

    @property
    def ranked(self) -> list[Row]:
        """All the rows, the best first."""
        return sorted(
            self.rows, key=lambda row: (-row.figures[self.main].value, row.name)
        )

    @property
    def mistakes(self) -> list[Mistake]:
        """Those of all the rows."""
        return [mistake for row in self.rows for mistake in row.mistakes]

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
        """The object of one model in metrics.json."""
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


def metrics(data: str, by_model: Mapping[str, TaskResult]) -> dict:
    """The object of metrics.json; the module's docstring describes it."""
    first = next(iter(by_model.values()))
    models = []
    for model, result in by_model.items():
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

    Rows whose main figure is not a mean over items have none.
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


def write_metrics(
    path: str | Path, data: str, by_model: Mapping[str, TaskResult]
) -> None:
    """Writes metrics.json; the module's docstring describes it."""
    text = json.dumps(metrics(data, by_model), indent=2, ensure_ascii=False)
    atomic_write.write_text(path, text + "\n")


def choose_languages(
    wanted: Sequence[str], available: Sequence[str], where: str | Path
) -> list[str]:
    """The languages to evaluate, sorted: the wanted ones; all by default.

    Raises:
      InputError: a wanted language is not available.
    """
    unknown = sorted(set(wanted) - set(available))
    if unknown:
        raise InputError(
            f"languages must be in {where}. Received: {', '.join(unknown)}. "
            f"There are: {', '.join(sorted(set(available)))}."
        )
    return sorted(set(wanted or available))


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
