"""Writes tables, verdicts and charts into the page, between its markers."""

import pathlib
from collections.abc import Sequence

from benchmarks.ablations import verdicts
from benchmarks.ablations.arms import (
    CPU,
    LM_LOSS,
    OWN_P1,
    POOL_P1,
    SEEDS,
    SMALL_P1,
    UNK,
    Arm,
)
from benchmarks.ablations.experiments import (
    EXPERIMENTS,
    Experiment,
)
from labse.charts import COLORS, Line, line_chart, svg_file
from labse.files.atomic_write import write_text

TITLES = {
    POOL_P1: "P@1, pool",
    OWN_P1: "P@1, test set",
    SMALL_P1: "P@1, small languages",
    UNK: "[UNK], small languages",
    LM_LOSS: "masked-LM loss",
    CPU: "CPU seconds",
}
_DASHES = ("", "6 3")
_MISSING = "not run yet"


def write(
    page: pathlib.Path, results: verdicts.Results, about: str = ""
) -> None:
    """Fills in the page; charts go to a folder of its name beside it.

    Args:
      page: a Markdown file with `<!-- NAME -->` and `<!-- /NAME -->` for each
        experiment, and for "about".
      results: of the units that are finished.
      about: where and in how much time the results were computed.
    """
    text = page.read_bytes().decode("utf-8")
    if about:
        text = between(text, "about", about)
    for experiment in EXPERIMENTS:
        parts = [
            _table(experiment, results),
            _claims(experiment, results),
        ]
        chart = _chart(experiment, results)
        if chart:
            name = f"{page.stem}/{experiment.name}.svg"
            write_text(page.parent / name, chart)
            parts.append(f"![{experiment.axis}]({name})")
        text = between(text, experiment.name, "\n\n".join(parts))
    write_text(page, text)


def between(text: str, name: str, content: str) -> str:
    """The text with other content between the markers of a name."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, found, rest = text.partition(start)
    _, ended, tail = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"The page has no {start} with {end} after it.")
    return f"{head}{start}\n{content}\n{end}{tail}"


def _table(experiment: Experiment, results: verdicts.Results) -> str:
    titles = [TITLES[figure] for figure in experiment.figures]
    rows = [["", *titles]]
    for arm in experiment.arms:
        cells = [_cell(results, arm, each) for each in experiment.figures]
        rows.append([arm.name.replace("_", " "), *cells])
    return _markdown(rows)


def _cell(results: verdicts.Results, arm: Arm, figure: str) -> str:
    """Mean, standard deviation and the seeds' own figures."""
    finished = results.get(arm.name, ())
    if finished and figure not in finished[0]:
        return ""  # A pre-training has no P@1, a dual encoder no such loss.
    found = verdicts.values(results, arm, figure)
    if not len(found):
        return "" if finished else _MISSING
    each = ", ".join(f"{value:.2f}" for value in found)
    if len(found) < len(SEEDS):
        return f"{found.mean():.2f} ({each})"
    return f"**{found.mean():.2f}** ± {found.std(ddof=1):.2f} ({each})"


def _claims(experiment: Experiment, results: verdicts.Results) -> str:
    rows = [["claim", "figure", "the paper", "here", ""]]
    for claim in experiment.claims:
        row = [claim.text, TITLES[claim.figure], claim.paper]
        found = verdicts.verdict(claim, results, len(SEEDS))
        if found is None:
            rows.append([*row, _MISSING, ""])
            continue
        here = f"{found.difference:+.2f} ± {found.error:.2f}"
        rows.append([*row, here, f"**{found.word}**"])
    return _markdown(rows)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _chart(experiment: Experiment, results: verdicts.Results) -> str:
    """The text of an SVG file; empty without any point."""
    lines = []
    for number, (name, (figure, arms)) in enumerate(experiment.lines.items()):
        means = [
            (place, float(verdicts.values(results, arm, figure).mean()))
            for place, arm in arms.items()
            if results.get(arm.name)
        ]
        lines.append(Line(name, means, COLORS[number], _DASHES[number]))
    points = [x for line in lines for x, _ in line.points]
    if not points:
        return ""
    places = [place for _, arms in experiment.lines.values() for place in arms]
    title = f"P@1 by {experiment.axis}, means of the seeds"
    return svg_file(line_chart(title, lines, x_range=(0, max(places))))
