import dataclasses
import json
import random

import numpy as np
import pytest
import tensorflow as tf

import labse
from labse.checkpoints import run_folder
from labse.checkpoints.head_weights import OUTPUT_BIAS
from labse.checkpoints.vocabulary import resizing
from labse.checkpoints.vocabulary.resizing import (
    AppendedRows,
    SelectedRows,
    grow_vocabulary,
    needed_rows,
    prune_vocabulary,
)
from labse.checkpoints.weights import WORD_EMBEDDINGS
from labse.configs.schema import TokenizerConfig
from labse.errors import InputError
from labse.files.reading import ReadOptions
from labse.files.texts import Texts
from labse.preprocessing.piece_counts import PieceCounter, UnknownWords
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import SPECIAL_PIECES, Vocabulary

CASED = TokenizerConfig()
UNCASED = TokenizerConfig(lower_case=True)
HUB = TokenizerConfig(ids="tensorflow_hub", max_bytes_per_word=100)
UNCASED_HUB = dataclasses.replace(HUB, lower_case=True)

# Of the fixture's letters; "Q" and "ϙ" are in no piece.
TEXTS = [
    "hello the world, ending",
    "größe und straße",
    "добрый день мир!",
    "สวัสดี 你好世界 こんにちは",
    "hello",
    "Qhello aQ 3.5",
    "مرحبا ქართული",
]


class Rows:
    """A table that is read in blocks of so many rows."""

    def __init__(self, values, size):
        self.values, self.size = values, size
        self.shape = values.shape

    def row_blocks(self):
        for start in range(0, len(self.values), self.size):
            yield self.values[start : start + self.size]


@pytest.fixture(scope="module")
def source(small_run):
    return run_folder.open_run(str(small_run))


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(TEXTS), "utf-8")
    return Texts([str(path)], ReadOptions(language="xx"))


def table_of(path):
    return run_folder.open_run(str(path)).weights[WORD_EMBEDDINGS].read()


def pieces_of(path):
    return run_folder.open_run(str(path)).vocabulary.pieces


def refusal(function, *arguments, **options):
    with pytest.raises(InputError) as error:
        function(*arguments, **options)
    return str(error.value)


# Rows.


@pytest.mark.parametrize("size", [1, 4, 100])
def test_selected_rows_are_those_of_the_table(size):
    values = np.random.default_rng(0).normal(size=[10, 3]).astype(np.float32)
    rows = np.array([0, 3, 4, 9])
    selected = SelectedRows(Rows(values, size), rows)
    assert selected.shape == (4, 3)
    found = np.concatenate(list(selected.row_blocks()))
    np.testing.assert_array_equal(found, values[rows])


@pytest.mark.parametrize("size", [1, 4, 100])
def test_appended_rows_are_means_in_which_a_row_may_count_twice(size):
    values = np.arange(30, dtype=np.float32).reshape(10, 3)
    appended = AppendedRows(Rows(values, size), ((9,), (0, 3), (1, 1, 7)))
    assert appended.shape == (13, 3)
    found = np.concatenate(list(appended.row_blocks()))
    np.testing.assert_array_equal(found[:10], values)
    # (3, 4, 5) twice and (21, 22, 23): 27 / 3, 30 / 3, 33 / 3.
    np.testing.assert_array_equal(
        found[10:], [[27, 28, 29], [4.5, 5.5, 6.5], [9, 10, 11]]
    )


def test_rows_may_be_numbers():
    biases = Rows(np.arange(10, dtype=np.float32), 4)
    selected = SelectedRows(biases, np.array([0, 3, 9]))
    appended = AppendedRows(biases, ((9,), (0, 3), (1, 1, 7)))
    assert selected.shape == (3,) and appended.shape == (13,)
    found = np.concatenate(list(selected.row_blocks()))
    np.testing.assert_array_equal(found, [0, 3, 9])
    found = np.concatenate(list(appended.row_blocks()))
    np.testing.assert_array_equal(found, [*range(10), 9, 1.5, 3])


# Which pieces are kept.


def counted(pieces, texts, config=CASED):
    tokenizer = WordPieceTokenizer.from_config(Vocabulary(pieces), config)
    counter = PieceCounter(tokenizer, UnknownWords(tokenizer))
    counter.add(["xx"] * len(texts), [text.encode() for text in texts])
    return counter


def kept(pieces, texts, min_count=1, config=CASED):
    counter = counted(pieces, texts, config)
    return [pieces[row] for row in needed_rows(counter, min_count)]


def test_kept_are_the_pieces_given_and_the_characters_in_their_order():
    pieces = ["[PAD]", "[unused1]", *SPECIAL_PIECES[1:]]
    pieces += ["##n", "zoo", "##ab", "Haus", "H", "##H", "a", "n", "z", "##a"]
    assert kept(pieces, ["Haus nab"]) == [
        *SPECIAL_PIECES,
        *["##n", "##ab", "Haus", "H", "##H", "a", "n", "##a"],
    ]


