import json
import os
import platform
import subprocess

import numpy as np
import pytest

from labse.errors import InputError
from labse.files import pair_writer
from labse.files.reading import ReadOptions
from labse.mining import score_pairs
from labse.mining.score_pairs import ScoreCounts
from labse.search import exact_search

TABLE = (
    "id\tsource\ttarget\tsource_language\n"
    "1\tdog\tHund\ten\n"
    "2\tcat\tKatze\ten\n"
    "3\tdog\tKatze\ten\n"
    "4\tcat\tcat\ten\n"
    "5\tdog\tHund\ten\n"
)
VECTORS = {
    "dog": [1, 0],
    "cat": [0, 2],
    "Hund": [3, 4],
    "Katze": [-3, 4],
}


class Encoder:
    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked.append(list(texts))
        return np.array([VECTORS[text] for text in texts], np.float32)


@pytest.fixture
def encoder():
    return Encoder()


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text(TABLE)
    return str(path)


def cells(path):
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def test_cosines_and_all_columns(encoder, table, tmp_path):
    out = tmp_path / "out.tsv"
    counts = score_pairs.score_pairs(encoder, [table], out)
    assert counts == ScoreCounts(5, 5, 0)
    # dog is (1, 0), cat (0, 1), Hund (0.6, 0.8), Katze (-0.6, 0.8).
    assert out.read_text() == (
        "id\tsource\ttarget\tsource_language\tcosine\n"
        "1\tdog\tHund\ten\t0.6\n"
        "2\tcat\tKatze\ten\t0.8\n"
        "3\tdog\tKatze\ten\t-0.6\n"
        "4\tcat\tcat\ten\t1.0\n"
        "5\tdog\tHund\ten\t0.6\n"
    )
    assert encoder.asked == [["dog", "cat", "Hund", "Katze"]]
    assert sorted(os.listdir(tmp_path)) == ["out.tsv", "pairs.tsv"]


