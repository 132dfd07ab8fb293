"""BUCC's files: what is read of good ones, what is said of bad ones."""

import numpy as np
import pytest

from labse.errors import InputError
from labse.evaluation.tasks import bucc_files


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "de-en.training.de").write_text("de-1\tHund\nde-2\tVogel\n")
    (tmp_path / "de-en.training.en").write_text("en-7\tbird\nen-5\tdog\n")
    (tmp_path / "de-en.training.gold").write_text("de-2\ten-7\nde-1\ten-5\n")
    (tmp_path / "README.txt").write_text("no data")
    return tmp_path


def _read(folder):
    return bucc_files.read_set(folder / "de-en.training.gold")


def test_reads(folder):
    data = _read(folder)
    assert (data.pair, data.split) == ("de-en", "training")
    assert data.sources == ["Hund", "Vogel"]
    assert data.targets == ["bird", "dog"]
    assert data.gold.dtype == np.int64
    np.testing.assert_array_equal(data.gold, [[1, 0], [0, 1]])
    # Different pairs have different keys, the same pair one.
    keys = data.keys(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    assert len(set(keys.tolist())) == 4


def test_lines_of_one_text_are_one(folder):
    path = folder / "de-en.training.en"
    path.write_text("en-7\tbird\nen-5\tdog\nen-6\tbird\n")
    gold = folder / "de-en.training.gold"
    gold.write_text("de-2\ten-6\nde-1\ten-5\nde-2\ten-7\n")
    data = _read(folder)
    assert data.targets == ["bird", "dog"]
    np.testing.assert_array_equal(data.gold, [[1, 0], [0, 1]])


def test_lines_end_only_at_a_line_feed(folder):
    sentence = "eins\u2028zwei\x85drei\tvier"
    text = f"\ufeffde-1\t{sentence}\r\nde-2\t Vogel \r\n"
    (folder / "de-en.training.de").write_bytes(text.encode())
    assert _read(folder).sources == [sentence, " Vogel "]


def test_the_last_line_needs_no_end(folder):
    (folder / "de-en.training.gold").write_text("de-1\ten-5")
    np.testing.assert_array_equal(_read(folder).gold, [[0, 1]])


@pytest.mark.parametrize(
    ("end", "content", "message"),
    [
        ("de", b"", "training.de is empty: .* an id, a tab and a sentence a l"),
        ("en", b"\xef\xbb\xbf", "training.en is empty"),
        ("gold", b"", "training.gold is empty: it must hold .* and an id a l"),
        ("de", b"de-1\tHund\nde-2 Katze\n", ":2: .*ed: 'de-2 Katze'"),
        ("de", b"de-1\tHund\n\nde-2\tVogel\n", ":2: .* Received: ''"),
        ("en", b"en-1\t \n", r":1: .*: 'en-1\\t '. Correct or remove"),
        ("en", b"\tdog\n", ":1: a line must be an id, a tab and a sentenc"),
        ("gold", b"de-1\n", ":1: a line must be an id, a tab and an id. R"),
        (
            "de",
            b"de-1\tHund\nde-2\tKatze\nde-1\tVogel\n",
            ":3: an id must occur once .* 'de-1', which line 1 has too",
        ),
        ("de", b"de-1\tHund\nde-2\t\xff\n", "training.de:2: .* UTF-8"),
        (
            "gold",
            b"de-1\ten-5\nde-1\ten-9\n",
            "gold:2: .*'en-9', which de-en.training.en does not have",
        ),
        (
            "gold",
            b"en-5\tde-1\n",
            "must be an id of de-en.training.de, a tab and an id of de-en.tra"
            ".*'en-5', which de-en.training.de does not",
        ),
    ],
)
def test_files_gone_wrong(folder, end, content, message):
    (folder / f"de-en.training.{end}").write_bytes(content)
    with pytest.raises(InputError, match=message):
        _read(folder)


def test_missing_text(folder):
    (folder / "de-en.training.en").unlink()
    with pytest.raises(InputError, match="training.en is missing: a gold file"):
        _read(folder)


def test_finds_sets(folder):
    gold = folder / "de-en.training.gold"
    assert bucc_files.find_sets(folder) == ([gold], [])
    assert bucc_files.source_language(gold) == "de"
    # Text alone, as the task's own test set.
    (folder / "zh-en.test.zh").write_text("zh-1\t...\n")
    # Of no language of the pair, and no pair at all.
    (folder / "de-en.training.fr").write_text("")
    (folder / "deen.training.gold").write_text("")
    assert bucc_files.find_sets(folder) == ([gold], ["zh-en.test"])


def test_finds_nothing(folder):
    (folder / "de-en.training.gold").unlink()
    with pytest.raises(InputError, match="with no .gold file. It is available"):
        bucc_files.find_sets(folder)
    with pytest.raises(InputError, match="nowhere, not a folder"):
        bucc_files.find_sets(folder / "nowhere")


def test_real_files(data_set):
    folder = data_set("bucc_made")
    paths, without_gold = bucc_files.find_sets(folder)
    assert not without_gold
    sets = [bucc_files.read_set(path) for path in paths]
    # The counts of its README; no text stands twice in a file.
    assert [
        (each.pair, len(each.sources), len(each.targets), len(each.gold))
        for each in sets
    ] == [
        ("de-en", 18180, 18180, 1059),
        ("fr-en", 10367, 10367, 604),
        ("ru-en", 13840, 13841, 806),
        ("zh-en", 7384, 7385, 430),
    ]