def test_rare_pieces_go_but_no_character():
    pieces = [*SPECIAL_PIECES, "ab", "cd", "x", "##b"]
    assert kept(pieces, ["ab ab cd", "x"], 2) == [
        *SPECIAL_PIECES,
        *["ab", "x", "##b"],
    ]


def test_a_word_that_is_unknown_stays_it():
    """Without "abc" the word would be ab ##cd."""
    pieces = [*SPECIAL_PIECES, "abc", "ab", "##cd", "x", "zzz"]
    texts = ["abcd", "ab", "xcd"]
    assert kept(pieces, texts) == pieces[:-1]
    smaller = WordPieceTokenizer(Vocabulary(p for p in pieces if p != "abc"))
    assert smaller.tokenize(tf.constant(texts))[0].numpy().tolist() == [5, 6]


def test_what_the_tokenizer_makes_of_capitals_is_what_counts():
    pieces = [*SPECIAL_PIECES, "über", "uber", "ub", "u", "ü", "U"]
    assert kept(pieces, ["Über"], config=UNCASED) == [
        *SPECIAL_PIECES,
        *["uber", "u"],
    ]


# Letters and separators, among them those that TF Hub's tokenizer takes
# otherwise: a no-break space, an ideographic one, a zero-width one.
ALPHABET = "abcdÉé中,\u00a0\u3000\u200bก็"


def random_pieces(choose):
    pieces = {
        "##" * choose.randint(0, 1)
        + "".join(choose.choices(ALPHABET, k=choose.randint(1, 4)))
        for _ in range(choose.randint(20, 80))
    }
    return [*SPECIAL_PIECES, "a", *sorted(pieces - {"a"})]


def random_texts(choose, count):
    letters = ALPHABET + "   q"
    return [
        "".join(choose.choices(letters, k=choose.randint(0, 12)))
        for _ in range(count)
    ]


def split(tokenizer, texts):
    rows = tokenizer.tokenize(tf.constant(texts)).to_list()
    pieces = tokenizer.vocabulary.pieces
    return [[pieces[index] for index in row] for row in rows]


@pytest.mark.parametrize("config", [CASED, UNCASED, HUB, UNCASED_HUB])
def test_texts_whose_pieces_are_kept_are_read_as_before(config):
    """Random vocabularies and texts; also texts that were not counted."""
    choose = random.Random(0)
    others, changed, unknown = 0, 0, 0
    for count in (5, 10, 20, 30, 40, 60, 80, 100):
        pieces, texts = random_pieces(choose), random_texts(choose, count)
        counter = counted(pieces, texts, config)
        vocabulary = Vocabulary(pieces[row] for row in needed_rows(counter, 1))
        smaller = WordPieceTokenizer.from_config(vocabulary, config)
        before = split(counter.tokenizer, texts)
        assert split(smaller, texts) == before
        unknown += sum("[UNK]" in row for row in before)
        texts = random_texts(choose, 500)
        have = set(vocabulary.pieces) - {"[UNK]"}
        for old, new in zip(
            split(counter.tokenizer, texts), split(smaller, texts), strict=True
        ):
            if have.issuperset(old):
                others += 1
                assert new == old
            changed += new != old
    # What makes the claims above worth something.
    assert unknown > 100
    assert others > 100
    assert changed > 20


# Pruning.


@pytest.mark.parametrize("config", [CASED, UNCASED, HUB])
def test_pruned_vectors_are_the_same_to_the_last_bit(
    source, texts, tmp_path, config
):
    tokenizer = dataclasses.replace(config, max_length=64)
    source = dataclasses.replace(
        source, config=dataclasses.replace(source.config, tokenizer=tokenizer)
    )
    prune_vocabulary(source, texts, str(tmp_path / "small"))
    # The same model as it was, with this tokenizer.
    resizing._write(
        source,
        source.vocabulary,
        lambda table: table,
        str(tmp_path / "same"),
        "report.json",
        {},
    )
    old, new = labse.load(tmp_path / "same"), labse.load(tmp_path / "small")
    assert new.source.config.tokenizer == tokenizer
    expected = old.encode(TEXTS, batch_size=4)
    np.testing.assert_array_equal(new.encode(TEXTS, batch_size=4), expected)
    # Other texts of the same pieces.
    others = ["world ending hello", "день, день", "世界 3.5 Q", ""]
    np.testing.assert_array_equal(new.encode(others), old.encode(others))
    # A letter that is gone is [UNK] now; the comparison sees it.
    gone = ["ж hello"]
    assert np.abs(new.encode(gone) - old.encode(gone)).max() > 0.01
    assert len({row.tobytes() for row in expected}) == len(TEXTS)


