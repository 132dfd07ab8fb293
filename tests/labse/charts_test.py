import math
from xml.etree import ElementTree

import pytest

from labse import charts


def _line(points, name="a"):
    return charts.Line(name, points, "blue")


def _d(svg):
    return [path.get("d") for path in svg.findall("path[@class='line']")]


def _texts(svg):
    return [text.text for text in svg.iter("text")]


def test_points_by_hand():
    # The plot spans x 48..438 and y 200..28 for steps 0..20 and values 0..1.
    svg = charts.line_chart(
        "Accuracy", [_line([(10, 0.5), (20, 1.0)])], y_max=1
    )
    assert _d(svg) == ["M243.0 114.0L438.0 28.0"]
    assert len(svg.findall("circle")) == 2
    assert "Accuracy" in _texts(svg)
    assert svg.get("viewBox") == "0 0 460 230"


def test_a_range_that_does_not_start_at_zero():
    svg = charts.line_chart(
        "t", [_line([(-1, 0), (1, 2)])], x_range=(-1, 1), y_max=1
    )
    # What is above the top is drawn at the top.
    assert _d(svg) == ["M48.0 200.0L438.0 28.0"]
    assert {"-1", "-0.5", "0", "0.5", "1"} <= set(_texts(svg))


def test_logarithmic_axis():
    svg = charts.line_chart(
        "t", [_line([(1, 1), (10, 0.5), (100, 0)])], y_max=1, log_x=True
    )
    assert _d(svg) == ["M48.0 28.0L243.0 114.0L438.0 200.0"]
    # 10 ** 0, 10 ** 0.5 and so on.
    assert {"1", "3", "10", "32", "100"} <= set(_texts(svg))


def test_what_is_not_finite_is_left_out():
    points = [(1, 0.5), (2, math.nan), (3, math.inf)]
    svg = charts.line_chart("Loss", [_line(points)])
    assert len(svg.findall("circle")) == 1
    assert not _d(charts.line_chart("Loss", [_line([])]))


def test_long_lines_are_averaged():
    # 600 points become 300: each the mean of two neighbours.
    points = [(step, float(step % 2)) for step in range(600)]
    [d] = _d(charts.line_chart("Loss", [_line(points)]))
    corners = d[1:].split("L")
    assert len(corners) == 300
    assert len({corner.split()[1] for corner in corners}) == 1


@pytest.mark.parametrize(
    "largest, top",
    [(6.9, 8), (1, 1), (1000, 1000), (0.03, 0.04), (10.5, 20), (0, 1)],
)
def test_axis_ends_at_a_round_number(largest, top):
    svg = charts.line_chart("Loss", [_line([(1, largest)])])
    labels = [float(text.text) for text in svg.findall("text[@class='y']")]
    assert max(labels) == pytest.approx(top)


def _names(svg):
    return [
        (name.text, float(name.get("x")), int(name.get("y")))
        for name in svg.findall("text[@class='name']")
    ]


def test_several_lines_have_a_legend():
    lines = [_line([(1, 1)], "one"), _line([(1, 1)], "two <2>")]
    svg = charts.line_chart("t", lines)
    # Five widths of a letter, 6.5, after the start of the first.
    assert _names(svg) == [("one", 48, 242), ("two <2>", 80.5, 242)]
    assert svg.get("viewBox") == "0 0 460 250"
    assert not _names(charts.line_chart("t", lines[:1]))


def test_a_long_legend_takes_several_rows():
    lines = [_line([(1, 1)], 40 * letter) for letter in "abc"]
    svg = charts.line_chart("t", lines)
    assert [(x, y) for _, x, y in _names(svg)] == [
        (48, 242),
        (48, 258),
        (48, 274),
    ]
    assert svg.get("viewBox") == "0 0 460 282"


def test_a_mark_is_drawn_on_the_axis_only():
    for x, d in ((5, "M243.0 28V200"), (11, None)):
        svg = charts.line_chart("t", [_line([(10, 1)])], mark=("here", x))
        assert (d in _d(svg)) == ("here" in _texts(svg)) == (d is not None)
        assert [name for name, _, _ in _names(svg)] == ["here"] * (x == 5)


def test_file_is_svg_of_its_own():
    svg = charts.line_chart("a < b", [_line([(10, 1)])])
    page = ElementTree.fromstring(charts.svg_file(svg))
    space = "{http://www.w3.org/2000/svg}"
    assert page.tag == f"{space}svg"
    assert page[0].tag == f"{space}rect" and page[0].get("fill") == "#fff"
    assert "a < b" in [text.text for text in page.iter(f"{space}text")]
