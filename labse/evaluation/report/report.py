"""report.html: what a task found, on one page that needs nothing else.

No script, no network, no file beside it. Several models stand side by side.
"""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from labse.errors import InputError
from labse.evaluation import results
from labse.evaluation.report import line_chart, page
from labse.evaluation.results import ALL, TaskResult
from labse.evaluation.statistics import Figure

MAX_MISTAKES = 30
MAX_MODELS = 4
MAX_CURVES = 12
BLUE, ORANGE, GREEN, VIOLET = "#2459c4", "#d06a12", "#1d8a5f", "#7a3fb0"
COLORS = (BLUE, ORANGE, GREEN, VIOLET)


def write(
    path: str | Path,
    judged: dict[str, TaskResult],
    data: str,
    history: Sequence[dict] = (),
) -> None:
    """Writes the page.

    Args:
      path: a file, replaced if it is there.
      judged: what the task found, by the name of the model; examples are of
        the first.
      data: the data as the user named it.
      history: the training history, see `read_history`; none, no curve.
    """
    first = next(iter(judged.values()))
    models = " and ".join(judged)
    main = page.element(
        "main",
        page.element("h1", f"{first.task}: {models}"),
        page.element("p", f"Judged on {data}. {first.explanation}"),
        _cards(first, history),
        *([_training(history)] if history else []),
        _groups(judged),
        _bars(judged),
        *([_curves(judged)] if first.curves else []),
        *([_neighbours(first.neighbours)] if first.neighbours else []),
        *([_mistakes(first)] if first.mistakes else []),
        *(_table(model, result, first) for model, result in judged.items()),
        page.element(
            "footer",
            "Made by labse evaluate. The same in metrics.json. Ranges are "
            "95 % bootstrap intervals.",
        ),
    )
    results.write_text(path, page.render(f"labse: {first.task}", main))


