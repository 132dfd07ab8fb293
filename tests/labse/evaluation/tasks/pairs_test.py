import gzip

import numpy as np
import pytest

from labse.errors import InputError
from labse.evaluation.tasks import pairs

_HEADER = "source\ttarget\tsource_language\ttarget_language\n"
_TABLE = (
    _HEADER
    + "dog\tHund\ten\tde\n"
    + "cat\tKatze\ten\tde\n"
    + "kitty\tKatze\ten\tde\n"
    + "cow\tvache\ten\tfr\n"
)
_VECTORS = {
    **{"dog": [1, 0, 0], "cat": [0, 1, 0.1], "kitty": [0, 1, 0]},
    **{"Hund": [1, 0, 0.9], "Katze": [0, 1, 0], "vache": [0, 0, 1]},
    "cow": [0.8, 0, 1],
}


def _encode(texts):
    return np.array([_VECTORS[text] for text in texts], np.float32)


def _values(row) -> dict[str, float]:
    return {name: figure.value for name, figure in row.figures.items()}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "heldout.tsv"
    path.write_text(_TABLE, encoding="utf-8")
    return path


def test_planted_answers(table):
    result = pairs.evaluate(_encode, table, min_pairs=1)
    german, french = result.rows
    assert (german.name, german.num_items) == ("en-de", 2)
    assert german.details == {"source_language": "en", "target_language": "de"}
    # "Hund" finds "cow", a source string of another language's pairs (cosine
    # 0.99 against 0.74 for "dog"); "Katze" finds "kitty", one of its two.
    assert [
        (each.row, each.query, each.found, each.expected)
        for each in result.mistakes
    ] == [("en-de", "Hund", "cow", "dog")]
    assert result.mistakes[0].score == pytest.approx(
        1.7 / np.sqrt(1.81 * 1.64), abs=1e-6
    )
    # Back, the candidates are the two German strings: all three are right.
    assert _values(german) == {
        "target_to_source": 0.5,
        "source_to_target": 1.0,
    }
    assert _values(french) == {
        "target_to_source": 1.0,
        "source_to_target": 1.0,
    }
    assert result.macro_average() == {
        "target_to_source": 0.75,
        "source_to_target": 1.0,
    }


def test_sources_of_other_languages_stay_candidates(table):
    result = pairs.evaluate(_encode, table, ["de"], min_pairs=1)
    assert [row.name for row in result.rows] == ["en-de"]
    assert [each.found for each in result.mistakes] == ["cow"]
    with pytest.raises(InputError, match="Received: it. There are: de, fr"):
        pairs.evaluate(_encode, table, ["it"], min_pairs=1)


def test_languages_with_few_strings_are_shown_but_not_counted(table):
    # German has two distinct strings, though three pairs.
    result = pairs.evaluate(_encode, table, min_pairs=2)
    assert [(row.name, row.counted) for row in result.rows] == [
        ("en-de", True),
        ("en-fr", False),
    ]
    assert result.macro_average()["target_to_source"] == 0.5
    with pytest.raises(InputError, match="at most 2. Hold out more pairs"):
        pairs.evaluate(_encode, table, min_pairs=3)


def test_source_languages_do_not_mix(tmp_path):
    # "chat" is a French source: English queries must not find it.
    path = tmp_path / "heldout.tsv"
    path.write_text(
        _HEADER + "dog\tHund\ten\tde\nchat\tKatze\tfr\tde\n", encoding="utf-8"
    )
    vectors = {"dog": [1, 0], "Hund": [0, 1], "chat": [0, 1], "Katze": [1, 0]}
    result = pairs.evaluate(
        lambda texts: np.array([vectors[text] for text in texts]),
        path,
        min_pairs=1,
    )
    assert [
        (row.name, _values(row)["target_to_source"]) for row in result.rows
    ] == [("en-de", 1.0), ("fr-de", 1.0)]


def test_columns_in_any_order_gzip_and_strange_characters(tmp_path):
    path = tmp_path / "heldout.tsv.gz"
    path.write_bytes(
        gzip.compress(
            "\ufefftarget_language\tnote\tsource\ttarget\tsource_language\r\n"
            'de\t\ta "b\tc\u2028d\ten\r\n'.encode()
        )
    )
    assert pairs.read_pairs(path) == {("en", "de"): [('a "b', "c\u2028d")]}


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "bad.tsv: the file is empty"),
        ("dog\tHund\n", r"tsv:1: .* Received: 'dog \| Hund'"),
        (_HEADER, "There are no pairs in"),
        (
            _HEADER + "a\tb\ten\tde\na\tb\ten\n",
            "tsv:3: .* columns as the header, 4. Received 3",
        ),
        (_HEADER + "a\t \ten\tde\n", "tsv:2: target is empty"),
    ],
)
def test_bad_tables(tmp_path, content, message):
    path = tmp_path / "bad.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        pairs.evaluate(_encode, path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="No file matches .*absent.tsv"):
        pairs.read_pairs(tmp_path / "absent.tsv")
    latin = tmp_path / "latin.tsv"
    latin.write_bytes(b"f\xfcr\n")
    with pytest.raises(InputError, match="latin.tsv:1: text is UTF-8"):
        pairs.read_pairs(latin)
    cut = tmp_path / "cut.tsv.gz"
    cut.write_bytes(gzip.compress(_TABLE.encode())[:-9])
    with pytest.raises(InputError, match="cut.tsv.gz: .* damaged"):
        pairs.read_pairs(cut)
