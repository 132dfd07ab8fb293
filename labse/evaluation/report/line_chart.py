"""A line chart as an SVG element, without a library to draw it."""

import dataclasses
import math
from collections.abc import Sequence
from xml.etree import ElementTree

WIDTH, HEIGHT = 460, 230
LEFT, RIGHT, TOP, BOTTOM = 48, 22, 28, 30
# More points than pixels say nothing; they are averaged down to these.
MAX_POINTS = 300


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a chart."""

    name: str
    points: list[tuple[float, float]]
    color: str


def draw(
    title: str,
    lines: Sequence[Line],
    maximum: float | None = None,
    powers: bool = False,
) -> ElementTree.Element:
    """Draws the lines over a common axis that starts at 0.

    Args:
      title: stands above the chart.
      lines: points that are not finite are left out.
      maximum: top of the vertical axis; default a round number above all.
      powers: whether the horizontal axis is logarithmic, and starts at 1.
    """
    if powers:
        lines = [
            dataclasses.replace(
                line,
                points=[(math.log10(max(x, 1)), y) for x, y in line.points],
            )
            for line in lines
        ]
    lines = [
        dataclasses.replace(line, points=_thin(line.points)) for line in lines
    ]
    points = [point for line in lines for point in line.points]
    last_x = max((x for x, _ in points), default=1) or 1
    top = maximum or _round_up(max((y for _, y in points), default=1))
    svg = ElementTree.Element(
        "svg",
        {
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "role": "img",
            "aria-label": title,
        },
    )
    _text(svg, LEFT, 16, title, "title")
    for part in range(5):
        y = _y(top * part / 4, top)
        ElementTree.SubElement(
            svg,
            "path",
            {"d": f"M{LEFT} {y}H{WIDTH - RIGHT}", "class": "grid"},
        )
        _text(svg, LEFT - 6, y + 4, f"{top * part / 4:g}", "end")
    for part in range(5):
        x = last_x * part / 4
        value = 10**x if powers else x
        digits = 2 if last_x <= 2 and not powers else 0  # A cosine, say.
        label = f"{value:,.{digits}f}"
        _text(svg, _x(x, last_x), HEIGHT - 10, label, "middle")
    for number, line in enumerate(lines):
        _draw_line(svg, line, last_x, top)
        if len(lines) > 1:
            label = _text(
                svg, WIDTH - RIGHT, TOP + 130 + 15 * number, line.name, "end"
            )
            label.set("style", f"fill:{line.color};font-weight:600")
    return svg


def _draw_line(
    svg: ElementTree.Element, line: Line, last_x: float, top: float
) -> None:
    if not line.points:
        return
    where = [(_x(x, last_x), _y(min(y, top), top)) for x, y in line.points]
    path = "L".join(f"{x} {y}" for x, y in where)
    ElementTree.SubElement(
        svg, "path", {"d": f"M{path}", "class": "line", "stroke": line.color}
    )
    # Few points, such as validation's, may be one alone, which makes no line.
    for x, y in where if len(where) <= 40 else ():
        ElementTree.SubElement(
            svg,
            "circle",
            {"cx": str(x), "cy": str(y), "r": "2.5", "fill": line.color},
        )


def _text(
    svg: ElementTree.Element, x: float, y: float, text: str, kind: str
) -> ElementTree.Element:
    element = ElementTree.SubElement(
        svg, "text", {"x": str(x), "y": str(y), "class": kind}
    )
    element.text = text
    return element


def _x(value: float, last: float) -> float:
    return round(LEFT + value / last * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM), 1)


def _thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The finite points, neighbours averaged where there are too many."""
    points = [point for point in points if all(map(math.isfinite, point))]
    size = math.ceil(len(points) / MAX_POINTS) or 1
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [
        tuple(sum(column) / len(group) for column in zip(*group, strict=True))
        for group in groups
    ]


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 8 times a power of ten; 1 if nothing is above 0."""
    if value <= 0:
        return 1
    power = 10 ** math.floor(math.log10(value))
    return next(
        power * step for step in (1, 2, 4, 8, 10) if value <= power * step
    )
