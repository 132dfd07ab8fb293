"""Planting by hand, and precision where the truth is known."""

import json

import numpy as np
import pytest

from labse.errors import InputError
from labse.mining import margin
from labse.mining.margin import Pairs
from labse.mining.threshold import plant, planted


class _Corpus:
    def __init__(self, texts):
        self._texts = texts
        self.num_read = len(texts)

    def __len__(self):
        return len(self._texts)

    def texts(self, start, stop):
        return self._texts[start:stop]


def _corpora(num=100):
    return (
        _Corpus([f"Satz {i}" for i in range(num)]),
        _Corpus([f"sentence {i}" for i in range(num + 50)]),
    )


def _known(num):
    return [(f"neu {i}", f"new {i}") for i in range(num)]


# 10 sources and 20 targets, then planted: sources 10 and 11 belong to targets
# 20 and 22; source 12 and target 21 are orphans.
_PLANTED = planted.PlantedPairs(
    10,
    20,
    ["a", "b", "c"],
    ["A", "X", "B"],
    np.array([20, 22, -1]),
    np.array([10, -1, 11]),
    {},
)
_PAIRS = Pairs(
    #         right, whole with another, orphan, to an orphan, own, right
    np.array([10, 11, 12, 3, 4, 11]),
    np.array([20, 20, 5, 21, 6, 22]),
    np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]),
)


def test_labels_by_hand():
    is_judged, is_right = _PLANTED.labels(_PAIRS)
    assert is_judged.tolist() == [True, True, True, True, False, True]
    assert is_right.tolist() == [True, False, False, False, False, True]
    own = _PLANTED.remove(_PAIRS)
    assert (own.sources, own.targets, own.scores) == (4, 6, 0.5)


def test_weights_by_hand():
    # 40 % without a translation: 6 translations, 4 sources and 14 targets
    # without. A planted whole sentence stands for 6 / 2 on either side.
    weights = _PLANTED.weights(_PAIRS, 0.4)
    np.testing.assert_allclose(weights, [3, 3, 2, 7, 0, 3])
    # Errors from 0.5 on: 3 + 2 + 7 to one own pair; from 0.85 on none is kept.
    assert _PLANTED.precision_by_errors(_PAIRS, 0.5, 0.4) == 0
    assert np.isnan(_PLANTED.precision_by_errors(_PAIRS, 0.85, 0.4))
    with pytest.raises(InputError, match="at least 0 and below 1. Received: 1"):
        _PLANTED.weights(_PAIRS, 1)


def test_recall_by_hand():
    assert _PLANTED.num_pairs == 2
    assert _PLANTED.recall(_PAIRS, 0.9) == 0.5
    assert _PLANTED.recall(_PAIRS, 0.4) == 1
    assert _PLANTED.recall(_PAIRS, 0.91) == 0


def test_the_draw():
    source, target = _corpora()
    made = plant.plant(source, target, _known(80))
    assert made.num_pairs == 40
    assert (made.num_sources, made.num_targets) == (100, 150)
    assert len(made.source_texts) == len(made.target_texts) == 60
    for number, text in enumerate(made.source_texts):
        partner = made.source_partners[number]
        if partner == -1:  # Its translation is nowhere.
            assert text.replace("neu", "new") not in made.target_texts
        else:
            partner -= 150
            assert made.target_texts[partner] == text.replace("neu", "new")
            assert made.target_partners[partner] == 100 + number
    orphans = np.sum(made.target_partners == -1)
    assert orphans == np.sum(made.source_partners == -1) == 20
    again = plant.plant(source, target, _known(80)[::-1])
    assert again.to_json() == made.to_json()
    other = plant.plant(source, target, _known(80), seed=1)
    assert other.source_texts != made.source_texts


def test_pairs_that_are_left_out():
    source, target = _corpora()
    known = [
        *_known(50),
        ("Satz 7", "new x"),
        ("neu x", "sentence 149 "),
        ("neu 3", "new y"),  # neu 3 has two translations: both are out.
        ("neu z", "new 4"),
        ("same", "same"),
        ("", "blank"),
        (" neu 5", "new 5\n"),  # The same pair again.
    ]
    made = plant.plant(source, target, known)
    assert made.left_out == {
        "blank or of one text twice": 2,
        "with a text that is in the corpora": 2,
        "with a text that is in another pair": 4,
        "not drawn": 0,
    }
    assert len(made.source_texts) == 36
    texts = {*made.source_texts, *made.target_texts}
    assert not texts & {"neu 3", "new 4", "Satz 7", "same", ""}
    assert "neu 5" in texts


def test_how_many_are_drawn():
    source, target = _corpora()
    made = plant.plant(source, target, _known(1000))
    # One in twenty would be 5; 400 whatever.
    assert made.num_pairs == 200
    assert made.left_out["not drawn"] == 600
    assert plant.plant(source, target, _known(1000), most=60).num_pairs == 30
    source, target = _corpora(10_000)
    assert plant.plant(source, target, _known(1000)).num_pairs == 250


