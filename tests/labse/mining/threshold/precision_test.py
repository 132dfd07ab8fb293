"""Calibrations worked by hand, and against scikit-learn."""

import json
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from labse.errors import InputError
from labse.mining.threshold import precision, precision_plot

sklearn_isotonic = pytest.importorskip("sklearn.isotonic")

# Labels by rising score: 0 | 1 0 | 1 1. Means must not fall: 0, 1/2, 1.
_SCORES = np.array([0.5, 0.1, 0.3, 0.2, 0.4])
_LABELS = np.array([True, False, False, True, True])
_CURVE = ("score", "probability", "precision", "recall", "kept")


def _random(num=2000, seed=0):
    generator = np.random.default_rng(seed)
    scores = generator.uniform(0, 1, num).round(2)  # With ties.
    return scores, generator.uniform(0, 1, num) < scores**2


def test_probabilities_by_hand():
    calibration = precision.fit(_SCORES, _LABELS)
    np.testing.assert_array_equal(
        calibration.probability([0.1, 0.2, 0.3, 0.4, 0.5]), [0, 0.5, 0.5, 1, 1]
    )
    # Straight between two corners, level beyond the last ones.
    np.testing.assert_allclose(
        calibration.probability([[-9, 0.15], [0.35, 9]]), [[0, 0.25], [0.75, 1]]
    )
    assert calibration.num_pairs == 5
    assert calibration.num_translations == calibration.num_known == 3


def test_the_curve_by_hand():
    calibration = precision.fit(_SCORES, _LABELS, num_known=4)
    rows = [
        (p.score, p.probability, p.precision, p.recall, p.kept)
        for p in calibration.curve
    ]
    expected = [
        # score, probability, mean probability from here on, recall, kept
        (0.5, 1, 1, 1 / 4, 1 / 5),
        (0.4, 1, 1, 2 / 4, 2 / 5),
        (0.3, 0.5, 2.5 / 3, 2 / 4, 3 / 5),
        (0.2, 0.5, 3 / 4, 3 / 4, 4 / 5),
        (0.1, 0, 3 / 5, 3 / 4, 1),
    ]
    np.testing.assert_allclose(rows, expected, rtol=1e-15)


def test_thresholds_by_hand():
    calibration = precision.fit(_SCORES, _LABELS)
    # Precisions from the top: 1, 1, 0.833, 0.75, 0.6.
    assert calibration.threshold(0.99) == 0.4
    assert calibration.threshold(0.8) == 0.3
    assert calibration.threshold(0.75) == 0.2  # Reached exactly.
    assert calibration.threshold(0.76) == 0.3
    assert calibration.threshold(0.1) == 0.1
    # Of other pairs: probabilities 1, 0.5, 0.5 (equal scores stay together)
    # and 0; precisions 1, 2/3, 2/3, 1/2.
    scores = np.array([0.25, 0.0, 0.45, 0.25])
    assert calibration.threshold(0.7, scores) == 0.45
    assert calibration.threshold(0.6, scores) == 0.25
    assert calibration.threshold(0.5, scores) == 0.0
    assert calibration.probability(scores).mean() == 0.5


def test_the_threshold_is_the_whole_sets_not_the_last_pairs():
    # One block of 9 right and 1 wrong, mixed so that no score tells them apart,
    # then wrong ones: 0.9 is reached by the block although sums of 0.9 round.
    scores = np.array([2.0] * 10 + [1.0] * 30)
    labels = np.array([True] * 9 + [False] * 31)
    calibration = precision.fit(scores, labels)
    assert calibration.threshold(0.9) == 2.0
    many = np.array([2.0] * 1000 + [1.0])
    assert calibration.threshold(0.9, many) == 2.0


def test_a_threshold_is_the_lowest_that_will_do():
    scores, labels = _random()
    calibration = precision.fit(scores, labels)
    others, _ = _random(500, 1)
    probabilities = calibration.probability(others)
    for wanted in (0.4, 0.5, 0.7, 0.9):
        threshold = calibration.threshold(wanted, others)
        assert probabilities[others >= threshold].mean() >= wanted
        lower = others[others < threshold].max()
        assert probabilities[others >= lower].mean() < wanted


def test_equals_scikit_learn():
    scores, labels = _random()
    peer = sklearn_isotonic.IsotonicRegression(out_of_bounds="clip")
    peer.fit(scores, labels.astype(float))
    calibration = precision.fit(scores, labels)
    where = np.linspace(-0.5, 1.5, 999)
    np.testing.assert_allclose(
        calibration.probability(where), peer.predict(where), atol=1e-12
    )
    assert len(calibration.scores) > 10


def test_the_order_of_the_pairs_does_not_matter():
    scores, labels = _random()
    order = np.random.default_rng(4).permutation(len(scores))
    one = precision.fit(scores, labels)
    two = precision.fit(scores[order], labels[order])
    assert one.to_json() == two.to_json()


def test_the_curve_is_thinned_and_keeps_its_ends():
    generator = np.random.default_rng(5)
    scores = generator.uniform(0, 1, 5000)
    calibration = precision.fit(scores, scores > 0.5)
    assert len(calibration.curve) == precision.MAX_CURVE_POINTS
    assert calibration.curve[0].score == scores.max()
    assert calibration.curve[-1].score == scores.min()
    assert calibration.curve[-1].kept == 1


