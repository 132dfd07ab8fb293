import bz2
import gzip
import io
import lzma
import struct
import tarfile
import tempfile
import zlib

import pytest
import tensorflow as tf

from labse.errors import InputError
from labse.files.kinds import Kind, check_content, find_files, kind_of


def write(path, content=b"x\n"):
    path.write_bytes(content)
    return str(path)


def record(content=b"x"):
    """A TFRecord as TensorFlow writes it."""
    with tempfile.NamedTemporaryFile() as file:
        with tf.io.TFRecordWriter(file.name) as writer:
            writer.write(content)
        return file.read()


def tar():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    return packed.getvalue()


@pytest.mark.parametrize(
    "name, kind",
    [
        ("a.txt", Kind("txt", "")),
        ("A.TXT.GZ", Kind("txt", "gz")),
        ("a.b.tsv.bz2", Kind("tsv", "bz2")),
        ("a.jsonl.xz", Kind("jsonl", "xz")),
        ("a.parquet", Kind("parquet", "")),
        ("train-00000-of-00001.parquet", Kind("parquet", "")),
        ("a.tfrecord", Kind("record", "")),
        ("a.tfrecords.gz", Kind("record", "gz")),
        ("a.record", Kind("record", "")),
        ("train-00000-of-00010", Kind("record", "")),
        ("train-00000-of-00010.gz", Kind("record", "gz")),
        ("a.tfrecord-00000-of-00010", Kind("record", "")),
        ("a.tsv-00000-of-00010", Kind("tsv", "")),
        ("a-00000-of-00010.jsonl", Kind("jsonl", "")),
        ("a.tsv.zst", Kind("tsv", "zst")),
        ("a.TMX.gz", Kind("tmx", "gz")),
        ("a.en-de.en", Kind("moses", "")),
        ("a.en-pt_BR.pt_BR.xz", Kind("moses", "xz")),
        ("en-de.de", Kind("moses", "")),
        ("a.zip", Kind("zip", "")),
    ],
)
def test_a_name_tells_the_kind(name, kind):
    assert kind_of(f"some.where/{name}") == kind


@pytest.mark.parametrize(
    "name, content, looks, remedy",
    [
        ("a", b"some text\n", "text in UTF-8", "/a.txt."),
        ("a.tab", b"a\tb\n", "tab-separated text", "/a.tsv."),
        ("de.en", b"a\tb\n", "tab-separated text", "/de.en.tsv."),
        ("a.ndjson", b'{"a": 1}\n', "JSON lines", "/a.jsonl."),
        ("a.json", b'[\n{"a": 1}]', "a JSON document", "jq -c"),
        ("a", b'{"a": "' + b"x" * 9000, "JSON lines", "/a.jsonl."),
        ("a.gz", gzip.compress(b"a\tb\n"), "a gzip file", "/a.tsv.gz."),
        ("a.dat", bz2.compress(b"a"), "a bzip2 file", "/a.txt.bz2."),
        ("a.lzma", lzma.compress(b"a"), "an xz file", "/a.lzma.txt.xz."),
        ("a.xml", b"<?xml version='1.0'?>", "TMX", "/a.xml.tmx."),
        ("a.xlf", b"<?xml version='1.0'?><xliff>", "is xliff", "as .jsonl or"),
        ("a.tgz", gzip.compress(tar()), "gzip file that holds", "tar -xf"),
        ("a.xlsx", b"PK\x03\x04...", "a zip file", "Unpack or convert"),
        ("a.pq", b"PAR1....", "a Parquet file", "/a.pq.parquet."),
        ("a.bin", b"\x80\xff\x00\x01", "binary data", "Convert text"),
        ("a", "höh\n".encode("latin-1"), "not UTF-8", "iconv"),
        ("a", "hallo\n".encode("utf-16"), "text in UTF-16", "iconv"),
        ("a", "hallo\n".encode("utf-16-le"), "text in UTF-16", "iconv"),
        ("a", b"", "an empty file", "again"),
        ("a", record(), "a TFRecord file", "/a.tfrecord."),
        ("a.parquet.gz", b"", "compressed inside", "leave out .gz"),
        ("a.zip.gz", b"", "compressed inside", "leave out .gz"),
        ("a.en-de.fr", b"x\n", "text in UTF-8", "/a.en-de.fr.txt."),
        ("a.csv", b"a,b\n", "separators and quotes", "orient='records'"),
        ("a.csv.gz", b"", "separators and quotes", "QUOTE_NONE"),
        ("a.csv-00000-of-00002", b"a,b\n", "separators", "QUOTE_NONE"),
    ],
)
def test_another_name_is_refused_with_what_it_looks_like(
    tmp_path, name, content, looks, remedy
):
    path = write(tmp_path / name, content)
    with pytest.raises(InputError) as error:
        kind_of(path)
    assert str(error.value).startswith(f"{path}: ")
    assert looks in str(error.value)
    assert remedy in str(error.value)


