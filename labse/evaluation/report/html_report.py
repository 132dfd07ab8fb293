"""report.html: the result of a task on one page that needs nothing else.

No script, no network, no file beside it. Several models are shown side by side.
The page is `report.html.j2`; what it shows is computed here. Jinja
escapes all texts of the data; only charts are inserted as markup.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import jinja2

from labse import charts
from labse.evaluation import results
from labse.evaluation.published import PublishedTable
from labse.evaluation.results import ALL, Mistake, TaskResult
from labse.evaluation.statistics import Figure
from labse.files import atomic_write

MAX_MISTAKES = 30
MAX_MODELS = 4  # As many as there are colors.
MAX_CURVES = 12
# Lines of the chart of accuracies: the history's name of each, and ours.
_VALIDATION = {
    "target_to_source": "validation, language → source",
    "source_to_target": "validation, source → language",
}


def write_report(
    path: str | Path,
    by_model: Mapping[str, TaskResult],
    data: str,
    history: Sequence[dict] = (),
) -> None:
    """Writes the page.

    Args:
      by_model: the result of each model, by its name; examples are of the
        first.
      history: of the training; without one there is no curve.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("labse.evaluation.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = lambda name: name.replace("_", " ")
    environment.filters["score"] = lambda share: f"{100 * share:.1f}"
    environment.filters["cosine"] = _cosine
    first = next(iter(by_model.values()))
    averages = {model: each.averages() for model, each in by_model.items()}
    page = environment.get_template("report.html.j2").render(
        first=first,
        by_model=by_model,
        data=data,
        history=history,
        averages=averages,
        overall=next(iter(averages.values())).get(ALL, {}),
        groups=_different_groups(first),
        published=[
            (table, _beside(table, by_model, averages))
            for table in first.published
        ],
        bars=_bars(by_model),
        colors=charts.COLORS,
        curves=_curves(first),
        training=_training(history) if history else [],
        mistakes=_surest_mistakes(first),
        p_values={
            model: {} if each is first else results.p_values(first, each)
            for model, each in by_model.items()
        },
    )
    atomic_write.write_text(path, page + "\n")


def _cosine(score: float) -> str:
    return "–" if math.isnan(score) else f"{score:.3f}"


def _different_groups(result: TaskResult) -> list[str]:
    """The groups that have rows; "all" unless another has the same rows."""
    groups = [name for name in result.groups if result.members(name)]
    everything = result.members(ALL)
    if everything and everything not in map(result.members, groups):
        groups.append(ALL)
    return groups


def _beside(
    table: PublishedTable,
    by_model: Mapping[str, TaskResult],
    averages: Mapping[str, dict[str, dict[str, Figure]]],
) -> dict[str, list[float | None]]:
    """By model, its values in the columns of a published table."""
    values = {}
    for model, result in by_model.items():
        figures = {row.name: row.figures for row in result.rows}
        figures |= averages[model]
        values[model] = [
            figures[column.row][column.figure].value
            if column.row in figures
            else None
            for column in table.columns
        ]
    return values


def _bars(
    by_model: Mapping[str, TaskResult],
) -> list[tuple[str, dict[str, float]]]:
    """(label, value by row) of each bar: models, or the figures of one."""
    first = next(iter(by_model.values()))
    if len(by_model) > 1:
        series = [(model, each, first.main) for model, each in by_model.items()]
    else:
        others = [name for name in first.rows[0].figures if name != first.main]
        series = [
            (name.replace("_", " "), first, name)
            for name in [first.main, *others[:1]]
        ]
    return [
        (label, {row.name: row.figures[name].value for row in result.rows})
        for label, result, name in series
    ]


def _training(history: Sequence[dict]) -> list[str]:
    validations = [
        {"step": entry["step"], **entry["validation"]}
        for entry in history
        if isinstance(entry.get("validation"), dict)
    ]
    accuracies = {"in the batch": _points(history, "in_batch_accuracy")}
    for name, label in _VALIDATION.items():
        points = _points(validations, name)
        if points:
            accuracies[label] = points
    return [
        _chart("Loss", {"loss": _points(history, "loss")}),
        _chart("Accuracy", accuracies, y_max=1),
    ]


def _points(history: Sequence[dict], name: str) -> list[tuple[float, float]]:
    return [
        (entry["step"], entry[name])
        for entry in history
        if isinstance(entry.get(name), int | float)
    ]


def _curves(result: TaskResult) -> list[str]:
    return [
        _chart(
            f"{curve.title}, by {curve.horizontal}",
            curve.lines,
            y_max=1,
            log_x=curve.log_x,
        )
        for curve in result.curves[:MAX_CURVES]
    ]


def _chart(title: str, lines: Mapping, **options) -> str:
    svg = charts.line_chart(
        title,
        [
            charts.Line(name, points, color)
            for (name, points), color in zip(
                lines.items(), charts.COLORS, strict=False
            )
        ],
        **options,
    )
    return ElementTree.tostring(svg, encoding="unicode")


def _surest_mistakes(result: TaskResult) -> list[Mistake]:
    """The mistakes of the highest scores, as many of each row."""
    most = max(1, MAX_MISTAKES // len(result.rows))
    surest: list[Mistake] = []
    counts: dict[str, int] = {}
    for mistake in sorted(result.mistakes, key=lambda each: -each.score):
        counts[mistake.row] = counts.get(mistake.row, 0) + 1
        if counts[mistake.row] <= most:
            surest.append(mistake)
    return surest[:MAX_MISTAKES]
