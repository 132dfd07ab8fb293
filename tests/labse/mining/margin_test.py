"""Scores and selection worked by hand, and against a slow plain form."""

import itertools

import numpy as np
import pytest

from labse.errors import InputError
from labse.mining import margin

# Cosines of three sources (rows) with three targets, exact in float32.
#   source 0: its translation is target 0
#   source 1: is near everything
#   source 2: its translation is target 2
_COSINES = np.array(
    [
        [0.5, 0.25, 0.0],
        [0.625, 0.75, 0.5],
        [0.125, 0.25, 0.5],
    ],
    np.float32,
)


def _neighbours(cosines: np.ndarray, k: int) -> margin.Neighbours:
    """The k nearest of each row, the lowest index first among equals."""
    indices = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return margin.Neighbours(indices, np.take_along_axis(cosines, indices, 1))


def _both(cosines: np.ndarray, k: int):
    return _neighbours(cosines, k), _neighbours(cosines.T, k)


def _triples(pairs: margin.Pairs):
    columns = (pairs.sources, pairs.targets, pairs.scores)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_scores_worked_by_hand():
    # Means of the two nearest: sources (0.5 + 0.25) / 2 = 0.375, 0.6875,
    # 0.375; targets (0.625 + 0.5) / 2 = 0.5625, (0.75 + 0.25) / 2 = 0.5, 0.5.
    forward, backward = _both(_COSINES, 2)
    np.testing.assert_array_equal(forward.indices, [[0, 1], [1, 0], [2, 1]])
    np.testing.assert_array_equal(backward.indices, [[1, 0], [1, 0], [1, 2]])
    scores, back = margin.score_candidates(forward, backward, "distance")
    # Of the pair (0, 0): 0.5 - (0.375 + 0.5625) / 2 = 0.03125
    np.testing.assert_array_equal(
        scores,
        [[0.03125, -0.1875], [0.15625, 0.0], [0.0625, -0.1875]],
    )
    np.testing.assert_array_equal(
        back, [[0.0, 0.03125], [0.15625, -0.1875], [-0.09375, 0.0625]]
    )
    ratios, _ = margin.score_candidates(forward, backward, "ratio")
    np.testing.assert_allclose(
        ratios,
        [
            [0.5 / 0.46875, 0.25 / 0.4375],
            [0.75 / 0.59375, 0.625 / 0.625],
            [0.5 / 0.4375, 0.25 / 0.4375],
        ],
        rtol=1e-15,
    )
    scores, back = margin.score_candidates(forward, backward, "absolute")
    np.testing.assert_array_equal(scores, forward.cosines)
    np.testing.assert_array_equal(back, backward.cosines)


def test_the_margin_finds_what_the_cosine_misses():
    # By cosine, source 1 is the nearest of every target, and of target 2 as
    # near as its translation is: the lower line wins.
    forward, backward = _both(_COSINES, 2)
    found = margin.retrieve(forward, backward, "absolute", "backward")
    assert _triples(found) == [(1, 1, 0.75), (1, 0, 0.625), (1, 2, 0.5)]
    found = margin.retrieve(forward, backward, "distance", "backward")
    assert _triples(found) == [
        (1, 1, 0.15625),
        (2, 2, 0.0625),
        (0, 0, 0.03125),
    ]


@pytest.mark.parametrize(
    ("retrieval", "expected"),
    [
        ("forward", [(1, 1), (0, 0), (2, 2)]),
        ("backward", [(1, 1), (1, 0), (1, 2)]),
        ("intersection", [(1, 1)]),
        # 0.75, 0.625, then three of 0.5, by source and target
        ("union", [(1, 1), (1, 0), (0, 0), (1, 2), (2, 2)]),
        ("max", [(1, 1), (0, 0), (2, 2)]),
    ],
)
def test_retrievals_worked_by_hand(retrieval, expected):
    pairs = margin.retrieve(*_both(_COSINES, 2), "absolute", retrieval)
    assert [pair[:2] for pair in _triples(pairs)] == expected


