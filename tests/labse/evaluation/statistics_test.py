"""Intervals and tests against scipy and against what is known by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from labse.evaluation import statistics


def test_a_share_and_its_interval():
    outcomes = np.repeat([1.0, 0.0], [640, 360])
    figure = statistics.mean(outcomes)
    assert figure.value == 0.64
    # The normal approximation, which is good for so many items.
    half = 1.96 * math.sqrt(0.64 * 0.36 / 1000)
    assert figure.low == pytest.approx(0.64 - half, abs=0.004)
    assert figure.high == pytest.approx(0.64 + half, abs=0.004)


def test_the_interval_of_a_mean_is_scipys():
    outcomes = np.random.default_rng(0).exponential(size=200)
    figure = statistics.mean(outcomes)
    peer = stats.bootstrap(
        (outcomes,), np.mean, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert figure.value == outcomes.mean()
    assert figure.low == pytest.approx(peer.low, abs=0.02)
    assert figure.high == pytest.approx(peer.high, abs=0.02)


def test_the_same_items_give_the_same_interval():
    outcomes = np.random.default_rng(0).normal(size=50)
    assert statistics.mean(outcomes) == statistics.mean(outcomes)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_alike(value):
    figure = statistics.mean([value] * 5)
    assert (figure.low, figure.value, figure.high) == (value,) * 3


def test_one_item():
    assert statistics.mean([1.0]).metrics() == {
        "value": 1.0,
        "low": 1.0,
        "high": 1.0,
    }


def test_a_correlation():
    generator = np.random.default_rng(0)
    x = generator.normal(size=300)
    y = x + generator.normal(size=300)

    def pearson(rows):
        return np.corrcoef(x[rows], y[rows])[0, 1]

    figure = statistics.resampled(pearson, 300)
    peer = stats.pearsonr(x, y)
    assert figure.value == pytest.approx(peer.statistic)
    interval = peer.confidence_interval(0.95)
    assert figure.low == pytest.approx(interval.low, abs=0.03)
    assert figure.high == pytest.approx(interval.high, abs=0.03)


def test_a_macro_average_is_surer_than_its_parts():
    part = np.repeat([1.0, 0.0], [50, 50])
    parts = [statistics.mean(part) for _ in range(25)]
    average = statistics.macro_average(parts)
    assert average.value == 0.5
    width = parts[0].high - parts[0].low
    # Of independent parts: by the root of their number.
    assert average.high - average.low == pytest.approx(width / 5, rel=0.15)


def test_mcnemars_test_by_hand():
    # 10 items differ, 9 for one: 2 * (1 + 10) / 2**10.
    one = np.array([1] * 9 + [0] + [1] * 20)
    other = np.array([0] * 9 + [1] + [1] * 20)
    assert statistics.paired_p_value(one, other) == pytest.approx(22 / 1024)
    assert statistics.paired_p_value(other, one) == pytest.approx(22 / 1024)


def test_equal_models():
    assert statistics.paired_p_value(np.ones(5), np.ones(5)) == 1.0


def test_a_randomisation_test_is_near_the_t_test():
    generator = np.random.default_rng(0)
    one = generator.normal(size=100)
    other = one + generator.normal(0.2, 1, size=100)
    peer = stats.ttest_rel(one, other).pvalue
    assert statistics.paired_p_value(one, other) == pytest.approx(
        peer, abs=0.01
    )
