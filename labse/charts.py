"""Line charts as SVG, without a plotting library."""

import dataclasses
import math
from collections.abc import Sequence
from xml.etree import ElementTree

# A chart is drawn in these units and scales to the room it is given; a legend
# takes more room below. The axes span x from 48 to 438 and y from 200 to 28.
WIDTH, HEIGHT = 460, 230
LEFT, RIGHT, TOP, BOTTOM = 48, 22, 28, 30
LEGEND_ROW, LETTER = 16, 6.5  # The height of a row; a letter's mean width.
# Of more points than pixels, neighbours are averaged.
MAX_POINTS = 300
# Up to this number, points are shown as dots: a single one makes no line.
MAX_DOTS = 40
COLORS = ("#2459c4", "#d06a12", "#1d8a5f", "#7a3fb0")
INK, SOFT, GRID, MARK = "#1c2330", "#5d6779", "#e3e7ee", "#b3362b"


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
      name: in the legend, which charts of several lines have.
      points: (x, y) in the order of x; any that are not finite are left out.
      color: as SVG has it.
      dashes: SVG's stroke-dasharray, so that color is not all that differs.
      description: shown when the pointer is on the name.
    """

    name: str
    points: Sequence[tuple[float, float]]
    color: str
    dashes: str = ""
    description: str = ""


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_range: tuple[float, float] | None = None,
    y_max: float | None = None,
    log_x: bool = False,
    mark: tuple[str, float] | None = None,
) -> ElementTree.Element:
    """Draws lines over a common horizontal axis; the vertical starts at 0.

    Args:
      title: above the chart.
      lines: see `Line`.
      x_range: ends of the horizontal axis; default 0 and the largest x.
      y_max: top of the vertical axis; default a round number above all.
      log_x: the horizontal axis is logarithmic and starts at 1.
      mark: name and x of a vertical line, drawn where x is on the axis.

    Returns:
      an `svg` element for an HTML page; see `svg_file`.
    """
    paths = [_thin(line.points, log_x) for line in lines]
    points = [point for path in paths for point in path]
    low, high = x_range or (0, max((x for x, _ in points), default=1) or 1)
    top = y_max or _round_up(max((y for _, y in points), default=1))

    def place(x: float, y: float) -> tuple[float, float]:
        width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return (
            round(LEFT + (x - low) / (high - low) * width, 1),
            round(HEIGHT - BOTTOM - min(y, top) / top * height, 1),
        )

    svg = ElementTree.Element("svg", {"role": "img", "aria-label": title})
    _set(svg, fill=SOFT, font_size=11, font_family="system-ui,sans-serif")
    _text(svg, LEFT, 16, title, fill=INK, font_size=13, font_weight=600)
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y = low + share * (high - low), top * share
        column, row = place(x, y)
        _path(svg, f"M{LEFT} {row}H{WIDTH - RIGHT}", GRID, 1)
        _text(svg, LEFT - 6, row + 4, f"{y:g}", "end", class_="y")
        is_short = high - low <= 10 and not log_x
        label = f"{x:.3g}" if is_short else f"{10**x if log_x else x:,.0f}"
        _text(svg, column, HEIGHT - 10, label, "middle")
    for line, path in zip(lines, paths, strict=True):
        _draw_line(svg, line, [place(*point) for point in path])
    names = list(lines) if len(lines) > 1 else []
    if mark and low <= mark[1] <= high:
        x, _ = place(mark[1], 0)
        _path(svg, f"M{x} {TOP}V{HEIGHT - BOTTOM}", MARK, 1.8, "4 2")
        names.append(Line(mark[0], [], MARK))
    bottom = _legend(svg, names) if names else HEIGHT
    _set(svg, viewBox=f"0 0 {WIDTH} {bottom}")
    return svg


def svg_file(svg: ElementTree.Element) -> str:
    """The text of an SVG file that holds the chart on white."""
    page = ElementTree.Element(svg.tag, svg.attrib)
    _set(page, xmlns="http://www.w3.org/2000/svg")
    _set(ElementTree.SubElement(page, "rect"), width="100%", height="100%")
    _set(page[0], fill="#fff")
    page.extend(svg)
    return ElementTree.tostring(page, encoding="unicode") + "\n"


def _draw_line(
    svg: ElementTree.Element, line: Line, places: list[tuple[float, float]]
) -> None:
    if places:
        d = "M" + "L".join(f"{x} {y}" for x, y in places)
        _path(svg, d, line.color, 1.8, line.dashes)
    for x, y in places if len(places) <= MAX_DOTS else ():
        dot = ElementTree.SubElement(svg, "circle")
        _set(dot, cx=x, cy=y, r=2.5, fill=line.color)


def _legend(svg: ElementTree.Element, lines: Sequence[Line]) -> int:
    """Adds the names in as many rows as they need; returns where they end."""
    x, y = LEFT, HEIGHT + LEGEND_ROW - 4
    for line in lines:
        width = LETTER * (len(line.name) + 2)
        if x > LEFT and x + width > WIDTH:
            x, y = LEFT, y + LEGEND_ROW
        name = _text(svg, x, y, line.name, fill=line.color, font_weight=600)
        _set(name, class_="name")
        if line.description:
            title = ElementTree.SubElement(name, "title")
            title.text = line.description
        x += width
    return y + 8


def _path(svg, d: str, color: str, width: float, dashes: str = "") -> None:
    path = ElementTree.SubElement(svg, "path", {"d": d, "stroke": color})
    _set(path, fill="none", stroke_width=width, stroke_dasharray=dashes)
    _set(path, class_="" if color == GRID else "line")


def _text(svg, x: float, y: float, text: str, anchor: str = "", **attributes):
    element = ElementTree.SubElement(svg, "text")
    _set(element, x=x, y=y, text_anchor=anchor, **attributes)
    element.text = text
    return element


def _set(element: ElementTree.Element, **attributes: object) -> None:
    """Sets `stroke_width` as stroke-width and so on, empty ones not at all."""
    for name, value in attributes.items():
        if value != "":
            element.set(name.rstrip("_").replace("_", "-"), str(value))


def _thin(
    points: Sequence[tuple[float, float]], log_x: bool
) -> list[tuple[float, float]]:
    """The finite points, neighbours averaged where there are too many."""
    points = [
        (math.log10(max(x, 1)) if log_x else x, y)
        for x, y in points
        if math.isfinite(x) and math.isfinite(y)
    ]
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
