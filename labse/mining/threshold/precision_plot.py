"""A score calibration as a JSON file with its plot beside it."""

import pathlib

from labse import charts
from labse.files import atomic_write
from labse.mining.threshold.precision import Calibration

# Attribute of a `CurvePoint`, dashes, meaning.
_LINES = (
    ("precision", "", "precision of all pairs from this score on"),
    ("recall", "6 3", "recall of the known translations"),
    ("probability", "2 3", "probability of a pair of this score"),
)


def draw_calibration(
    calibration: Calibration, threshold: float | None = None
) -> str:
    """The text of an SVG file, with a score to mark."""
    points = calibration.curve
    low, high = points[-1].score, points[0].score
    if high == low:
        low, high = low - 0.5, high + 0.5
    # Fewer than the chart would average, and with both ends.
    step = 1 + len(points) // charts.MAX_POINTS
    shown = dict.fromkeys([*points[::step], points[-1]])
    lines = [
        charts.Line(
            name,
            [(point.score, getattr(point, name)) for point in shown],
            color,
            dashes,
            meaning,
        )
        for (name, dashes, meaning), color in zip(
            _LINES, charts.COLORS, strict=False
        )
    ]
    return charts.svg_file(
        charts.line_chart(
            f"Calibration on {calibration.num_pairs:,} pairs, by score",
            lines,
            x_range=(low, high),
            y_max=1,
            mark=None
            if threshold is None
            else (f"threshold {threshold:.4g}", threshold),
        )
    )


def write_calibration(
    calibration: Calibration,
    path: pathlib.Path,
    threshold: float | None = None,
) -> None:
    """Writes the JSON, and the plot beside it, `.svg` in place of `.json`."""
    atomic_write.write_text(path, calibration.to_json())
    plot = draw_calibration(calibration, threshold)
    atomic_write.write_text(path.with_suffix(".svg"), plot)
