"""Gold files read, looked up in small corpora, and labels by hand."""

import dataclasses
import gzip

import numpy as np
import pytest

from labse.errors import InputError
from labse.files.pair_writer import write_pairs
from labse.files.reading import ReadOptions
from labse.mining.job.corpus_writer import prepare_corpus
from labse.mining.margin import Pairs
from labse.mining.threshold import gold_pairs


@dataclasses.dataclass
class _Place:
    file: str
    line: int
    metadata: dict


class _Corpus:
    """Texts, a blank line first; ids are "a2", of the line."""

    def __init__(self, texts, name="a", files=("a.txt",)):
        self._texts, self._name, self._files = texts, name, files
        self.num_read = len(texts) + 1

    def __len__(self):
        return len(self._texts)

    def texts(self, start, stop):
        assert 0 <= start < stop <= len(self)
        return self._texts[start:stop]

    def place(self, number):
        file = self._files[-1] if number else self._files[0]
        return _Place(file, number + 2, {"id": f"{self._name}{number + 2}"})


_TEXTS = "source\ttarget\n"
_LINES = "source_line\ttarget_line\n"
_SOURCE = _Corpus(["eins", "zwei", "drei"], "de-")
_TARGET = _Corpus(["three", "two", "four", "one"], "en-")


def _write(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


def _found(path):
    gold = gold_pairs.find_gold_pairs(
        gold_pairs.read_gold_file(path), _SOURCE, _TARGET
    )
    return (
        list(zip(gold.sources.tolist(), gold.targets.tolist(), strict=True)),
        gold.num_absent,
    )


def test_texts(tmp_path):
    path = _write(
        tmp_path / "gold.tsv",
        "target\tsource\tnote\none\teins \tx\nthree\tdrei\t\nnine\tneun\ty\n"
        "one\teins\ttwice\n",
    )
    assert _found(path) == ([(0, 3), (2, 0)], 1)


def test_lines_count_from_one_with_blank_ones(tmp_path):
    path = tmp_path / "gold.tsv.gz"
    path.write_bytes(
        gzip.compress(b"source_line\ttarget_line\n2\t5\n1\t2\n4\t2\r\n")
    )
    # Line 1 is blank.
    assert _found(str(path)) == ([(0, 3), (2, 0)], 1)


@pytest.mark.parametrize(
    "name",
    ["g.jsonl.gz", "g.parquet", "g.tfrecord", "g.tmx", "g.de-en.de", "g.zip"],
)
def test_texts_of_every_format(tmp_path, name):
    path = tmp_path / name.replace("g.zip", "g.de-en.zip")
    rows = [("eins ", "one"), ("drei", "three"), ("neun", "nine")]
    languages = {"source_language": "de", "target_language": "en"}
    write_pairs(
        path, [{"source": s, "target": t, **languages} for s, t in rows]
    )
    assert _found(str(path)) == ([(0, 3), (2, 0)], 1)


@pytest.mark.parametrize("name", ["g.jsonl", "g.parquet", "g.tfrecord"])
def test_lines_of_other_formats(tmp_path, name):
    rows = [(2, 5), (1, 2), (4, 2)]
    columns = ("source_line", "target_line")
    rows = [dict(zip(columns, row, strict=True)) for row in rows]
    write_pairs(tmp_path / name, rows)
    assert _found(str(tmp_path / name)) == ([(0, 3), (2, 0)], 1)


def test_a_malformed_row_of_another_format(tmp_path):
    text = '{"source": "eins", "target": "one"}\n{"source": "drei"}\n'
    path = _write(tmp_path / "g.jsonl", text)
    with pytest.raises(InputError, match="g.jsonl:2: a row has the field 'tar"):
        _found(path)


def test_ids_as_bucc_has_them(tmp_path):
    path = _write(tmp_path / "x.gold", "de-2\ten-5\nde-9\ten-2\nde-3\ten-3\n")
    assert _found(path) == ([(0, 3), (1, 1)], 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "gold.tsv is empty"),
        ("\n", "1: gold pairs are a TSV whose header names.*Received: ''"),
        (_TEXTS, "has no gold pairs below"),
        (_TEXTS + "a\n", ":2: a line must have as many columns.* 2. Rec"),
        (_TEXTS + "a\t \n", ":2: neither side of a gold pair may be"),
        ("a\tb\nc\n", ":2: gold pairs are a TSV whose.*Received: 'c'"),
        (_LINES + "0\t1\n", ":2: lines are whole numbers.*'0'"),
        (_LINES + "1\t-2\n", "from 1. Received: '-2'"),
        (_LINES + "1\t²\n", "from 1. Received: '²'"),
        (_TEXTS + "x\ty\n", "of these two corpora. Received 1 pairs by te"),
        (_LINES + "6\t1\n", "source file, which has no more than 5. Rec.*: 6"),
        (_LINES + "1\t7\n", "target file, which has no more than 6. Rec.*: 7"),
    ],
)
def test_files_that_break_a_rule(tmp_path, text, message):
    path = _write(tmp_path / "gold.tsv", text)
    with pytest.raises(InputError, match=message):
        _found(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # Texts of one word each: seen only in the corpora.
        ("zwei\ttwo\n", "these are texts. Begin .* source, a tab, target"),
        ("two\tzwei\n", "these are texts. Begin .* target, a tab, source"),
        ("sechs\ttwo\n", "these are texts. Begin .* source, a tab, target"),
        # Texts of several: seen at once, without the corpora.
        ("eins zwei\tone\n", ":1: Without a header, .* texts. Received: 'eins"),
        ("de-2\ten-5\nde-3\tone two\n", ":2: Without a header, gold pairs"),
        ("1\t2\n3\t4\n", "lines, not ids. .*source_line, a tab, target_line"),
        ("en-5\tde-2\n", "the other way round: exchange source and target"),
        ("x\ty\n", "the field 'id' of the corpora's.*source, a tab, target"),
        (_TEXTS + "one\teins\n", "the other way round: exchange source and"),
        (_TEXTS + "x\ty\n", "Are they of other files"),
        (_LINES + "1\t1\n", "pairs by line.*Are they of other files"),
    ],
)
def test_what_a_file_looks_like(tmp_path, text, message):
    path = _write(tmp_path / "gold.tsv", text)
    with pytest.raises(InputError, match=message) as error:
        _found(path)
    if "other way" not in message:
        assert "exchange" not in str(error.value)


