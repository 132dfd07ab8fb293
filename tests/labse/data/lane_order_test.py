import numpy as np
import pytest

from labse.data import lane_order
from labse.data.lane_order import LaneOrder, record_rates
from labse.data.records.groups import Group


def groups(*rows):
    return [Group((name,), corpus, records) for name, corpus, records in rows]


def rates(*arguments, **options):
    found = record_rates(*arguments, **options)
    assert found.dtype == np.int64
    return found / 2**20


THREE = groups(("a", "", 16), ("b", "", 4), ("c", "", 1))


@pytest.mark.parametrize(
    "exponent, examples",
    [
        (1.0, [16, 4, 1]),
        # Roots 4, 2, 1 of 7: 21 examples are 12, 6 and 3.
        (0.5, [12, 6, 3]),
        (0.0, [7, 7, 7]),
    ],
)
def test_shares_of_languages_by_hand(exponent, examples):
    found = rates(THREE, exponent) * [16, 4, 1]
    np.testing.assert_allclose(found, examples, atol=2e-5)


def test_shares_of_weighted_corpora_by_hand():
    """Language a: 40 records that count a quarter and 6 whole; b: 1."""
    some = groups(("a", "x", 40), ("a", "y", 6), ("b", "y", 1))
    weights = {"x": 0.25}
    # Language a counts as 16 records, its root is 4 of 5 parts: 37.6 of 47
    # examples, 10/16 of them for the first group: 23.5, 14.1 and 9.4.
    found = rates(some, 0.5, weights) * [40, 6, 1]
    np.testing.assert_allclose(found, [23.5, 14.1, 9.4], atol=4e-5)
    # As they are: 10, 6 and 1 of 17 parts of 47.
    found = rates(some, 1.0, weights) * [40, 6, 1]
    np.testing.assert_allclose(
        found, [10 * 47 / 17, 6 * 47 / 17, 47 / 17], atol=4e-5
    )


def test_equal_weights_change_nothing():
    some = groups(("a", "x", 5), ("b", "y", 7))
    np.testing.assert_array_equal(
        record_rates(some, 0.5, {"x": 0.3, "y": 0.3}), record_rates(some, 0.5)
    )


def test_a_rate_that_would_vanish_is_the_least():
    some = groups(("a", "x", 1000), ("a", "y", 1))
    found = record_rates(some, 1.0, {"x": 1e-6, "y": 1e6})
    assert found[0] == 1


@pytest.mark.parametrize(
    "batch_size, lanes",
    [(1, 1), (6, 2), (64, 64), (96, 32), (4095, 1), (4096, 64)],
)
def test_lanes_are_a_power_of_two_that_divides_the_batch(batch_size, lanes):
    counts = np.full([64, 1], 3000, np.int32)
    order = LaneOrder(counts, np.array([2**20]), batch_size, 0)
    assert order.lanes == order.num_streams == lanes
    assert order.rows == batch_size // lanes
    assert order.parts == 64 // lanes


def test_a_small_folder_is_one_stream_of_one_part():
    counts = np.full([128, 2], 512, np.int32)
    order = LaneOrder(counts, np.array([2**20] * 2), 4096, 0)
    assert (order.lanes, order.num_streams, order.parts) == (64, 1, 1)
    assert order.rows == 4096
    # One record more, and it is read by lanes.
    counts[0, 0] += 1
    order = LaneOrder(counts, np.array([2**20] * 2), 4096, 0)
    assert (order.num_streams, order.parts) == (64, 2)


def make_order(monkeypatch, exponent, seed=5):
    monkeypatch.setattr(lane_order, "WHOLE", 0)
    random = np.random.default_rng(0)
    counts = random.integers(0, 9, [192, 3]).astype(np.int32)
    counts[:, 2] = np.arange(192) % 50 == 0
    names = zip("abc", counts.sum(axis=0), strict=True)
    some = groups(*((name, "", int(count)) for name, count in names))
    return LaneOrder(counts, record_rates(some, exponent), 128, seed), counts


def stream_examples(order, counts, stream, epochs):
    """Which part each example of a stream is of, slowly and apart."""
    numbers = range(stream, len(counts), order.num_streams)
    found = []
    for epoch in range(epochs):
        for place in order.part_order(stream, epoch):
            part, total = numbers[place], 0
            for group, rate in enumerate(order.rates.tolist()):
                product = part * 0x9E3779B97F4A7C15 + group * 0x6A09E667F3BCC909
                phase = product % 2**64 >> 44
                quota = int(counts[part, group]) * rate
                total += ((epoch + 1) * quota + phase) // 2**20
                total -= (epoch * quota + phase) // 2**20
            found += [(epoch, place, number) for number in range(total)]
    return found


@pytest.mark.parametrize("exponent", [1.0, 0.5, 0.0])
def test_any_position_is_found_without_those_before(monkeypatch, exponent):
    order, counts = make_order(monkeypatch, exponent)
    assert (order.rows, order.parts) == (2, 3)
    for stream in (0, 1, 63):
        examples = stream_examples(order, counts, stream, 40)
        for step in range(len(examples) // 2):
            epoch, place, number = examples[2 * step]
            place = order.part_order(stream, epoch).tolist().index(place)
            assert order.position(stream, step) == (3 * epoch + place, number)


def test_a_position_far_away(monkeypatch):
    """Step 10**9 of a stream with about a 64th of each epoch's examples."""
    order, counts = make_order(monkeypatch, 0.5)
    part, offset = order.position(7, 10**9)
    numbers = range(7, 192, 64)
    per_epoch = np.sum(counts[numbers] @ order.rates) / 2**20
    # Rounding down takes less than one of three groups in three parts.
    assert part / 3 == pytest.approx(2e9 / per_epoch, rel=1e-6)
    assert 0 <= offset < 200


def test_parts_of_a_step_follow_each_other(monkeypatch):
    order, _ = make_order(monkeypatch, 1.0)
    first = order.position(9, 30).part
    numbers = order.part_numbers(9, 30, 4)
    expected = []
    for position in range(first, first + 4):
        epoch, place = divmod(position, 3)
        expected.append(9 + 64 * order.part_order(9, epoch)[place])
    assert numbers == expected


def test_the_phases_of_parts_are_spread_evenly():
    phases = lane_order.phase(np.arange(64), np.array([[3]]))[0] / 2**20
    gaps = np.diff(np.sort(np.append(phases, 1 + phases.min())))
    # Of 64 points on a circle: those of the golden ratio leave few lengths.
    assert gaps.max() < 2 / 64
    assert np.all((phases >= 0) & (phases < 1))


def test_epochs_and_streams_have_their_own_orders():
    order = LaneOrder(
        np.full([64 * 50, 1], 200, np.int32), np.array([2**20]), 64, 3
    )
    orders = [order.part_order(*place) for place in ((0, 0), (0, 1), (1, 0))]
    for each in orders:
        np.testing.assert_array_equal(np.sort(each), np.arange(50))
    assert len({tuple(each) for each in orders}) == 3
