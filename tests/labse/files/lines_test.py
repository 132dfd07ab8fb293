import bz2
import gzip
import lzma

import pytest
import zstandard

from labse.errors import InputError
from labse.files import lines
from labse.files.lines import read_lines, read_text_lines

PACK = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}
PACK |= {".xz": lzma.compress, ".zst": zstandard.ZstdCompressor().compress}


def write(path, content):
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize(
    "content, expected",
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n\n", ["a", ""]),
        (b"a\r\nb\r\r\n", ["a", "b\r"]),
        (b"a\rb\n", ["a\rb"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", ["a", "\ufeffb"]),
        (b"\xef\xbb\xbf", []),
        (b"\xef\xbb\xbf\n", [""]),
        (b"a\x00b\n", ["a\x00b"]),
        ("a\u2028b\x0bc\x85d\x0c\ne".encode(), ["a\u2028b\x0bc\x85d\x0c", "e"]),
    ],
)
def test_only_a_line_feed_ends_a_line(tmp_path, ending, content, expected):
    path = write(tmp_path / f"a.txt{ending}", PACK[ending](content))
    found = list(read_text_lines(path))
    assert found == list(enumerate(expected, start=1))


def test_where_lines_begin(tmp_path):
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbfab\r\n\ncd")
    found = list(read_lines(path))
    # Behind the mark of 3 bytes; 3 + 4; 8.
    assert found == [(1, 3, b"ab"), (2, 7, b""), (3, 8, b"cd")]


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_a_compressed_file_cut_off_is_damaged(tmp_path, ending):
    whole = PACK[ending](b"some lines\n" * 1000)
    path = write(tmp_path / f"a.txt{ending}", whole[:-12])
    with pytest.raises(InputError, match=f"a.txt{ending}: .*damaged or trun"):
        list(read_lines(path))
    path = write(tmp_path / f"a.txt{ending}", b"no such file at all")
    with pytest.raises(InputError, match=f"a.txt{ending}: .*damaged or trun"):
        list(read_lines(path))


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz"])
def test_compressed_files_one_after_the_other_are_one(tmp_path, ending):
    pack = PACK[ending]
    path = write(tmp_path / f"a.txt{ending}", pack(b"a\nb") + pack(b"c\nd\n"))
    assert [line for _, line in read_text_lines(path)] == ["a", "bc", "d"]


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 8)
    path = write(tmp_path / "a.txt", b"1234567\n" + b"1" * 9)
    with pytest.raises(InputError, match=r"a\.txt:2: .*at most 8 bytes"):
        list(read_lines(path))


def test_a_line_that_is_not_utf_8_is_named(tmp_path):
    path = write(tmp_path / "a.txt", "gut\nschön\n".encode("latin-1"))
    with pytest.raises(
        InputError, match=r"a\.txt:2: text is UTF-8.*0xf6 at byte 4"
    ):
        list(read_text_lines(path))


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(InputError, match="gone.txt: there is no such file"):
        list(read_lines(tmp_path / "gone.txt"))
    with pytest.raises(InputError, match="this is a folder"):
        list(read_lines(tmp_path))
