"""`labse.mine`, with vectors in a plane and with a model."""

import json
import pathlib
import pickle

import numpy as np
import pytest

import labse
from labse.errors import InputError
from labse.mining.job import units
from labse.mining.job.mining_job import MiningJob
from labse.mining.job.settings import EXACT, Settings, TextSource
from labse.mining.job.steps import phases, run_step
from labse.mining.mine import MinedPair

VECTORS = {
    "east": (1, 0),
    "north": (0, 1),
    "between": (0.8, 0.6),
    "Ost": (1, 0),
    "Nordost": (0.6, 0.8),
    "Nord": (0, 1),
}


def encode(texts):
    return np.array([VECTORS[text] for text in texts], np.float32)


class Model:
    """What has a method encode."""

    fingerprint = "in the plane"

    def encode(self, texts):
        return encode(texts)


SOURCE = ["east", "north", "between"]
TARGET = ["Ost", "Nordost", "Nord"]


@pytest.mark.parametrize("model", [encode, Model()])
def test_lists_in_pairs_out(model):
    found = labse.mine(model, SOURCE, TARGET, k=2, scoring="absolute")
    # Cosines: east 1, .6, 0; north 0, .8, 1; between .8, .96, .6.
    assert [(pair.source, pair.target) for pair in found] == [
        ("east", "Ost"),
        ("north", "Nord"),
        ("between", "Nordost"),
    ]
    assert [pair.cosine for pair in found] == pytest.approx([1, 1, 0.96])
    # Means of the two nearest: .8, .9, .88 and .9, .88, .8.
    assert [pair.margin for pair in found] == pytest.approx(
        [1 / 0.85, 1 / 0.85, 0.96 / 0.88]
    )
    assert found[2] == MinedPair(
        source="between",
        target="Nordost",
        cosine=found[2].cosine,
        margin=found[2].margin,
        source_line=3,
        target_line=2,
        source_language="und",
        target_language="und",
        source_file="",
        target_file="",
        source_metadata={},
        target_metadata={},
    )


def test_the_paraphrases_of_one_list():
    found = labse.mine(
        encode, ["east", "Ost", "north"], k=1, scoring="absolute"
    )
    assert [(pair.source_line, pair.target_line) for pair in found] == [(1, 2)]


UI = {
    "Chapter 1": (1, 0, 0),
    "Kapitel 1": (1, 0, 0),
    "Chapter 2": (0, 1, 0),
    "Kapitel 2": (0, 1, 0),
    "Delete": (0, 0.6, 0.8),
    "Löschen": (0, 0, 1),
    "CHAPTER 2.": (0.6, 0.8, 0),
    "KAPITEL 2.": (0.64, 0.768, 0),
}


@pytest.mark.parametrize(
    "dedup, lines",
    [
        ({}, [1, 2, 3, 4]),
        ({"dedup": "none"}, [1, 2, 3, 4]),
        ({"dedup": "punctuation"}, [1, 2, 3]),
        ({"dedup": "digits"}, [1, 3]),
    ],
)
def test_near_copies_are_dropped_on_request(dedup, lines, tmp_path):
    texts = list(UI)
    found = labse.mine(
        lambda some: np.array([UI[text] for text in some]),
        texts[0::2],
        texts[1::2],
        tmp_path / "pairs.jsonl",
        **{"scoring": "absolute", "k": 2, "min_score": -1} | dedup,
    )
    rows = [
        json.loads(line)
        for line in (tmp_path / "pairs.jsonl").read_text().splitlines()
    ]
    assert sorted(row["source_line"] for row in rows) == lines
    assert all(row["target_line"] == row["source_line"] for row in rows)
    assert found.counts.near_duplicates == 4 - len(lines)


def test_ranks_of_all_candidates():
    found = labse.mine(encode, SOURCE, TARGET, k=2, retrieval="all")
    assert [pair.rank for pair in found] == [1, 2, 1, 2, 1, 2]
    assert [pair.target for pair in found[4:]] == ["Nordost", "Ost"]


