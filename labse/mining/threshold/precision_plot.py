"""The score-to-precision curve as an SVG file of its own."""

import pathlib
from collections.abc import Callable
from xml.etree import ElementTree

from labse.files.atomic_write import write_text
from labse.mining.threshold.precision import Calibration, CurvePoint

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 56, 24, 44, 60
# Name, color and shape of each line: told apart without color too.
_LINES: tuple[tuple[str, str, str], ...] = (
    ("precision", "#2459c4", ""),
    ("recall", "#d06a12", "6 3"),
    ("probability", "#1d8a5f", "2 3"),
)
_LABELS = {
    "precision": "precision of all pairs from this score on",
    "recall": "recall of the known translations",
    "probability": "probability of a pair of this score",
}
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#3c4454}"
    ".title{font-size:14px;font-weight:600}.end{text-anchor:end}"
    ".middle{text-anchor:middle}.grid{stroke:#e3e7ee}"
    ".line{fill:none;stroke-width:2}"
)


def draw(calibration: Calibration, threshold: float | None = None) -> str:
    """The curve as text of an SVG file; the same for the same calibration.

    Args:
      calibration: fitted or read.
      threshold: a score to mark.
    """
    points = calibration.curve
    low, high = points[-1].score, points[0].score
    if high == low:
        low, high = low - 0.5, high + 0.5

    def across(score: float) -> float:
        share = (score - low) / (high - low)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    svg = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "role": "img",
            "aria-label": "Precision, recall and probability by score",
        },
    )
    ElementTree.SubElement(svg, "style").text = _STYLE
    ElementTree.SubElement(
        svg,
        "rect",
        {"width": str(WIDTH), "height": str(HEIGHT), "fill": "#fff"},
    )
    title = f"Calibration on {calibration.num_pairs:,} pairs"
    _text(svg, LEFT, 20, title, "title")
    _axes(svg, low, high, across)
    for number, (name, color, dashes) in enumerate(_LINES):
        _line(svg, points, name, color, dashes, across)
        label = _text(svg, LEFT + 200 * number, HEIGHT - 8, name, "")
        label.set("style", f"fill:{color};font-weight:600")
        ElementTree.SubElement(label, "title").text = _LABELS[name]
    if threshold is not None and low <= threshold <= high:
        x = across(threshold)
        _path(svg, f"M{x} {TOP}V{HEIGHT - BOTTOM}", "#b3362b", "4 2")
        _text(svg, x, TOP - 6, f"threshold {threshold:.4g}", "middle")
    ElementTree.indent(svg, " ")
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def _axes(
    svg: ElementTree.Element,
    low: float,
    high: float,
    across: Callable[[float], float],
) -> None:
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = _y(share)
        ElementTree.SubElement(
            svg,
            "path",
            {"d": f"M{LEFT} {y}H{WIDTH - RIGHT}", "class": "grid"},
        )
        _text(svg, LEFT - 6, y + 4, f"{share:g}", "end")
        score = low + share * (high - low)
        _text(
            svg, across(score), HEIGHT - BOTTOM + 16, f"{score:.3g}", "middle"
        )
    _text(svg, WIDTH - RIGHT, HEIGHT - BOTTOM + 34, "score", "end")


def _line(
    svg: ElementTree.Element,
    points: tuple[CurvePoint, ...],
    name: str,
    color: str,
    dashes: str,
    across: Callable[[float], float],
) -> None:
    # A curve has more points than the picture has columns; every pixel's first
    # is enough, and both ends stay.
    where = {}
    for point in points:
        where.setdefault(round(across(point.score)), point)
    where[round(across(points[-1].score))] = points[-1]
    path = "L".join(
        f"{across(point.score)} {_y(getattr(point, name))}"
        for point in where.values()
    )
    _path(svg, f"M{path}", color, dashes)


def _path(svg: ElementTree.Element, d: str, color: str, dashes: str) -> None:
    element = ElementTree.SubElement(
        svg, "path", {"d": d, "class": "line", "stroke": color}
    )
    if dashes:
        element.set("stroke-dasharray", dashes)


def _text(
    svg: ElementTree.Element, x: float, y: float, text: str, kind: str
) -> ElementTree.Element:
    element = ElementTree.SubElement(svg, "text", {"x": f"{x}", "y": f"{y}"})
    if kind:
        element.set("class", kind)
    element.text = text
    return element


def _y(share: float) -> float:
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def write(
    calibration: Calibration,
    path: pathlib.Path,
    threshold: float | None = None,
) -> None:
    """Writes the JSON, and the plot beside it, `.svg` in place of `.json`.

    Args:
      calibration: to write.
      path: ends in `.json`.
      threshold: a score to mark in the plot.
    """
    for each, text in (
        (path, calibration.to_json()),
        (path.with_suffix(".svg"), draw(calibration, threshold)),
    ):
        write_text(each, text)