def test_json_holds_everything():
    scores, labels = _random()
    calibration = precision.fit(scores, labels, num_known=1500, basis="gold")
    values = json.loads(calibration.to_json())
    assert values["format"] == precision.FORMAT
    assert values["basis"] == "gold" and values["num_known"] == 1500
    np.testing.assert_array_equal(
        np.interp(scores, values["scores"], values["probabilities"]),
        calibration.probability(scores),
    )
    curve = zip(*(values["curve"][name] for name in _CURVE), strict=True)
    assert [precision.CurvePoint(*row) for row in curve] == list(
        calibration.curve
    )


@pytest.mark.parametrize("wanted", [0, 1, -0.1, 90, float("nan")])
def test_a_precision_out_of_range(wanted):
    calibration = precision.fit(_SCORES, _LABELS)
    with pytest.raises(InputError, match="above 0 and below 1.*Received"):
        calibration.threshold(wanted)


def test_a_precision_that_no_threshold_reaches():
    # The best block is 2 of 3 right.
    calibration = precision.fit([1, 1, 1, 0], [True, True, False, False])
    with pytest.raises(InputError) as error:
        calibration.threshold(0.9)
    message = str(error.value)
    assert "No threshold gives a precision of 0.9" in message
    assert "of score 1, is expected to be 0.6667" in message
    assert "at most 0.666," in message
    assert calibration.threshold(0.666) == 1
    with pytest.raises(InputError, match="expected to be 0"):
        calibration.threshold(0.5, np.array([0.0, -1.0]))


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([], [], "at least one, and finite. Received: shape"),
        ([[0.5]], [[True]], "Received: shape"),
        ([0.5, np.nan], [True, False], "Received: 1 that are not"),
        ([0.5, 0.1], [True], "one label for each score. Received: "),
        ([0.5, 0.1], [False, False], "none of 0 known ones among 2 labelled"),
        ([0.5, 0.1], [True, True], "all 2 labelled pairs are translations"),
    ],
)
def test_pairs_that_say_nothing(scores, labels, message):
    with pytest.raises(InputError, match=message):
        precision.fit(np.array(scores), np.array(labels, bool))


def test_numbers_that_cannot_be():
    with pytest.raises(
        InputError, match="at least .* among the pairs, 1. Received: 0"
    ):
        precision.fit([0, 1], [0, 1], num_known=0)
    with pytest.raises(InputError, match="none of 7 known ones"):
        precision.fit([0, 1], [0, 0], num_known=7)


def test_scikit_learn_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.isotonic", None)
    with pytest.raises(InputError, match=r"pip install 'labse\[evaluation\]'"):
        precision.fit(_SCORES, _LABELS)


def test_the_plot():
    calibration = precision.fit(_SCORES, _LABELS)
    text = precision_plot.draw_calibration(calibration, 0.3)
    assert text == precision_plot.draw_calibration(calibration, 0.3)
    svg = ElementTree.fromstring(text)
    name = "{http://www.w3.org/2000/svg}"
    lines = [
        path.get("d")
        for path in svg.iter(f"{name}path")
        if path.get("class") == "line"
    ]
    assert len(lines) == 4  # Precision, recall, probability, the threshold.
    # Scores 0.1 to 0.5 span x from 48 to 438, shares 0 to 1 y from 200 to 28.
    # Precision from the highest score down: 1, 1, 5/6, 3/4, 3/5.
    assert lines[0] == (
        "M438.0 28.0L340.5 28.0L243.0 56.7L145.5 71.0L48.0 96.8"
    )
    assert lines[3] == "M243.0 28V200"
    words = [text.text for text in svg.iter(f"{name}text")]
    assert "threshold 0.3" in words
    assert "Calibration on 5 pairs, by score" in words


def test_a_threshold_of_zero_is_marked():
    calibration = precision.fit([-0.5, 0.5], [False, True])
    assert "threshold 0<" in precision_plot.draw_calibration(calibration, 0.0)
    assert "threshold" not in precision_plot.draw_calibration(calibration)


def test_the_plot_of_many_scores_reaches_both_ends():
    # 1,000 scores from 0 to 1, of which the upper half are translations.
    scores = np.linspace(0, 1, 1000)
    text = precision_plot.draw_calibration(precision.fit(scores, scores > 0.5))
    recall = ElementTree.fromstring(text).findall(".//*[@class='line']")[1]
    corners = recall.get("d")[1:].split("L")
    assert corners[0].startswith("438.0 ") and corners[-1] == "48.0 28.0"
    assert 200 < len(corners) <= 300


def test_the_plot_of_one_score():
    calibration = precision.fit([0.5, 0.5], [True, False])
    ElementTree.fromstring(precision_plot.draw_calibration(calibration))


def test_both_files_are_written(tmp_path):
    calibration = precision.fit(_SCORES, _LABELS)
    precision_plot.write_calibration(
        calibration, tmp_path / "calibration.json", 0.3
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "calibration.json",
        "calibration.svg",
    ]
    text = (tmp_path / "calibration.json").read_text()
    assert text == calibration.to_json()
    svg = (tmp_path / "calibration.svg").read_text()
    assert svg == precision_plot.draw_calibration(calibration, 0.3)