def test_a_pruned_run_and_its_report(source, texts, tmp_path):
    out = tmp_path / "small"
    report = prune_vocabulary(source, texts, str(out))
    assert json.loads((out / "prune_report.json").read_text()) == report
    before, after = source.vocabulary.pieces, pieces_of(out)
    rows = [before.index(piece) for piece in after]
    assert rows == sorted(rows)
    np.testing.assert_array_equal(
        table_of(out), source.weights[WORD_EMBEDDINGS].read()[rows]
    )
    assert report["pieces"] == {"before": len(before), "after": len(after)}
    change = report["parameters"]
    lost = 32 * (len(before) - len(after))
    assert change["before"] - change["after"] == lost > 0
    size = report["megabytes"]["after"]
    assert size == pytest.approx(4 * change["after"] / 1e6, abs=6e-4)
    assert report["files"] == texts.files
    row = report["languages"]["xx"]
    assert row["before"] == row["after"] == report["all"]["before"]
    assert row["before"]["texts"] == 7
    # hello the world , ending | größe und straße | добрый день мир ! |
    # [UNK] 你 好 世 界 こんにちは | hello | [UNK] [UNK] 3 . 5 | two words.
    assert row["before"]["words"] == 5 + 3 + 4 + 6 + 1 + 5 + 2
    assert row["before"]["unknown_words"] == 3
    assert row["before"]["unknown_rate"] == 3 / 26
    notes = json.loads((out / "source.json").read_text())["notes"]
    assert notes[-1] == (
        f"vocabulary: {len(before)} pieces before, {len(after)} after"
    )


def test_a_report_on_other_texts(source, texts, tmp_path):
    other = tmp_path / "other.tsv"
    other.write_text(
        "text\tlanguage\nжук hello\tru\nhello ж\tbe\nhello\ten\n", "utf-8"
    )
    report = prune_vocabulary(
        source, texts, str(tmp_path / "small"), 1, Texts([str(other)])
    )
    assert report["files"] == [str(other)]
    assert list(report["languages"]) == ["be", "en", "ru"]
    rates = {
        name: (row["before"]["unknown_rate"], row["after"]["unknown_rate"])
        for name, row in report["languages"].items()
    }
    assert rates == {"be": (0, 0.5), "en": (0, 0), "ru": (0, 0.5)}
    assert report["languages"]["ru"]["before"]["pieces_per_word"] == 2
    assert report["languages"]["ru"]["after"]["pieces_per_word"] == 1
    assert report["all"]["after"]["unknown_words"] == 2


