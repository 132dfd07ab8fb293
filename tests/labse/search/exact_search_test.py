import ml_dtypes
import numpy as np
import pytest

from labse.errors import InputError
from labse.search import bfloat16_screen, rounded_vectors
from labse.search import exact_search as module
from labse.search.exact_search import exact_search
from labse.search.rounded_vectors import BFLOAT16, FLOAT32, RoundedVectors
from labse.search.top_k import Screened, TopK
from labse.search.unit_vectors import UnitVectors

PRECISIONS = (BFLOAT16, FLOAT32)


@pytest.fixture(params=["float64", "bfloat16", "float32"])
def way(request, monkeypatch):
    """Each way to search, with blocks so small that all seams are met."""
    monkeypatch.setattr(module, "QUERY_BLOCK", 7)
    monkeypatch.setattr(module, "CANDIDATE_BLOCK", 90)
    if request.param == "float64":
        limit = np.inf
    else:
        limit = 0
        force_screen(monkeypatch, request.param)
    monkeypatch.setattr(module, "SCREENED_FROM", limit)
    monkeypatch.setattr(module, "IMPORTED_FROM", limit)
    return request.param


def force_screen(monkeypatch, name):
    """Screens every search of more than 128 candidates."""
    [precision] = [p for p in PRECISIONS if p.name == name]
    monkeypatch.setattr(bfloat16_screen, "CANDIDATE_BLOCK", 128)
    monkeypatch.setattr(bfloat16_screen, "QUERY_BLOCK", 16)
    monkeypatch.setattr(bfloat16_screen, "MOST_QUERIES", 48)
    monkeypatch.setattr(bfloat16_screen, "CANDIDATE_GROUP", 16)
    monkeypatch.setattr(bfloat16_screen, "QUERY_GROUP", 4)
    monkeypatch.setattr(
        bfloat16_screen, "choose_dtype", lambda queries, candidates: precision
    )


def naive(queries, candidates, k):
    """All cosines, sorted."""
    queries = UnitVectors(queries, "query")
    candidates = UnitVectors(candidates, "candidate")
    rows, columns = np.indices((len(queries), len(candidates))).reshape(2, -1)
    cosines = queries.cosines(rows, candidates, columns)
    cosines = cosines.reshape(len(queries), len(candidates))
    indices = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(cosines, indices, 1)


def check(queries, candidates, k):
    indices, cosines = exact_search(queries, candidates, k)
    assert indices.dtype == np.int64 and cosines.dtype == np.float32
    expected_indices, expected_cosines = naive(queries, candidates, k)
    np.testing.assert_array_equal(cosines, expected_cosines)
    np.testing.assert_array_equal(indices, expected_indices)