def test_files_in_and_out(tmp_path):
    (tmp_path / "a.txt").write_text("east\nnorth\n\nbetween\n")
    for name, text in (("b1", "Ost"), ("b2", "Nordost\nNord")):
        (tmp_path / f"{name}.txt").write_text(text)
    out = tmp_path / "pairs.jsonl"
    summary = labse.mine(
        encode,
        tmp_path / "a.txt",
        [tmp_path / "b1.txt", tmp_path / "b2.txt"],
        out,
        k=2,
        scoring="absolute",
        min_score=0.97,
        source_language="en",
        target_language="de",
    )
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["source"], row["target"]) for row in rows] == [
        ("east", "Ost"),
        ("north", "Nord"),
    ]
    assert rows[0]["target_language"] == "de"
    assert summary.num_pairs == 2 and summary.counts.below_min_score == 1
    assert summary.sides["source"]["blank"] == 1
    assert summary.index == EXACT and summary.out == str(out)
    # Only the pairs and their manifest are left.
    assert {path.name for path in tmp_path.iterdir()} == {
        *("a.txt", "b1.txt", "b2.txt"),
        *("pairs.jsonl", "pairs.jsonl.manifest.json"),
    }
    # A glob is the same.
    found = labse.mine(
        encode, str(tmp_path / "a.txt"), str(tmp_path / "b*.txt"), k=2
    )
    assert found[0].source_file == str(tmp_path / "a.txt")


def test_a_file_of_pairs_of_two_lists_names_no_files(tmp_path):
    out = tmp_path / "pairs.jsonl"
    labse.mine(encode, SOURCE, TARGET, out, k=2, scoring="absolute")
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert {row["source_file"] for row in rows} == {""}
    assert {row["target_file"] for row in rows} == {""}


def test_a_work_folder_is_used_again(tmp_path):
    given = dict(k=2, scoring="absolute", work=tmp_path, fingerprint="v1")
    first = labse.mine(encode, SOURCE, TARGET, **given)

    def refuse(texts):
        raise AssertionError("encoded again")

    again = labse.mine(refuse, SOURCE, TARGET, **given, min_score=0.97)
    assert again == first[:2]
    with pytest.raises(InputError, match='model was "v1" and is "v2"'):
        labse.mine(encode, SOURCE, TARGET, **given | {"fingerprint": "v2"})


def test_progress_is_shown_on_request(capsys):
    labse.mine(encode, SOURCE, TARGET, k=2)
    assert capsys.readouterr().err == ""
    labse.mine(encode, SOURCE, TARGET, k=2, show_progress=True)
    assert "Search: exact" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": []}, r"source must be a list of sentences.*Received: \[\]"),
        ({"target": [1]}, r"target must be a list of sent.*Received: \[1\]"),
        ({"model": 3}, "model must have a method encode.*Received: 3"),
        ({"scoring": "distance"}, "Give min_score"),
        ({"scoring": "cosine"}, "scoring must be one of"),
        ({"min_precision": 0.9}, "Received no gold"),
        ({"gold": "gold.tsv"}, "Received no min_precision"),
        ({"work": "w"}, "Give fingerprint"),
        ({"out": "no_such_folder/a.tsv"}, "folder that exists"),
        (
            {"source": None},
            r"source must be a list of sent.*Received: \[None\]",
        ),
        ({"k": 2.5}, r"k must be 1 or more, a whole number. Received: 2\.5"),
        ({"work": __file__, "fingerprint": "a"}, "work must be a folder"),
        (
            {
                "model": lambda texts: encode(texts)[:, : len(texts) - 1],
                "target": TARGET[:2],
            },
            r"one vector for each text, \[\d, \d\]. Received",
        ),
        ({"source": ["one"], "target": None}, "Received: one sentence"),
        ({"min_score": "1.1"}, "min_score must be a number. Received: '1.1'"),
        ({"min_precision": "0.9"}, "min_precision must be a number. Received"),
        ({"dedup": "yes"}, "dedup must be one of none, punctuation, digits. R"),
        ({"dedup": "digits", "retrieval": "all"}, "leave out dedup"),
        ({"max_hours": True}, "max_hours must be a number. Received: True"),
        ({"out": 3}, "out must be a path. Received: 3"),
        ({"work": 1.5}, "work must be a path. Received: 1.5"),
        ({"gold": ["a.tsv"]}, r"gold must be a path. Received: \['a.tsv'\]"),
    ],
)
def test_bad_input(change, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"model": encode, "source": SOURCE, "target": TARGET} | change
    with pytest.raises(InputError, match=message):
        labse.mine(**given)


