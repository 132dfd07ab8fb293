"""The rules of the STS benchmark's files."""

import pytest

from labse.errors import InputError
from labse.evaluation.tasks import sts, sts_files


def _line(score, first, second, more=""):
    return f"main-news\tMSRpar\t2012\t0001\t{score}\t{first}\t{second}{more}\n"


def test_lines_as_the_benchmark_has_them(tmp_path):
    path = tmp_path / "sts-dev.csv"
    path.write_bytes(
        (
            _line("4.25", '"Go," he said.', "It's 5\" long").replace(
                "\n", "\r\n"
            )
            + _line("0", "a\u2028b", "c\x0bd", "\tCC-BY\thttp://x")
        ).encode("utf-8-sig")
    )
    assert sts_files.read_pairs(path) == [
        sts_files.ScoredPair('"Go," he said.', "It's 5\" long", 4.25),
        sts_files.ScoredPair("a\u2028b", "c\x0bd", 0.0),
    ]


@pytest.mark.parametrize(
    "header",
    [
        "index\tgenre\tsentence1\tsentence2\tscore",  # as GLUE's STS-B
        "pair_ID\tentailment\tsentence_A\tsentence_B\trelatedness_score",
        "\ufeffX\tY\tSentence 1\tSentence 2\tSimilarity",
    ],
)
def test_a_header_says_where_the_columns_are(tmp_path, header):
    path = tmp_path / "sts-dev.csv"
    path.write_text(f"{header}\n0\tx\tshe\this\t1.5\n1\ty\ta\tb\t4\n")
    assert sts_files.read_pairs(path) == [
        sts_files.ScoredPair("she", "his", 1.5),
        sts_files.ScoredPair("a", "b", 4.0),
    ]


def test_a_header_over_the_columns_of_the_benchmark(tmp_path):
    path = tmp_path / "sts-dev.csv"
    head = "genre\tfile\tyear\tid\tscore\tsentence1\tsentence2\n"
    lines = _line("1", "a", "b") + _line("2", "c", "d", "\tCC-BY")
    path.write_text(head + lines)
    with_header = sts_files.read_pairs(path)
    path.write_text(lines)
    assert with_header == sts_files.read_pairs(path)
    # A pair whose sentences read like a header is a pair.
    path.write_text(_line("1", "score", "sentence1") + lines)
    assert sts_files.read_pairs(path)[0] == sts_files.ScoredPair(
        "score", "sentence1", 1.0
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("score\tsentence1\tsentence2\n", "no pairs below its header"),
        ("id\tsentence1\tsentence2\n1\ta\tb\n", ":1: a header must name"),
        ("score\tscore\tsentence1\tsentence2\n", "each once. Received: sco"),
        ("score\tsentence1\tsentence2\n1\ta\n", ":2: .*: 2 columns"),
        ("score\tsentence1\tsentence2\na\tb\t1\n", "2: column 1 .*'a'"),
        ("score\tsentence1\tsentence2\n1\ta\t\n", "2: column 3 must hold a"),
        ("a\tb\t1\nc\td\t2\n", ":1: .*below a header that names score"),
        ("", "is empty"),
        ("a\tb\tc\td\t5\tx\n", r":1: .*genre, file.*Received: 6 columns"),
        (_line("1", "x", "y") + _line("high", "x", "y"), ":2: .*'high'"),
        (_line("nan", "x", "y"), ":1: column 5 .* from 0 to 5.*'nan'"),
        (_line("5.1", "x", "y"), ":1: .*'5.1'"),
        (_line("-1", "x", "y"), ":1: .*'-1'"),
        (_line("1", " ", "y"), ":1: column 6 must hold a sentence"),
        (_line("1", "x", ""), ":1: column 7 must hold a sentence"),
        (_line("2.5", "x", "y"), "two different scores.*1 with the score 2.5"),
        (2 * _line("3", "x", "y"), "two different scores.*2 with the score 3"),
    ],
)
def test_files_that_break_a_rule(tmp_path, text, message):
    path = tmp_path / "sts-dev.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"sts-dev\.csv.*{message}"):
        sts.evaluate(_never, tmp_path)


def _never(texts):
    raise AssertionError("the files must be checked before anything is encoded")


def test_other_encodings_and_missing_files(tmp_path):
    path = tmp_path / "sts-dev.csv"
    path.write_bytes(_line("1", "für", "y").encode("latin-1"))
    with pytest.raises(InputError, match=r"sts-dev\.csv:1: .* UTF-8"):
        sts.evaluate(_never, path)
    path.unlink()
    with pytest.raises(InputError, match=r"sts-\*\.csv.*a folder without one"):
        sts.evaluate(_never, tmp_path)
    with pytest.raises(InputError, match="no such path"):
        sts.evaluate(_never, tmp_path / "elsewhere")