def _slow(cosines: np.ndarray, k: int, scoring: str, retrieval: str):
    """Pair by pair, as the paper's formulas read."""
    n, m = cosines.shape

    def nearest(row):
        order = sorted(range(len(row)), key=lambda index: (-row[index], index))
        return order[:k]

    def value(source, target):
        row, column = cosines[source], cosines[:, target]
        neighbourhood = sum(
            float(row[each]) / (2 * len(nearest(row))) for each in nearest(row)
        ) + sum(
            float(column[each]) / (2 * len(nearest(column)))
            for each in nearest(column)
        )
        cosine = float(cosines[source, target])
        if scoring == "absolute":
            return cosine
        if scoring == "distance":
            return cosine - neighbourhood
        return cosine / max(neighbourhood, 1e-6)

    forward, backward, every = set(), set(), set()
    for source in range(n):
        options = [(source, target) for target in nearest(cosines[source])]
        every.update(options)
        forward.add(min(options, key=lambda pair: (-value(*pair), pair)))
    for target in range(m):
        options = [(source, target) for source in nearest(cosines[:, target])]
        backward.add(min(options, key=lambda pair: (-value(*pair), pair)))
    kept = {
        "forward": forward,
        "backward": backward,
        "intersection": forward & backward,
        "union": forward | backward,
        "max": forward | backward,
        "all": every,
    }[retrieval]
    ordered = sorted(kept, key=lambda pair: (-value(*pair), pair))
    if retrieval == "max":
        ordered = _greedy(ordered)
    return [(*pair, value(*pair)) for pair in ordered]


def _greedy(ordered):
    taken = []
    for source, target in ordered:
        if all(source != one and target != other for one, other in taken):
            taken.append((source, target))
    return taken


@pytest.mark.parametrize("scoring", margin.SCORINGS)
@pytest.mark.parametrize("retrieval", margin.RETRIEVALS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 2), (13, 21), (20, 20)])
@pytest.mark.parametrize("k", [1, 4])
def test_equals_the_slow_form(scoring, retrieval, shape, k):
    generator = np.random.default_rng(shape[0] + k)
    # Eighths are exact, and so few values tie often.
    cosines = generator.integers(-4, 9, shape).astype(np.float32) / 8
    forward, backward = _both(cosines, k)
    pairs = margin.retrieve(forward, backward, scoring, retrieval)
    expected = _slow(cosines, k, scoring, retrieval)
    assert pairs.scores.dtype == np.float64
    np.testing.assert_allclose(
        pairs.scores, [score for *_, score in expected], rtol=1e-12, atol=1e-15
    )
    if scoring != "ratio":  # Sums of eighths are exact, and so are ties.
        assert _triples(pairs) == expected


@pytest.mark.parametrize("retrieval", margin.RETRIEVALS)
def test_ratios_of_distinct_cosines_equal_the_slow_form(retrieval):
    cosines = np.random.default_rng(4).uniform(-0.2, 1, (30, 40)).astype("f")
    pairs = margin.retrieve(*_both(cosines, 4), "ratio", retrieval)
    expected = _slow(cosines, 4, "ratio", retrieval)
    assert [pair[:2] for pair in _triples(pairs)] == [
        (source, target) for source, target, _ in expected
    ]


def test_the_order_of_the_neighbours_does_not_matter():
    generator = np.random.default_rng(8)
    forward, backward = _both(generator.random((25, 30)).astype("f"), 4)
    shuffled = []
    for side in (forward, backward):
        order = generator.permuted(
            np.tile(np.arange(4), (len(side.indices), 1)), axis=1
        )
        shuffled.append(
            margin.Neighbours(
                np.take_along_axis(side.indices, order, 1),
                np.take_along_axis(side.cosines, order, 1),
            )
        )
    for retrieval in margin.RETRIEVALS:
        assert _triples(
            margin.retrieve(*shuffled, "ratio", retrieval)
        ) == _triples(margin.retrieve(forward, backward, "ratio", retrieval))


def test_equal_scores_go_to_the_lowest_lines():
    cosines = np.full((3, 3), 0.5, np.float32)
    # Given in another order than that of the lines.
    backwards = np.tile([2, 1, 0], (3, 1))
    side = margin.Neighbours(backwards, cosines)
    found = margin.retrieve(side, side, "ratio", "forward")
    assert _triples(found) == [(0, 0, 1.0), (1, 0, 1.0), (2, 0, 1.0)]
    found = margin.retrieve(side, side, "ratio", "max")
    assert _triples(found) == [(0, 0, 1.0)]


def test_a_neighbourhood_at_right_angles_has_finite_ratios_in_order():
    scores = margin.score(
        np.array([0.5, 0.25, 0.0, -0.25]),
        source_means=np.array([0.0, -0.5, 0.0, 0.0]),
        target_means=np.zeros(4),
    )
    np.testing.assert_allclose(scores, [0.5e6, 0.25e6, 0.0, -0.25e6])
    # Just above it the plain quotient stands.
    assert margin.score(0.3, 0.1, 0.2) == pytest.approx(2.0)


