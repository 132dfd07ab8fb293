import random

import pytest

from data_pipeline.vocabulary import repeated_parts

# A script without spaces: each phrase is seen once, two words in it are not.
PHRASES = {"กขคมม": 1, "ยกขคง": 1, "กขคจ": 1, "งจฉ": 1, "aกขค": 1}


def test_phrases_are_cut_into_what_is_seen_again():
    # กขค begins words twice and is inside twice; จ and ฉ follow each other
    # once, and so do the others.
    assert repeated_parts.cut(PHRASES, sorted(set("".join(PHRASES))), 2) == {
        "กขคมม": ["กขค"],
        "ยกขคง": ["##กขค"],
        "กขคจ": ["กขค"],
        "งจฉ": [],
        "aกขค": ["##กขค"],
    }


def test_frequent_words_stay_whole():
    counts = {"lower": 2, "lowest": 1, "slow": 1, "owe": 1}
    # "lowe" begins three words; "low" stands inside "slow" alone, "ow" inside
    # four, "we" inside four; "ow" begins one.
    assert repeated_parts.cut(counts, "lowerstn", 2) == {
        "lowest": ["lowe"],
        "slow": ["##ow"],
        "owe": ["##we"],
    }


def test_a_character_that_is_not_kept_stands_between_parts():
    counts = {"abxab": 5, "ab": 1, "cabd": 4}
    assert repeated_parts.cut(counts, "abcd", 2) == {
        "abxab": ["ab", "##ab"],
        "ab": ["ab"],
    }


def test_occurrences_within_a_word_count():
    assert repeated_parts.cut({"haha": 1}, "ha", 2) == {"haha": []}
    assert repeated_parts.cut({"ahaha": 1}, "ha", 2) == {"ahaha": ["##ha"] * 2}


def seen(counts, part):
    """How often a part is seen, counted place by place."""
    letters = part.removeprefix("##")
    return sum(
        count
        for word, count in counts.items()
        for start in range(len(word))
        if word.startswith(letters, start)
        and part == ("##" if start else "") + letters
    )


@pytest.mark.parametrize("min_count", [1, 2, 3, 7])
def test_equals_the_naive_form(min_count):
    draw = random.Random(min_count)
    counts = {
        "".join(draw.choices("abcdé中", (9, 9, 5, 2, 1, 1), k=length)): count
        for length in range(1, 13)
        for count in (1, 1, 1, 2, 5)
    }
    kept = "abcdé"
    expected = {}
    for word, count in counts.items():
        if count >= min_count and set(word) <= set(kept):
            continue
        parts, start = [], 0
        while start < len(word):
            end = len(word)
            while end > start + 1:
                part = ("##" if start else "") + word[start:end]
                if "中" not in part and seen(counts, part) >= min_count:
                    parts.append(part)
                    break
                end -= 1
            start = max(end, start + 1)
        expected[word] = parts
    got = repeated_parts.cut(counts, kept, min_count)
    assert got == expected
    assert any(got.values())
