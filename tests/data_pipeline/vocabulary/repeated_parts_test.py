import collections
import random

import pytest

from data_pipeline.vocabulary import repeated_parts, word_table

# A script without spaces: each phrase is seen once, two words in it are not.
PHRASES = {"กขคมม": 1, "ยกขคง": 1, "กขคจ": 1, "งจฉ": 1, "aกขค": 1}


def cut(counts, kept, min_count):
    counts = {"x": {word.encode(): count for word, count in counts.items()}}
    table = word_table.table_of_counts(counts, 1.0)
    parts = repeated_parts.cut(table, kept, min_count)
    texts = [text.decode() for text in parts.texts]
    assert len(texts) == len(set(texts))
    return dict(zip(texts, parts.weights.tolist(), strict=True))


def test_phrases_are_cut_into_what_is_seen_again():
    # กขค begins two words, is inside two; จ and ฉ follow each other once, and
    # so do the others.
    assert cut(PHRASES, sorted(set("".join(PHRASES))), 2) == {
        "กขค": 2,
        "##กขค": 2,
    }


def test_frequent_words_stay_whole():
    counts = {"lower": 2, "lowest": 1, "slow": 1, "owe": 1}
    # "lowe" begins three words; "low" stands inside "slow" alone, "ow" inside
    # four, "we" inside four; "ow" begins one.
    assert cut(counts, "lowerstn", 2) == {
        "lower": 2,
        "lowe": 1,  # of lowest
        "##ow": 1,  # of slow
        "##we": 1,  # of owe
    }


def test_a_character_that_is_not_kept_stands_between_parts():
    counts = {"abxab": 5, "ab": 1, "cabd": 4}
    # "ab" is of abxab and of itself, which is rare.
    assert cut(counts, "abcd", 2) == {"ab": 6, "##ab": 5, "cabd": 4}


def test_a_word_and_an_equal_part_add_up():
    assert cut({"ab": 3, "abc": 1}, "abc", 2) == {"ab": 4}


def test_occurrences_within_a_word_count():
    assert cut({"haha": 1}, "ha", 2) == {}
    assert cut({"ahaha": 1}, "ha", 2) == {"##ha": 2}


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


@pytest.mark.parametrize("beginnings,block", [(8_000_000, 2**24), (5, 7)])
@pytest.mark.parametrize("min_count", [1, 2, 3, 7])
def test_equals_the_naive_form(monkeypatch, min_count, beginnings, block):
    monkeypatch.setattr(repeated_parts, "_BEGINNINGS", beginnings)
    monkeypatch.setattr(repeated_parts, "_BLOCK", block)
    draw = random.Random(min_count)
    counts = {
        "".join(
            draw.choices("abcdé中😀", (9, 9, 5, 2, 1, 1, 2), k=length)
        ): count
        for length in range(1, 13)
        for count in (1, 1, 1, 2, 5)
    }
    kept = "abcdé😀"
    expected = collections.Counter()
    for word, count in counts.items():
        if count >= min_count and set(word) <= set(kept):
            expected[word] += count
            continue
        start = 0
        while start < len(word):
            end = len(word)
            while end > start + 1:
                part = ("##" if start else "") + word[start:end]
                if "中" not in part and seen(counts, part) >= min_count:
                    expected[part] += count
                    break
                end -= 1
            start = max(end, start + 1)
    assert cut(counts, kept, min_count) == expected