def test_the_output_fits_the_input_line_by_line(encoder, tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text(
        "\ufefftarget\tid\tcosine\tsource\r\n\r\nHund\t1\told\tdog\r\n"
        "  \n\nKatze\t\t\tcat\n\n",
        encoding="utf-8",
        newline="",
    )
    out = tmp_path / "out.tsv"
    counts = score_pairs.score_pairs(encoder, [path], out)
    assert counts == ScoreCounts(2, 2, 0, num_malformed=0, num_blank=4)
    # An old score keeps its place; a new one stands behind the columns.
    assert out.read_text() == (
        "target\tid\tcosine\tsource\n\nHund\t1\t0.6\tdog\n"
        "\n\nKatze\t\t0.8\tcat\n\n"
    )
    other = tmp_path / "out.jsonl"
    score_pairs.score_pairs(encoder, [path], other, "ratio", k=1)
    found = [line[:1] for line in other.read_text().split("\n")]
    assert found == ["", "{", "", "", "{", "", ""]


def test_with_a_lowest_score_blank_lines_go_as_well(encoder, tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("source\ttarget\n\ndog\tHund\n\ncat\tKatze\n")
    out = tmp_path / "out.tsv"
    counts = score_pairs.score_pairs(encoder, [path], out, min_score=0.7)
    assert counts == ScoreCounts(2, 1, 1, num_malformed=0, num_blank=2)
    assert out.read_text() == "source\ttarget\tcosine\ncat\tKatze\t0.8\n"


def test_malformed_rows_are_left_out_and_counted(encoder, table, tmp_path):
    with open(table, "a") as file:
        file.write("6\t\tHund\ten\n")
    out = tmp_path / "out.tsv"
    options = ReadOptions(max_malformed_share=0.2)
    counts = score_pairs.score_pairs(encoder, [table], out, options=options)
    assert counts == ScoreCounts(5, 5, 0, num_malformed=1, num_blank=0)
    assert [row["id"] for row in cells(out)] == ["1", "2", "3", "4", "5"]


def test_other_columns_keep_their_names(encoder, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"s": {"en": "dog"}, "n": 1, "t": "Hund"}\n')
    options = ReadOptions(source_column="s.en", target_column="t")
    for scoring in ("absolute", "ratio"):
        out = tmp_path / f"{scoring}.jsonl"
        score_pairs.score_pairs(
            encoder, [path], out, scoring, k=1, options=options
        )
        found = json.loads(out.read_text())
        assert list(found)[:4] == ["s", "n", "t", "cosine"]
        assert (found["s"], found["cosine"]) == ({"en": "dog"}, 0.6)


def test_a_lowest_score_drops_and_counts(encoder, table, tmp_path):
    out = tmp_path / "out.jsonl"
    counts = score_pairs.score_pairs(encoder, [table], out, min_score=0.6)
    # 0.6 as float32 is above 0.6.
    assert counts == ScoreCounts(5, 4, 1)
    kept = [json.loads(line)["id"] for line in out.read_text().splitlines()]
    assert kept == ["1", "2", "4", "5"]


@pytest.mark.parametrize("scoring", ["distance", "ratio"])
@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_margins_by_hand(encoder, table, tmp_path, scoring, chunk, monkeypatch):
    monkeypatch.setattr(score_pairs, "CHUNK_PAIRS", chunk)
    out = tmp_path / "out.tsv"
    score_pairs.score_pairs(encoder, [table], out, scoring, k=2)
    # Sources dog, cat; targets Hund, Katze, cat. Cosines:
    #        Hund  Katze  cat    mean of the two nearest
    #   dog  0.6   -0.6   0      (0.6 + 0) / 2 = 0.3
    #   cat  0.8    0.8   1      (1 + 0.8) / 2 = 0.9
    #   mean 0.7    0.1   0.5
    expected = [
        (0.6, (0.3 + 0.7) / 2),
        (0.8, (0.9 + 0.1) / 2),
        (-0.6, (0.3 + 0.1) / 2),
        (1.0, (0.9 + 0.5) / 2),
        (0.6, (0.3 + 0.7) / 2),
    ]
    rows = cells(out)
    assert list(rows[0]) == [
        *("id", "source", "target", "source_language", "cosine", "margin"),
    ]
    for row, (cosine, mean) in zip(rows, expected, strict=True):
        margin = cosine - mean if scoring == "distance" else cosine / mean
        assert float(row["cosine"]) == pytest.approx(cosine, abs=1e-7)
        assert float(row["margin"]) == pytest.approx(margin, abs=1e-6)
    assert [row["id"] for row in rows] == ["1", "2", "3", "4", "5"]
    # Each distinct text of a side once; "cat" is on both sides.
    asked = [text for texts in encoder.asked for text in texts]
    assert asked == ["dog", "cat", "Hund", "Katze", "cat"]
    assert sorted(os.listdir(tmp_path)) == ["out.tsv", "pairs.tsv"]


def test_a_lowest_margin(encoder, table, tmp_path):
    out = tmp_path / "out.tsv"
    counts = score_pairs.score_pairs(
        encoder, [table], out, "ratio", k=2, min_score=1.3
    )
    # The margins are 1.2, 1.6, -3, 1.43, 1.2.
    assert counts == ScoreCounts(5, 2, 3)
    assert [row["id"] for row in cells(out)] == ["2", "4"]


def test_the_chunks_do_not_matter(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    vectors = random.normal(size=[60, 16]).astype(np.float32)
    pairs = random.integers(0, 60, [200, 2]).tolist()
    path = tmp_path / "pairs.tsv"
    path.write_text(
        "source\ttarget\n" + "".join(f"{a}\t{b}\n" for a, b in pairs)
    )

    def encode(texts):
        return vectors[[int(text) for text in texts]]

    for scoring in ("absolute", "ratio"):
        written = set()
        for number, (rows, size) in enumerate([(7, 10**6), (8192, 20)]):
            monkeypatch.setattr(score_pairs, "CHUNK_PAIRS", rows)
            monkeypatch.setattr(score_pairs, "CHUNK_CHARACTERS", size)
            out = tmp_path / f"{scoring}{number}.tsv.gz"
            score_pairs.score_pairs(encode, [str(path)], out, scoring)
            written.add(out.read_bytes())
        assert len(written) == 1


def test_scores_that_were_there_are_replaced(encoder, tmp_path):
    path = tmp_path / "in.jsonl"
    rows = [
        {"source": "dog", "target": "Hund", "cosine": "old", "margin": 7},
        {"source": "cat", "target": "Katze", "note": ["x", None]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out.jsonl"
    score_pairs.score_pairs(encoder, [str(path)], out)
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {"source": "dog", "target": "Hund", "cosine": 0.6, "margin": 7},
        {
            **{"source": "cat", "target": "Katze", "cosine": 0.8},
            "note": ["x", None],
        },
    ]


def test_many_files_of_many_kinds(encoder, table, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    pair_writer.write_pairs(
        tmp_path / "more.parquet", [{"source": "dog", "target": "dog"}]
    )
    out = tmp_path / "out.parquet"
    inputs = [str(tmp_path / "more.parquet"), table]
    assert score_pairs.score_pairs(encoder, inputs, out).num_kept == 6
    found = parquet.read_table(out).to_pylist()
    assert found[0] == {
        **{"source": "dog", "target": "dog", "source_language": "und"},
        **{"cosine": 1.0, "id": None},
    }
    assert found[1]["cosine"] == np.float32(0.6)


@pytest.mark.parametrize(
    "content,name,message",
    [
        ("source\ttarget\na\tb\n\tb\n", "o.tsv", r"tsv:3: source is empty"),
        ("source\ttarget\n\n", "o.tsv", "There are no pairs in"),
        ("source\ttarget\n", "o.tsv", "There are no pairs in .*pairs.tsv"),
        (
            "source\ttarget\tsource_line\na\tb\tL1\n",
            *("o.jsonl", r"pairs\.tsv:2: .*source_line is a whole number"),
        ),
    ],
)
def test_a_bad_file_is_told_before_anything_is_encoded(
    encoder, table, tmp_path, content, name, message
):
    with open(table, "w") as file:
        file.write(content)
    with pytest.raises(InputError, match=message):
        score_pairs.score_pairs(encoder, [table], tmp_path / name)
    assert encoder.asked == []
    assert os.listdir(tmp_path) == ["pairs.tsv"]


def test_a_tab_in_a_text_is_told_before_anything_is_encoded(encoder, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"source": "a\\tb", "target": "c"}\n')
    with pytest.raises(InputError, match=r"in\.jsonl:1: .*holds neither a tab"):
        score_pairs.score_pairs(encoder, [str(path)], tmp_path / "out.tsv")
    assert encoder.asked == []


def test_k_is_lowered_to_the_sentences_and_said(
    encoder, table, tmp_path, capsys
):
    outputs = []
    for k in (2, 3):  # There are two sources and three targets.
        out = tmp_path / f"{k}.tsv"
        score_pairs.score_pairs(encoder, [table], out, "ratio", k=k)
        outputs.append(out.read_bytes())
    assert outputs[0] == outputs[1]
    told = capsys.readouterr().err
    assert told.count("k is lowered") == 1
    assert "k is lowered from 3 to 2: there are 2 distinct source" in told


def test_no_neighbour(encoder, table, tmp_path):
    with pytest.raises(InputError, match="is at least 1. Received: k=0"):
        score_pairs.score_pairs(
            encoder, [table], tmp_path / "out.tsv", "ratio", k=0
        )
    assert encoder.asked == []


def test_an_output_that_is_there_and_a_wrong_scoring(encoder, table, tmp_path):
    with pytest.raises(InputError, match=r"pairs\.tsv exists\. Delete it"):
        score_pairs.score_pairs(encoder, [table], table)
    with pytest.raises(InputError, match=r"absolute, distance, ratio.*'cos'"):
        score_pairs.score_pairs(encoder, [table], tmp_path / "o.tsv", "cos")


@pytest.mark.parametrize("scoring", ["absolute", "ratio"])
def test_bad_vectors_leave_nothing(table, tmp_path, scoring):
    def encode(texts):
        return np.array([[np.nan, 0]] * len(texts), np.float32)

    with pytest.raises(InputError, match=r"row 0 .*\('dog'\) is not finite"):
        score_pairs.score_pairs(
            encode, [table], tmp_path / "out.tsv", scoring, 2
        )
    with pytest.raises(InputError, match=r"Received: \[1, 2\] for "):
        score_pairs.score_pairs(
            lambda texts: np.ones([1, 2], np.float32),
            *([table], tmp_path / "out.tsv", scoring, 2),
        )
    assert os.listdir(tmp_path) == ["pairs.tsv"]


@pytest.mark.parametrize("scoring", ["absolute", "ratio"])
@pytest.mark.parametrize("change", ["6\tcat\tHund\ten\n", "", "replace"])
def test_a_file_that_changes_while_it_is_read(table, tmp_path, scoring, change):
    """A row more, a row less, and the same number of other rows."""
    encoder = Encoder()

    def encode(texts):
        if not encoder.asked:
            content = TABLE + change
            if change in ("", "replace"):
                content = TABLE[: TABLE.index("5\t")]
            if change == "replace":
                content += "5\tcat\tcat\ten\n"
            with open(table, "w") as file:
                file.write(content)
        return encoder(texts)

    with pytest.raises(InputError, match="must not change while they are read"):
        score_pairs.score_pairs(
            encode, [table], tmp_path / "out.tsv", scoring, 2
        )
    assert os.listdir(tmp_path) == ["pairs.tsv"]


def test_what_a_killed_process_left_is_replaced(
    encoder, table, tmp_path, monkeypatch
):
    out = tmp_path / "out.tsv"
    # The number of a process that has ended.
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = f".out.tsv.{platform.node()}.{ended.pid}.tmp"
    (tmp_path / left).write_text("half")
    score_pairs.score_pairs(encoder, [table], out, "ratio", 1)
    assert sorted(os.listdir(tmp_path)) == ["out.tsv", "pairs.tsv"]
    assert len(cells(out)) == 5
    out.unlink()

    def killed(*arguments):
        # Vectors have no name, and no pair is written yet.
        assert os.listdir(tmp_path) == ["pairs.tsv"]
        raise KeyboardInterrupt

    monkeypatch.setattr(exact_search, "_search", killed)
    with pytest.raises(KeyboardInterrupt):
        score_pairs.score_pairs(encoder, [table], out, "ratio", 1)
    assert os.listdir(tmp_path) == ["pairs.tsv"]
