import numpy as np
import pytest
import tensorflow as tf

from labse.preprocessing import piece_counts
from labse.preprocessing.piece_counts import (
    Figures,
    PieceCounter,
    UnknownWords,
    read_word,
)
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# Ids:  5      6     7       8    9    10  11
PIECES = ["abc", "ab", "##cd", "x", "中", ",", "##\u00a00"]


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer(Vocabulary([*SPECIAL, *PIECES]))


def test_figures_of_each_language_by_hand(tokenizer):
    counter = PieceCounter(tokenizer)
    # ab ##cd? No: abc, and ##d is missing: [UNK]. x ##cd | , | [UNK] | 中 | x
    counter.add(["de", "zh", "de"], [b"xcd, abcd", "中x".encode(), b" \t"])
    counter.add(["de"], [b"ab"])
    assert dict(counter.languages) == {
        "de": Figures(
            texts=3, words=4, unknown_words=1, pieces=5, characters=10
        ),
        "zh": Figures(
            texts=1, words=2, unknown_words=0, pieces=2, characters=2
        ),
    }
    # Characters of xcd , abcd ab: 3 + 1 + 4 + 2; spaces do not count.
    assert counter.total() == Figures(4, 6, 1, 7, 12)
    assert counter.total().unknown_rate == 1 / 6
    assert counter.total().pieces_per_word == 7 / 6
    assert counter.counts.tolist() == [0, 1, 0, 0, 0, 0, 1, 1, 2, 1, 1, 0]


def test_no_words_have_no_rate():
    assert Figures(texts=1).unknown_rate == 0
    assert Figures(texts=1).pieces_per_word == 0


def test_what_an_unknown_word_begins_with(tokenizer):
    unknown = UnknownWords(tokenizer)
    PieceCounter(tokenizer, unknown).add(
        ["de"] * 3, [b"abcd xx", b"xcd ab", b"xq"]
    )
    assert unknown.ids == {5, 8}  # abc of abcd; x of xx and xq.
    assert unknown.characters == set("abcdxq")  # The second text has none.


def test_a_word_that_is_too_long_is_not_read():
    tokenizer = WordPieceTokenizer(Vocabulary([*SPECIAL, "x"]), 4)
    unknown = UnknownWords(tokenizer)
    PieceCounter(tokenizer, unknown).add(["de"], [b"xxxxx"])
    assert unknown.ids == set()


def test_the_letters_that_stand_for_others_are_put_back():
    """TF Hub's no-break space is a letter, in the tokenizer another one."""
    pieces = [*SPECIAL, "a", "##\u00a00", "##\u00a0"]
    tokenizer = WordPieceTokenizer(Vocabulary(pieces), ids="tensorflow_hub")
    assert tokenizer.tokenize(tf.constant(["a\u00a00"])).to_list() == [[5, 6]]
    unknown = UnknownWords(tokenizer)
    PieceCounter(tokenizer, unknown).add(["de"], ["a\u00a01".encode()])
    assert unknown.ids == {5, 7}
    assert unknown.characters == set("a\u00a01")


def test_words_are_read_as_the_tokenizer_reads_them():
    choose = np.random.default_rng(0)
    letters = list("abcd")
    pieces = {
        "##" * int(choose.integers(2)) + "".join(choose.choice(letters, size))
        for size in choose.integers(1, 5, 60)
    }
    vocabulary = Vocabulary([*SPECIAL, *sorted(pieces)])
    tokenizer = WordPieceTokenizer(vocabulary)
    ids = {piece: row for row, piece in enumerate(vocabulary.pieces)}
    words = ["".join(choose.choice(letters, n)) for n in [1, 3, 5, 8] * 100]
    expected = tokenizer.tokenize(tf.constant(words)).to_list()
    readings = [read_word(word, ids) for word in words]
    assert [
        found if complete else [vocabulary.unk_id]
        for found, complete in readings
    ] == expected
    assert 40 < sum(complete for _, complete in readings) < 360


def test_a_word_that_goes_on_another():
    ids = {"ab": 0, "##a": 1, "##b": 2}
    assert read_word("ab", ids) == ([0], True)
    assert read_word("ab", ids, inside=True) == ([1, 2], True)
    assert read_word("abc", ids, inside=True) == ([1, 2], False)


def test_batches_of_texts_and_bytes_make_no_difference(monkeypatch, tokenizer):
    texts = [("de", b"xcd, abcd"), ("en", b"ab ab"), ("de", b"x")] * 5
    whole, parts = PieceCounter(tokenizer), PieceCounter(tokenizer)
    piece_counts.count_pieces([whole], texts, "")
    monkeypatch.setattr(piece_counts, "_BATCH_TEXTS", 4)
    monkeypatch.setattr(piece_counts, "_BATCH_BYTES", 12)
    piece_counts.count_pieces([parts], iter(texts), "")
    assert whole.languages == parts.languages
    assert whole.languages["de"].texts == 10
    np.testing.assert_array_equal(whole.counts, parts.counts)


def test_forgotten_words_are_read_again(monkeypatch, tokenizer):
    monkeypatch.setattr(piece_counts, "_MAX_REMEMBERED_WORDS", 1)
    unknown = UnknownWords(tokenizer)
    unknown.add([b"abcd xx q"])
    unknown.add([b"abcd"])
    assert unknown.ids == {5, 8}
