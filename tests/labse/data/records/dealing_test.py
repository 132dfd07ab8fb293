"""Dealing records of groups to parts."""

import collections

import numpy as np
import pytest

from labse.data.records import dealing
from labse.data.records.dealing import Dealer, permutation, stream


def deal(folder, groups, parts, seed=0):
    """Deals a record for each group named; returns the parts' contents."""
    folder.mkdir()
    dealer = Dealer(folder, parts, seed, 1)
    for number, group in enumerate(groups):
        dealer.add(group, b"%d:%d" % (group, number))
    dealer.finish()
    return dealer, [list(part.read()) for part in dealer.parts]


def random_groups(size, seed=0):
    shares = [0.5, 0.2, 0.1, 0.1, *[0.005] * 20]
    return np.random.default_rng(seed).choice(len(shares), size, p=shares)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 64, 1000, 1003])
def test_each_record_once_and_all_parts_alike(tmp_path, size):
    groups = random_groups(size)
    _, parts = deal(tmp_path / "a", groups, 8)
    records = [record for part in parts for _, record in part]
    assert sorted(records) == sorted(
        b"%d:%d" % (group, number) for number, group in enumerate(groups)
    )
    assert all(
        record.startswith(b"%d:" % group)
        for part in parts
        for group, record in part
    )
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    for group in set(groups):
        of_group = [sum(g == group for g, _ in part) for part in parts]
        assert max(of_group) - min(of_group) <= 1


def test_where_a_record_goes_is_random(tmp_path):
    """Of 800 rounds of 8, a place gets each part about 100 times."""
    _, parts = deal(tmp_path / "a", [0] * 6400, 8)
    counts = collections.Counter(
        (int(record.partition(b":")[2]) % 8, number)
        for number, part in enumerate(parts)
        for _, record in part
    )
    # Binomial(800, 1/8): 100, give or take 5 times 9.4.
    assert len(counts) == 64
    assert min(counts.values()) > 53 and max(counts.values()) < 147


def test_the_same_seed_deals_the_same(tmp_path):
    groups = random_groups(500)
    _, one = deal(tmp_path / "a", groups, 8)
    _, two = deal(tmp_path / "b", groups, 8)
    _, other = deal(tmp_path / "c", groups, 8, seed=1)
    assert one == two != other


def test_little_is_held_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(dealing, "BUFFER_BYTES", 2**12)
    few, _ = deal(tmp_path / "a", random_groups(2000), 8)
    many, parts = deal(tmp_path / "b", random_groups(40_000), 8)
    assert sum(map(len, parts)) == 40_000
    # The buffers, a round, and at most 7 records of each of 24 groups that
    # wait, of at most 8 bytes.
    assert few.peak_bytes < many.peak_bytes < 2**12 + 8 * 8 + 24 * 7 * 8


def test_parts_read_back_and_go(tmp_path):
    dealer, parts = deal(tmp_path / "a", [3, 3, 5], 2)
    for part, content in zip(dealer.parts, parts, strict=True):
        assert part.read_index().tolist() == [
            [group, len(record)] for group, record in content
        ]
        part.remove()
        assert list(part.read()) == [] == part.read_index().tolist()
    assert not list((tmp_path / "a").iterdir())


def test_the_bits_stay_as_they_are():
    """Shards are the same with every NumPy; these were seen with 2.4."""
    assert permutation(stream(7, 1), 8).tolist() == [7, 6, 1, 4, 3, 2, 5, 0]