def test_no_file_and_no_utf8(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        gold_pairs.read_gold_file(str(tmp_path / "none.tsv"))
    (tmp_path / "gold.tsv").write_bytes(b"source\ttarget\na\tb\n\xff\tb\n")
    with pytest.raises(InputError, match="gold.tsv:3: text is UTF-8"):
        gold_pairs.read_gold_file(str(tmp_path / "gold.tsv"))


def test_lines_of_several_files(tmp_path):
    path = _write(tmp_path / "gold.tsv", "source_line\ttarget_line\n2\t2\n")
    two = _Corpus(["eins", "zwei"], files=("a.txt", "b.txt"))
    with pytest.raises(InputError, match="need one source file.*a.txt, b.txt"):
        gold_pairs.find_gold_pairs(
            gold_pairs.read_gold_file(path), two, _TARGET
        )


def test_labels_by_hand():
    gold = gold_pairs.GoldPairs(np.array([0, 2]), np.array([3, 0]))
    # Right; its source is known; its target is known; nothing is known; right.
    pairs = Pairs(
        np.array([0, 0, 1, 1, 2]), np.array([3, 1, 3, 2, 0]), np.arange(5.0)
    )
    is_labelled, is_translation = gold.labels(pairs, is_complete=False)
    assert is_labelled.tolist() == [True, True, True, False, True]
    assert is_translation.tolist() == [True, False, False, False, True]
    is_labelled, is_translation = gold.labels(pairs, is_complete=True)
    assert is_labelled.all()
    assert is_translation.tolist() == [True, False, False, False, True]
    nothing = Pairs(*(np.zeros(0, int),) * 2, np.zeros(0))
    assert gold.labels(nothing, is_complete=False)[0].shape == (0,)


def test_in_prepared_corpora(tmp_path):
    # Line 1 of the TSV is its header, line 3 has no text and is left out, line
    # 5 is line 2 again.
    _write(
        tmp_path / "a.tsv",
        "id\ttext\nd1\teins\nd2\t\nd3\tzwei\nd4\teins\nd5\tdrei\n",
    )
    _write(tmp_path / "b.txt", "three\n\none\ntwo\n")
    options = ReadOptions(max_malformed_share=0.2)
    source = prepare_corpus([str(tmp_path / "a.tsv")], tmp_path / "a", options)
    target = prepare_corpus([str(tmp_path / "b.txt")], tmp_path / "b")
    for text in (
        _TEXTS + "eins\tone\ndrei\tthree\nvier\tone\n",
        _LINES + "2\t3\n6\t1\n5\t3\n",
    ):
        path = _write(tmp_path / "gold.tsv", text)
        gold = gold_pairs.find_gold_pairs(
            gold_pairs.read_gold_file(path), source, target
        )
        assert gold.sources.tolist() == [0, 2]
        assert gold.targets.tolist() == [1, 0]
        assert gold.num_absent == 1
    numbers = gold_pairs._numbers(
        gold_pairs.GoldFile("x", "id", ["d3", "d9"], []),
        ["d3", "d9"],
        source,
        "source",
    )
    assert numbers == {"d3": 1}
