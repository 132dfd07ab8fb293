import os
import subprocess
import sys

import pytest

from data_pipeline.vocabulary import vocabulary_learner, word_table
from labse.errors import InputError
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary

COUNTS = {
    "en": {"low": 50, "lower": 20, "lowest": 20, "new": 30, "newest": 30},
    "de": {"neu": 5, "neuer": 5, "ß": 1, "中": 3, ",": 9},
}
# All characters, ß too, which is seen once; 中 and the comma stand alone.
CHARACTERS = [*",elnorstuwß", "中"]
SUFFIXES = [f"##{c}" for c in "elnorstuwß"]


def learn(counts, vocab_size, exponent=0.3, **options):
    counts = {
        language: {word.encode(): count for word, count in words.items()}
        for language, words in counts.items()
    }
    table = word_table.table_of_counts(counts, exponent)
    return vocabulary_learner.learn_vocabulary(table, vocab_size, **options)


def test_order_of_pieces():
    pieces = learn(COUNTS, 38, unused=2)
    assert len(pieces) == 38 == len(set(pieces))
    fixed = ["[PAD]", "[unused1]", "[unused2]", "[UNK]", "[CLS]", "[SEP]"]
    fixed += ["[MASK]", *CHARACTERS, *SUFFIXES]
    assert pieces[: len(fixed)] == fixed
    assert {"low", "new", "neu"} <= set(pieces[len(fixed) :])


def test_special_pieces_are_where_bert_has_them():
    pieces = vocabulary_learner.special_pieces(99)
    assert pieces[0] == "[PAD]"
    assert pieces[1] == "[unused1]" and pieces[99] == "[unused99]"
    assert pieces[100:] == ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def test_the_tokenizer_reads_what_was_learnt():
    pieces = learn(COUNTS, 37, unused=0)
    ids = WordPieceTokenizer(Vocabulary(pieces)).tokenize(["low neu, 中 ß 上"])
    got = [pieces[i] for i in ids.values]
    assert got == ["low", "neu", ",", "中", "ß", "[UNK]"]


def test_smoothing_moves_pieces_to_the_small_language():
    counts = {
        "big": {f"{a}{b}q": 1000 for a in "abcdef" for b in "abcdef"},
        "small": {"xyz": 30},
    }
    size = 5 + 2 * 10 + 1  # a b c d e f q x y z, their ## forms, one piece
    plain = learn(counts, size, 1.0, unused=0)
    smoothed = learn(counts, size, 0.0, unused=0)
    assert plain[-1].endswith("q")
    assert smoothed[-1] in ("xy", "##yz")


def test_most_frequent_characters_are_kept():
    counts = {"x": {"aa": 10, "ab": 5, "c": 2}}
    pieces = learn(counts, 8, unused=0, max_characters=1)
    assert pieces[5:] == ["a", "##a", "aa"]


def test_a_phrase_seen_once_gives_the_words_in_it():
    # Without spaces: three words in every order, each phrase once.
    names = ("กขค", "งจฉ", "ชซฌ")
    phrases = {a + b + c: 1 for a in names for b in names for c in names}
    fixed = 5 + 2 * 9
    pieces = learn({"th": phrases}, fixed + 9, unused=0)
    assert {*names, *(f"##{name}" for name in names)} <= set(pieces)
    assert not phrases.keys() & set(pieces)


def test_no_piece_is_too_long_for_a_vocabulary():
    # 90 characters of three bytes each, without spaces.
    phrase = "ກຂຄງຈຊຍດຕຖ" * 9
    fixed = 5 + 2 * 10
    pieces = learn({"lo": {phrase: 50}}, fixed + 9, unused=0)
    assert max(len(piece.encode()) for piece in pieces) <= 256
    ids = WordPieceTokenizer(Vocabulary(pieces)).tokenize([phrase])
    assert pieces.index("[UNK]") not in ids.values


def test_a_word_seen_once_is_no_piece():
    counts = {"x": {"abcd": 1, "abef": 1, "ghab": 1}}
    fixed = 5 + 2 * 8
    pieces = learn(counts, fixed + 1, unused=0)
    assert pieces[fixed:] == ["ab"]
    with pytest.raises(InputError, match=f"has {fixed + 1} different"):
        learn(counts, fixed + 2, unused=0)
    once = learn(counts, fixed + 6, unused=0, min_count=1)
    assert {"ab", "abcd", "abef", "ghab"} <= set(once)


def test_rareness_is_counted_before_smoothing_and_over_all_languages():
    counts = {
        "big": {"uv": 1000},
        "small": {"abcd": 1, "xy": 1},
        "other": {"xyz": 1},
    }
    fixed = 5 + 2 * 9
    pieces = learn(counts, fixed + 2, 0.0, unused=0)
    # "abcd" weighs some 170 after smoothing and was seen once.
    assert set(pieces[fixed:]) == {"uv", "xy"}


# Many ties: every word of x counts the same but for those that are rare.
TIES = """
words = {a + b + c: 2 for a in "abcde" for b in "fghij" for c in "abfgk"}
words |= {a + b + c: 1 for a in "fghij" for b in "abcde" for c in words}
counts = {"x": {word.encode(): n for word, n in words.items()}}
counts["y"] = {b"zab": 3}
table = word_table.table_of_counts(counts, 0.3)
pieces = vocabulary_learner.learn_vocabulary(table, 170)
"""


def test_same_pieces_in_another_process_with_another_hash_seed(tmp_path):
    here = {"vocabulary_learner": vocabulary_learner, "word_table": word_table}
    exec(TIES, here)
    program = f"""
import sys
from data_pipeline.vocabulary import vocabulary_learner, word_table
{TIES}
vocabulary_learner.write_vocabulary(sys.argv[1], pieces)
"""
    path = tmp_path / "vocab.txt"
    subprocess.run(
        [sys.executable, "-c", program, str(path)],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    )
    assert path.read_text(encoding="utf-8").split("\n")[:-1] == here["pieces"]


def test_errors():
    with pytest.raises(
        InputError, match="room for 104 special.* more than 126. Received 120"
    ):
        learn(COUNTS, 120)
    with pytest.raises(InputError, match="different pieces.*vocab_size=500"):
        learn(COUNTS, 500)
    with pytest.raises(InputError, match="has 126 diff.* at min_count=99"):
        learn(COUNTS, 200, min_count=99)
    with pytest.raises(InputError, match="from words. Received none"):
        learn({}, 200)
    with pytest.raises(InputError, match="min_count is at least 1. Received 0"):
        learn(COUNTS, 200, min_count=0)
    with pytest.raises(InputError, match="unused is at least 0. Received -1"):
        learn(COUNTS, 200, unused=-1)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes(b"old\n")

    def pieces():
        yield "new"
        raise RuntimeError("full disk")

    with pytest.raises(RuntimeError):
        vocabulary_learner.write_vocabulary(str(path), pieces())
    assert path.read_bytes() == b"old\n"
    assert os.listdir(tmp_path) == ["vocab.txt"]
