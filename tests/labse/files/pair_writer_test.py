import datetime
import errno
import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from labse.data.records.pair_record import TrainingPairs
from labse.errors import InputError
from labse.files import atomic_write
from labse.files.formats import parquet as parquet_format
from labse.files.kinds import open_rows
from labse.files.pair_writer import COLUMNS, write_pairs
from labse.files.pairs import PairFiles

# 0.1 and 1/3 have other shortest digits as float32 than as float64.
ROWS = [
    {
        "target": "Katze",
        "source": "cat",
        "margin": 1 / 3,
        "cosine": np.float32(0.1),
        "source_language": "en",
        "target_language": "de",
        "source_file": "a.txt",
        "source_line": 1,
        "target_file": "b.jsonl",
        "target_line": np.int64(7),
        "source_metadata": {},
        "target_metadata": {"id": "7\n", "größe": 1.5},
    },
    {
        "source": "dog",
        "target": "Hund \u2028",
        "source_language": "en",
        "target_language": "de",
        # What numpy.ndarray.tolist makes of a float32.
        "cosine": float(np.float32(1 / 3)),
        "margin": np.float64(1e-9),
        "source_file": "a.txt",
        "source_line": 2,
        "target_file": "b.jsonl",
        "target_line": 8,
        "source_metadata": {"x": [1]},
        "target_metadata": {},
    },
]
ENDINGS = (".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz", ".parquet")
ALL_ENDINGS = (
    *ENDINGS,
    *(".tsv.bz2", ".jsonl.xz", ".jsonl.zst", ".tmx", ".tmx.gz"),
    *(".tfrecord", ".tfrecord.gz", ".en-de.en", ".en-de.zip"),
)
NAMES = [name for name in COLUMNS if name != "probability"]


def test_a_tsv_to_the_byte(tmp_path):
    path = tmp_path / "pairs.tsv"
    assert write_pairs(path, iter(ROWS)) == 2
    expected = (
        "source\ttarget\tsource_language\ttarget_language\tcosine\tmargin\t"
        "source_file\tsource_line\ttarget_file\ttarget_line\t"
        "source_metadata\ttarget_metadata\n"
        "cat\tKatze\ten\tde\t0.1\t0.3333333333333333\ta.txt\t1\tb.jsonl\t7\t\t"
        '{"id":"7\\n","größe":1.5}\n'
        "dog\tHund \u2028\ten\tde\t0.33333334\t1e-09\ta.txt\t2\tb.jsonl\t8\t"
        '{"x":[1]}\t\n'
    )
    assert path.read_bytes() == expected.encode()
    assert os.listdir(tmp_path) == ["pairs.tsv"]
    packed = tmp_path / "pairs.tsv.gz"
    write_pairs(packed, ROWS)
    assert gzip.decompress(packed.read_bytes()) == expected.encode()


def test_training_reads_the_tsv_as_it_is(tmp_path):
    for name in ("pairs.tsv", "pairs.tsv.gz"):
        write_pairs(tmp_path / name, ROWS)
        pairs = list(TrainingPairs([tmp_path / name]))
        assert [pair.source_language for pair in pairs] == ["en", "en"]
        assert [pair.target_language for pair in pairs] == ["de", "de"]
        assert [pair.source for pair in pairs] == [b"cat", b"dog"]
        targets = [pair.target for pair in pairs]
        assert targets == [b"Katze", "Hund \u2028".encode()]


def test_jsonl(tmp_path):
    path = tmp_path / "pairs.jsonl"
    assert write_pairs(path, ROWS) == 2
    lines = path.read_bytes().split(b"\n")
    assert lines[2] == b""
    first, second = map(json.loads, lines[:2])
    assert list(first) == [n for n in NAMES if n != "source_metadata"]
    assert first["target_metadata"] == {"id": "7\n", "größe": 1.5}
    assert second["source_metadata"] == {"x": [1]}
    assert "target_metadata" not in second
    assert (first["source_line"], first["target_line"]) == (1, 7)
    assert b'"cosine":0.33333334,"margin":1e-09,' in lines[1]


