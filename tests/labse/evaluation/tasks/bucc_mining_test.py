"""Thresholds against a peer, intervals by the delta method."""

import math

import numpy as np
import pytest
from sklearn import metrics

from labse.evaluation import statistics
from labse.evaluation.tasks import bucc_mining
from labse.mining import margin


@pytest.mark.parametrize("seed", range(10))
def test_the_best_cut_is_that_of_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    size = int(generator.integers(1, 60))
    scores = np.sort(generator.integers(0, 20, size) / 20)[::-1]
    is_right = generator.random(size) < 0.5
    num_gold = int(is_right.sum() + generator.integers(1, 20))
    num_kept = bucc_mining.best_cut(scores, is_right, num_gold)
    # Missed pairs are right ones that nothing reaches.
    truth = np.append(is_right, np.ones(num_gold - is_right.sum(), bool))
    f1 = {
        threshold: metrics.f1_score(
            truth,
            np.append(scores, np.full(len(truth) - size, -1)) >= threshold,
        )
        for threshold in np.unique(scores)
    }
    best = max(f1.values())
    highest = max(
        threshold for threshold in f1 if f1[threshold] >= best - 1e-12
    )
    assert num_kept == np.sum(scores >= highest)


def test_equal_scores_are_kept_or_dropped_together():
    # To keep the first alone would give F1 1; no threshold can.
    scores = np.array([0.5, 0.5, 0.4])
    assert bucc_mining.best_cut(scores, np.array([True, False, False]), 1) == 2
    # Of equal F1 the fewest: 2 / 2 alone and nothing better after it.
    scores = np.array([0.9, 0.8, 0.7])
    assert bucc_mining.best_cut(scores, np.array([False, False, False]), 1) == 1
    # F1 2/5, 2/6, 4/7 against 2/5: right, wrong, right of four gold
    assert bucc_mining.best_cut(scores, np.array([True, False, True]), 4) == 3


def test_intervals():
    # 60 found, 40 missed, 20 wrong. The linearised variances of
    # 2r / (2r + m + w) and r / (r + w), by the delta method:
    is_right = np.repeat([True, False], [60, 20])
    pairs = margin.best_first(
        np.arange(80), np.arange(80), np.linspace(1, 0, 80)
    )
    found = np.repeat([True, False], [60, 40])
    figures = bucc_mining.figures(bucc_mining.Mined(pairs, is_right, 80, found))
    assert figures["precision"].value == 0.75
    assert figures["recall"].value == 0.6
    assert figures["f1"].value == pytest.approx(2 / 3)
    # p = 60/120: F1 = 2p / (1 + p), dF1/dp = 2 / (1 + p)^2 = 8/9
    half = 1.96 * 8 / 9 * math.sqrt(0.5 * 0.5 / 120)
    assert figures["f1"].low == pytest.approx(2 / 3 - half, abs=0.01)
    assert figures["f1"].high == pytest.approx(2 / 3 + half, abs=0.01)
    half = 1.96 * math.sqrt(0.75 * 0.25 / 80)
    assert figures["precision"].low == pytest.approx(0.75 - half, abs=0.015)
    # Recall is over the gold pairs, in their order, for paired tests.
    np.testing.assert_array_equal(figures["recall"].outcomes, found)
    assert figures["recall"] == statistics.mean(found)
    assert figures["f1"].outcomes is None
