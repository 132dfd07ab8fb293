"""`labse mine` and `labse paraphrases` from the command line."""

import csv
import json
import pathlib
import random
import sys
import textwrap

import numpy as np
import pytest

from labse.bin import mine, paraphrases
from labse.bin.flags import program

NUM_LINES = 600
WORDS = [a + b + "o" for a in "bcdfghklmnprstvwxyzq" for b in "aeiouäëïöüáé"]
ENCODER = textwrap.dedent(
    """
    import functools, zlib
    import numpy as np

    @functools.lru_cache(None)
    def word(text):
        seed = zlib.crc32(text.lower().encode())
        return np.random.default_rng(seed).normal(size=24)

    def encode(texts):
        return np.stack(
            [sum(map(word, t.split()), word("")) for t in texts]
        ).astype(np.float32)

    def encode_badly(texts):
        vectors = encode(texts)
        vectors[3] = np.nan
        return vectors
    """
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Line i of a.txt is translated by line order[i] of b.txt."""
    generator = random.Random(1)
    source = [" ".join(generator.choices(WORDS, k=8)) for _ in range(NUM_LINES)]
    order = list(range(NUM_LINES))
    generator.shuffle(order)
    target = [""] * NUM_LINES
    for line, place in enumerate(order):
        words = source[line].split()
        # The longer ago, the worse translated; the last not at all.
        kept = 7 - 8 * line // NUM_LINES
        words[kept:] = generator.choices(WORDS, k=8 - kept)
        target[place] = " ".join([*words, "n"])
    (tmp_path / "a.txt").write_text("\n".join(source) + "\n")
    (tmp_path / "b.txt").write_text("\n".join(target) + "\n")
    with open(tmp_path / "gold.tsv", "w") as file:
        file.write("source_line\ttarget_line\n")
        for line, place in enumerate(order[: NUM_LINES * 5 // 8]):
            file.write(f"{line + 1}\t{place + 1}\n")
    (tmp_path / "words_of_mine.py").write_text(ENCODER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments, out="pairs.tsv", model="encode", of=mine):
    sides = ["--source=a.txt", "--target=b.txt"]
    if of is paraphrases:
        sides = ["--input=a.txt"]
    return program.run(
        of,
        [f"--model=python:words_of_mine.{model}", *sides, *arguments]
        + [f"--out={out}"] * ("--out=" not in "".join(arguments)),
        "labse mine",
    )


def rows(path="pairs.tsv"):
    with open(path, encoding="utf-8", newline="") as file:
        return list(
            csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        )


def gold_lines():
    return {
        (row["source_line"], row["target_line"]) for row in rows("gold.tsv")
    }


def precision_of(found):
    gold = gold_lines()
    return np.mean(
        [(row["source_line"], row["target_line"]) in gold for row in found]
    )


def test_mines_and_tells(folder, capsys):
    assert run() == 0
    found = rows()
    assert {row["source_language"] for row in found} == {"und"}
    margins = [float(row["margin"]) for row in found]
    assert margins == sorted(margins, reverse=True) and margins[-1] >= 1.06
    manifest = json.loads(pathlib.Path("pairs.tsv.manifest.json").read_text())
    counts = manifest["candidates"]
    assert counts["written"] == len(found)
    assert counts["candidates"] == sum(
        value for name, value in counts.items() if name != "candidates"
    )
    assert manifest["sides"]["source"]["sentences"] == NUM_LINES
    told = capsys.readouterr().err
    assert f"{len(found):,} pairs in pairs.tsv" in told
    assert "Search: exact" in told


def test_near_copies_go_on_request(folder, capsys):
    pathlib.Path("a.txt").write_text("Chapter 1\nChapter 2\nDelete\n")
    pathlib.Path("b.txt").write_text("Chapter 1 n\nchapter 2 n\nDelete n\n")
    flags = ("--scoring=absolute", "--k=2", "--min_score=-1")
    assert run(*flags) == 0
    assert len(rows()) == 3
    assert "near copies" not in capsys.readouterr().err
    again = ("--work=pairs.tsv.work", "--dedup=digits")
    assert run(*flags, *again, out="few.tsv") == 0
    assert [row["source_line"] for row in rows("few.tsv")] == ["1", "3"]
    told = capsys.readouterr().err
    assert "1 near copies of better ones (dedup: digits)" in told
    manifest = json.loads(pathlib.Path("few.tsv.manifest.json").read_text())
    assert manifest["dedup"] == "digits"
    assert manifest["candidates"]["near_duplicates"] == 1


def test_paraphrases_keep_near_copies_unless_told(folder):
    pathlib.Path("a.txt").write_text("Point 1\nPoint 2\nPoint 3\n")
    assert run("--k=2", "--min_score=-1", of=paraphrases) == 0
    assert len(rows()) == 3  # of three sentences
    flags = ("--k=2", "--min_score=-1", "--dedup=digits")
    assert run(*flags, of=paraphrases, out="few.tsv") == 0
    assert len(rows("few.tsv")) == 1


def test_another_threshold_encodes_nothing_again(folder):
    assert run() == 0
    pathlib.Path("words_of_mine.py").write_text("encode = None")
    sys.modules.pop("words_of_mine")
    flags = ("--min_score=1.2", "--steps=select", "--work=pairs.tsv.work")
    assert run(*flags, out="few.tsv") == 0
    assert 0 < len(rows("few.tsv")) < len(rows())


def test_steps_one_by_one_are_the_same_as_all(folder):
    assert run(out="all.tsv") == 0
    for step in ("read", "embed", "index", "search", "score", "select"):
        assert run(f"--steps={step}", "--work=w", out="steps.tsv") == 0
    assert rows("all.tsv") == rows("steps.tsv")


@pytest.mark.parametrize("ending", ["tsv.gz", "jsonl", "parquet"])
def test_other_files_hold_the_same(folder, ending):
    assert run() == 0
    assert run("--work=pairs.tsv.work", out=f"pairs.{ending}") == 0
    from labse.files.pairs import PairFiles

    one, other = (
        [row.fields["source"] for row in PairFiles([name])]
        for name in ("pairs.tsv", f"pairs.{ending}")
    )
    assert one == other


def test_precision_by_gold_pairs_is_kept(folder, capsys):
    flags = ["--gold=gold.tsv", "--gold_is_complete"]
    assert run("--min_precision=0.95", *flags) == 0
    found = rows()
    # Expected of all such sets; of these 128 pairs it is somewhat less.
    assert precision_of(found) >= 0.9 and len(found) > 100
    chances = [float(row["probability"]) for row in found]
    assert np.mean(chances) >= 0.95
    assert chances == sorted(chances, reverse=True)
    assert "% of 375 gold pairs" in capsys.readouterr().err
    assert pathlib.Path("pairs.tsv.precision.svg").stat().st_size > 500


def test_an_approximate_index_finds_nearly_the_same(folder, capsys):
    pytest.importorskip("faiss")
    assert run(out="exact.tsv") == 0
    outputs = []
    for shards in (1, 3):
        out = f"sq8-{shards}.tsv"
        flags = ("--index=sq8", "--chunk=64", f"--shards={shards}")
        assert run(*flags, out=out) == 0
        outputs.append(pathlib.Path(out).read_bytes())
    assert outputs[0] == outputs[1]
    told = capsys.readouterr().err
    assert "% of the exact neighbours" in told and "sq8" in told

    def lines(path):
        return {(row["source"], row["target"]) for row in rows(path)}

    common = lines("exact.tsv") & lines("sq8-1.tsv")
    assert len(common) >= 0.95 * len(lines("exact.tsv"))


def test_all_candidates_of_an_approximate_index(folder):
    pytest.importorskip("faiss")
    flags = ("--index=sq8", "--retrieval=all", "--k=3")
    assert run(*flags) == 0
    found = rows()
    assert [row["rank"] for row in found] == ["1", "2", "3"] * NUM_LINES
    assert [int(row["source_line"]) for row in found[::3]] == list(
        range(1, NUM_LINES + 1)
    )


def test_paraphrases(folder):
    lines = pathlib.Path("a.txt").read_text().splitlines()
    lines.append(" ".join(reversed(lines[0].split())))
    pathlib.Path("a.txt").write_text("\n".join(lines))
    assert run(of=paraphrases) == 0
    best = rows()[0]
    assert (best["source_line"], best["target_line"]) == ("1", "601")
    assert float(best["cosine"]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("files", "flags", "message"),
    [
        ({"a.txt": b""}, [], "a.txt"),
        ({"a.txt": b"\n \n"}, [], "a.txt"),
        ({"a.txt": b"one\nt\xffwo\n"}, [], "a.txt:2"),
        ({}, ["--source=nothing.txt"], "nothing.txt"),
        ({}, ["--steps=embed,fly"], "fly"),
        ({}, ["--scoring=distance"], "Give min_score"),
        ({}, ["--min_precision=0.9"], "Received no gold"),
        (
            {},
            ["--min_precision=0.9", "--gold=gold.tsv", "--retrieval=all"],
            "'all' keeps every candidate. Received both",
        ),
        ({}, ["--min_precision=1.5", "--gold=gold.tsv"], "1.5"),
        ({}, ["--min_precision=0.9", "--min_score=1"], "Received both"),
        ({}, ["--steps=score"], "Run the step"),
        ({}, ["--gold=gold.tsv"], "no min_precision"),
        ({}, ["--min_score=nan"], "nan"),
        ({"pairs.tsv": b"one\n"}, ["--source=pairs.tsv"], "for both"),
        ({}, ["--out=no_such_folder/pairs.tsv"], "a folder that exists"),
        ({}, ["--runner=NoSuchRunner"], "NoSuchRunner"),
        ({"words_of_mine.py": b"def (:"}, [], "could not be imported"),
    ],
)
def test_bad_input_is_one_clear_error(folder, capsys, files, flags, message):
    sys.modules.pop("words_of_mine", None)
    for name, content in files.items():
        pathlib.Path(name).write_bytes(content)
    assert run(*flags) == program.USAGE_EXIT_CODE
    told = [
        line
        for line in capsys.readouterr().err.splitlines()
        if line.startswith("labse mine: ")
    ]
    assert len(told) == 1 and message in told[0]
    if "pairs.tsv" not in files:
        assert not pathlib.Path("pairs.tsv").exists()


def test_k_is_lowered_to_the_sentences(folder, capsys):
    # The ratio of the only source is 1 with each of its choices, or less.
    pathlib.Path("a.txt").write_text("one\n")
    assert run("--min_score=-9") == 0
    assert len(rows()) == 1
    told = capsys.readouterr().err
    assert told.count("k is lowered") == 1
    assert "k is lowered from 4 to 1: the source side has 1 sentence" in told
    manifest = json.loads(pathlib.Path("pairs.tsv.manifest.json").read_text())
    assert manifest["settings"]["k"] == 1
    # A step alone finds the files of the lowered k.
    assert run("--min_score=-9", "--steps=select") == 0


PLANE = textwrap.dedent(
    """
    import numpy as np

    VECTORS = {
        "east": (1, 0), "north": (0, 1), "between": (0.8, 0.6),
        "Ost": (1, 0), "Nordost": (0.6, 0.8),
    }

    def encode(texts):
        return np.array([VECTORS[text] for text in texts], np.float32)
    """
)


@pytest.fixture
def plane(tmp_path, monkeypatch):
    """Sources and targets with vectors in a plane; "north" is in both."""
    (tmp_path / "vectors_in_a_plane.py").write_text(PLANE)
    (tmp_path / "a.txt").write_text("east\nnorth\nbetween\n")
    (tmp_path / "b.txt").write_text("Ost\nNordost\nnorth\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("vectors_in_a_plane", None)

    def mine_all(*arguments, out="pairs.tsv"):
        fixed = ["--model=python:vectors_in_a_plane.encode", "--k=2"]
        fixed += ["--source=a.txt", "--target=b.txt", "--retrieval=all"]
        return program.run(
            mine, [*fixed, f"--out={out}", *arguments], "labse mine"
        )

    return mine_all


# Cosines:        Ost  Nordost  north   mean of the two nearest
#   east          1      0.6     0      0.8
#   north         0      0.8     1      0.9
#   between       0.8    0.96    0.6    0.88
# mean of the two 0.9    0.88    0.8
ALL_PAIRS = [
    ("east", "Ost", 1.0, 0.85),  # (0.8 + 0.9) / 2
    ("east", "Nordost", 0.6, 0.84),
    ("north", "north", 1.0, 0.85),
    ("north", "Nordost", 0.8, 0.89),
    ("between", "Nordost", 0.96, 0.88),
    ("between", "Ost", 0.8, 0.89),
]


@pytest.mark.parametrize("scoring", ["absolute", "distance", "ratio"])
@pytest.mark.parametrize("ending", ["tsv", "parquet"])
def test_all_candidates_are_written(plane, scoring, ending):
    assert plane(f"--scoring={scoring}", out=f"pairs.{ending}") == 0
    from labse.files.pairs import PairFiles

    found = [row.fields for row in PairFiles([f"pairs.{ending}"])]
    assert [(row["source"], row["target"]) for row in found] == [
        pair[:2] for pair in ALL_PAIRS
    ]
    assert [int(row["rank"]) for row in found] == [1, 2, 1, 2, 1, 2]
    for row, (*_, cosine, mean) in zip(found, ALL_PAIRS, strict=True):
        margin = cosine - mean if scoring == "distance" else cosine / mean
        assert float(row["cosine"]) == pytest.approx(cosine)
        assert float(row["margin"]) == pytest.approx(margin)


def test_all_candidates_from_a_lowest_score_on(plane, capsys):
    assert plane("--scoring=absolute", "--min_score=0.9") == 0
    assert [(row["source"], row["rank"]) for row in rows()] == [
        ("east", "1"),
        ("north", "1"),
        ("between", "1"),
    ]
    assert "6 candidates: 3 below 0.9," in capsys.readouterr().err
    # Without it, from the same candidates.
    assert plane("--scoring=absolute", "--steps=select") == 0
    assert len(rows()) == 6
    assert "6 candidates: 0 of equal texts" in capsys.readouterr().err
    manifest = json.loads(pathlib.Path("pairs.tsv.manifest.json").read_text())
    assert manifest["min_score"] is None


def test_a_file_of_the_users_is_not_replaced(plane, tmp_path, capsys):
    (tmp_path / "pairs.tsv").write_text("source\ttarget\nmine\tmein\n")
    assert plane("--scoring=absolute") == 2
    assert "out must be a new file, or one that" in capsys.readouterr().err
    assert "mein" in (tmp_path / "pairs.tsv").read_text()
    (tmp_path / "pairs.tsv").unlink()
    for score in (0.9, 0.5):  # Its own is.
        assert plane("--scoring=absolute", f"--min_score={score}") == 0


def test_all_candidates_step_by_step_and_in_shards(folder):
    assert run("--retrieval=all", out="whole.tsv") == 0
    assert len(rows("whole.tsv")) == 4 * NUM_LINES
    for step in ("read", "embed", "index", "search", "score", "select"):
        flags = ["--work=w", "--chunk=64", "--shards=3", "--retrieval=all"]
        assert run(f"--steps={step}", *flags, out="steps.tsv") == 0
    contents = [
        pathlib.Path(name).read_bytes() for name in ("whole.tsv", "steps.tsv")
    ]
    assert contents[0] == contents[1]
    # The pairs of "max" are among them, but for choices of targets alone.
    assert run(out="max.tsv") == 0
    every = {(row["source"], row["target"]) for row in rows("whole.tsv")}
    best = {(row["source"], row["target"]) for row in rows("max.tsv")}
    assert len(best - every) <= 0.05 * len(best)


def test_a_bad_vector_names_its_sentence(folder, capsys):
    assert run(model="encode_badly") == program.USAGE_EXIT_CODE
    line = pathlib.Path("a.txt").read_text().splitlines()[3]
    assert f"{line!r}) is not finite" in capsys.readouterr().err


def test_candidates_of_other_texts_are_not_selected(folder, capsys):
    assert run() == 0
    lines = pathlib.Path("a.txt").read_text().splitlines()
    pathlib.Path("a.txt").write_text("\n".join(reversed(lines)))
    assert run() == program.USAGE_EXIT_CODE  # Reads, and refuses to embed.
    assert run("--steps=select") == program.USAGE_EXIT_CODE
    assert "was made from other texts" in capsys.readouterr().err


def test_vectors_that_float16_cannot_hold_are_told(folder, capsys):
    pathlib.Path("words_of_mine.py").write_text(
        ENCODER + "\nencode_big = lambda texts: 1e6 * encode(texts)\n"
    )
    sys.modules.pop("words_of_mine", None)
    flags = ["--vectors=float16"]
    assert run(*flags, model="encode_big") == program.USAGE_EXIT_CODE
    assert "float16 can hold" in capsys.readouterr().err


def test_an_edited_function_is_another_model(folder, capsys):
    assert run() == 0
    pathlib.Path("words_of_mine.py").write_text(ENCODER + "\n# edited\n")
    sys.modules.pop("words_of_mine", None)
    assert run() == program.USAGE_EXIT_CODE
    assert "set restart" in capsys.readouterr().err


def test_vowel_signs_tell_texts_apart():
    from labse.mining.select_pairs import _key

    assert _key("मेरा", "x", False) != _key("मेरी", "x", False)
    assert _key("मेरा", "x", True) != _key("मेरी", "x", True)
    assert _key("Mine: 12!", "x", True) == _key("mine 7", "X", True)


def test_a_changed_model_is_told_and_restart_goes_on(folder, capsys):
    assert run() == 0
    pathlib.Path("words_of_mine.py").write_text(
        ENCODER + "\nencode_twice = lambda texts: 2 * encode(texts)\n"
    )
    sys.modules.pop("words_of_mine", None)
    assert run(model="encode_twice") == program.USAGE_EXIT_CODE
    assert "set restart" in capsys.readouterr().err
    assert run("--restart", model="encode_twice") == 0