def random_vectors(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def near_ties(dimension, distance):
    """40 queries; 30 clusters of 20 candidates, `distance` from each other."""
    centres = random_vectors(1, 30, dimension)
    candidates = np.repeat(centres, 20, axis=0)
    candidates += distance * random_vectors(2, *candidates.shape)
    queries = centres[np.arange(40) % 30] + 0.5 * random_vectors(
        3, 40, dimension
    )
    return queries, candidates[np.random.default_rng(4).permutation(600)]


@pytest.mark.parametrize("k", [1, 4, 40, 300])
@pytest.mark.parametrize("num_queries", [1, 16, 101])
def test_random_vectors(way, num_queries, k):
    check(random_vectors(1, num_queries, 24), random_vectors(2, 333, 24), k)


@pytest.mark.parametrize("dimension", [1, 2, 3, 7, 64, 1024])
def test_every_dimension(way, dimension):
    queries = random_vectors(5, 20, dimension)
    check(queries, random_vectors(6, 300, dimension), 4)


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("distance", [1e-2, 1e-3, 1e-4, 1e-6, 1e-7])
def test_near_ties(way, distance, k):
    check(*near_ties(64, distance), k)


@pytest.mark.parametrize("name", ["bfloat16", "float32"])
def test_near_ties_need_the_bound(monkeypatch, name):
    # Control: with no error assumed, the screen loses nearest candidates.
    monkeypatch.setattr(module, "SCREENED_FROM", 0)
    monkeypatch.setattr(module, "IMPORTED_FROM", 0)
    [precision] = [p for p in PRECISIONS if p.name == name]
    force_screen(monkeypatch, name)
    blind = rounded_vectors.ScreenDtype(precision.name, precision.bits, 0)
    monkeypatch.setattr(
        bfloat16_screen, "choose_dtype", lambda queries, candidates: blind
    )
    monkeypatch.setattr(
        RoundedVectors,
        "error_bounds",
        lambda block, others: np.zeros(len(block)),
    )
    distance = {"bfloat16": 1e-2, "float32": 1e-6}[name]
    queries, candidates = near_ties(64, distance)
    indices, _ = exact_search(queries, candidates, 5)
    assert np.any(indices != naive(queries, candidates, 5)[0])


def test_search_is_done_by_the_screen(way, monkeypatch):
    # Else the tests above would compare float64 with itself.
    rests = []
    search = bfloat16_screen.screen

    def spy(queries, candidates, progress):
        search(queries, candidates, progress)
        rests.append(np.flatnonzero(queries.is_pending))

    monkeypatch.setattr(bfloat16_screen, "screen", spy)
    for distance in (1e-2, 1e-4, 1e-6):
        check(*near_ties(64, distance), 5)
    assert len(rests) == (0 if way == "float64" else 3)
    assert all(len(rest) == 0 for rest in rests)


@pytest.mark.parametrize("k", [1, 3, 300])
def test_copies_tie_and_the_lowest_index_comes_first(way, k):
    distinct = random_vectors(6, 100, 33)
    candidates = np.concatenate([distinct, distinct, distinct])
    check(distinct, candidates, k)
    indices, _ = exact_search(distinct, candidates, 3)
    rows = np.arange(100)
    np.testing.assert_array_equal(
        indices, np.stack([rows, rows + 100, rows + 200], axis=1)
    )


def test_crowds_are_searched_all_the_same(way):
    # 400 copies of one vector and 200 of another among other vectors: more
    # candidates than the screen keeps, for some of the queries.
    candidates = random_vectors(7, 900, 16)
    candidates[100:500] = candidates[0]
    candidates[600:800] = candidates[550]
    queries = candidates[[0, 550, 20, 899, 30] * 7]
    check(queries, candidates, 4)
    indices, cosines = exact_search(queries, candidates, 4)
    if way != "float64":
        # None of the two crowds is kept: memory stays bounded.
        top_k = TopK(UnitVectors(queries, "query"), 4)
        others = TopK(UnitVectors(candidates, "candidate"), 0)
        bfloat16_screen.screen(top_k, others, lambda done, total: None)
        assert np.all(top_k.is_pending[np.arange(35) % 5 < 2])
        assert not np.all(top_k.is_pending)
        assert np.all(top_k.indices[top_k.is_pending] == -1)
    np.testing.assert_array_equal(indices[0], [0, 100, 101, 102])
    np.testing.assert_array_equal(indices[1], [550, 600, 601, 602])
    np.testing.assert_array_equal(cosines[:2], 1)


@pytest.mark.parametrize("sign", [1, -1])
def test_one_vector_only(way, sign):
    candidates = np.repeat(random_vectors(8, 1, 5), 200, axis=0)
    check(sign * candidates[:3], candidates, 6)


def test_all_cosines_negative_or_zero(way):
    candidates = np.abs(random_vectors(9, 500, 6))
    check(-np.abs(random_vectors(10, 20, 6)), candidates, 4)
    axes = np.eye(6, dtype=np.float32)
    check(axes, np.concatenate([-axes, axes[:1]] * 30), 35)


def test_cosines_that_differ_in_their_last_bits(way):
    # Orthogonal but for rounding, so that every bit of the sum is seen: BLAS
    # alone would give others, by its blocks.
    queries = random_vectors(26, 20, 40).astype(np.float64)
    candidates = random_vectors(27, 300, 40).astype(np.float64)
    basis = np.linalg.qr(queries.T)[0]
    for _ in range(2):
        candidates -= candidates @ basis @ basis.T
    check(queries, candidates, 200)
    check(queries, candidates, 3)


def test_best_come_last_or_first(way):
    # The cosine of candidate i grows, or falls, with i.
    angles = np.linspace(0.3, 3, 500)
    candidates = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    queries = np.array([[1, 0], [0, 1], [-1, 0.1]])
    check(queries, candidates, 4)
    check(queries, candidates[::-1], 4)


@pytest.mark.parametrize("power", [-140, -126, -60, 60, 120])
def test_huge_tiny_and_denormal_vectors(way, power):
    queries = random_vectors(11, 18, 32)
    candidates = random_vectors(12, 260, 32)
    queries[::2] = np.ldexp(queries[::2], power)
    candidates[::3] = np.ldexp(candidates[::3], power)
    check(queries, candidates, 4)


def test_components_of_very_different_size(way):
    scales = np.float32(2) ** -np.arange(0, 128, 4)
    check(
        random_vectors(13, 18, 32) * scales,
        random_vectors(14, 260, 32) * scales[::-1],
        4,
    )


@pytest.mark.parametrize(
    "dtype", [np.float16, ml_dtypes.bfloat16, np.float64, np.int8]
)
def test_types(way, dtype):
    queries = (8 * random_vectors(15, 18, 32)).astype(dtype)
    check(queries, (8 * random_vectors(16, 260, 32)).astype(dtype), 4)


def test_memory_map_and_progress(way, tmp_path):
    candidates = random_vectors(17, 300, 12)
    np.save(tmp_path / "candidates.npy", candidates.astype(np.float16))
    mapped = np.load(tmp_path / "candidates.npy", mmap_mode="r")
    calls = []
    queries = random_vectors(18, 60, 12)
    indices, cosines = exact_search(
        queries, mapped, 2, progress=lambda *call: calls.append(call)
    )
    np.testing.assert_array_equal(indices, naive(queries, mapped, 2)[0])
    done = [call[0] for call in calls]
    assert done == sorted(done) and len(done) > 2 and done[0] < done[-1]
    assert calls[-1] == (60 * 300, 60 * 300)


def test_no_queries(way):
    indices, cosines = exact_search(
        np.empty([0, 8], np.float32), random_vectors(19, 200, 8), 3
    )
    assert indices.shape == cosines.shape == (0, 3)


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)
@pytest.mark.parametrize("dimension", [1, 5, 64, 768, 1024])
def test_error_bound_holds_for_every_score(precision, dimension):
    # Vectors near each other have the largest scores and errors; constant ones
    # are all rounded the same way; sparse ones are not rounded.
    rows = random_vectors(20, 128, dimension)
    rows[32:64] = rows[:1] + 0.05 * rows[32:64]
    rows[64:96] = np.linspace(1, 1.01, 32)[:, None]
    rows[96:] *= random_vectors(21, 32, dimension) > 0
    rows[96:, 0] = 1
    vectors = UnitVectors(rows, "query")
    queries = RoundedVectors(vectors, slice(0, 128), precision)
    candidates = RoundedVectors(vectors, slice(0, 128), precision)
    bits = queries.score_bits(candidates)
    scores = rounded_vectors.ordered_to_float(rounded_vectors.to_ordered(bits))
    exact = vectors.unit(slice(0, 128)).astype(np.longdouble)
    bound = queries.error_bounds(candidates)
    bound = bound + precision.output_error * np.abs(scores)
    share = np.abs(scores - exact @ exact.T) / bound
    assert share.max() <= 1
    if precision is BFLOAT16 and dimension > 1:
        assert share.max() > 0.2  # It is not idle either.


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)
def test_least_score_is_the_lowest_that_can_be_in_the_top_k(precision):
    vectors = UnitVectors(np.eye(2), "query")
    block = RoundedVectors(vectors, slice(0, 1), precision)
    block = Screened(TopK(vectors, 1), block)
    scores, to_beat = np.meshgrid(*[np.linspace(-1, 1, 201)] * 2)
    for error in (0.0, 0.001, 0.3):
        high = scores + precision.output_error * np.abs(scores) + error
        cut = block._least_score(to_beat, error)
        assert np.all(
            scores[high >= to_beat + 1e-12] >= cut[high >= to_beat + 1e-12]
        )
        assert np.all(
            scores[high < to_beat - 1e-12] < cut[high < to_beat - 1e-12]
        )
        # What scores between its two ends lies there.
        low = block._lower_bound(scores, error)
        np.testing.assert_allclose(low + high, 2 * scores, atol=1e-12)


