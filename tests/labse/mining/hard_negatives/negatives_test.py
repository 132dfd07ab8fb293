import numpy as np
import pytest

from labse.errors import InputError
from labse.mining.hard_negatives import negatives as hard_negatives
from labse.mining.hard_negatives.negatives import (
    NONE,
    PairTexts,
)
from labse.mining.hard_negatives.negatives import (
    find_hard_negatives as find,
)
from labse.mining.translations import fold


def make_pairs(rows):
    """From (source, target, language of the target)."""
    numbers, languages = {}, {}
    table = [
        (
            numbers.setdefault(source, len(numbers)),
            numbers.setdefault(target, len(numbers)),
            languages.setdefault(language, len(languages)),
        )
        for source, target, language in rows
    ]
    return PairTexts(list(numbers), *np.array(table, np.int64).T)


def at(degrees):
    return [np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]


def plant(pairs, degrees):
    """Vectors in a plane, each text at its angle."""
    return np.array([at(degrees[text]) for text in pairs.texts], np.float32)


def texts_of(pairs, found):
    return [
        [pairs.texts[number] for number in row if number != NONE]
        for row in found.texts
    ]


# "cat" at 0 degrees; how far away a target is, its angle tells.
ROWS = [
    ("cat", "Katze", "de"),
    ("cat", "Mieze", "de"),
    ("pussycat", "Mieze", "de"),
    ("pussycat", "Kätzchen", "de"),
    ("dog", "Hund", "de"),
    ("hound", "Hund!", "de"),
    ("cats", "Katzen", "de"),
    ("cap", "Kappe", "de"),
    ("cat", "chat", "fr"),
    ("dog", "chien", "fr"),
    ("hat", "cat", "de"),
]
DEGREES = {
    "cat": 0,
    "Katze": 1,
    "Mieze": 2,
    "Kätzchen": 3,
    "Katzen": 5,
    "Kappe": 8,
    "Hund": 20,
    "Hund!": 19,
    "chat": 4,
    "chien": 30,
    "pussycat": 2.5,
    "dog": 21,
    "hound": 22,
    "cats": 6,
    "cap": 9,
    "hat": 40,
}


def test_planted_negatives_by_hand():
    pairs = make_pairs(ROWS)
    found = find(pairs, plant(pairs, DEGREES), negatives=3)
    rows = texts_of(pairs, found)
    # Kätzchen is nearest, but translates cat by one hop (pussycat - Mieze);
    # "cat" is the source's own text; "Hund" and "Hund!" count as one, the
    # first of them stays, and French is another language.
    assert rows[0] == rows[1] == ["Katzen", "Kappe", "Hund"]
    # From 21 degrees: Kappe at 13, Katzen at 16, Kätzchen at 18.
    assert rows[4] == ["Kappe", "Katzen", "Kätzchen"]
    # The only French targets: one is the translation.
    assert rows[8] == ["chien"]
    assert rows[9] == ["chat"]
    expected = [np.cos(np.radians(angle)) for angle in (5, 8, 20)]
    np.testing.assert_allclose(found.cosines[0], expected, atol=1e-6)
    assert np.isnan(found.cosines[8]).tolist() == [False, True, True]
    np.testing.assert_allclose(
        found.true_cosines[:2],
        [np.cos(np.radians(angle)) for angle in (1, 2)],
        atol=1e-6,
    )


def test_what_is_too_near_is_left_out():
    pairs = make_pairs(ROWS)
    # Of the first pair: at most 0.995 cos 1 = 0.9948, the cosine of 5.8
    # degrees.
    found = find(pairs, plant(pairs, DEGREES), 3, max_cosine=0.995)
    assert texts_of(pairs, found)[0] == ["Kappe", "Hund"]


def random_pairs(seed, count=400, languages=3):
    """Pairs with many translations, copies and near copies."""
    random = np.random.default_rng(seed)
    marks = ["", "!", " ", "?"]
    rows = []
    for _ in range(count):
        source, target = random.integers(0, 150, 2)
        language = str(random.integers(languages))
        if random.random() < 0.05:
            source = target
        rows.append(
            (
                f"text {'abcdefghij'[source % 10]}{'x' * (source // 10)}",
                f"text {'abcdefghij'[target % 10]}{'x' * (target // 10)}"
                f"{marks[random.integers(4)]}",
                language,
            )
        )
    pairs = make_pairs(rows)
    # Few directions, so that equal cosines are common.
    vectors = random.integers(-1, 2, size=[len(pairs.texts), 4])
    vectors[~vectors.any(axis=1)] = 1
    return pairs, vectors.astype(np.float32)