def test_text_that_needs_no_piece(source, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("Q ϙ QQ\n", "utf-8")
    out = tmp_path / "small"
    message = refusal(
        prune_vocabulary,
        source,
        Texts([str(path)], ReadOptions(language="xx")),
        str(out),
    )
    assert "keeps the pieces that the text needs" in message
    assert "3 words, all [UNK]" in message
    assert sorted(tmp_path.iterdir()) == [path]


def test_an_error_in_the_text_leaves_nothing_behind(source, texts, tmp_path):
    broken = tmp_path / "broken.txt"
    broken.write_bytes(b"hello\n\xff\n")
    out = tmp_path / "small"
    for options in (
        {"texts": Texts([str(broken)], ReadOptions(language="xx"))},
        {
            "texts": texts,
            "report_texts": Texts([str(broken)], ReadOptions(language="xx")),
        },
        {"texts": Texts(texts.files, ReadOptions(language="xx"), ["xx", "sw"])},
    ):
        message = refusal(prune_vocabulary, source, out=str(out), **options)
        assert "broken.txt:2: text is UTF-8" in message or "in sw" in message
        assert not [p for p in tmp_path.iterdir() if p.suffix != ".txt"]


def test_nothing_is_written_over(source, texts, tmp_path):
    out = tmp_path / "small"
    out.mkdir()
    (out / "mine").write_text("x")
    for function, argument in (
        (prune_vocabulary, texts),
        (grow_vocabulary, "none.txt"),
    ):
        message = refusal(function, source, argument, str(out))
        assert message.startswith("out must be a new folder")
    assert [entry.name for entry in out.iterdir()] == ["mine"]


# Growing.


def write_pieces(tmp_path, *pieces):
    path = tmp_path / "new.txt"
    path.write_text("".join(f"{piece}\n" for piece in pieces), "utf-8")
    return str(path)


def test_a_new_piece_starts_from_those_it_replaces(source, tmp_path):
    path = write_pieces(
        tmp_path,
        *["[PAD]", "[unused7]", "helloworld", "##hello", "hello", "ϙa", "##ϙ"],
    )
    out = tmp_path / "large"
    report = grow_vocabulary(source, path, str(out))
    old = source.vocabulary.pieces
    assert pieces_of(out) == (*old, "helloworld", "##hello", "ϙa", "##ϙ")
    before, after = source.weights[WORD_EMBEDDINGS].read(), table_of(out)
    np.testing.assert_array_equal(after[: len(old)], before)

    def mean(*pieces):
        rows = [before[old.index(piece)] for piece in pieces]
        return np.mean(np.array(rows, np.float64), axis=0)

    np.testing.assert_allclose(
        after[len(old) :],
        [
            mean("hello", "##w", "##o", "##r", "##l", "##d"),
            mean("##h", "##e", "##l", "##l", "##o"),
            mean("[UNK]"),
            mean("[UNK]"),
        ],
        atol=1e-7,
    )
    assert json.loads((out / "grow_report.json").read_text()) == report
    assert report["added"] == 4
    assert report["known"] == 1
    assert report["from_unknown"] == 2
    assert report["pieces"] == {"before": len(old), "after": len(old) + 4}
    assert "languages" not in report


def test_texts_without_new_pieces_keep_their_vectors(
    source, small_run, tmp_path
):
    path = write_pieces(tmp_path, "мир", "##нь", "helloQ")
    out = tmp_path / "large"
    grow_vocabulary(source, path, str(out))
    old, new = labse.load(small_run), labse.load(out)
    same = [text for text in TEXTS if "мир" not in text]
    assert len(same) == 6
    np.testing.assert_array_equal(
        new.encode(same, batch_size=2), old.encode(same, batch_size=2)
    )
    other = ["день мир"]
    assert np.abs(new.encode(other) - old.encode(other)).max() > 0.01


def test_a_report_on_growing(source, tmp_path):
    path = write_pieces(tmp_path, "жук", "Q", "##Q")
    text = tmp_path / "text.txt"
    text.write_text("жук QQ\nжуки\n", "utf-8")
    report = grow_vocabulary(
        source,
        path,
        str(tmp_path / "large"),
        Texts([str(text)], ReadOptions(language="ru")),
    )
    row = report["languages"]["ru"]
    # ж ##у ##к | [UNK] | ж ##у ##к ##и, then жук | Q ##Q | жук ##и.
    assert (row["before"]["pieces"], row["after"]["pieces"]) == (8, 5)
    assert (row["before"]["unknown_words"], row["before"]["words"]) == (1, 3)
    assert (row["after"]["unknown_words"], row["after"]["words"]) == (0, 3)


def test_a_piece_that_cannot_come_up_leaves_nothing_behind(source, tmp_path):
    path = write_pieces(tmp_path, "жук", "two words")
    message = refusal(grow_vocabulary, source, path, str(tmp_path / "large"))
    assert "new.txt:2: the model's tokenizer (cased" in message
    assert [entry.name for entry in tmp_path.iterdir()] == ["new.txt"]


# Pre-trainers.


def assert_only_tables_differ(old, new):
    assert new.is_pretrainer
    for name, weight in old.all_weights.items():
        if name not in (WORD_EMBEDDINGS, OUTPUT_BIAS):
            found = new.all_weights[name].read()
            np.testing.assert_array_equal(found, weight.read(), name)


def test_a_pretrainer_is_pruned_with_its_head(pretraining_run, tmp_path):
    old = run_folder.open_run(str(pretraining_run))
    path = tmp_path / "text.txt"
    path.write_text("ac A\n")
    texts = Texts([str(path)], ReadOptions(language="xx"))
    report = prune_vocabulary(old, texts, str(tmp_path / "small"))
    new = run_folder.open_run(str(tmp_path / "small"))
    # Special pieces, a, ##c; c and ##a, the same letters; A.
    rows = [0, 2, 3, 4, 5, 6, 8, 9, 11, 12]
    for name in (WORD_EMBEDDINGS, OUTPUT_BIAS):
        np.testing.assert_array_equal(
            new.all_weights[name].read(), old.all_weights[name].read()[rows]
        )
    assert_only_tables_differ(old, new)
    change = report["parameters"]  # Three rows of eight, and their biases.
    assert change["before"] - change["after"] == 3 * (8 + 1)


def test_a_pretrainer_grows_with_its_head(pretraining_run, tmp_path):
    old = run_folder.open_run(str(pretraining_run))
    path = write_pieces(tmp_path, "acc", "Q")
    grow_vocabulary(old, path, str(tmp_path / "large"))
    new = run_folder.open_run(str(tmp_path / "large"))
    for name in (WORD_EMBEDDINGS, OUTPUT_BIAS):
        before = old.all_weights[name].read()
        after = new.all_weights[name].read()
        np.testing.assert_array_equal(after[:13], before)
        # a ##c ##c; [UNK].
        expected = [(before[6] + 2 * before[11]) / 3, before[2]]
        np.testing.assert_allclose(after[13:], expected, atol=1e-6)
    assert_only_tables_differ(old, new)
