import pytest

from labse.files.reading import MalformedRow
from labse.files.rows import RowFile


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
    first, second, third = (row for _, row in RowFile(path))
    assert first == {"source": "ä", "corpus": "c", "more": [{"x": "y"}], "n": 1}
    assert isinstance(second, MalformedRow)
    assert second.reason == "not UTF-8"
    assert second.what.startswith("corpus: text is UTF-8. Received")
    assert third == {"source": "a", "corpus": None, "more": [], "n": 3}
