import gzip

import pytest

from data_pipeline import pair_files
from labse.errors import InputError

HEADER = ("source", "target", "target_language")
ROWS = [("dog", "Hund", "de"), ('a "cat', "Katze\u2028", "de")]
CONTENT = (
    'source\ttarget\ttarget_language\ndog\tHund\tde\na "cat\tKatze\u2028\tde\n'
).encode()


@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.tsv.gz"])
def test_what_is_written(tmp_path, name):
    path = tmp_path / name
    assert pair_files.write_rows(path, HEADER, iter(ROWS)) == 2
    content = path.read_bytes()
    assert (gzip.decompress(content) if ".gz" in name else content) == CONTENT
    assert list(tmp_path.iterdir()) == [path]


def test_equal_rows_give_equal_bytes(tmp_path):
    contents = set()
    for name in ("a.tsv.gz", "b.tsv.gz"):
        pair_files.write_rows(tmp_path / name, HEADER, ROWS)
        contents.add((tmp_path / name).read_bytes())
    assert len(contents) == 1
    assert contents.pop()[4:8] == bytes(4)  # no time (RFC 1952, MTIME)


def test_a_failure_leaves_the_file_of_before(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("before")

    def rows():
        yield ROWS[0]
        raise InputError("broken")

    with pytest.raises(InputError, match="broken"):
        pair_files.write_rows(path, HEADER, rows())
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_output_path(tmp_path):
    pair_files.check_output_path(tmp_path / "a.tsv.gz", "out")
    with pytest.raises(InputError, match=r"--out must end in .*/a\.csv\.$"):
        pair_files.check_output_path(tmp_path / "a.csv", "out")
    with pytest.raises(InputError, match=r"--out must be in a folder .*/no f"):
        pair_files.check_output_path(tmp_path / "no" / "a.tsv", "out")
