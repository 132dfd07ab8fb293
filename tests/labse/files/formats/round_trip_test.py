"""What is written in each format is read back equal."""

import os

import pytest

from labse.data.records.pair_record import TrainingPairs
from labse.errors import InputError
from labse.files.pair_writer import check_output, open_writer, write_pairs
from labse.files.pairs import PairFiles

TEXTS = [
    ("cat", "Katze"),
    (" <b>\"dog\"</b> & 'x' ", "Hund\u2028\x85 ]]>"),
    ("\U0001f600 a\rb", "größer"),
]
ENDINGS = [
    name + ending
    for name in (".tsv", ".jsonl", ".tmx", ".tfrecord", ".en-de.en")
    for ending in ("", ".gz", ".bz2", ".xz", ".zst")
]
ENDINGS += [".parquet", ".en-de.zip", ".en-de.de"]
TEXTS_ONLY = ".en-de."


def rows(**columns):
    return [
        {
            "source": source,
            "target": target,
            "source_language": "en",
            "target_language": "de",
            **columns,
        }
        for source, target in TEXTS
    ]


@pytest.mark.parametrize("ending", ENDINGS)
def test_texts_languages_and_columns(tmp_path, ending, caplog):
    path = tmp_path / f"pairs{ending}"
    given = rows(
        cosine=0.5, note="<a&b>", corpus="c", hard_negatives=["x", "y"]
    )
    assert write_pairs(path, given) == 3
    found = list(PairFiles([path]))
    assert [pair[:4] for pair in found] == [
        (source, target, "en", "de") for source, target in TEXTS
    ]
    assert sorted(map(str, tmp_path.iterdir())) == sorted(
        open_writer(path).paths()
    )
    if TEXTS_ONLY in ending:
        assert "hold" in caplog.text and "cosine, note, corpus" in caplog.text
        return
    assert [float(pair.fields["cosine"]) for pair in found] == [0.5] * 3
    assert [pair.fields["note"] for pair in found] == ["<a&b>"] * 3
    # Training reads the hard negatives of every format.
    pairs = list(TrainingPairs([path]))
    assert pairs[1].source.decode() == TEXTS[1][0]
    assert pairs[2].hard_negatives == (b"x", b"y")
    assert {pair.corpus for pair in pairs} == {"c"}


@pytest.mark.parametrize("ending", [".en-de.en.gz", ".en-de.zip", ".tmx.xz"])
def test_training_reads_them(tmp_path, ending):
    path = tmp_path / f"pairs{ending}"
    write_pairs(path, rows())
    pairs = list(TrainingPairs([path]))
    assert {pair.source_language for pair in pairs} == {"en"}
    assert {pair.target_language for pair in pairs} == {"de"}
    assert [pair.target.decode() for pair in pairs] == [
        target for _, target in TEXTS
    ]


def test_the_sides_of_a_unit_stay_where_languages_change(tmp_path):
    path = tmp_path / "pairs.tmx"
    given = rows()
    given[1] |= {"source_language": "de", "target_language": "en"}
    given[2] |= {"source_language": "en", "target_language": "en"}
    write_pairs(path, given)
    assert [pair[2:4] for pair in PairFiles([path])] == [
        ("en", "de"),
        ("de", "en"),
        ("en", "en"),
    ]
    assert [pair.source for pair in PairFiles([path])] == [a for a, _ in TEXTS]


def test_a_corpus_of_other_order_and_other_languages(tmp_path):
    path = tmp_path / "a.de-en.zip"
    write_pairs(path, rows())
    pair = next(iter(PairFiles([path])))
    assert pair[:4] == ("Katze", "cat", "de", "en")
    given = rows()
    given[2]["target_language"] = "fr"
    with pytest.raises(InputError, match="pair 3: .*de-en. Received .* en-fr"):
        write_pairs(path, given)


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("a.tmx", "a\x00b", r"pair 1: XML has no way to write U\+0000"),
        ("a.tmx", "a\ufffeb", r"pair 1: XML has no way to write U\+FFFE"),
        ("a.en-de.en", "a\nb", "pair 1: a line of a Moses corpus"),
        ("a.en-de.zip", " ", "pair 1: a line of a Moses corpus"),
        ("a.zip", "a", "the name of a Moses corpus has its languages"),
        ("a.txt", "a", "A file of pairs ends in .tsv, .jsonl"),
        ("a.parquet.gz", "a", "compressed inside"),
    ],
)
def test_what_a_format_cannot_hold(tmp_path, name, text, message):
    with pytest.raises(InputError, match=message):
        write_pairs(tmp_path / name, [{"source": text, "target": "b"}])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\r"])
def test_the_name_of_a_column_is_a_cell(tmp_path, name):
    rows = [{"source": "a", "target": "b", name: "c"}]
    with pytest.raises(InputError, match="a cell of a TSV holds neither"):
        write_pairs(tmp_path / "a.tsv", rows)
    assert os.listdir(tmp_path) == []


def test_whole_numbers_of_more_than_64_bits(tmp_path):
    rows = [{"source": "a", "target": "b", "id": 2**63}]
    with pytest.raises(InputError, match="The values of id have.*too large"):
        write_pairs(tmp_path / "a.parquet", rows)
    path = tmp_path / "a.tfrecord"
    write_pairs(path, rows)
    (pair,) = PairFiles([path])
    assert pair.fields["id"] == "9223372036854775808"
    write_pairs(path, [{**rows[0], "id": -(2**63)}])
    (pair,) = PairFiles([path])
    assert pair.fields["id"] == -(2**63)


def test_outputs_that_are_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match="It cannot hold hard_negatives"):
        check_output(tmp_path / "a.en-de.en", ["hard_negatives"])
    (tmp_path / "a.en-de.de").write_text("x\n")
    with pytest.raises(InputError, match=r"would also replace .*a\.en-de\.de"):
        check_output(tmp_path / "a.en-de.en")
