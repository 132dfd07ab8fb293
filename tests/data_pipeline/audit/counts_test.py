"""Counts of rows, and ratios of lengths."""

import json

import pytest

from data_pipeline.audit.counts import Counts, ratio_outliers


def test_median_ratio_and_outliers():
    counts = Counts()
    for _ in range(9):
        counts.add_ratio("a" * 30, "b" * 60)
    counts.add_ratio("a" * 30, "b" * 150)  # 2.5 times the median
    counts.add_ratio("a" * 30, "b" * 200)  # 3.3 times
    counts.add_ratio("a" * 30, "b" * 18)  # 0.3 times
    counts.add_ratio("short", "x")  # Too short to say.
    median, outliers = ratio_outliers(counts.ratios, 3.0)
    assert median == pytest.approx(2, rel=0.05)
    assert outliers == 2
    assert ratio_outliers({}, 3.0) == (1.0, 0)


def test_sums_of_two_are_counts_of_all():
    both, parts = Counts(), [Counts(), Counts()]
    for number in range(10):
        for counts in (both, parts[number // 5]):
            counts.numbers["rows"] += 1
            counts.lengths[number % 3] += 1
            counts.found("copies", f"x:{number}", "t" * 200)
            counts.add_ratio("a" * 30, "b" * (30 + number))
    total = Counts()
    for part in parts:
        total.add_json(json.loads(json.dumps(part.to_json())))
    assert total.to_json() == both.to_json()
    assert [place for place, _ in total.examples["copies"]] == [
        "x:0",
        "x:1",
        "x:2",
    ]
    assert len(total.examples["copies"][0][1]) == 160
    assert total.share("copies", "rows") == 1
    assert total.share("cut") == 0