@pytest.mark.parametrize(
    "name, content, looks",
    [
        ("a.txt", gzip.compress(b"x"), "a gzip file.*rename it to .*a.txt.gz"),
        ("a.tsv", b"PK\x03\x04..", "a zip file"),
        ("a.jsonl", b"PAR1....", "a Parquet file.*rename it to .*a.parquet"),
        ("a.tsv", "a\tb\n".encode("utf-16"), "UTF-16.*iconv"),
        ("a.txt.gz", b"plain\n", "text in UTF-8.*rename it to .*/a.txt"),
        ("a.txt.gz", bz2.compress(b"plain\n"), "bzip2.*/a.txt.bz2"),
        ("a.parquet", b"a\tb\n", "tab-separated.*rename it to .*/a.tsv"),
        ("a.tfrecord", b"a\tb\n" * 9, "tab-separated.*rename it to .*/a.tsv"),
        ("a-00000-of-00001", b"text\n" * 9, "text in UTF-8.*00001.txt"),
        ("a.txt", record(), "a TFRecord file.*a.tfrecord"),
        ("a.tsv", b"", "the file is empty"),
        ("a.txt", b'\n{"a": 1}\n{"a": 2}\n', "JSON lines.*to .*/a.jsonl"),
        ("a.txt", b'{"a": "' + b"x" * 9000, "JSON lines.*to .*/a.jsonl"),
        ("a.txt", b"Source\ttarget\tid\n", "a header.*rename it to .*/a.tsv"),
        ("a.txt", b"text\tlanguage\r\n", "a header.*rename it to .*/a.tsv"),
        ("a.txt", b" <!DOCTYPE html>\n", "looks like HTML"),
        ("a.tsv", b"<html lang=de>\n", "looks like HTML"),
        ("a.txt", b"ab\rcd\r", "returns .*alone.*tr "),
        ("a.tsv", b"source\ttarget\ra\tb\rc\td", "returns .*alone"),
        ("a.txt.gz", gzip.compress(b"ab\rcd\r"), "returns .*alone"),
        ("a.txt.xz", lzma.compress(b'{"a": 1}'), "JSON.*to .*/a.jsonl.xz"),
        ("a.txt.gz", gzip.compress(tar()), "a tar archive.*tar -xf"),
        ("a.txt", tar(), "a tar archive"),
        (
            "a.jsonl.bz2",
            bz2.compress(b"PK\x03\x04.."),
            "compressed. The content looks.*a zip file",
        ),
        ("a.tsv.gz", gzip.compress(record()), "TFRecord.*a.tfrecord.gz"),
        ("a.tsv.gz", gzip.compress(b"PAR1...."), "Unpack it.*name it .parquet"),
        (
            "a.tsv.gz",
            gzip.compress(gzip.compress(b"x")),
            "gzip.*compressed twice",
        ),
        ("a.txt.gz", gzip.compress("ab".encode("utf-16")), "UTF-16"),
        ("a.tfrecord.gz", gzip.compress(b"a\tb\n"), "tab-sep.*/a.tsv.gz"),
        ("a.tfrecord.gz", zlib.compress(record()), "zlib data.*GZIP"),
        ("a.tfrecord", zlib.compress(record()), "zlib data.*GZIP"),
        ("a.tfrecord", b"Obj\x01\x04", "an Avro file"),
        ("a.parquet", b"ARROW1\0\0", "an Arrow or Feather file"),
        ("a.parquet", b"\x93NUMPY\x01", "a NumPy array"),
        ("a.txt", b"SQLite format 3\0", "an SQLite database"),
        ("a.txt", b"<?xml version='1.0'?><tmx>", "TMX.*rename it to .*a.tmx"),
        ("a.tmx", b"<?xml version='1.0'?><xliff>", "root is xliff; of XML, on"),
        ("a.tmx", b"a\tb\n", "tab-separated.*rename it to .*a.tsv"),
        ("a.tmx.gz", gzip.compress(b"a\tb\n"), "tab-separated.*a.tsv.gz"),
        ("a.tmx", gzip.compress(b"<tmx>"), "rename it to .*a.tmx.gz"),
        ("a.tfrecord", gzip.compress(record()), "rename it to .*tfrecord.gz"),
        ("a.zip", b"a\tb\n", "tab-separated.*rename it to .*a.tsv"),
        ("a.txt", b"PK\x03\x04..", "a zip file.*Unpack or convert"),
        ("a.txt", "hallo\n".encode("utf-32"), "UTF-32.*iconv"),
        ("a.txt", "hallo\n".encode("utf-32-be"), "UTF-32.*iconv"),
    ],
)
def test_a_name_that_the_content_belies(tmp_path, name, content, looks):
    path = write(tmp_path / name, content)
    with pytest.raises(InputError, match=f"{name}: .*{looks}"):
        check_content(path, kind_of(path))


