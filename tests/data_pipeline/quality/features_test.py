"""Features of sentences, by hand."""

import math

import numpy as np
import pytest

from data_pipeline.quality import features
from data_pipeline.quality.features import KINDS, NAMES, sentence_features


def row(text):
    return sentence_features([text]).toarray()[0]


def runs(text):
    """The runs of three kinds of a text, and their roots of shares."""
    found = row(text)[len(NAMES) :]
    count = len(KINDS)
    return {
        tuple(
            KINDS[each]
            for each in (at // count**2, at // count % count, at % count)
        ): value
        for at, value in enumerate(found)
        if value
    }


def test_runs_of_kinds_with_the_ends_of_the_text():
    # edge capital letter end-mark edge: three runs of three.
    expected = math.sqrt(1 / 3)
    assert runs("Yes!") == {
        ("edge", "capital", "letter"): pytest.approx(expected),
        ("capital", "letter", "end mark"): pytest.approx(expected),
        ("letter", "end mark", "edge"): pytest.approx(expected),
    }


def test_shares_and_lengths():
    found = dict(zip(NAMES, row("Is 12?"), strict=False))
    assert found["share of capital"] == pytest.approx(1 / 6)
    assert found["share of digit"] == pytest.approx(2 / 6)
    assert found["root of share of end mark"] == pytest.approx(6**-0.5)
    assert found["length over 1"] == pytest.approx(math.log2(6))
    assert found["length over 16"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "\u4eca\u5929\u3002",  # Chinese, its full stop
        "\u0e27\u0e31\u0e19\u0e19\u0e35\u0e49",  # Thai, without a mark
        "\u0906\u091c\u0964",  # Hindi, a danda
        "\u0627\u0644\u064a\u0648\u0645.",  # Arabic
    ],
)
def test_no_script_lacks_a_capital_or_an_end(text):
    found = runs(text)
    assert any(run[:2] == ("edge", "capital") for run in found)
    assert any(run[1:] == ("end mark", "edge") for run in found)


def test_a_text_does_not_depend_on_its_neighbours():
    texts = ["", "\0", "One.", "\ud800", "a" * 3000, "\U0001f600 \U000e0041"]
    together = sentence_features(texts).toarray()
    for text, each in zip(texts, together, strict=True):
        np.testing.assert_array_equal(row(text), each)
    assert together.shape == (6, features.NUM_FEATURES)
    assert np.isfinite(together).all()


def test_no_sentences():
    assert sentence_features([]).shape == (0, features.NUM_FEATURES)
