import zlib

import numpy as np
import pytest

from data_pipeline.vocabulary import word_table
from labse.errors import InputError

COUNTS = {
    "de": {b"in": 3, b"und": 5, "für".encode(): 1},
    "en": {b"and": 2, b"in": 4},
    "th": {"ไทย".encode(): 1},
}


def test_words_of_all_languages_add_up():
    table = word_table.table_of_counts(COUNTS, 1.0)
    assert table.words() == [b"and", "für".encode(), b"in", b"und"] + [
        "ไทย".encode()
    ]
    assert table.raw.tolist() == [2, 1, 7, 5, 1]
    assert table.smoothed == pytest.approx([2, 1, 7, 5, 1])
    assert table.languages == {"de": 9, "en": 6, "th": 1}
    assert len(table) == 5


def test_smoothed_counts_by_hand():
    # Exponent 0: each language weighs 16 / 3, so a word of de 16/27, of en 8/9.
    table = word_table.table_of_counts(COUNTS, 0.0)
    expected = [16 / 9, 16 / 27, 3 * 16 / 27 + 4 * 8 / 9, 5 * 16 / 27, 16 / 3]
    assert table.smoothed == pytest.approx(expected)
    assert table.raw.tolist() == [2, 1, 7, 5, 1]


def test_text_as_code_points_and_in_batches(monkeypatch):
    monkeypatch.setattr(word_table, "_BATCH", 2)
    table = word_table.table_of_counts(COUNTS, 1.0)
    text = "and\nfür\nin\nund\nไทย\n"
    assert table.code_points().tolist() == list(map(ord, text))
    batches = list(table.batches())
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert sum(batches, []) == table.words()


def test_no_words():
    with pytest.raises(InputError, match="from words. Received none"):
        word_table.table_of_counts({"x": {}}, 0.3)
    with pytest.raises(InputError, match="from words. Received none"):
        word_table.table_of_counts({}, 0.3)


def rows(words):
    words = sorted(words.items())
    return [w for w, _ in words], ["x"] * len(words), [n for _, n in words]


def thinned(words, limit, parts=1):
    """The table of words dealt to parts."""
    dealt = [
        rows({w: n for w, n in words.items() if zlib.crc32(w) % parts == part})
        for part in range(parts)
    ]
    total = {"x": sum(words.values())}
    return word_table.make_table(dealt, total, len(words), 1.0, limit)


# One word that is frequent and many that are seen once.
WORDS = {b"the": 5000} | {b"w%d" % number: 1 for number in range(4000)}


def test_thinning_by_hand():
    priorities = {
        word: count * 2**32 / (zlib.crc32(word) + 0.5)
        for word, count in WORDS.items()
    }
    best = sorted(priorities, key=priorities.get, reverse=True)
    table = thinned(WORDS, 100)
    assert table.words() == sorted(best[:100])
    # Those that are rarer than the first word left out stand for it.
    raised = priorities[best[100]]
    assert table.smoothed == pytest.approx(
        [max(WORDS[word], raised) for word in table.words()]
    )
    assert table.raw.tolist() == [WORDS[word] for word in table.words()]


def test_thinning_keeps_the_sum_about_right():
    table = thinned(WORDS, 1000)
    assert b"the" in table.words()
    assert table.smoothed.sum() == pytest.approx(9000, rel=0.05)
    assert table.languages == {"x": 9000}


@pytest.mark.parametrize("parts", [2, 7, 40])
def test_thinning_does_not_depend_on_the_parts(parts):
    one, many = thinned(WORDS, 300), thinned(WORDS, 300, parts)
    assert one.text == many.text
    np.testing.assert_array_equal(one.smoothed, many.smoothed)
    np.testing.assert_array_equal(one.raw, many.raw)


def test_few_words_are_not_thinned():
    table = thinned(WORDS, len(WORDS))
    assert table.words() == sorted(WORDS)
    assert table.smoothed.sum() == 9000