def test_bits_are_ordered_as_the_floats_are():
    values = np.float32([-np.inf, -1, -0.5, -1e-3, -0.0, 0.0, 1e-3, 0.5, 1])
    for precision, dtype in (
        (BFLOAT16, ml_dtypes.bfloat16),
        (FLOAT32, np.float32),
    ):
        rounded = values.astype(dtype)
        order = rounded_vectors.to_ordered(rounded.view(precision.bits))
        assert np.all(np.diff(order) > 0)
        np.testing.assert_array_equal(
            rounded_vectors.ordered_to_float(order), rounded.astype(np.float64)
        )
        # A key lets through what is no less, and nothing clearly less.
        for value in np.random.default_rng(22).uniform(-1, 1, 200):
            for cut in (value, float(np.float32(value).astype(dtype)), 0.0):
                [key] = rounded_vectors.ordered_thresholds(
                    np.array([cut]), precision
                )
                floats = rounded_vectors.ordered_to_float(order)
                assert np.all(order[floats >= cut] >= key)
                clearly = floats < cut - 1e-6
                assert not np.any(order[clearly] >= key)


def test_a_precision_that_breaks_its_bound_is_not_used(monkeypatch):
    queries = UnitVectors(random_vectors(23, 40, 16), "query")
    candidates = UnitVectors(random_vectors(24, 300, 16), "candidate")
    assert bfloat16_screen.choose_dtype(queries, candidates) in PRECISIONS
    scores = RoundedVectors.score_bits

    def wrong(block, others):
        bits = scores(block, others).copy()
        if block.dtype is BFLOAT16:
            bits[7, 3] += 16
        return bits

    monkeypatch.setattr(RoundedVectors, "score_bits", wrong)
    chosen = bfloat16_screen.choose_dtype(queries, candidates)
    assert chosen is FLOAT32
    # As if float32 were computed in something shorter.
    monkeypatch.setattr(
        RoundedVectors,
        "score_bits",
        lambda block, others: (
            scores(block, others)
            & {"bfloat16": -64, "float32": -(1 << 18)}[block.dtype.name]
        ),
    )
    assert bfloat16_screen.choose_dtype(queries, candidates) is None
    monkeypatch.setattr(module, "SCREENED_FROM", 0)
    monkeypatch.setattr(module, "IMPORTED_FROM", 0)
    monkeypatch.setattr(bfloat16_screen, "CANDIDATE_BLOCK", 256)
    check(random_vectors(23, 40, 16), random_vectors(24, 300, 16), 3)


def test_small_searches_need_no_tensorflow():
    import subprocess
    import sys

    code = """
import sys
import numpy as np
from labse.search.exact_search import exact_search
vectors = np.random.default_rng(0).normal(size=(2000, 32))
indices, _ = exact_search(vectors, vectors)
assert (indices[:, 0] == np.arange(2000)).all()
assert 'tensorflow' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_bad_input(way):
    ones = np.ones([300, 3], np.float32)
    bad = ones.copy()
    bad[290, 1] = np.nan
    with pytest.raises(InputError, match="row 290 of the candidate .*1 of 300"):
        exact_search(ones, bad)
    bad[5] = 0
    with pytest.raises(InputError, match="row 5 of the query .* is zero .2 of"):
        exact_search(bad, ones)
    with pytest.raises(InputError, match="Received 3 and 2 dimensions"):
        exact_search(ones, ones[:, :2])
    with pytest.raises(InputError, match="candidates, 300. Received: 301"):
        exact_search(ones, ones, k=301)
    with pytest.raises(InputError, match="candidates, 300. Received: 0"):
        exact_search(ones, ones, k=0)
