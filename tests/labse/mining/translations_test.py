import numpy as np
import pytest

from labse.mining.translations import Translations, fold, number_texts


@pytest.mark.parametrize(
    "one, other",
    [
        ("Good morning!", "good  morning"),
        ("Chapter 3", "chapter 12."),
        ("1,000 people", "25 people"),
        ("Straße", "STRASSE"),
        ("ﬁne…", "fine"),  # A ligature; NFKC.
        ("e\u0301te\u0301", "été"),
        ("你 好。", "你好"),
        ("a\u200bb\ufeff", "ab"),
        ("١٢", "7"),
        ("ok 🙂", "OK"),
        (" ?! ", "?!"),
    ],
)
def test_texts_that_count_as_one(one, other):
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    "one, other",
    [
        ("Chapter 3", "chapter"),
        ("の", "は"),
        ("की", "के"),  # They differ in a vowel sign only.
        ("été", "ete"),
        ("?", "!"),
        ("", "?"),
    ],
)
def test_texts_that_do_not(one, other):
    assert fold(one) != fold(other)


@pytest.mark.parametrize(
    "one, other, are_equal",
    [
        ("Chapter 3!", "chapter  3", True),
        ("٣ 你 好。", "3你好", True),
        ("1,000 people", "1 000 people.", True),
        ("(3)", "3.", True),
        ("Point 10", "Point 11", False),
        ("1.5 kg", "15 kg", False),
        ("10", "100", False),
    ],
)
def test_digits_as_content(one, other, are_equal):
    assert (fold(one, False) == fold(other, False)) == are_equal


def test_numbers_are_given_in_order():
    numbers = number_texts(["b", "a", "B!", "c", "A"])
    assert numbers.tolist() == [0, 1, 0, 2, 1]
    assert number_texts([]).tolist() == []


def naive(pairs, source, target):
    """By the definition: a pair (source, t), (s, target) and (s, t)."""
    return any(
        (s, t) in pairs
        for t in {t for s, t in pairs if s == source}
        for s in {s for s, t in pairs if t == target}
    )


def test_one_hop_by_hand():
    # 0 - 10, 0 - 11, 1 - 11, 1 - 12, 2 - 12, 3 - 13
    sources, targets = [0, 0, 1, 1, 2, 3, 3], [10, 11, 11, 12, 12, 13, 13]
    known = Translations(np.array(sources), np.array(targets))
    direct = known.of(0)
    assert direct == {10, 11}
    assert [known.translates(direct, t) for t in (10, 11, 12, 13, 99)] == [
        *(True, True, True, False, False)
    ]
    # Two hops are none.
    assert not known.translates(known.of(2), 10)
    assert known.of(99) == set()


def test_one_hop_is_the_definition():
    random = np.random.default_rng(0)
    sources = random.integers(0, 12, 25)
    targets = random.integers(0, 12, 25)
    known = Translations(sources, targets)
    pairs = set(zip(sources.tolist(), targets.tolist(), strict=True))
    answers = []
    for source in range(12):
        direct = known.of(source)
        for target in range(12):
            answers.append(known.translates(direct, target))
            assert answers[-1] == naive(pairs, source, target)
    assert {True, False} == set(answers)