def test_too_few_pairs():
    source, target = _corpora()
    known = [*_known(39), ("Satz 1", "new one")]
    with pytest.raises(InputError) as error:
        plant.plant(source, target, known)
    assert "At least 40 known translations" in str(error.value)
    assert "40 distinct pairs, of which 39 can be" in str(error.value)
    assert "1 with a text that is in the corpora" in str(error.value)


def test_the_file_of_pairs(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("source\ttarget\nneu\tnew\n")
    assert plant.read(str(path)) == [("neu", "new")]
    path.write_text("source_line\ttarget_line\n1\t2\n")
    with pytest.raises(InputError, match="to plant are texts.*by line"):
        plant.read(str(path))


def test_json_round_trip():
    text = _PLANTED.to_json()
    again = planted.PlantedPairs.from_json(text)
    assert again.to_json() == text
    assert again.recall(_PAIRS, 0.9) == 0.5
    for change in ({"format": "x"}, {"source_partners": [1]}, {"more": 1}):
        with pytest.raises(InputError, match="p.json must be planted pairs"):
            planted.PlantedPairs.from_json(
                json.dumps(json.loads(text) | change), "p.json"
            )


def _mined(num, num_translations, num_planted, noise, seed=0):
    """Vectors of two corpora of known make, mined with planted pairs.

    Returns the planted pairs, the mined pairs, and how many of the corpora's
    own are right at a threshold and mined at all, as functions.
    """
    source, target = _corpora(num)
    made = plant.plant(source, target, _known(num_planted))
    generator = np.random.default_rng(seed)

    def vectors(rows):
        return generator.standard_normal((rows, 16))

    sources = vectors(num + len(made.source_texts))
    targets = vectors(num + 50 + len(made.target_texts))

    def translate(rows, columns):
        targets[columns] = sources[rows] + noise * vectors(len(rows))

    translate(np.arange(num_translations), np.arange(num_translations)[::-1])
    whole = np.flatnonzero(made.source_partners >= 0)
    translate(num + whole, made.source_partners[whole])
    for each in (sources, targets):
        each /= np.linalg.norm(each, axis=1, keepdims=True)
    cosines = (sources @ targets.T).astype(np.float32)

    def nearest(scores):
        indices = np.argsort(-scores, axis=1, kind="stable")[:, :4]
        return margin.Neighbours(
            indices, np.take_along_axis(scores, indices, 1)
        )

    pairs = margin.retrieve(nearest(cosines), nearest(cosines.T))
    own = made.remove(pairs)
    is_right = own.targets == num_translations - 1 - own.sources
    is_right &= own.sources < num_translations
    return made, pairs, own, is_right


@pytest.mark.parametrize(
    ("num_translations", "noise"), [(2000, 0.4), (1000, 0.5), (200, 0.4)]
)
def test_precision_where_the_truth_is_known(num_translations, noise):
    made, pairs, own, is_right = _mined(2000, num_translations, 400, noise)
    true = 1 - num_translations / 2000
    # What chance may do with 200 planted pairs, ten of them at the least.
    most = (2000 - 2000 * made.least_orphans(pairs)) / num_translations
    assert 0.75 < most < 1.1
    calibration = made.calibrate(pairs)
    for wanted in (0.8, 0.9):
        threshold = calibration.threshold(wanted, own.scores)
        kept = own.scores >= threshold
        got = is_right[kept].mean()
        # Too few translations are expected rather than too many: precision
        # may be higher than asked for.
        assert got >= wanted - 0.06
        recall = is_right[kept].sum() / num_translations
        assert recall > 0.4
        assert made.recall(pairs, threshold) == pytest.approx(recall, abs=0.12)
    by_errors = made.precision_by_errors(pairs, threshold, true)
    assert by_errors == pytest.approx(got, abs=0.12)


def test_an_assumed_share_counts_if_it_is_the_higher():
    made, pairs, own, _ = _mined(1000, 500, 300, 0.4)
    assert made.orphans_used(pairs, 0.1) == made.least_orphans(pairs)
    assert made.orphans_used(pairs, 0.9) == 0.9
    low = made.calibrate(pairs, 0.9).expected_precision(own.scores)
    high = made.calibrate(pairs, 0.1).expected_precision(own.scores)
    assert low == pytest.approx(0.1 / 0.5 * high, rel=0.15)
    assert "0.9000 of the smaller" in made.calibrate(pairs, 0.9).basis
    with pytest.raises(InputError, match="Received: -0.1"):
        made.calibrate(pairs, -0.1)


def test_planted_pairs_that_are_not_found():
    made, pairs, _, _ = _mined(500, 250, 100, 50.0)
    with pytest.raises(InputError, match="must be mined. Received: . of 50"):
        made.calibrate(pairs)


def test_the_warning():
    assert planted.recall_warning(0.8, 50, 1.0) == ""
    lines = planted.recall_warning(0.5, 50, 1.0625).splitlines()
    assert lines[0] == lines[-1] == "!" * 72
    assert lines[1] == (
        "!! LOW RECALL: 50.0% of the planted translations were mined."
    )
    assert lines[2].startswith("!! 25 of 50 known pairs score 1.062 or more")
    assert all(line.startswith("!!") for line in lines)