def test_the_two_sides_may_have_rounded_a_cosine_differently():
    higher = np.nextafter(np.float32(0.5), np.float32(1))
    forward = margin.Neighbours(np.array([[0]]), np.array([[0.5]], "f"))
    backward = margin.Neighbours(np.array([[0]]), np.array([[higher]], "f"))
    for retrieval in ("intersection", "union", "max"):
        for one, other in ((forward, backward), (backward, forward)):
            pairs = margin.retrieve(one, other, "absolute", retrieval)
            assert _triples(pairs) == [(0, 0, float(higher))]


def _pairs(*triples):
    sources, targets, scores = zip(*triples, strict=True)
    return margin.best_first(
        np.array(sources), np.array(targets), np.array(scores, np.float64)
    )


def test_one_to_one_worked_by_hand():
    # (0, 1) takes source 0 and target 1, so (0, 0) and (2, 1) fall. That frees
    # nothing for (2, 0): it is the best of the rest, and (1, 0) falls.
    pairs = _pairs(
        (0, 0, 0.8), (0, 1, 0.9), (2, 1, 0.7), (2, 0, 0.6), (1, 0, 0.5)
    )
    assert _triples(margin.one_to_one(pairs)) == [(0, 1, 0.9), (2, 0, 0.6)]


def test_one_to_one_of_equal_scores():
    pairs = _pairs((1, 0, 0.5), (0, 1, 0.5), (0, 0, 0.5), (1, 1, 0.5))
    assert _triples(margin.one_to_one(pairs)) == [(0, 0, 0.5), (1, 1, 0.5)]


def test_one_to_one_of_nothing():
    none = np.empty(0, np.int64)
    pairs = margin.one_to_one(margin.Pairs(none, none, np.empty(0)))
    assert len(pairs) == 0


@pytest.mark.parametrize("seed", range(20))
def test_one_to_one_equals_the_greedy_loop(seed):
    generator = np.random.default_rng(seed)
    size = int(generator.integers(1, 30))
    every = list(itertools.product(range(size), range(size)))
    chosen = generator.permutation(len(every))[: 3 * size]
    pairs = _pairs(
        *((*every[pair], generator.integers(0, 9) / 8) for pair in chosen)
    )
    ordered = [pair[:2] for pair in _triples(pairs)]
    found = margin.one_to_one(pairs)
    assert [pair[:2] for pair in _triples(found)] == _greedy(ordered)


def test_one_to_one_of_a_chain():
    # (0, 0) > (1, 0) > (1, 1) > (2, 1) > ...: each must wait for the last.
    # In rounds this would take 100,000 rounds.
    number = np.arange(200_000)
    pairs = margin.best_first(
        (number + 1) // 2, number // 2, 1 - number / 1_000_000
    )
    found = margin.one_to_one(pairs)
    np.testing.assert_array_equal(found.sources, np.arange(100_000))
    np.testing.assert_array_equal(found.targets, np.arange(100_000))


def test_bad_choices():
    sides = _both(_COSINES, 1)
    with pytest.raises(
        InputError, match="scoring must be one of absolute, distance, ratio. R"
    ):
        margin.retrieve(*sides, "cosine", "forward")
    with pytest.raises(InputError, match="retrieval must be .* Received: 'f'"):
        margin.retrieve(*sides, "ratio", "f")


def test_neighbours_that_do_not_fit():
    forward, backward = _both(_COSINES, 2)
    fewer = margin.Neighbours(backward.indices[:2], backward.cosines[:2])
    with pytest.raises(
        InputError, match="forward neighbours must be lines .* 0 to 1. .*0 to 2"
    ):
        margin.retrieve(forward, fewer)
    missing = margin.Neighbours(forward.indices - 1, forward.cosines)
    with pytest.raises(InputError, match="Received: -1 to 1"):
        margin.retrieve(missing, backward)
    other = margin.Neighbours(backward.indices, backward.cosines[:, :1])
    with pytest.raises(
        InputError, match=r"backward neighbours: indices \[3, 2\] and .*\[3, 1"
    ):
        margin.retrieve(forward, other)
    empty = margin.Neighbours(np.empty((0, 1), int), np.empty((0, 1), "f"))
    with pytest.raises(InputError, match="not empty"):
        margin.retrieve(empty, empty)


def test_a_cosine_that_is_no_number():
    forward, backward = _both(_COSINES, 2)
    broken = margin.Neighbours(forward.indices, forward.cosines.copy())
    broken.cosines[1, 0] = np.nan
    with pytest.raises(InputError, match="row 1 of the forward .*1 of 3 rows"):
        margin.retrieve(broken, backward)
