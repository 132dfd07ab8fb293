import gzip

import pytest

from labse.errors import InputError
from labse.preprocessing import text_files
from labse.preprocessing.text_files import Texts, read_texts

PAIRS = (
    "source\ttarget\tsource_language\ttarget_language\n"
    "Guten Tag\tGood day\tde\ten\n"
    "早上\tmorning\tzh\ten\n"
)


def write(path, content):
    path.write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    return str(path)


def test_both_sides_of_pairs_in_the_order_of_the_lines(tmp_path):
    path = write(tmp_path / "a.tsv", PAIRS)
    assert list(read_texts(path, None)) == [
        ("de", b"Guten Tag"),
        ("en", b"Good day"),
        ("zh", "早上".encode()),
        ("en", b"morning"),
    ]


def test_a_line_ends_at_a_line_feed_only(tmp_path):
    content = "a\u2028b\r\n\n c\x0b \nlast".encode()
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(content))
    lines = list(text_files.read_lines(str(path)))
    assert lines == [
        (1, "a\u2028b".encode()),
        (2, b""),
        (3, b" c\x0b "),
        (4, b"last"),
    ]


@pytest.mark.parametrize(
    "name,content,message",
    [
        ("a.tsv", b"a\tb\n", r"a\.tsv:1: .*header.*Received 'a \| b'"),
        ("a.tsv", b"text\tlanguage\nx\ten\ny\n", r"a\.tsv:3: .*2. Received 1"),
        ("a.tsv", b"text\tlanguage\nx\t\n", r"a\.tsv:2: .*language code"),
        ("a.tsv.gz", b"no gzip", r"a\.tsv\.gz: .*whole gzip file"),
        ("a.txt.gz", gzip.compress(b"text")[:-9], r"\.gz: .*whole gzip file"),
        ("a.csv", b"x\n", r"a\.csv: an input ends in \.tsv"),
    ],
)
def test_errors_of_files(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(InputError, match=message):
        list(read_texts(path, "xx"))


def test_a_txt_needs_a_language_before_it_is_read(tmp_path):
    path = write(tmp_path / "a.txt", "x\n")
    with pytest.raises(InputError, match=r"a\.txt: .*given by --language"):
        read_texts(path, None)
    with pytest.raises(InputError, match=r"a\.txt: .*given by --language"):
        Texts([path])


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(text_files, "MAX_LINE_BYTES", 8)
    path = write(tmp_path / "a.txt", "12345678"[:7] + "\n" + "1" * 9)
    with pytest.raises(InputError, match=r"a\.txt:2: .*at most 8 bytes"):
        list(read_texts(path, "xx"))


def test_broken_utf_8_is_an_error_only_where_it_is_to_be(tmp_path):
    path = write(tmp_path / "a.txt", "gut\nschön\n".encode("latin-1"))
    assert list(read_texts(path, "de"))[1] == ("de", b"sch\xf6n")
    with pytest.raises(InputError, match=r"a\.txt:2: text is UTF-8.*0xf6"):
        list(Texts([path], "de"))


def test_a_glob_without_files_and_a_folder(tmp_path):
    with pytest.raises(InputError, match=r"No file matches '.*none-\*'"):
        text_files.find_files([f"{tmp_path}/none-*"])
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(InputError, match=r"folder\.txt: there is no such file"):
        list(Texts([str(tmp_path / "folder.txt")], "de"))


def test_texts_are_those_of_the_languages_each_time_anew(tmp_path):
    write(tmp_path / "a.tsv", PAIRS)
    write(tmp_path / "b.txt", "Moin\n \n\n")
    patterns = [f"{tmp_path}/*", f"{tmp_path}/b.txt"]
    texts = Texts(patterns, "de", ["de", "zh"])
    expected = [
        ("de", b"Guten Tag"),
        ("zh", "早上".encode()),
        ("de", b"Moin"),
    ]
    assert list(texts) == expected
    assert list(texts) == expected
    assert len(list(Texts(patterns, "de"))) == 5


def test_a_language_without_text(tmp_path):
    path = write(tmp_path / "a.tsv", PAIRS)
    with pytest.raises(
        InputError, match=r"none in sw, xh in .*a\.tsv.*text in: de, en, zh\."
    ):
        list(Texts([path], None, ["de", "sw", "xh"]))


def test_no_text_at_all(tmp_path):
    path = write(tmp_path / "a.txt", "\n  \n")
    with pytest.raises(InputError, match=r"none in .*a\.txt.*no language"):
        list(Texts([path], "de"))