@pytest.mark.parametrize("name", ["a.tfrecord", "a.parquet", "a.tsv.gz"])
def test_damage_is_left_to_the_reader(tmp_path, name):
    content = struct.pack("<QI", 3, 7) + b"abc...."
    check_content(write(tmp_path / name, content), kind_of(name))


@pytest.mark.parametrize("name", ["a.txt", "a.tsv", "a.jsonl"])
def test_text_of_any_look_is_what_its_name_says(tmp_path, name):
    for content in (
        *(b"a\tb\n", b"{}\n", b"{a}\n", b"[1]\n", b"x", b"h\xf6h\n"),
        *(b'{"a": 1}\nb\n', b"a\rb", b"a\rb\rc\n", b"x^2 + 1\n", b"<b>\n"),
        b"a\r" * 5000 + b"\n",
    ):
        path = write(tmp_path / name, content)
        check_content(path, kind_of(path))


def test_a_name_of_no_file(tmp_path):
    with pytest.raises(InputError, match="gone: there is no such file"):
        kind_of(str(tmp_path / "gone"))


def test_files_in_the_order_of_the_patterns_and_each_once(tmp_path):
    paths = [write(tmp_path / name) for name in ("[1].txt", "a.txt", "b.txt")]
    (tmp_path / "f").mkdir()
    deep = write(tmp_path / "f/c.txt")
    found = find_files([paths[2], f"{tmp_path}/*.txt", paths[0]])
    assert found == [paths[2], paths[0], paths[1]]
    assert find_files([f"{tmp_path}/**/c*"]) == [deep]
    with pytest.raises(InputError, match=r"No file matches '.*none-\*'"):
        find_files([f"{tmp_path}/none-*"])
    with pytest.raises(InputError, match=r"/f: .*This is a folder"):
        find_files([f"{tmp_path}/*"])


def test_a_file_of_several_names_is_read_once(tmp_path, monkeypatch):
    write(tmp_path / "a.tsv")
    (tmp_path / "b.tsv").symlink_to("a.tsv")
    monkeypatch.chdir(tmp_path)
    names = ["./a.tsv", "a.tsv", "*.tsv", f"{tmp_path}/a.tsv"]
    assert find_files(names) == ["./a.tsv"]


def test_a_link_that_leads_nowhere(tmp_path):
    (tmp_path / "a.txt").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"a\.txt: there is no such file"):
        find_files([tmp_path / "a.txt"])
