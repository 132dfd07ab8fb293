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
def test_what_is_written_is_read(tmp_path, name):
    path = tmp_path / name
    assert pair_files.write_rows(path, HEADER, iter(ROWS)) == 2
    content = path.read_bytes()
    assert (gzip.decompress(content) if ".gz" in name else content) == CONTENT
    assert pair_files.read_header(path) == HEADER
    assert list(pair_files.read_rows(path)) == ROWS
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


def test_windows_lines_and_a_byte_order_mark(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_bytes(b"\xef\xbb\xbfsource\ttarget\r\ndog\tHund\r\n")
    assert list(pair_files.read_rows(path)) == [("dog", "Hund")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: a file of pairs starts with a header"),
        (b"dog\tHund\n", r"line 1: .*Received: 'dog \| Hund'"),
        (b"source\ttarget\tsource\n", "line 1: .*different"),
        (b"source\ttarget\na\tb\na\n", "line 3: .*header, 2. Received 1"),
        (b"source\ttarget\na\tb\tc\n", "line 2: .*header, 2. Received 3"),
        (b"source\ttarget\na\t \n", "line 2: source and target must not be"),
        (b"source\ttarget\na\tb\xe4\n", "line 2: the text must be UTF-8"),
    ],
)
def test_bad_files(tmp_path, content, message):
    path = tmp_path / "pairs.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}, {message}"):
        list(pair_files.read_rows(path))


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="which is not a file"):
        list(pair_files.read_rows(tmp_path / "gone.tsv"))


@pytest.mark.parametrize("damage", ["cut", "changed", "not compressed"])
def test_damaged_compressed_file(tmp_path, damage):
    path = tmp_path / "pairs.tsv.gz"
    content = gzip.compress(CONTENT * 100)
    path.write_bytes(
        {
            "cut": content[:-20],
            "changed": content[:40] + b"\xff" * 20 + content[60:],
            "not compressed": CONTENT,
        }[damage]
    )
    with pytest.raises(InputError, match="the compressed file is damaged"):
        list(pair_files._numbered_rows(path))
