import pytest

from data_pipeline.vocabulary import smoothing
from labse.errors import InputError


def test_smoothing_by_hand():
    # Shares 0.9 and 0.1; S = 0.5: roots 0.948683 and 0.316228, sum 1.264911.
    # Smoothed shares 0.75 and 0.25: coefficients 0.75/0.9 and 0.25/0.1.
    got = smoothing.smoothing_coefficients({"a": 900, "b": 100}, 0.5)
    assert got == pytest.approx({"a": 0.75 / 0.9, "b": 2.5})


def test_exponent_1_changes_nothing_and_0_makes_equal():
    words = {"a": 1, "b": 3}
    smooth = smoothing.smoothing_coefficients
    assert smooth(words, 1) == pytest.approx({"a": 1, "b": 1})
    assert smooth(words, 0) == pytest.approx({"a": 2, "b": 2 / 3})
    with pytest.raises(InputError, match="between 0 .* and 1 .*Received 1.5"):
        smooth(words, 1.5)


def test_smoothing_keeps_the_total_and_skips_empty_languages():
    words = {"a": 1000, "b": 37, "c": 5, "none": 0}
    got = smoothing.smoothing_coefficients(words, 0.3)
    assert sorted(got) == ["a", "b", "c"]
    assert sum(words[name] * got[name] for name in got) == pytest.approx(1042)