def test_parquet(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(parquet_format, "ROWS_OF_GROUP", 1)
    path = tmp_path / "pairs.parquet"
    assert write_pairs(path, ROWS) == 2
    table = parquet.read_table(path)
    assert table.column_names == NAMES
    types = {field.name: str(field.type) for field in table.schema}
    assert (types["cosine"], types["margin"]) == ("float", "double")
    assert (types["source"], types["target_line"]) == ("string", "int64")
    first, second = table.to_pylist()
    assert first["source_metadata"] is None
    assert json.loads(first["target_metadata"]) == {"id": "7\n", "größe": 1.5}
    assert second["cosine"] == np.float32(1 / 3)
    assert second["margin"] == 1e-9


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_rows_give_the_same_bytes_and_read_back(tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    random = np.random.default_rng(0)
    cosines = random.uniform(-1, 1, 3000).astype(np.float32)
    margins = random.uniform(0, 2, 3000)
    rows = [
        {"source": "a", "target": "b", "cosine": cosine, "margin": margin}
        for cosine, margin in zip(cosines, margins, strict=True)
    ]
    written = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}{ending}"
        assert write_pairs(path, rows) == 3000
        written.append(path.read_bytes())
    assert written[0] == written[1]
    if ending.endswith(".gz"):
        # No flags, so no name, and no time of writing (RFC 1952).
        assert written[0][3:8] == bytes(5)
    found = list(PairFiles([tmp_path / f"one{ending}"]))
    assert [row.number for row in found][:2] in ([1, 2], [2, 3])
    for name, type_, expected in [
        ("cosine", np.float32, cosines),
        ("margin", np.float64, margins),
    ]:
        back = np.array([row.fields[name] for row in found], type_)
        assert back.tobytes() == expected.tobytes()


def test_a_probability_stands_after_the_margin_and_own_columns_last(tmp_path):
    path = tmp_path / "pairs.tsv"
    row = {"mine": True, "date": datetime.date(2026, 1, 2), "n": None}
    row |= {"probability": 0.25, "source": "a", "target": "b", "margin": 1}
    write_pairs(path, [{**row, "l": [1, "\t"]}])
    assert path.read_text() == (
        "source\ttarget\tmargin\tprobability\tmine\tdate\tn\tl\n"
        'a\tb\t1.0\t0.25\ttrue\t2026-01-02\t\t[1,"\\t"]\n'
    )


def test_no_pairs(tmp_path):
    write_pairs(tmp_path / "a.tsv", [])
    assert (tmp_path / "a.tsv").read_text() == (
        "source\ttarget\tsource_language\ttarget_language\tcosine\tmargin\n"
    )
    write_pairs(tmp_path / "a.jsonl", [])
    assert (tmp_path / "a.jsonl").read_bytes() == b""
    parquet = pytest.importorskip("pyarrow.parquet")
    write_pairs(tmp_path / "a.parquet", [], ["target", "source"])
    table = parquet.read_table(tmp_path / "a.parquet")
    assert (table.num_rows, table.column_names) == (0, ["target", "source"])


def test_columns_that_are_given_stay_in_their_order(tmp_path):
    path = tmp_path / "a.tsv"
    rows = [{"target": "b", "n": 1, "source": "a"}, None, {"source": "c"}]
    assert write_pairs(path, rows, ["n", "target", "source"]) == 2
    # None is a blank line.
    assert path.read_text() == "n\ttarget\tsource\n1\tb\ta\n\n\t\tc\n"


def test_what_a_tsv_had_as_text_gets_its_type(tmp_path):
    write_pairs(tmp_path / "a.tsv", ROWS)
    rows = [pair.fields for pair in PairFiles([tmp_path / "a.tsv"])]
    assert rows[0]["source_line"] == "1"
    for ending in (".jsonl", ".parquet"):
        if ending == ".parquet":
            pytest.importorskip("pyarrow")
        write_pairs(tmp_path / f"direct{ending}", ROWS)
        write_pairs(tmp_path / f"by_tsv{ending}", rows)
        assert (tmp_path / f"direct{ending}").read_bytes() == (
            tmp_path / f"by_tsv{ending}"
        ).read_bytes()
    rows[1]["source_line"] = "L2"
    with pytest.raises(
        InputError, match=r"jsonl, pair 2: .*source_line is a whole.*'L2'"
    ):
        write_pairs(tmp_path / "b.jsonl", rows)
    assert not list(tmp_path.glob("b.jsonl*"))


@pytest.mark.parametrize("ending", ALL_ENDINGS)
def test_an_interrupted_write_leaves_the_old_file(tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"pairs{ending}"
    path.write_text("old")

    def rows():
        yield ROWS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pairs(path, rows())
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]
    write_pairs(path, ROWS)
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / path.name
    write_pairs(other, ROWS)
    assert path.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("ending", ALL_ENDINGS)
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"pairs{ending}"
    path.write_text("old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_pairs(path, ROWS)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


def test_the_real_full_disk(monkeypatch, tmp_path):
    """Writing to /dev/full fails as on a full disk, at the first flush."""
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    path = tmp_path / "pairs.tsv"
    path.write_text("old")

    def open_full(name, *arguments, **options):
        return open("/dev/full", *arguments, **options)

    monkeypatch.setattr(atomic_write, "open", open_full, raising=False)
    with pytest.raises(OSError, match="No space left on device"):
        write_pairs(path, ROWS * 1000)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


def test_two_writers_do_not_mix(tmp_path):
    """Each process writes a whole file; the last one gets the name."""
    path = tmp_path / "pairs.tsv"
    other = (
        "from labse.files.pair_writer import write_pairs\n"
        f"write_pairs({str(path)!r}, [{{'source': 'a', 'target': 'b'}}])"
    )

    def rows():
        yield ROWS[0]
        subprocess.run([sys.executable, "-c", other], check=True)
        assert path.read_text() == "source\ttarget\na\tb\n"
        yield ROWS[1]

    write_pairs(path, rows())
    write_pairs(tmp_path / "other.tsv", ROWS)
    assert path.read_bytes() == (tmp_path / "other.tsv").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["other.tsv", "pairs.tsv"]


@pytest.mark.parametrize(
    "name,row,message",
    [
        ("a.csv", {}, r"ends in \.tsv, .*\.parquet.*\. Received: .*a\.csv"),
        ("no/a.tsv", {}, r"a folder that exists\. Received: .*no/a\.tsv"),
        (
            "a.tsv",
            {"source": "a\tb"},
            r"tsv, pair 1: .*tab.*source: 'a\\tb'",
        ),
        ("a.tsv", {"source_file": "a\nb"}, r"pair 1: .*tab.*source_file"),
        ("a.tsv", {"target": "a\r"}, r"pair 1: .*Write \.jsonl"),
        ("a.tsv", {"cosine": np.nan}, r"pair 1: .*finite.*cosine: nan"),
        ("a.jsonl", {"margin": np.inf}, r"pair 1: .*finite.*margin: inf"),
        ("a.jsonl", {"x": "\ud800"}, r"pair 1: .*surrogate"),
    ],
)
def test_what_cannot_be_written(tmp_path, name, row, message):
    with pytest.raises(InputError, match=message):
        write_pairs(tmp_path / name, [row])
    assert os.listdir(tmp_path) == []


def test_a_carriage_return_that_ends_no_line_is_text(tmp_path):
    path = tmp_path / "a.tsv"
    write_pairs(path, [{"source": "a\r", "target": "b\rc"}])
    assert path.read_bytes() == b"source\ttarget\na\r\tb\rc\n"
    assert dict(open_rows(path))[2] == {"source": "a\r", "target": "b\rc"}


def test_a_column_of_parquet_has_one_type(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    with pytest.raises(InputError, match="The values of x have several"):
        write_pairs(path, [{"x": 1}, {"x": "a"}])
    monkeypatch.setattr(parquet_format, "ROWS_OF_GROUP", 2)
    with pytest.raises(InputError, match="pairs 3 to 3 a value does not fit"):
        write_pairs(path, [{"x": 1}, {"x": None}, {"x": "a"}])
    assert os.listdir(tmp_path) == []


def test_a_row_with_a_column_that_was_not_announced(tmp_path):
    with pytest.raises(ValueError, match="pair 2: .*no columns but source"):
        write_pairs(tmp_path / "a.tsv", [{"source": "a"}, {"sauce": "b"}])
