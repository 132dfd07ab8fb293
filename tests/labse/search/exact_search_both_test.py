"""Both directions at once are, to the bit, two searches."""

import ml_dtypes
import numpy as np
import pytest

from labse.errors import InputError
from labse.search import bfloat16_screen
from labse.search import exact_search as module
from labse.search.exact_search import exact_search, exact_search_both
from labse.search.rounded_vectors import BFLOAT16, FLOAT32, RoundedVectors
from labse.search.top_k import TopK
from labse.search.unit_vectors import UnitVectors


def set_screen(monkeypatch, limit):
    monkeypatch.setattr(module, "SCREENED_FROM", limit)
    monkeypatch.setattr(module, "IMPORTED_FROM", limit)


@pytest.fixture(params=["float64", "bfloat16", "float32"])
def way(request, monkeypatch):
    """Each way to search, with blocks so small that all seams are met."""
    monkeypatch.setattr(module, "QUERY_BLOCK", 7)
    monkeypatch.setattr(module, "CANDIDATE_BLOCK", 90)
    monkeypatch.setattr(bfloat16_screen, "CANDIDATE_BLOCK", 128)
    monkeypatch.setattr(bfloat16_screen, "QUERY_BLOCK", 16)
    monkeypatch.setattr(bfloat16_screen, "MOST_QUERIES", 48)
    monkeypatch.setattr(bfloat16_screen, "CANDIDATE_GROUP", 16)
    monkeypatch.setattr(bfloat16_screen, "QUERY_GROUP", 4)
    set_screen(monkeypatch, np.inf if request.param == "float64" else 0)
    precisions = {"bfloat16": BFLOAT16, "float32": FLOAT32}
    monkeypatch.setattr(
        bfloat16_screen, "choose_dtype", lambda *_: precisions[request.param]
    )
    return request.param


def check(monkeypatch, sources, targets, k_sources=4, k_targets=4):
    """Compares with two searches in float64."""
    found = exact_search_both(sources, targets, k_sources, k_targets)
    with monkeypatch.context() as context:
        set_screen(context, np.inf)
        expected = (
            exact_search(sources, targets, k_sources),
            exact_search(targets, sources, k_targets),
        )
    for side, expected_side in zip(found, expected, strict=True):
        for array, expected_array in zip(side, expected_side, strict=True):
            assert array.dtype == expected_array.dtype
            np.testing.assert_array_equal(array, expected_array)


def random_vectors(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("k_sources", [1, 3, 8, 60])
@pytest.mark.parametrize("k_targets", [1, 4, 60])
@pytest.mark.parametrize("rows", [(101, 333), (333, 101), (150, 128)])
def test_random_vectors(way, monkeypatch, rows, k_sources, k_targets):
    sources = random_vectors(1, rows[0], 24)
    targets = random_vectors(2, rows[1], 24)
    check(monkeypatch, sources, targets, k_sources, k_targets)


@pytest.mark.parametrize("num_sources", [1, 2, 15, 17, 49])
def test_few_rows(way, monkeypatch, num_sources):
    few, many = random_vectors(3, num_sources, 24), random_vectors(4, 300, 24)
    check(monkeypatch, few, many, 5, 1)
    check(monkeypatch, many, few, 1, 5)
    check(monkeypatch, few, many, 5, num_sources)
    check(monkeypatch, few, few, num_sources, 1)


@pytest.mark.parametrize("k", [1, 2, 8])
@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-7])
def test_near_ties(way, monkeypatch, distance, k):
    centres = random_vectors(5, 30, 64)
    targets = np.repeat(centres, 20, axis=0)
    targets += distance * random_vectors(6, *targets.shape)
    targets = targets[np.random.default_rng(7).permutation(600)]
    sources = centres[np.arange(200) % 30] + 0.5 * random_vectors(8, 200, 64)
    check(monkeypatch, sources, targets, k, k)


@pytest.mark.parametrize("k", [1, 3, 8])
def test_copies_tie_and_the_lowest_index_comes_first(way, monkeypatch, k):
    # Copies stand in blocks of queries that do not pass together.
    distinct = random_vectors(9, 100, 33)
    copies = np.concatenate([distinct, distinct, distinct])
    check(monkeypatch, copies, copies, k, k)
    _, (indices, cosines) = exact_search_both(copies, distinct, 1, 3)
    rows = np.arange(100)
    np.testing.assert_array_equal(
        indices, np.stack([rows, rows + 100, rows + 200], axis=1)
    )
    np.testing.assert_array_equal(cosines, 1)


