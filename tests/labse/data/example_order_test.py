import numpy as np
import pytest

from labse.data.example_order import ExampleOrder, epoch_shares


def make_order(sizes, batch_size=4, seed=0, lengths=None, **arguments):
    """Pairs 0 .. sizes[0] - 1 have language 0, and so on."""
    languages = np.repeat(np.arange(len(sizes)), sizes)
    if lengths is None:
        lengths = np.ones(len(languages), np.int32)
    return ExampleOrder(languages, lengths, batch_size, seed, **arguments)


def stream(order, steps):
    return np.concatenate([order.batch(step) for step in range(steps)])


def test_a_batch_is_a_pure_function_of_seed_and_step():
    arguments = {"batches_sorted_together": 3, "language_exponent": 0.5}
    order = make_order([13, 5, 2], **arguments)
    batches = [order.batch(step) for step in range(40)]
    steps = np.random.default_rng(0).permutation(40)
    for step in [*steps, 0, 39]:
        np.testing.assert_array_equal(order.batch(step), batches[step])
    for step in (39, 7, 0):
        new = make_order([13, 5, 2], **arguments)
        np.testing.assert_array_equal(new.batch(step), batches[step])


def test_another_seed_is_another_order():
    one, other = (stream(make_order([50], seed=seed), 12) for seed in (0, 1))
    assert np.any(one != other)
    assert sorted(one[:48]) != list(one[:48])


def test_epochs_differ():
    examples = stream(make_order([20]), 10)
    assert np.any(examples[:20] != examples[20:])