def test_a_file_of_the_users_is_not_replaced(tmp_path):
    out = tmp_path / "pairs.tsv"
    out.write_text("source\ttarget\nmine\tmein\n")
    with pytest.raises(InputError, match="out must be a new file"):
        labse.mine(encode, SOURCE, TARGET, out, k=2)
    assert "mein" in out.read_text()


def test_a_model_of_a_run(small_run, tmp_path):
    texts = ["hello", "world", "the"]
    given = dict(scoring="absolute", min_score=-1, keep_identical=True)
    found = labse.mine(str(small_run), texts, texts, k=2, **given)
    assert {(pair.source, pair.target) for pair in found} == {
        (text, text) for text in texts
    }
    model = labse.load(small_run)
    assert labse.mine(model, texts, texts, k=2, **given) == found
    out = tmp_path / "pairs.tsv"
    summary = labse.mine(model, texts, ["the " * 600], out, k=1, **given)
    assert [s["truncated"] for s in summary.sides.values()] == [0, 1]
    assert summary.sides["target"]["max_length"] == model.max_length


def test_truncated_texts_of_a_model_are_counted(small_run, tmp_path):
    long = "the world " * 100
    summary = labse.mine(
        *(labse.load(small_run), ["hello", long], ["world", "the"]),
        *(tmp_path / "pairs.tsv",),
        min_score=-1,
    )
    assert summary.sides["source"]["truncated"] == 1
    assert summary.sides["source"]["max_length"] == 64


def test_units_can_be_pickled_and_run_elsewhere(tmp_path):
    (tmp_path / "a.txt").write_text("east\nnorth\nbetween\n")
    (tmp_path / "b.txt").write_text("Ost\nNordost\nNord\n")
    job = MiningJob(
        tmp_path / "work",
        TextSource((str(tmp_path / "a.txt"),)),
        TextSource((str(tmp_path / "b.txt"),)),
        Settings(k=2, num_shards=3, chunk=1),
        load_encoder,
    )
    run_step(job, "read")
    [embed] = phases(job, "embed")
    assert embed[:2] == [
        units.EmbedShard("source", 0),
        units.EmbedShard("source", 1),
    ]
    assert len(embed) == 6
    # The model and open files stay behind; the work folder is shared.
    other, elsewhere = pickle.loads(pickle.dumps((job, embed)))
    for unit in reversed(elsewhere):
        unit.run(other)
    assert len(job.vectors("source")) == 3
    job.fit_k()
    assert [[type(u).__name__ for u in p] for p in phases(job, "search")] == [
        ["SearchShard"] * 3
    ]


def load_encoder():
    return encode, "plane"


def test_a_source_with_options_is_taken_as_it_is(tmp_path):
    from labse.files.reading import ReadOptions

    path = pathlib.Path(tmp_path / "a.tsv")
    path.write_text("id\tsentence\n7\teast\n")
    source = TextSource((str(path),), ReadOptions(text_column="sentence"))
    [pair] = labse.mine(encode, source, ["Ost"], scoring="absolute", k=1)
    assert pair.source_metadata == {"id": "7"}
