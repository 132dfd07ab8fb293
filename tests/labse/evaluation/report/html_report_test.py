import dataclasses
import html.parser
import math
import re

import pytest

from labse.errors import InputError
from labse.evaluation import results, statistics
from labse.evaluation.published import Column, PublishedTable
from labse.evaluation.report import html_report
from labse.training import history

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
        if text.strip():
            self.texts.append(text.strip())


def _row(name, there, back, counted=True, mistakes=()):
    return results.Row(
        name,
        {
            "target_to_source": statistics.mean(there),
            "source_to_target": statistics.mean(back),
        },
        len(there),
        counted,
        mistakes=mistakes,
    )


def _result(query="Hund", there=(1, 0, 1, 0)):
    mistake = results.Mistake("de", query, _NASTY, 0.91, "dog", 0.12)
    return results.TaskResult(
        "pairs",
        "What is measured.",
        [
            _row("de", there, [1, 0, 0, 0], mistakes=[mistake]),
            _row("fr", [1], [1], counted=False),
        ],
        "target_to_source",
        groups={"some": ["de"]},
        neighbours=[
            results.NeighbourExample(_NASTY, [(_HEBREW, "he", 0.875, True)])
        ],
        published=[
            PublishedTable(
                "A paper, Table 5",
                "P@1.",
                [
                    Column("some languages", "some", "target_to_source"),
                    Column("de, back", "de", "source_to_target"),
                    Column("it", "it", "target_to_source"),
                ],
                {"LaBSE": (83.7, None, 12.0), _NASTY: (1.0, 2.0, 3.0)},
            )
        ],
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
    html_report.write_report(path, {"runs/mine": _result()}, _NASTY, _HISTORY)
    return path.read_text(encoding="utf-8")


def test_page_is_well_formed_and_says_its_figures(page):
    reader = _Reader(page)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    text = "|".join(reader.texts)
    # Of two languages one counts: the mean is German's.
    assert "|50.0 %|target to source, 0.0 to 100.0|25.0 %|" in text
    assert "|model|some languages|de, back|it|" in text
    # A group's mean, a row's figure, and a row that the data does not have.
    assert "|runs/mine|evaluated here|50.0|25.0|–|LaBSE|83.7|–|12.0|" in text
    assert "Published: A paper, Table 5" in text
    assert "|1,500|training steps|" in text
    assert "|Hund|" in text and "|0.910|dog|0.120|" in text
    assert "✓" in reader.texts and "0.875" in reader.texts
    assert "Pale: too few items" in text


def test_texts_of_the_data_cannot_become_markup(page):
    reader = _Reader(page)
    assert "script" not in [tag for tag, _ in reader.tags]
    # As data, a published model, a wrong match and a neighbour's query.
    assert page.count("&lt;script&gt;") == 4
    assert sum(_NASTY in text for text in reader.texts) == 4


def test_names_cannot_become_markup(tmp_path):
    curve = results.Curve(_NASTY, "x", {_NASTY: [(1, 1)], "b": [(1, 1)]})
    result = dataclasses.replace(
        _result(),
        task=_NASTY,
        rows=[_row(_NASTY, [1, 0], [1, 1], mistakes=_result().mistakes)],
        groups={_NASTY: [_NASTY]},
        published=(),
        curves=[curve],
    )
    path = tmp_path / "report.html"
    html_report.write_report(path, {_NASTY: result, "m": result}, "d")
    reader = _Reader(path.read_text("utf-8"))
    assert "script" not in [tag for tag, _ in reader.tags]
    # The title, the heading, the averages' model and group, the names of the
    # model and the row in the bars, the row and the model in both details,
    # the title and the name in the chart, an example and a mistake.
    assert sum(_NASTY in text for text in reader.texts) == 13
    labels = [given.get("aria-label", "") for _, given in reader.tags]
    assert f"{_NASTY}, by x" in labels


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
    html_report.write_report(path, {"m": _result(query="x" * 159 + "yzz")}, "d")
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
    html_report.write_report(path, {"m": _result()}, "d")
    text = path.read_text(encoding="utf-8")
    assert "<svg" not in text and "training steps" not in text
    _Reader(text)


def test_each_row_has_its_surest_mistake(tmp_path, monkeypatch):
    monkeypatch.setattr(html_report, "MAX_MISTAKES", 2)  # One a row.
    unsure = ("unsure", "wrong2", 0.2, "r")
    rows = [
        _row(
            "aa", [0], [0], mistakes=[results.Mistake("aa", *unsure, math.nan)]
        ),
        _row(
            "bb",
            [0],
            [0],
            mistakes=[
                results.Mistake("bb", *unsure, 0.1),
                results.Mistake("bb", "sure", "wrong1", 0.9, "r", 0.1),
            ],
        ),
    ]
    result = dataclasses.replace(_result(), rows=rows, groups={})
    path = tmp_path / "report.html"
    html_report.write_report(path, {"m": result}, "d")
    text = path.read_text(encoding="utf-8")
    assert re.findall(r">(\w+)</td><td dir=\"auto\">(\w+)<", text) == [
        ("bb", "sure"),
        ("aa", "unsure"),
    ]


def test_models_stand_side_by_side(tmp_path):
    by_model = {"m": _result(), "better": _result(there=(1, 1, 1, 1))}
    path = tmp_path / "report.html"
    html_report.write_report(path, by_model, "d")
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
        "de", "pool size", {"accuracy": [(1, 1.0), (1000, 0.5)]}, log_x=True
    )
    path = tmp_path / "report.html"
    html_report.write_report(
        path, {"m": dataclasses.replace(_result(), curves=[curve])}, "d"
    )
    text = path.read_text(encoding="utf-8")
    assert "de, by pool size" in text
    assert ">1,000<" in text and ">32<" in text  # 10 ** 1.5


def test_history_is_read(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "loss": NaN}\n')
    first, second = history.read(path)
    assert first == {"step": 1, "loss": 2.5}
    assert math.isnan(second["loss"])


@pytest.mark.parametrize("line", ['{"step": 2, "lo', "[1]", '{"loss": 2}', ""])
def test_broken_history_names_the_line(tmp_path, line):
    path = tmp_path / "history.jsonl"
    path.write_text(f'{{"step": 1}}\n{line}\n')
    with pytest.raises(InputError, match=r"history\.jsonl:2: .* \"step\""):
        history.read(path)


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
        html_report.write_report(path, {"model": shown}, "data", [])
        texts = _Reader(path.read_text("utf-8")).texts
        assert [
            text for text in texts if re.fullmatch(r"\w+: \d", text)
        ] == titles
