import gzip
import json
import os

import pytest

from data_pipeline.vocabulary import counting_job, word_counts
from labse.bin import build_vocab
from labse.bin.flags import program
from labse.files.reading import ReadOptions
from labse.files.texts import Texts
from labse.preprocessing.vocabulary import Vocabulary

PAIRS = (
    "source\ttarget\tsource_language\ttarget_language\n"
    "Guten Tag, Tag!\tGood day\tde\ten\n"
    "早上\tGood day\tzh\ten\n"
)


def count(path, language=""):
    texts = Texts([path], ReadOptions(language=language))
    counts = word_counts.count_words(texts)
    return {
        name: {word.decode(): n for word, n in words.items()}
        for name, words in counts.items()
    }


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text(PAIRS, encoding="utf-8")
    return path


def test_both_sides_of_pairs_count_under_their_language(pairs):
    assert count(pairs) == {
        "de": {"Guten": 1, "Tag": 2, ",": 1, "!": 1},
        "en": {"Good": 2, "day": 2},
        "zh": {"早": 1, "上": 1},
    }


def test_monolingual_gzip(tmp_path):
    path = tmp_path / "mono.tsv.gz"
    path.write_bytes(
        gzip.compress("language\ttext\nfr\tl'eau\u00a0!\nfr\tl\n".encode())
    )
    assert count(path) == {"fr": {"l": 2, "'": 1, "eau": 1, "!": 1}}


def test_plain_text_is_split_at_line_feeds_only(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("a\u2028b \u200bc\r\na\xff\n".encode())
    assert count(path, "xx") == {"xx": {"a": 1, "b": 1, "c": 1, "aÿ": 1}}


def test_words_of_more_than_100_characters_are_left_out(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("x" * 100 + " " + "y" * 101)
    assert count(path, "xx") == {"xx": {"x" * 100: 1}}


def run(*arguments):
    return program.run(build_vocab, list(arguments), "labse build-vocab")


def test_program(pairs, tmp_path, capsys):
    out = tmp_path / "vocab.txt"
    code = run(
        f"--input={tmp_path}/*.tsv", f"--out={out}", "--vocab_size=42",
        "--unused=1", "--min_count=1", "--smoothing_exponent=0",
    )  # fmt: skip
    assert code == 0
    assert len(Vocabulary.read(out)) == 42
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["language", "words", "share", "smoothed"]
    # 5 German words, 4 English, 2 Chinese.
    assert lines[1].split() == ["de", "5", "45.455%", "33.333%"]
    assert lines[2].split() == ["en", "4", "36.364%", "33.333%"]
    assert lines[3].split() == ["zh", "2", "18.182%", "33.333%"]
    assert lines[4].endswith("vocab.txt: 42 pieces")


def test_report_of_text_that_was_held_out(pairs, tmp_path, capsys):
    held_out = tmp_path / "held_out.tsv"
    held_out.write_text("text\tlanguage\nTag, day\tde\n上海 早\tzh\n")
    code = run(
        f"--input={pairs}", f"--out={tmp_path}/vocab.txt", "--vocab_size=42",
        "--unused=1", "--min_count=1", f"--report_text={held_out}",
    )  # fmt: skip
    assert code == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[-4][-5:] == ["pieces", "per", "word", "per", "character"]
    # "Tag" and "day" are pieces: 3 pieces of 7 characters; 海 is not known.
    assert lines[-3] == ["de", "1", "3", "0", "0.000%", "1.000", "0.4286"]
    assert lines[-2] == ["zh", "1", "3", "1", "33.333%", "1.000", "1.0000"]
    assert lines[-1] == ["all", "2", "6", "1", "16.667%", "1.000", "0.6000"]


def learn(pairs, out, *arguments, vocab_size=42):
    code = run(
        f"--input={pairs.parent}/*.tsv", f"--out={out}", "--unused=1",
        "--min_count=1", f"--vocab_size={vocab_size}", *arguments,
    )  # fmt: skip
    assert code == 0
    return out.read_bytes()


@pytest.mark.parametrize(
    "workers",
    [
        ["--runner=DirectRunner", "--beam=--direct_running_mode=in_memory"],
        pytest.param(["--workers=2"], marks=pytest.mark.slow),
    ],
    ids=["one process", "two processes"],
)
def test_the_same_vocabulary_on_beam(workers, pairs, tmp_path):
    (tmp_path / "more.tsv").write_text("text\tlanguage\nGute Nacht\tde\n")
    expected = learn(pairs, tmp_path / "vocab.txt")
    assert not (tmp_path / "vocab.txt.work").exists()
    out = tmp_path / "beam.txt"
    assert learn(pairs, out, *workers) == expected
    assert (tmp_path / "beam.txt.work/counted/00001/counts.tsv").exists()


def test_large_input_without_beam(pairs, tmp_path, monkeypatch):
    expected = learn(pairs, tmp_path / "vocab.txt")
    monkeypatch.setattr(build_vocab, "_LARGE_INPUT", 10)
    monkeypatch.setattr(counting_job, "has_beam", lambda: False)
    out = tmp_path / "large.txt"
    assert learn(pairs, out) == expected
    assert (tmp_path / "large.txt.work/counted/00000/counts.tsv").exists()


def test_report_as_json(pairs, tmp_path):
    held_out = tmp_path / "held_out.jsonl"
    held_out.write_text(
        '{"text": "Tag, day", "language": "de"}\n', encoding="utf-8"
    )
    path = tmp_path / "report.json"
    learn(
        pairs, tmp_path / "vocab.txt", f"--report={path}",
        f"--report_text={held_out}", "--max_characters=9",
        vocab_size=27,
    )  # fmt: skip
    report = json.loads(path.read_text("utf-8"))
    assert [row["language"] for row in report["languages"]] == [
        "de",
        "en",
        "zh",
    ]
    assert report["languages"][0]["share"] == pytest.approx(5 / 11)
    # The two ideographs come before a third of the Latin letters.
    assert report["scripts"]["CJK"] == {
        "characters": 2, "kept": 2, "share_of_text": 1.0,
    }  # fmt: skip
    assert report["scripts"]["LATIN"]["kept"] < 9
    row = report["held_out"]["de"]
    assert (row["words"], row["pieces"]) == (3, 3)
    assert row["pieces_per_word"] == 1.0


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["--input=none-*.tsv"], "No file matches 'none-*.tsv'"),
        (["--vocab_size=9"], "Received 9. Raise it"),
        (["--min_count=0"], "min_count is at least 1. Received 0"),
        (["--report_text=PAIRS"], "must be held-out text"),
        (["--out=no/folder/v.txt"], "Make the folder no/folder first"),
        (["--out=FOLDER"], "--out is a file. Received a folder"),
        (["--out=PAIRS"], "--out must be another file than the inputs"),
    ],
)
def test_program_errors_write_nothing(
    pairs, tmp_path, capsys, arguments, message
):
    given = {
        "--input": str(pairs),
        "--out": f"{tmp_path}/vocab.txt",
        "--vocab_size": "44",
    }
    content = pairs.read_bytes()
    arguments = [
        text.replace("PAIRS", str(pairs)).replace("FOLDER", str(tmp_path))
        for text in arguments
    ]
    given.update(argument.split("=") for argument in arguments)
    assert run(*(f"{key}={value}" for key, value in given.items())) == 2
    assert message in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["pairs.tsv"]
    assert pairs.read_bytes() == content