def read_history(path: str | Path) -> list[dict]:
    """The lines of a run's history.jsonl, one JSON object a line.

    Each has `step`, and numbers by name: `loss`, `in_batch_accuracy` and
    others; `validation` may hold an object of such numbers.

    Raises:
      InputError: a line is something else.
    """
    entries = []
    with open(path, encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                entry = None
            if not isinstance(entry, dict) or not isinstance(
                entry.get("step"), int
            ):
                raise InputError(
                    f"{path}, line {number}: a training history has a JSON "
                    f'object with a "step" in each line. Received: '
                    f"{line.strip()[:80]!r}. Take the line out."
                )
            entries.append(entry)
    return entries


def _title(name: str) -> str:
    return name.replace("_", " ")


def _percent(figure: Figure) -> str:
    return f"{100 * figure.value:.1f}"


def _interval(figure: Figure) -> str:
    return f"{100 * figure.low:.1f} to {100 * figure.high:.1f}"


def _cards(result: TaskResult, history: Sequence[dict]) -> ElementTree.Element:
    average = result.averages().get(ALL, {})
    figures = [
        (page.percent(figure.value), f"{_title(name)}, {_interval(figure)}")
        for name, figure in list(average.items())[:3]
    ]
    figures += [
        (str(len(result.members(ALL))), "rows in the mean"),
        (f"{sum(row.num_items for row in result.rows):,}", "items judged"),
    ]
    if history:
        figures.append((f"{history[-1]['step']:,}", "training steps"))
    return page.element(
        "div",
        *(
            page.element(
                "div",
                page.element("b", figure),
                page.element("span", what),
                class_="card",
            )
            for figure, what in figures
        ),
        class_="cards",
    )


def _training(history: Sequence[dict]) -> ElementTree.Element:
    loss = line_chart.draw(
        "Loss", [line_chart.Line("loss", _points(history, "loss"), BLUE)]
    )
    accuracies = [
        line_chart.Line(
            "in the batch", _points(history, "in_batch_accuracy"), BLUE
        )
    ]
    validation = [
        {"step": entry["step"], **entry["validation"]}
        for entry in history
        if isinstance(entry.get("validation"), dict)
    ]
    for name, label, color in (
        ("target_to_source", "validation, language → source", ORANGE),
        ("source_to_target", "validation, source → language", GREEN),
    ):
        points = _points(validation, name)
        if points:
            accuracies.append(line_chart.Line(label, points, color))
    return page.element(
        "section",
        page.element("h2", "Training"),
        page.element("p", "By optimizer step."),
        page.element(
            "div",
            loss,
            line_chart.draw("Accuracy", accuracies, maximum=1),
            class_="charts",
        ),
    )


def _points(history: Sequence[dict], name: str) -> list[tuple[float, float]]:
    return [
        (entry["step"], entry[name])
        for entry in history
        if isinstance(entry.get(name), int | float)
    ]


def _groups(judged: dict[str, TaskResult]) -> ElementTree.Element:
    """Each model's averages of the main figure, and published ones."""
    first = next(iter(judged.values()))
    averages = {model: each.averages() for model, each in judged.items()}
    groups = _different_groups(first, next(iter(averages.values())))
    rows = [
        [
            page.text_cell(model),
            *(
                page.number(
                    f"{_percent(each[group][first.main])} "
                    f"({_interval(each[group][first.main])})"
                    if group in each
                    else "–"
                )
                for group in groups
            ),
        ]
        for model, each in averages.items()
    ]
    rows += [
        [
            page.text_cell(source, "code"),
            *(
                page.number(
                    f"{100 * known[group]:.1f}" if group in known else "–"
                )
                for group in groups
            ),
        ]
        for source, known in first.published.items()
    ]
    titles = [f"{group}: {len(first.members(group))}" for group in groups]
    return page.element(
        "section",
        page.element("h2", f"Averages of {_title(first.main)}"),
        page.element(
            "p",
            "In percent, each row of a group weighing the same, with the 95 % "
            "interval. A heading names the group and how many rows it has.",
        ),
        page.table(["model", *titles], rows),
    )


def _different_groups(result: TaskResult, names: Iterable[str]) -> list[str]:
    """The groups, "all" only where no other has the same rows."""
    names = list(names)
    everything = result.members(ALL)
    if any(result.members(name) == everything for name in names if name != ALL):
        names.remove(ALL)
    return names


def _bars(judged: dict[str, TaskResult]) -> ElementTree.Element:
    """A bar for each row: of one model its first two figures, else models'."""
    first = next(iter(judged.values()))
    several = len(judged) > 1
    others = [name for name in first.rows[0].figures if name != first.main]
    names = [first.main] if several else [first.main, *others[:1]]
    series = [
        (model if several else _title(name), result, name)
        for model, result in judged.items()
        for name in names
    ]
    key = page.element(
        "p",
        *(
            page.element(
                "span", f"{label} ", class_="key", style=f"color:{color}"
            )
            for (label, _, _), color in zip(series, COLORS, strict=False)
        ),
        "The number is the first. Pale: too few items to count in the mean.",
    )
    values = [
        {row.name: row.figures[name].value for row in result.rows}
        for _, result, name in series
    ]
    return page.element(
        "section",
        page.element("h2", f"{_title(first.main)} by row"),
        key,
        page.element(
            "div",
            *(
                _bar(row, [series_of[row.name] for series_of in values])
                for row in first.ranked
            ),
            class_="bars",
        ),
    )


def _bar(row: results.Row, values: Sequence[float]) -> ElementTree.Element:
    return page.element(
        "div",
        page.element("span", row.name),
        page.element(
            "div",
            *(
                page.element(
                    "i",
                    style=f"width:{100 * max(0, value):.1f}%;"
                    f"background:{color}",
                )
                for value, color in zip(values, COLORS, strict=False)
            ),
        ),
        page.element("em", f"{100 * values[0]:.1f}"),
        class_="bar" if row.counted else "bar few",
    )


def _curves(judged: dict[str, TaskResult]) -> ElementTree.Element:
    first = next(iter(judged.values()))
    charts = [
        line_chart.draw(
            f"{curve.title}, by {curve.horizontal}",
            [
                line_chart.Line(name, points, color)
                for (name, points), color in zip(
                    curve.lines.items(), COLORS, strict=False
                )
            ],
            maximum=1,
            powers=curve.powers,
        )
        for curve in first.curves[:MAX_CURVES]
    ]
    return page.element(
        "section",
        page.element("h2", "Curves"),
        page.element("div", *charts, class_="charts"),
    )


def _neighbours(
    examples: Sequence[results.Neighbours],
) -> ElementTree.Element:
    return page.element(
        "section",
        page.element("h2", "Nearest neighbours"),
        page.element(
            "p",
            "The strings of any language nearest to a source string. ✓ marks "
            "one that the data holds as its translation.",
        ),
        page.element(
            "div",
            *(
                page.element(
                    "div",
                    page.element("h3", example.query, dir="auto"),
                    page.element(
                        "table",
                        *(_neighbour_row(*row) for row in example.found),
                    ),
                )
                for example in examples
            ),
            class_="examples",
        ),
    )


def _neighbour_row(
    text: str, language: str, score: float, is_translation: bool
) -> ElementTree.Element:
    return page.element(
        "tr",
        page.element("td", f"{score:.3f}", class_="number"),
        page.element("td", "✓" if is_translation else "", class_="right"),
        page.element("td", language, class_="code"),
        page.text_cell(text, "wide"),
    )


def _mistakes(result: TaskResult) -> ElementTree.Element:
    """The surest mistakes, few a row, so that all have a say."""
    most = max(1, MAX_MISTAKES // len(result.rows))
    surest: list[results.Mistake] = []
    counts: dict[str, int] = {}
    for mistake in sorted(result.mistakes, key=lambda each: -each.score):
        counts[mistake.row] = counts.get(mistake.row, 0) + 1
        if counts[mistake.row] <= most:
            surest.append(mistake)
    return page.element(
        "section",
        page.element("h2", "Wrong matches"),
        page.element(
            "p", "Each row's mistakes of the highest scores, the surest first."
        ),
        page.table(
            ["", "string", "found", "score", "right", "score"],
            [
                [
                    page.element("td", mistake.row, class_="code"),
                    page.text_cell(mistake.query),
                    page.text_cell(mistake.found, "wrong"),
                    page.number(_cosine(mistake.score)),
                    page.text_cell(mistake.expected),
                    page.number(_cosine(mistake.expected_score)),
                ]
                for mistake in surest[:MAX_MISTAKES]
            ],
            class_="mistakes",
        ),
    )


def _cosine(score: float) -> str:
    return "–" if math.isnan(score) else f"{score:.3f}"


def _table(
    model: str, result: TaskResult, first: TaskResult
) -> ElementTree.Element:
    """Every figure of a model, and how it compares with the first one."""
    names = list(result.rows[0].figures)
    compared = {} if result is first else results.p_values(first, result)
    rows = [
        [
            page.element("td", row.name),
            page.number(f"{row.num_items:,}"),
            *(
                page.number(f"{_percent(figure)} ({_interval(figure)})")
                for figure in row.figures.values()
            ),
            *(
                [page.number(f"{compared[row.name]:.2g}")]
                if row.name in compared
                else []
            ),
        ]
        for row in result.rows
    ]
    titles = ["", "items", *map(_title, names)]
    titles += ["p against the first model"] * bool(compared)
    return page.element(
        "section",
        page.element(
            "details",
            page.element("summary", f"All numbers of {model}"),
            page.table(titles, rows),
        ),
    )
