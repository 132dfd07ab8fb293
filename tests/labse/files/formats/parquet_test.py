import pytest

from labse.errors import InputError
from labse.files.kinds import open_rows
from labse.files.pair_writer import write_pairs
from labse.files.reading import MalformedRow, optional_text


def test_bytes_are_text_if_they_are_utf_8(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    rows = [
        {"source": "ä".encode(), "corpus": b"c", "more": [{"x": b"y"}], "n": 1},
        {"source": b"a", "corpus": b"\xff", "more": None, "n": 2},
        {"source": b"a", "corpus": None, "more": [], "n": 3},
    ]
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    first, second, third = (row for _, row in open_rows(path))
    assert first == {"source": "ä", "corpus": "c", "more": [{"x": "y"}], "n": 1}
    assert second["corpus"] == b"\xff"
    assert third == {"source": "a", "corpus": None, "more": [], "n": 3}
    with pytest.raises(InputError, match="pair 1: .*in corpus bytes that"):
        write_pairs(tmp_path / "a.tsv", [second])
    with pytest.raises(MalformedRow, match="not UTF-8"):
        optional_text(second, "corpus")
