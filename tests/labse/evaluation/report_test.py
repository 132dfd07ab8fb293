import html.parser
import math
import re

import pytest

from labse.errors import InputError
from labse.evaluation import line_chart, report, results, retrieval

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


def _result(query="Hund", language="de"):
    wrong = retrieval.Match(query, _NASTY, 1, 0.91, "dog", 0.12)
    right = retrieval.Match("Katze", "cat", 0, 0.95, "cat", 0.95)
    return results.TaskResult(
        "pairs",
        "What was asked.",
        [
            results.LanguageResult(
                language,
                "en",
                {"target_to_source": 0.5, "source_to_target": 0.25},
                [wrong, right],
            ),
            results.LanguageResult(
                "fr",
                "en",
                {"target_to_source": 1.0, "source_to_target": 1.0},
                [right],
                counted=False,
            ),
        ],
        [results.Neighbours(_NASTY, [(_HEBREW, "he", 0.875, True)])],
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
    report.write(path, _result(), "runs/mine", _NASTY, _HISTORY)
    return path.read_text(encoding="utf-8")


def test_page_is_well_formed_and_says_its_figures(page):
    reader = _Reader(page)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    text = "|".join(reader.texts)
    # Of two languages one counts: the mean is German's.
    assert "|50.0 %|P@1, language → en|25.0 %|P@1, en → language|1|" in text
    assert "|1,500|training steps|" in text
    assert "|Hund|" in text and "|0.910|dog|0.120|" in text
    assert "✓" in reader.texts and "0.875" in reader.texts
    assert "Pale: too few strings" in text


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
    report.write(path, _result(query="x" * 159 + "yzz"), "m", "d")
    text = path.read_text(encoding="utf-8")
    assert ">" + "x" * 159 + "…<" in text and "yzz" not in text


def test_bars_are_sorted_and_as_wide_as_the_accuracy(page):
    bars = re.findall(
        r'class="bar(?: few)?"><span>(\w+)</span><div>'
        r'<i style="width:([\d.]+)%"></i><i style="width:([\d.]+)%">',
        page,
    )
    assert bars == [("fr", "100.0", "100.0"), ("de", "50.0", "25.0")]


def test_without_a_history_there_is_no_curve(tmp_path):
    path = tmp_path / "report.html"
    report.write(path, _result(), "m", "d")
    text = path.read_text(encoding="utf-8")
    assert "<svg" not in text and "training steps" not in text
    _Reader(text)


def test_each_language_has_its_surest_mistake(tmp_path):
    sure = retrieval.Match("sure", "wrong1", 0, 0.9, "r", 0.1)
    unsure = retrieval.Match("unsure", "wrong2", 0, 0.2, "r", 0.1)
    accuracies = {"target_to_source": 0.0, "source_to_target": 0.0}
    languages = [
        results.LanguageResult("aa", "en", accuracies, [unsure]),
        results.LanguageResult("bb", "en", accuracies, [unsure, sure]),
    ]
    path = tmp_path / "report.html"
    report.write(path, results.TaskResult("t", "", languages, []), "m", "d")
    text = path.read_text(encoding="utf-8")
    assert re.findall(r">(\w+)</td><td dir=\"auto\">(\w+)<", text) == [
        ("bb", "sure"),
        ("aa", "unsure"),
    ]


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
