"""The file of the classifier, its scores and thresholds."""

import json

import numpy as np
import pytest

from data_pipeline.quality import features
from data_pipeline.quality.model import QualityModel, threshold_of
from labse.errors import InputError


@pytest.fixture
def model():
    weights = np.zeros(features.NUM_FEATURES)
    weights[features.NAMES.index("share of digit")] = -4
    weights[-1] = 0.5
    return QualityModel(weights, 1.0, np.array([-3.0, 0, 1, 1, 1]), {"a": 1})


def test_scores_by_hand(model):
    scores = model.scores(["abcd", "ab12", "1234"])
    # 1 - 4 times the share of digits.
    np.testing.assert_allclose(scores, [1, -1, -3])
    assert scores.dtype == np.float32
    assert model.scores([]).shape == (0,)


def test_scores_do_not_depend_on_the_chunks(model, monkeypatch):
    texts = [f"{'a' * number} {number}" for number in range(50)]
    whole = model.scores(texts)
    monkeypatch.setattr("data_pipeline.quality.model._CHUNK_CHARACTERS", 30)
    np.testing.assert_array_equal(model.scores(texts), whole)


def test_a_file_and_back(model, tmp_path):
    model.write(tmp_path / "model.json")
    found = QualityModel.read(tmp_path / "model.json")
    np.testing.assert_array_equal(found.weights, model.weights)
    np.testing.assert_array_equal(found.quantiles, model.quantiles)
    assert (found.bias, found.figures) == (1.0, {"a": 1})


def test_threshold_is_the_score_that_a_share_reaches(model):
    assert model.threshold(1) == -3
    assert model.threshold(0) == 1
    assert model.threshold(0.5) == 1
    scores = np.arange(10.0)
    # 4.5 and above: 5 of 10.
    assert (scores >= threshold_of(scores, 0.5)).sum() == 5
    with pytest.raises(InputError, match="between 0 and 1. Received: 50"):
        model.threshold(50)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02}q\x00.", "is a file of labse train-quality"),
        (b"[1]", r"Received: \[1\]"),
        (b'{"format": "x"}', "labse train-quality"),
    ],
)
def test_other_files(tmp_path, content, message):
    path = tmp_path / "model.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        QualityModel.read(path)


def test_another_version_and_damage(model, tmp_path):
    path = tmp_path / "model.json"
    model.write(path)
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "features_version": 0}))
    with pytest.raises(InputError, match="a model of version 0. Train it"):
        QualityModel.read(path)
    for name, value in (("weights", {}), ("quantiles", [1]), ("bias", "x")):
        path.write_text(json.dumps({**found, name: value}))
        with pytest.raises(InputError, match="a damaged one"):
            QualityModel.read(path)
