import numpy as np
import pytest

from labse.data.example_order import ExampleOrder, epoch_shares


def make_order(sizes, batch_size=4, seed=0, **arguments):
    """Pairs 0 .. sizes[0] - 1 have language 0, and so on."""
    languages = np.repeat(np.arange(len(sizes)), sizes)
    return ExampleOrder(languages, batch_size, seed, **arguments)


def stream(order, steps):
    return np.concatenate([order.batch(step) for step in range(steps)])


def test_a_batch_is_a_pure_function_of_seed_and_step():
    arguments = {"language_exponent": 0.5}
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


@pytest.mark.parametrize("sizes", [[20], [11, 6, 3], [1] * 20])
@pytest.mark.parametrize("batch_size", [4, 5, 20])
def test_with_exponent_1_each_epoch_has_every_pair_once(sizes, batch_size):
    order = make_order(sizes, batch_size)
    examples = stream(order, 5 * 20 // batch_size)
    assert examples.dtype == np.int64
    for epoch in range(5):
        part = examples[epoch * 20 : (epoch + 1) * 20]
        np.testing.assert_array_equal(np.sort(part), np.arange(20))


def test_an_epoch_is_a_whole_number_of_batches():
    """20 pairs in batches of 7: epochs of 21; one pair comes twice in each."""
    order = make_order([20], 7)
    for epoch in range(20):
        part = np.concatenate([order.batch(3 * epoch + i) for i in range(3)])
        counts = np.bincount(part, minlength=20)
        assert sorted(counts) == [1] * 19 + [2]
    # After 20 epochs each was the one.
    np.testing.assert_array_equal(
        np.bincount(stream(order, 60), minlength=20), [21] * 20
    )


@pytest.mark.parametrize("exponent", [0.0, 0.5, 0.7, 1.0])
@pytest.mark.parametrize(
    "sizes, batch_size",
    [
        ([200], 512),  # Fewer pairs than a batch holds.
        ([600], 512),  # Hardly more.
        ([513], 512),
        ([511], 512),
        ([512], 512),
        ([2000], 512),
        ([60, 4000], 512),
        ([5, 40, 700, 3000], 256),
        ([1, 1, 1], 64),
    ],
)
def test_no_pair_stands_in_a_batch_more_often_than_it_must(
    sizes, batch_size, exponent
):
    languages = np.repeat(np.arange(len(sizes)), sizes)
    order = make_order(sizes, batch_size, language_exponent=exponent)
    for step in range(60):
        batch = order.batch(step)
        assert len(batch) == batch_size
        for language, size in enumerate(sizes):
            pairs = batch[languages[batch] == language]
            counts = np.bincount(pairs, minlength=len(languages))
            assert counts.max() == -(-len(pairs) // size)
            assert np.count_nonzero(counts) == min(len(pairs), size)


def test_a_small_language_beside_a_large_one():
    """200 pairs and 40,000, exponent 0.7: 2048 * 40.8 / 1707 = 48.97 rows.

    40.8 = 200^0.7 and 1707 = 200^0.7 + 40,000^0.7.
    """
    order = make_order([200, 40_000], 2048, language_exponent=0.7)
    for step in range(50):
        small = [pair for pair in order.batch(step) if pair < 200]
        assert len(small) in (48, 49)
        assert len(set(small)) == len(small)


def test_rows_of_a_language_are_spread_evenly_over_the_batches():
    """30, 20 and 10 pairs, batches of 7: 9 batches, 63 examples."""
    sizes = [30, 20, 10]
    languages = np.repeat(np.arange(3), sizes)
    order = make_order(sizes, 7)
    counts = np.array(
        [
            np.bincount(languages[order.batch(step)], minlength=3)
            for step in range(9)
        ]
    )
    # 31.5, 21 and 10.5 of 63; the first of equal remainders is rounded up.
    np.testing.assert_array_equal(counts.sum(axis=0), [32, 21, 10])
    assert np.all((counts[:, 0] == 3) | (counts[:, 0] == 4))
    assert np.all((counts[:, 1] == 2) | (counts[:, 1] == 3))
    assert np.all((counts[:, 2] == 1) | (counts[:, 2] == 2))


def test_pairs_meet_others_in_other_epochs():
    """Two pairs of 40 in one of 10 batches of 4: with a chance of 3 in 39."""
    order = make_order([40], 4)
    together = np.zeros([40, 40])
    for step in range(3000):
        batch = order.batch(step)
        together[np.ix_(batch, batch)] += 1
    off_diagonal = together[~np.eye(40, dtype=bool)]
    # 300 epochs * 3 / 39 = 23 on average, with a deviation of 4.6.
    assert off_diagonal.mean() == pytest.approx(300 * 3 / 39)
    assert off_diagonal.std() == pytest.approx(4.6, abs=0.5)


def test_shares_by_hand():
    for exponent, expected in (
        (1.0, [16, 4, 1]),
        # Roots 4, 2, 1 of 7: 21 examples are 12, 6 and 3.
        (0.5, [12, 6, 3]),
        (0.0, [7, 7, 7]),
    ):
        shares = epoch_shares(
            np.array([16, 4, 1]), exponent, np.arange(3), np.ones(3), 21
        )
        np.testing.assert_array_equal(shares, expected)


def test_shares_of_weighted_pairs_by_hand():
    """Language 0: 40 pairs that count a quarter and 6 whole; language 1: 1."""
    sizes, languages = np.array([40, 6, 1]), np.array([0, 0, 1])
    weights = np.array([0.25, 1, 1])
    # Language 0 counts as 16 pairs, its root is 4 of 5 parts: 37.6 of 47
    # examples, 10/16 of them for the first group.
    np.testing.assert_array_equal(
        epoch_shares(sizes, 0.5, languages, weights, 47), [24, 14, 9]
    )
    # As they are: 10, 6 and 1 of 17, that is 27.65, 16.59 and 2.76 of 47; the
    # first and the last are rounded up.
    np.testing.assert_array_equal(
        epoch_shares(sizes, 1.0, languages, weights, 47), [28, 16, 3]
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
    arguments = {"language_exponent": 0.5}
    plain = stream(make_order([13, 5, 2], **arguments), 20)
    weights = np.full(20, 0.25)
    weighted = make_order([13, 5, 2], pair_weights=weights, **arguments)
    np.testing.assert_array_equal(stream(weighted, 20), plain)


def test_the_order_of_this_version():
    """A run that began with it has to be resumed by later versions."""
    order = make_order([6, 3, 2], seed=7, language_exponent=0.5)
    assert [order.batch(step).tolist() for step in range(5)] == [
        [10, 0, 2, 7],
        [9, 8, 4, 3],
        [6, 1, 10, 7],
        [8, 2, 5, 9],
        [4, 10, 7, 6],
    ]


def test_every_language_has_at_least_one_example():
    # With exponent 2, 101 * 1 / 10,001 examples would be none.
    for sizes, total, expected in (
        ([100, 1], 101, [100, 1]),
        ([100, 1, 1, 1], 103, [100, 1, 1, 1]),
        ([1, 1, 1], 3, [1, 1, 1]),
        ([1, 1, 1], 4, [2, 1, 1]),
    ):
        shares = epoch_shares(
            np.array(sizes),
            2.0,
            np.arange(len(sizes)),
            np.ones(4)[: len(sizes)],
            total,
        )
        np.testing.assert_array_equal(shares, expected)


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
    order = ExampleOrder(languages, 6, 0, language_exponent=0.0)
    for step in range(3):
        np.testing.assert_array_equal(np.sort(order.batch(step)), np.arange(6))