def naive(pairs, vectors, row, negatives):
    """By the definition, for one pair; float64."""
    keys = [fold(text) for text in pairs.texts]
    known = {
        (keys[s], keys[t])
        for s, t in zip(pairs.sources, pairs.targets, strict=True)
    }
    source = keys[pairs.sources[row]]
    direct = {t for s, t in known if s == source}
    hops = {s for s, t in known if t in direct}
    forbidden = {t for s, t in known if s in hops} | {source}
    units = vectors.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    candidates, seen = [], set()
    for other, target in enumerate(pairs.targets):
        is_ours = pairs.languages[other] == pairs.languages[row]
        if is_ours and keys[target] not in seen:
            seen.add(keys[target])
            candidates.append(target)
    cosines = [
        np.float32(units[pairs.sources[row]] @ units[target])
        for target in candidates
    ]
    order = np.argsort(-np.round(np.array(cosines), 6), kind="stable")
    chosen = [
        int(candidates[place])
        for place in order
        if keys[candidates[place]] not in forbidden
    ]
    return chosen[:negatives]


def test_the_search_is_the_definition(monkeypatch):
    """Also with the widening and the blocks that large files need."""
    pairs, vectors = random_pairs(0)
    monkeypatch.setattr(hard_negatives, "FIRST_NEIGHBOURS", 4)
    monkeypatch.setattr(hard_negatives, "_QUERIES", 7)
    progress = []
    found = find(pairs, vectors, 5, progress=progress.append)
    for row in range(len(pairs)):
        expected = naive(pairs, vectors, row, 5)
        assert found.texts[row].tolist() == expected + [NONE] * (
            5 - len(expected)
        )
    assert sum(progress) == len(pairs)


def test_blocks_and_the_first_neighbours_change_no_bit(monkeypatch):
    pairs, vectors = random_pairs(1)
    whole = find(pairs, vectors, 3)
    for first, queries in ((1, 1), (3, 50), (64, 7)):
        monkeypatch.setattr(hard_negatives, "FIRST_NEIGHBOURS", first)
        monkeypatch.setattr(hard_negatives, "_QUERIES", queries)
        again = find(pairs, vectors, 3)
        np.testing.assert_array_equal(again.texts, whole.texts)
        np.testing.assert_array_equal(again.cosines, whole.cosines)


def test_no_translation_and_no_near_copy_is_ever_chosen():
    for seed in range(3):
        pairs, vectors = random_pairs(seed + 10, languages=1)
        found = find(pairs, vectors, 4)
        keys = [fold(text) for text in pairs.texts]
        true = {
            (keys[s], keys[t])
            for s, t in zip(pairs.sources, pairs.targets, strict=True)
        }
        for row, chosen in enumerate(found.texts):
            chosen = [keys[number] for number in chosen if number != NONE]
            assert len(chosen) == len(set(chosen)) > 0
            source = keys[pairs.sources[row]]
            assert source not in chosen
            assert not any((source, key) in true for key in chosen)


def test_beyond_the_last_neighbours_nothing_is_hard(monkeypatch):
    pairs = make_pairs(ROWS)
    monkeypatch.setattr(hard_negatives, "LAST_NEIGHBOURS", 5)
    monkeypatch.setattr(hard_negatives, "FIRST_NEIGHBOURS", 2)
    found = find(pairs, plant(pairs, DEGREES), negatives=3)
    # cat, Katze, Mieze, Kätzchen and Katzen are the nearest five.
    assert texts_of(pairs, found)[0] == ["Katzen"]


def test_a_vector_that_is_nan_is_refused():
    pairs = make_pairs(ROWS)
    vectors = plant(pairs, DEGREES)
    vectors[3] = np.nan
    with pytest.raises(InputError, match="row 3 of the text embeddings"):
        find(pairs, vectors)