# 20 pairs and batches of 7: no epoch ends with a batch.
@pytest.mark.parametrize("sizes", [[20], [11, 6, 3], [1] * 20])
@pytest.mark.parametrize("batch_size", [4, 7, 23])
def test_with_exponent_1_each_epoch_has_every_pair_once(sizes, batch_size):
    order = make_order(sizes, batch_size)
    examples = stream(order, 5 * 20 // batch_size + 1)
    assert examples.dtype == np.int64
    for epoch in range(4):
        part = examples[epoch * 20 : (epoch + 1) * 20]
        np.testing.assert_array_equal(np.sort(part), np.arange(20))


def test_windows_that_cross_an_epoch_take_both_sides():
    """20 pairs; windows of 3 batches of 4 cross at 20, inside the second."""
    order = make_order([20], lengths=np.arange(20), batches_sorted_together=3)
    plain = stream(make_order([20]), 15)
    for window in range(5):
        steps = range(3 * window, 3 * window + 3)
        taken = np.concatenate([order.batch(step) for step in steps])
        expected = plain[12 * window : 12 * window + 12]
        assert sorted(taken) == sorted(expected)
    # Three epochs in 15 batches: every pair three times.
    counts = np.bincount(stream(order, 15), minlength=20)
    np.testing.assert_array_equal(counts, [3] * 20)


def test_shares_by_hand():
    for exponent, expected in (
        (1.0, [16, 4, 1]),
        # Roots 4, 2, 1 of 7: 21 examples are 12, 6 and 3.
        (0.5, [12, 6, 3]),
        (0.0, [7, 7, 7]),
    ):
        shares = epoch_shares(
            np.array([16, 4, 1]), exponent, np.arange(3), np.ones(3)
        )
        np.testing.assert_array_equal(shares, expected)


def test_shares_of_weighted_pairs_by_hand():
    """Language 0: 40 pairs that count a quarter and 6 whole; language 1: 1."""
    sizes, languages = np.array([40, 6, 1]), np.array([0, 0, 1])
    weights = np.array([0.25, 1, 1])
    # Language 0 counts as 16 pairs, its root is 4 of 5 parts: 37.6 of 47
    # examples, 10/16 of them for the first group.
    np.testing.assert_array_equal(
        epoch_shares(sizes, 0.5, languages, weights), [24, 14, 9]
    )
    # As they are: 10, 6 and 1 of 17.
    np.testing.assert_array_equal(
        epoch_shares(sizes, 1.0, languages, weights), [28, 17, 3]
    )


def test_pairs_are_drawn_as_often_as_they_weigh():
    """10 pairs that count half and 5 that count 2: 5 and 10 of each 15."""
    order = make_order(
        [15], batch_size=15, pair_weights=np.repeat([0.5, 2.0], [10, 5])
    )
    for epochs in (1, 2, 6):
        counts = np.bincount(stream(order, epochs), minlength=15)
        assert counts[:10].sum() == 5 * epochs
        np.testing.assert_array_equal(counts[10:], [2 * epochs] * 5)
    # Those of half a pair go round by themselves too.
    np.testing.assert_array_equal(counts[:10], [3] * 10)


def test_equal_weights_change_nothing():
    arguments = {"batches_sorted_together": 3, "language_exponent": 0.5}
    plain = stream(make_order([13, 5, 2], **arguments), 20)
    weights = np.full(20, 0.25)
    weighted = make_order([13, 5, 2], pair_weights=weights, **arguments)
    np.testing.assert_array_equal(stream(weighted, 20), plain)


def test_the_order_of_earlier_versions():
    """A run that began with one of them goes on with another."""
    order = make_order(
        [6, 3, 2],
        seed=7,
        lengths=np.arange(11)[::-1],
        language_exponent=0.5,
        batches_sorted_together=2,
    )
    assert [order.batch(step).tolist() for step in range(5)] == [
        [3, 2, 1, 0],
        [8, 7, 6, 5],
        [10, 10, 9, 9],
        [7, 5, 4, 1],
        [6, 6, 4, 2],
    ]


def test_every_language_has_at_least_one_example():
    # With exponent 2, 101 * 1 / 10,001 examples would be none.
    shares = epoch_shares(np.array([100, 1]), 2.0, np.arange(2), np.ones(2))
    np.testing.assert_array_equal(shares, [101, 1])


@pytest.mark.parametrize(
    "exponent, shares", [(0.0, [7, 7, 7]), (0.5, [12, 6, 3])]
)
def test_each_epoch_has_exactly_the_shares(exponent, shares):
    order = make_order([16, 4, 1], batch_size=7, language_exponent=exponent)
    languages = np.repeat([0, 1, 2], [16, 4, 1])
    examples = stream(order, 12).reshape(4, 21)
    for epoch in examples:
        counts = np.bincount(languages[epoch], minlength=3)
        np.testing.assert_array_equal(counts, shares)


def test_a_language_goes_through_all_its_pairs_before_it_repeats_one():
    """16 epochs of 7 are 7 rounds of 16, 28 rounds of 4 and 112 of 1."""
    order = make_order([16, 4, 1], batch_size=7, language_exponent=0.0)
    counts = np.bincount(stream(order, 3 * 16), minlength=21)
    np.testing.assert_array_equal(counts, [7] * 16 + [28] * 4 + [112])
    # After two epochs, 14 of the 16 have been taken, none twice.
    counts = np.bincount(stream(order, 6), minlength=21)
    assert counts[:16].max() == 1
    # 14 of 4: three rounds and two of the fourth.
    assert sorted(counts[16:20]) == [3, 3, 4, 4]


def test_languages_need_not_be_sorted_or_all_be_there():
    languages = np.array([5, 2, 5, 2, 5, 2])
    order = ExampleOrder(languages, np.ones(6), 6, 0, language_exponent=0.0)
    for step in range(3):
        np.testing.assert_array_equal(np.sort(order.batch(step)), np.arange(6))


def test_sorting_makes_the_lengths_of_a_batch_alike():
    lengths = np.random.default_rng(0).permutation(80)
    order = make_order([80], batch_size=8, lengths=lengths)
    sorted_order = make_order(
        [80], batch_size=8, lengths=lengths, batches_sorted_together=10
    )
    spread = [np.ptp(lengths[order.batch(step)]) for step in range(10)]
    assert min(spread) > 20
    batches = [sorted_order.batch(step) for step in range(10)]
    # The window is the epoch: lengths 0-7, 8-15, ... in one batch each.
    assert [np.ptp(lengths[batch]) for batch in batches] == [7] * 10
    # The batches themselves come in random order.
    shortest = [lengths[batch].min() for batch in batches]
    assert sorted(shortest) == list(range(0, 80, 8))
    assert shortest != sorted(shortest)
