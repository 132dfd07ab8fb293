import gzip
import json

import pytest

from labse.errors import InputError
from labse.files.reading import ReadOptions
from labse.files.texts import Texts, TextsWithCorpora

PAIRS = (
    "source\ttarget\tsource_language\ttarget_language\n"
    "Guten Tag\tGood day\tde\ten\n"
    "早上\tmorning\tzh\ten\n"
)
DE = ReadOptions(language="de")


def write(path, content):
    content = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(content)
    return str(path)


def test_both_sides_of_pairs_in_the_order_of_the_lines(tmp_path):
    path = write(tmp_path / "a.tsv", PAIRS)
    assert list(Texts([path])) == [
        ("de", b"Guten Tag"),
        ("en", b"Good day"),
        ("zh", "早上".encode()),
        ("en", b"morning"),
    ]


def test_rows_of_pairs_and_of_texts(tmp_path):
    """Each row of JSON has its own fields."""
    rows = [
        {"source": "a", "target": "b", "source_language": "x"},
        {"text": "c", "language": "z", "source": "the web"},
        {"source": "e"},
        {"note": "f"},
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    texts = Texts([path], ReadOptions(language="l", max_malformed_share=0.5))
    assert list(texts) == [("x", b"a"), ("und", b"b"), ("z", b"c")]
    assert dict(texts.tally.reasons) == {"without target": 1, "without text": 1}


def test_other_columns_of_a_table(tmp_path):
    path = write(tmp_path / "a.tsv", "id\tsentence\n1\tx\n")
    options = ReadOptions(text_column="sentence", language="de")
    assert list(Texts([path], options)) == [("de", b"x")]
    path = write(tmp_path / "b.tsv", "one\ttwo\nx\ty\n")
    options = ReadOptions(source_column="one", target_column="two")
    assert list(Texts([path], options)) == [("und", b"x"), ("und", b"y")]


@pytest.mark.parametrize(
    "name,content,message",
    [
        ("a.tsv", b"a\tb\n", r"a\.tsv:1: .*header, text, or source and target"),
        ("a.tsv", b"text\tlanguage\nx\ten\ny\n", r"a\.tsv:3: .*2. Received 1"),
        ("a.tsv", b"text\tlanguage\nx\t\n", r"a\.tsv:2: language is empty"),
        ("a.tsv.gz", b"no gzip", r"a\.tsv\.gz: by its name this is a gzip"),
        (
            "a.txt.gz",
            gzip.compress(b"text")[:-9],
            r"\.gz: .*damaged or truncated",
        ),
        ("a.csv", b"x\n", r"a\.csv: \.csv files are not read"),
        ("a.txt", b"gut\nsch\xf6n\n", r"a\.txt:2: text is UTF-8.*0xf6"),
    ],
)
def test_errors_of_files(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(InputError, match=message):
        list(Texts([path], ReadOptions(language="xx")))


def test_a_txt_without_a_language_is_undetermined(tmp_path, caplog):
    path = write(tmp_path / "a.txt", "x\n")
    texts = Texts([path])
    assert list(texts) == list(texts) == [("und", b"x")]
    # Once, though it is read twice.
    assert caplog.text.count("give the language") == 1


def test_texts_are_those_of_the_languages_each_time_anew(tmp_path):
    write(tmp_path / "a.tsv", PAIRS)
    write(tmp_path / "b.txt", "Moin\n \n\n")
    patterns = [f"{tmp_path}/*", f"{tmp_path}/b.txt"]
    texts = Texts(patterns, DE, ["de", "zh"])
    expected = [
        ("de", b"Guten Tag"),
        ("zh", "早上".encode()),
        ("de", b"Moin"),
    ]
    assert list(texts) == expected
    assert list(texts) == expected
    assert len(list(Texts(patterns, DE))) == 5


def test_a_language_without_text(tmp_path):
    path = write(tmp_path / "a.tsv", PAIRS)
    with pytest.raises(
        InputError,
        match=r"No text found in sw, xh in .*a\.tsv.*in: de, en, zh\.",
    ):
        list(Texts([path], None, ["de", "sw", "xh"]))


def test_no_text_at_all(tmp_path):
    path = write(tmp_path / "a.txt", "\n  \n")
    with pytest.raises(
        InputError, match=r"No text found in .*a\.txt.*no language"
    ):
        list(Texts([path], DE))


def test_texts_with_their_corpora(tmp_path):
    rows = [
        {"text": "a", "corpus": "web"},
        {"source": "b", "target": "c", "corpus": "films"},
        {"text": "d"},
        {"text": "e", "corpus": 1},
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    options = ReadOptions(max_malformed_share=0.5)
    texts = TextsWithCorpora([path], options)
    assert list(texts) == [
        ("und", b"a", "web"),
        *(("und", b"b", "films"), ("und", b"c", "films")),
        ("und", b"d", ""),
    ]
    assert dict(texts.tally.reasons) == {"corpus is not text": 1}
    # Where no corpus is wanted, its column may hold anything.
    assert len(list(Texts([path], options))) == 5
