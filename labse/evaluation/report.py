"""report.html: what a task found, on one page that needs nothing else.

No script, no network, no file beside it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from labse.errors import InputError
from labse.evaluation import line_chart, page, results, retrieval

MAX_MISTAKES = 30
BLUE, ORANGE, GREEN = "#2459c4", "#d06a12", "#1d8a5f"


def write(
    path: str | Path,
    result: results.TaskResult,
    model: str,
    data: str,
    history: Sequence[dict] = (),
) -> None:
    """Writes the page.

    Args:
      path: a file, replaced if it is there.
      result: what the task found.
      model: the model as the user named it.
      data: the data, likewise.
      history: the training history, see `read_history`; none, no curve.
    """
    main = page.element(
        "main",
        page.element("h1", f"Finding translations: {result.task}"),
        page.element(
            "p", f"Model {model}, judged on {data}. {result.explanation}"
        ),
        _cards(result, history),
        *([_training(history)] if history else []),
        _languages(result),
        _neighbours(result.neighbours),
        _mistakes(result),
        _table(result),
        page.element(
            "footer", "Made by labse evaluate. The same in metrics.json."
        ),
    )
    results.write_text(path, page.render(f"labse: {result.task}", main))


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


def _cards(
    result: results.TaskResult, history: Sequence[dict]
) -> ElementTree.Element:
    average = result.macro_average()
    source = result.source_name
    figures = [
        (
            page.percent(average["target_to_source"]),
            f"P@1, language → {source}",
        ),
        (
            page.percent(average["source_to_target"]),
            f"P@1, {source} → language",
        ),
        (str(len(result.counted)), "languages in the mean"),
        (
            f"{sum(len(found.matches) for found in result.languages):,}",
            "strings looked up",
        ),
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


def _languages(result: results.TaskResult) -> ElementTree.Element:
    source = result.source_name
    few = len(result.counted) < len(result.languages)
    key = page.element(
        "p",
        "P@1 ",
        page.element("span", f"language → {source}", class_="key to"),
        " (the number) and ",
        page.element("span", f"{source} → language", class_="key from"),
        "." + " Pale: too few strings to count in the mean." * few,
    )
    return page.element(
        "section",
        page.element("h2", "Accuracy by language"),
        key,
        page.element(
            "div", *(_bar(found) for found in result.ranked), class_="bars"
        ),
    )


def _bar(found: results.LanguageResult) -> ElementTree.Element:
    widths = [
        f"width:{100 * found.accuracies[name]:.1f}%"
        for name in ("target_to_source", "source_to_target")
    ]
    return page.element(
        "div",
        page.element("span", found.language),
        page.element(
            "div", *(page.element("i", style=width) for width in widths)
        ),
        page.element("em", f"{100 * found.accuracies['target_to_source']:.1f}"),
        class_="bar" if found.counted else "bar few",
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


def _mistakes(result: results.TaskResult) -> ElementTree.Element:
    """The surest mistakes, at most one a language, so that all have a say."""
    rows: list[tuple[results.LanguageResult, retrieval.Match]] = []
    for found in result.languages:
        wrong = [match for match in found.matches if not match.is_right]
        if wrong:
            rows.append((found, max(wrong, key=lambda match: match.score)))
    rows.sort(key=lambda row: -row[1].score)
    return page.element(
        "section",
        page.element("h2", "Wrong matches"),
        page.element(
            "p",
            "Each language's mistake with the highest score, the surest first.",
        ),
        page.table(
            ["", "string", "found", "score", "right", "score"],
            [
                [
                    page.element("td", found.language, class_="code"),
                    page.text_cell(match.query),
                    page.text_cell(match.found, "wrong"),
                    page.number(f"{match.score:.3f}"),
                    page.text_cell(match.expected),
                    page.number(f"{match.expected_score:.3f}"),
                ]
                for found, match in rows[:MAX_MISTAKES]
            ],
            class_="mistakes",
        ),
    )


def _table(result: results.TaskResult) -> ElementTree.Element:
    names = list(result.languages[0].accuracies)
    rows = [
        [
            page.element("td", f"{found.language} ({found.source_language})"),
            page.number(f"{len(found.matches):,}"),
            *(
                page.number(page.percent(found.accuracies[name]))
                for name in names
            ),
        ]
        for found in result.languages
    ]
    average = result.macro_average()
    rows.append(
        [
            page.element("td", page.element("b", "mean")),
            page.number(f"{len(result.counted)} languages"),
            *(page.number(page.percent(average[name])) for name in names),
        ]
    )
    titles = [name.replace("_", " ") for name in names]
    return page.element(
        "section",
        page.element(
            "details",
            page.element("summary", "All numbers"),
            page.table(["language (source)", "strings", *titles], rows),
        ),
    )
