"""The expected number of accidental negatives, beside drawing batches."""

import collections
import itertools

import numpy as np
import pytest

from data_pipeline.audit.batches import expected_accidental_negatives

PAIRS = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "x"), ("c", "z"), ("d", "w")]


def equal_of(pairs):
    """Ordered pairs of different rows with the same source, target, both."""
    sides = [*zip(*pairs, strict=True), pairs]
    return {
        name: sum(n * (n - 1) for n in collections.Counter(side).values())
        for name, side in zip(("source", "target", "pair"), sides, strict=True)
    }


def accidental(batch):
    """Entries of the matrix of scores, one by one."""
    return sum(
        first[0] == second[0] or first[1] == second[1]
        for first, second in itertools.permutations(batch, 2)
    )


def test_by_hand():
    # Sources: 2 (a) + 2 (b); targets: 6 (x three times); both: 2 (b, x).
    assert equal_of(PAIRS) == {"source": 4, "target": 6, "pair": 2}
    # All six rows: 4 + 6 - 2 = 8 of 30 entries.
    assert accidental(PAIRS) == 8
    assert expected_accidental_negatives(6, 6, equal_of(PAIRS)) == 8
    assert expected_accidental_negatives(99, 6, equal_of(PAIRS)) == 8
    assert expected_accidental_negatives(1, 6, equal_of(PAIRS)) == 0
    assert expected_accidental_negatives(4, 1, equal_of(PAIRS[:1])) == 0


@pytest.mark.parametrize("size", [2, 3, 5])
def test_exact_over_all_batches(size):
    batches = list(itertools.combinations(PAIRS, size))
    mean = sum(map(accidental, batches)) / len(batches)
    found = expected_accidental_negatives(size, len(PAIRS), equal_of(PAIRS))
    assert found == pytest.approx(mean, rel=1e-12)


def test_simulation():
    draw = np.random.default_rng(0)
    texts = draw.zipf(1.5, (3000, 2)).clip(max=500)
    pairs = [tuple(pair) for pair in texts.tolist()]
    batches = [draw.choice(3000, 64, replace=False) for _ in range(300)]
    sizes = []
    for batch in batches:
        source, target = texts[batch].T
        same = (source[:, None] == source) | (target[:, None] == target)
        sizes.append(same.sum() - 64)
    error = np.std(sizes) / len(sizes) ** 0.5
    found = expected_accidental_negatives(64, 3000, equal_of(pairs))
    assert abs(np.mean(sizes) - found) < 4 * error
