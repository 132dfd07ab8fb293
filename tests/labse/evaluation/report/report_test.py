import dataclasses
import html.parser
import math
import re

import pytest

from labse.errors import InputError
from labse.evaluation import results, statistics
from labse.evaluation.report import line_chart, report

_VOID = {"meta"}
_NASTY = '<script>alert("1")</script> & \' </td>'
_HEBREW = "שלום"


class _Reader(html.parser.HTMLParser):
    """Checks that every element is closed in order; keeps texts and tags."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text)


def _row(name, there, back, counted=True):
    return results.Row(
        name,
        {
            "target_to_source": statistics.mean(there),
            "source_to_target": statistics.mean(back),
        },
        len(there),
        counted,
    )


def _result(query="Hund", there=(1, 0, 1, 0)):
    return results.TaskResult(
        "pairs",
        "What was asked.",
        [
            _row("de", there, [1, 0, 0, 0]),
            _row("fr", [1], [1], counted=False),
        ],
        "target_to_source",
        groups={"some": ["de"]},
        mistakes=[results.Mistake("de", query, _NASTY, 0.91, "dog", 0.12)],
        neighbours=[results.Neighbours(_NASTY, [(_HEBREW, "he", 0.875, True)])],
        published={"LaBSE (paper)": {"some": 0.837}},
    )


_HISTORY = [
    {"step": 10, "loss": 5.5, "in_batch_accuracy": 0.1},
    {
        "step": 20,
        "loss": math.nan,
        "in_batch_accuracy": 0.4,
        "validation": {"target_to_source": 0.3, "source_to_target": 0.2},
    },
    {"step": 1500, "loss": 3.0, "in_batch_accuracy": 0.5},
]


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "report.html"
    report.write(path, {"runs/mine": _result()}, _NASTY, _HISTORY)
    return path.read_text(encoding="utf-8")


def test_page_is_well_formed_and_says_its_figures(page):
    reader = _Reader(page)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    text = "|".join(reader.texts)
    # Of two languages one counts: the mean is German's.
    assert "|50.0 %|target to source, 0.0 to 100.0|25.0 %|" in text
    assert "|LaBSE (paper)|83.7|" in text
    assert "|1,500|training steps|" in text
    assert "|Hund|" in text and "|0.910|dog|0.120|" in text
    assert "✓" in reader.texts and "0.875" in reader.texts
    assert "Pale: too few items" in text


def test_texts_of_the_data_cannot_become_markup(page):
    reader = _Reader(page)
    assert "script" not in [tag for tag, _ in reader.tags]
    # As data, as a wrong match and as a neighbour's query.
    assert page.count("&lt;script&gt;") == 3
    assert sum(_NASTY in text for text in reader.texts) == 3


def test_page_needs_nothing_else(page):
    reader = _Reader(page)
    attributes = {name for _, given in reader.tags for name in given}
    assert not attributes & {"src", "href", "srcset", "action"}
    assert not re.search(r"url\(|@import|https?://", page)


def test_texts_choose_their_own_direction(page):
    cells = re.findall(r"<td([^>]*)>" + _HEBREW, page)
    assert len(cells) == 1 and all('dir="auto"' in cell for cell in cells)


def test_very_long_texts_are_cut(tmp_path):
    path = tmp_path / "report.html"
    report.write(path, {"m": _result(query="x" * 159 + "yzz")}, "d")
    text = path.read_text(encoding="utf-8")
    assert ">" + "x" * 159 + "…<" in text and "yzz" not in text


def test_bars_are_sorted_and_as_wide_as_the_accuracy(page):
    bars = re.findall(
        r'class="bar(?: few)?"><span>(\w+)</span><div>'
        r'<i style="width:([\d.]+)%;background:#\w+"></i>'
        r'<i style="width:([\d.]+)%;background:#\w+">',
        page,
    )
    assert bars == [("fr", "100.0", "100.0"), ("de", "50.0", "25.0")]


def test_without_a_history_there_is_no_curve(tmp_path):
    path = tmp_path / "report.html"
    report.write(path, {"m": _result()}, "d")
    text = path.read_text(encoding="utf-8")
    assert "<svg" not in text and "training steps" not in text
    _Reader(text)


def test_each_row_has_its_surest_mistake(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MAX_MISTAKES", 2)  # One a row.
    mistakes = [
        results.Mistake("aa", "unsure", "wrong2", 0.2, "r", math.nan),
        results.Mistake("bb", "unsure", "wrong2", 0.2, "r", 0.1),
        results.Mistake("bb", "sure", "wrong1", 0.9, "r", 0.1),
    ]
    result = dataclasses.replace(_result(), mistakes=mistakes)
    path = tmp_path / "report.html"
    report.write(path, {"m": result}, "d")
    text = path.read_text(encoding="utf-8")
    assert re.findall(r">(\w+)</td><td dir=\"auto\">(\w+)<", text) == [
        ("bb", "sure"),
        ("aa", "unsure"),
    ]


def test_models_stand_side_by_side(tmp_path):
    judged = {"m": _result(), "better": _result(there=(1, 1, 1, 1))}
    path = tmp_path / "report.html"
    report.write(path, judged, "d")
    text = path.read_text(encoding="utf-8")
    reader = _Reader(text)
    bars = re.findall(
        r"<span>(\w+)</span><div><i style=\"width:([\d.]+)%", text
    )
    assert bars == [("fr", "100.0"), ("de", "50.0")]
    assert "width:100.0%;background:#d06a12" in text
    # Two items differ: McNemar's exact p is 0.5.
    assert "p against the first model" in reader.texts
    assert "0.5" in reader.texts
    assert text.count("All numbers of") == 2


def test_curves_are_drawn(tmp_path):
    curve = results.Curve(
        "de", "pool size", {"accuracy": [(1, 1.0), (1000, 0.5)]}, powers=True
    )
    path = tmp_path / "report.html"
    report.write(
        path, {"m": dataclasses.replace(_result(), curves=[curve])}, "d"
    )
    text = path.read_text(encoding="utf-8")
    assert "de, by pool size" in text
    assert ">1,000<" in text and ">32<" in text  # 10 ** 1.5


def test_line_chart_by_hand():
    # The plot spans x 48..438 and y 200..28 for steps 0..20 and values 0..1.
    svg = line_chart.draw(
        "Accuracy",
        [line_chart.Line("a", [(10, 0.5), (20, 1.0)], "blue")],
        maximum=1,
    )
    [line] = svg.findall("path[@class='line']")
    assert line.get("d") == "M243.0 114.0L438.0 28.0"
    assert len(svg.findall("circle")) == 2


def test_line_chart_skips_what_is_not_finite():
    points = [(1, 0.5), (2, math.nan), (3, math.inf)]
    svg = line_chart.draw("Loss", [line_chart.Line("a", points, "blue")])
    assert len(svg.findall("circle")) == 1
    nothing = line_chart.draw("Loss", [line_chart.Line("a", [], "blue")])
    assert not nothing.findall("path[@class='line']")


def test_long_lines_are_averaged():
    # 600 points become 300: each the mean of two neighbours.
    points = [(step, float(step % 2)) for step in range(600)]
    svg = line_chart.draw("Loss", [line_chart.Line("a", points, "blue")])
    d = svg.find("path[@class='line']").get("d")
    corners = d[1:].split("L")
    assert len(corners) == 300
    assert len({corner.split()[1] for corner in corners}) == 1


@pytest.mark.parametrize(
    "largest, top",
    [(6.9, 8), (1, 1), (1000, 1000), (0.03, 0.04), (10.5, 20), (0, 1)],
)
def test_axis_ends_at_a_round_number(largest, top):
    svg = line_chart.draw(
        "Loss", [line_chart.Line("a", [(1, largest)], "blue")]
    )
    labels = [float(text.text) for text in svg.findall("text[@class='end']")]
    assert max(labels) == pytest.approx(top)


def test_history_is_read(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "loss": NaN}\n')
    first, second = report.read_history(path)
    assert first == {"step": 1, "loss": 2.5}
    assert math.isnan(second["loss"])


@pytest.mark.parametrize("line", ['{"step": 2, "lo', "[1]", '{"loss": 2}', ""])
def test_broken_history_names_the_line(tmp_path, line):
    path = tmp_path / "history.jsonl"
    path.write_text(f'{{"step": 1}}\n{line}\n')
    with pytest.raises(
        InputError, match=r"history\.jsonl, line 2: .* \"step\""
    ):
        report.read_history(path)


def test_a_group_of_all_rows_stands_once(tmp_path):
    result = _result()
    for groups, titles in (
        ({"some": ["de"]}, ["some: 1"]),
        ({"some": ["de"], "two": ["de", "fr"]}, ["some: 1", "two: 2"]),
        ({"other": ["fr"]}, ["other: 1", "all: 1"]),
        ({}, ["all: 1"]),
    ):
        path = tmp_path / "report.html"
        shown = dataclasses.replace(result, groups=groups)
        report.write(path, {"model": shown}, "data", [])
        texts = _Reader(path.read_text("utf-8")).texts
        assert [
            text for text in texts if re.fullmatch(r"\w+: \d", text)
        ] == titles
