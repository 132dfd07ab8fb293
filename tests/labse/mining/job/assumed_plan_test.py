import pytest

from labse.mining.job.assumed_plan import assumed_plan


def test_the_encoders_rate_is_the_callers_and_the_searchs_is_documented():
    """10,000 sentences of 4 float32 numbers on each side; k is 4."""
    plan = assumed_plan(10_000, 10_000, 4, sentences=50.0)
    assert plan.kind == "exact"
    assert plan.size.vector_bytes == 20_000 * 4 * 4
    # 1e6 products check a sentence.
    checked = 20_000 * 1e6 / 1.6e11
    assert plan.seconds["embed"] == pytest.approx(20_000 / 50 + checked)
    products = 10_000**2 * 4 / 1.6e11
    read = 20_000 * 4 * 4 / 1e9
    search = products + 20_000 * 2e-5 + read
    assert plan.seconds["search"] == pytest.approx(search)