@pytest.mark.parametrize("swapped", [False, True])
def test_crowds_are_searched_all_the_same(way, monkeypatch, swapped):
    crowded = random_vectors(10, 900, 16)
    crowded[100:500] = crowded[0]
    crowded[600:800] = crowded[550]
    others = np.tile(crowded[[0, 550, 20, 899, 30]], (70, 1))
    sides = (others, crowded) if swapped else (crowded, others)
    check(monkeypatch, *sides, 4, 4)
    check(monkeypatch, crowded[:500], crowded[:500], 8, 8)
    if way != "float64":
        # Of the crowds nothing is kept: memory stays bounded.
        monkeypatch.setattr(bfloat16_screen, "MOST_QUERIES", 400)
        queries, candidates = (
            TopK(UnitVectors(rows, "row"), 1) for rows in (crowded, others)
        )
        bfloat16_screen.screen(queries, candidates, lambda done, total: None)
        assert candidates.is_pending[0::5].all()
        assert candidates.is_pending[1::5].all()
        assert not candidates.is_pending[2::5].any()
        assert (candidates.indices[2::5] == 20).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_one_vector_only(way, monkeypatch, sign):
    vectors = np.repeat(random_vectors(11, 1, 5), 200, axis=0)
    check(monkeypatch, sign * vectors[:60], vectors, 6, 6)


def test_all_cosines_negative_or_zero(way, monkeypatch):
    positive = np.abs(random_vectors(12, 500, 6))
    check(monkeypatch, -positive[:90], positive)
    axes = np.eye(6, dtype=np.float32)
    check(monkeypatch, axes, np.concatenate([-axes, axes[:1]] * 30), 35, 5)


def test_best_come_last_or_first(way, monkeypatch):
    # The cosine with target i grows, or falls, with i.
    angles = np.linspace(0.3, 3, 500)
    targets = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    sources = targets[np.linspace(0, 499, 120).astype(int)]
    check(monkeypatch, sources, targets)
    check(monkeypatch, sources[::-1], targets)
    check(monkeypatch, sources, targets[::-1])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_types(way, monkeypatch, dtype):
    sources = random_vectors(13, 80, 32).astype(dtype)
    check(monkeypatch, sources, random_vectors(14, 260, 32).astype(dtype), 8)


@pytest.mark.parametrize("rows", [(100, 300), (300, 100), (300, 200)])
def test_each_score_is_computed_once(way, monkeypatch, rows):
    scores, computed = RoundedVectors.score_bits, []

    def spy(block, others):
        computed.append(len(block) * len(others))
        return scores(block, others)

    monkeypatch.setattr(RoundedVectors, "score_bits", spy)
    sides = (random_vectors(15 + n, n, 24) for n in rows)
    exact_search_both(*sides, 4, 4)
    assert sum(computed) == (0 if way == "float64" else rows[0] * rows[1])


def test_one_direction_gives_the_same_as_both(way, monkeypatch):
    # Few candidates are screened as queries, whose neighbours are not needed.
    queries, candidates = (
        random_vectors(17, 300, 24),
        random_vectors(18, 90, 24),
    )
    indices, cosines = exact_search(queries, candidates, 4)
    both, _ = exact_search_both(queries, candidates, 4, 1)
    np.testing.assert_array_equal(indices, both[0])
    np.testing.assert_array_equal(cosines, both[1])
    side = TopK(UnitVectors(candidates, "candidate"), 0)
    assert side.indices.shape == (90, 0) and not side.is_pending.any()


def test_threads_that_take_turns_otherwise_find_the_same(way, monkeypatch):
    monkeypatch.setattr(bfloat16_screen, "MAX_WORKERS", 8)
    monkeypatch.setattr(bfloat16_screen.os, "cpu_count", lambda: 8)
    centres = random_vectors(19, 40, 24)
    sources = np.repeat(centres, 8, axis=0) + 0.1 * random_vectors(20, 320, 24)
    targets = np.repeat(centres, 8, axis=0) + 0.1 * random_vectors(21, 320, 24)
    for _ in range(5):
        check(monkeypatch, sources, targets, 8, 8)


def test_progress(way):
    calls = []
    exact_search_both(
        *(random_vectors(22, 100, 12), random_vectors(23, 300, 12), 2, 2),
        progress=lambda *call: calls.append(call),
    )
    done = [call[0] for call in calls]
    assert done == sorted(done) and len(done) > 2 and done[0] < done[-1]
    assert calls[-1] == (2 * 100 * 300, 2 * 100 * 300)


def test_bad_input(way):
    ones = np.ones([300, 3], np.float32)
    bad = ones.copy()
    bad[290, 1] = np.nan
    with pytest.raises(InputError, match="row 290 of the target .*1 of 300"):
        exact_search_both(ones, bad)
    bad[5] = 0
    with pytest.raises(
        InputError, match="row 5 of the source .* is zero .2 of"
    ):
        exact_search_both(bad, ones)
    with pytest.raises(InputError, match="Received 3 and 2 dimensions"):
        exact_search_both(ones, ones[:, :2])
    with pytest.raises(InputError, match="k_sources .*targets, 4. Received: 5"):
        exact_search_both(ones, ones[:4], 5, 1)
    with pytest.raises(InputError, match="k_targets .*sources, 4. Received: 0"):
        exact_search_both(ones[:4], ones, 1, 0)
