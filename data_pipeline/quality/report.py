"""What a training of the quality classifier shows: a table, and a page."""

import os

from data_pipeline.html_page import write_page
from data_pipeline.quality.training import Curve, Trained
from labse import charts

_POINTS = 200


def write_report(path: str | os.PathLike, trained: Trained) -> None:
    """Writes the page."""
    chart = charts.line_chart(
        "Precision, by recall",
        [
            charts.Line(curve.name, _thin(curve), color)
            for curve, color in zip(trained.curves, charts.COLORS, strict=True)
        ],
        x_range=(0, 1),
        y_max=1,
    )
    write_page(
        path,
        "quality/report.html.j2",
        figures=trained.model.figures,
        chart=chart,
        examples=trained.examples,
    )


def summary(trained: Trained) -> str:
    """The figures as a table of text."""
    figures = trained.model.figures
    lines = [
        f"{figures['sentences']:,} sentences of {figures['pages']:,} pages "
        f"({figures['sites']:,} sites) trained on, "
        f"{figures['sentences_held_out']:,} of {figures['pages_held_out']:,} "
        f"pages ({figures['sites_held_out']:,} sites) held out; bodies "
        f"{figures['bodies']}",
        *(
            f"{count:,} pages left out: {reason}"
            for reason, count in figures["pages_left_out"].items()
        ),
        "",
        f"{'ranked by':<20} average precision",
        *(
            f"{name:<20} {value:>17.1%}"
            for name, value in figures["average_precision"].items()
        ),
        "",
        "share kept  threshold  precision  recall",
        *(
            f"{row['share_kept']:>10.0%} {row['threshold']:>10.3f} "
            f"{row['precision']:>10.1%} {row['recall']:>7.1%}"
            for row in figures["by_share_kept"]
        ),
    ]
    return "\n".join(lines)


def _thin(curve: Curve) -> list[tuple[float, float]]:
    """At most `_POINTS` of the points, the last one included."""
    step = max(1, len(curve.points) // _POINTS)
    return [*curve.points[::step], curve.points[-1]]
