import gzip
import hashlib
import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from labse.errors import InputError
from labse.files.formats import parquet as parquet_format
from labse.files.reading import ReadOptions
from labse.mining.job import corpus_writer
from labse.mining.job.corpus import SentenceOrigin, open_corpus
from labse.mining.job.corpus_writer import prepare_corpus


def write(path, content):
    content = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(content)
    return str(path)


def read(made):
    return made.texts(0, len(made))


def example(**features):
    kinds = {
        bytes: lambda v: tf.train.Feature(
            bytes_list=tf.train.BytesList(value=v)
        ),
        int: lambda v: tf.train.Feature(int64_list=tf.train.Int64List(value=v)),
        float: lambda v: tf.train.Feature(
            float_list=tf.train.FloatList(value=v)
        ),
    }
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                name: kinds[type(values[0])](values)
                if values
                else kinds[int]([])
                for name, values in features.items()
            }
        )
    ).SerializeToString()


def test_lines_are_stripped_numbered_and_kept_once(tmp_path):
    content = (
        "\ufeffeins\n\n zwei \r\n \u3000\neins\nzwe\u0131\n\u00a0eins\x85\nend"
    )
    path = write(tmp_path / "a.txt", content)
    made = prepare_corpus(
        [path], tmp_path / "corpus", options=ReadOptions(language="de")
    )
    assert read(made) == ["eins", "zwei", "zwe\u0131", "end"]
    assert made.num_read == 8
    assert made.num_blank == 2
    assert made.num_duplicates == 2
    assert [made.place(i).line for i in range(4)] == [1, 3, 6, 8]
    assert made.place(1) == SentenceOrigin(path, 3, "de", {})
    assert made.text(2) == "zwe\u0131"
    assert made.texts(1, 1) == []
    assert made.texts(1, 3) == ["zwei", "zwe\u0131"]
    joined = "eins\nzwei\nzwe\u0131\nend\n".encode()
    assert made.fingerprint == hashlib.sha256(joined).hexdigest()
    assert (tmp_path / "corpus/texts.txt").read_bytes() == joined


def test_a_text_fits_in_a_line(tmp_path):
    rows = ["a\tb", "a \n\r\n b", "a\x00b", "a\u2028b", "\ta"]
    path = write(
        tmp_path / "a.jsonl",
        "".join(json.dumps({"text": row}) + "\n" for row in rows),
    )
    made = prepare_corpus([path], tmp_path / "corpus")
    assert read(made) == ["a b", "a   b", "a\x00b", "a\u2028b", "a"]


def test_files_are_read_in_the_order_given_and_each_once(tmp_path):
    names = ["b.txt", "a.txt", "[1].txt"]
    paths = [write(tmp_path / name, f"{name}\nsame\n") for name in names]
    made = prepare_corpus(
        [paths[2], f"{tmp_path}/?.txt", paths[0]], tmp_path / "corpus"
    )
    assert read(made) == ["[1].txt", "same", "a.txt", "b.txt"]
    assert [made.place(i).file for i in range(4)] == [
        *(paths[2], paths[2], paths[1], paths[0])
    ]
    assert made.num_duplicates == 2


def test_the_file_of_a_place_where_files_add_nothing(tmp_path):
    paths = [
        write(tmp_path / f"{name}.txt", content)
        for name, content in [
            *[("a", "x\n"), ("b", "x\n"), ("c", "\n"), ("d", "\ny\nz\n")],
            *[("e", "z\n")],
        ]
    ]
    made = prepare_corpus(paths, tmp_path / "corpus")
    assert read(made) == ["x", "y", "z"]
    places = [made.place(i)[:2] for i in range(3)]
    assert places == [(paths[0], 1), (paths[3], 2), (paths[3], 3)]


def test_language_and_metadata_of_rows(tmp_path):
    rows = [
        {"id": 7, "text": "a", "language": "de", "tags": ["x", {"y": None}]},
        {"text": "b"},
        {"text": "c", "score": float("nan"), "名": "字"},
        {"text": "d"},
    ]
    path = write(
        tmp_path / "a.jsonl.gz",
        gzip.compress("\n".join(map(json.dumps, rows)).encode()),
    )
    other = write(tmp_path / "b.txt", "e\n")
    made = prepare_corpus(
        [path, other], tmp_path / "corpus", options=ReadOptions(language="en")
    )
    assert [made.place(i)[1:] for i in range(5)] == [
        (1, "de", {"id": 7, "tags": ["x", {"y": None}]}),
        (2, "en", {}),
        (3, "en", {"score": None, "名": "字"}),
        (4, "en", {}),
        (1, "en", {}),
    ]


def test_a_tsv_and_another_field(tmp_path):
    path = write(
        tmp_path / "a.tsv",
        "id\tlanguage\ttext\tsentence\n1\tsw\tno\thabari\n\n2\t\tno\t \n",
    )
    options = ReadOptions(text_column="sentence", max_malformed_share=0.5)
    made = prepare_corpus([path], tmp_path / "corpus", options)
    assert read(made) == ["habari"]
    assert made.place(0) == SentenceOrigin(
        path, 2, "sw", {"id": "1", "text": "no"}
    )
    counts = (made.num_read, made.num_blank, made.num_malformed)
    assert counts == (3, 1, 1)


def test_parquet_rows(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(parquet_format, "_BATCH_ROWS", 2)
    path = str(tmp_path / "a.parquet")
    table = pyarrow.table(
        {
            "text": ["a", None, "b", " a ", "c"],
            "language": ["de", "de", None, "de", "fr"],
            "id": [1, 2, 3, 4, 5],
        }
    )
    parquet.write_table(table, path, row_group_size=3)
    made = prepare_corpus(
        [path], tmp_path / "corpus", ReadOptions(max_malformed_share=0.4)
    )
    assert read(made) == ["a", "c"]
    # A null text, and a null language where there is a column of them.
    assert (made.num_read, made.num_malformed, made.num_duplicates) == (5, 2, 1)
    assert made.place(0) == SentenceOrigin(path, 1, "de", {"id": 1})
    assert made.place(1) == SentenceOrigin(path, 5, "fr", {"id": 5})


def test_records_as_tensorflow_writes_them(tmp_path):
    path = str(tmp_path / "records-00000-of-00001")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(
            example(
                text=["grüß".encode()],
                language=[b"de"],
                numbers=[1, -2],
                weight=[0.5],
                nothing=[],
            )
        )
        writer.write(example(text=[b"b" * 1000]))
    made = prepare_corpus([path], tmp_path / "corpus")
    assert read(made) == ["grüß", "b" * 1000]
    assert made.place(0) == SentenceOrigin(
        path, 1, "de", {"numbers": [1, -2], "weight": 0.5}
    )
    assert made.place(1) == SentenceOrigin(path, 2, "und", {})
    packed = write(
        tmp_path / "a.tfrecord.gz",
        gzip.compress((tmp_path / "records-00000-of-00001").read_bytes()),
    )
    assert read(prepare_corpus([packed], tmp_path / "other")) == read(made)


@pytest.mark.parametrize("rows", [1, 7, 10_000])
@pytest.mark.parametrize("parts", [1, 4])
def test_as_a_dict_would_do_it_whatever_the_blocks(
    tmp_path, monkeypatch, rows, parts
):
    monkeypatch.setattr(corpus_writer, "_ROWS", rows)
    monkeypatch.setattr(corpus_writer, "_BYTES", 50)
    monkeypatch.setattr(corpus_writer, "_LEAST_PARTS", parts)
    random = np.random.default_rng(1)
    texts = [
        "день " * int(size) + str(end)
        for size, end in random.integers(0, 12, [500, 2])
    ]
    path = write(
        tmp_path / "a.jsonl",
        "".join(
            json.dumps({"text": text, "n": n} if n % 3 else {"text": text})
            + "\n"
            for n, text in enumerate(texts)
        ),
    )
    expected = {}
    for line, text in enumerate(texts, start=1):
        expected.setdefault(text, line)
    made = prepare_corpus([path], tmp_path / "corpus")
    assert read(made) == list(expected)
    assert made.num_duplicates == 500 - len(expected) > 300
    for number, line in enumerate(expected.values()):
        place = made.place(number)
        n = line - 1
        assert place.line == line
        assert place.metadata == ({"n": n} if n % 3 else {})


def test_only_a_whole_digest_makes_texts_equal(tmp_path):
    """Two digests with the same first half are two texts."""
    digests = np.zeros(5, corpus_writer.DIGEST)
    digests["low"] = [3, 1, 3, 2, 1]
    path = tmp_path / "digests"
    path.write_bytes(digests.tobytes())
    found = corpus_writer._first_of_equals(path, 5)
    assert found.tolist() == [True, True, False, True, False]


def test_opened_again_it_is_the_same(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tid\na\t1\nb\t2\n")
    made = prepare_corpus([path], tmp_path / "corpus")
    again = open_corpus(tmp_path / "corpus")
    assert read(again) == read(made) == ["a", "b"]
    assert again.fingerprint == made.fingerprint
    assert again.place(1) == made.place(1)
    # Another corpus in the same folder leaves nothing of this one.
    path = write(tmp_path / "a.txt", "c\n")
    (tmp_path / "corpus/texts.txt.tmp").write_text("left by a kill")
    assert prepare_corpus([path], tmp_path / "corpus").place(0).metadata == {}
    assert sorted(each.name for each in (tmp_path / "corpus").iterdir()) == [
        *("corpus.json", "languages.npy", "lines.npy", "offsets.npy"),
        "texts.txt",
    ]


def test_numbers_that_there_are_not(tmp_path):
    made = prepare_corpus(
        [write(tmp_path / "a.txt", "a\nb\n")], tmp_path / "corpus"
    )
    for ask in (
        *(lambda: made.texts(0, 3), lambda: made.texts(-1, 1)),
        *(lambda: made.place(2), lambda: made.place(-1), lambda: made.text(2)),
    ):
        with pytest.raises(IndexError, match="numbered 0 to 1. Received"):
            ask()


@pytest.mark.parametrize(
    "name,content,message",
    [
        ("a.txt", b"", r"a\.txt: the file is empty"),
        ("a.txt.gz", gzip.compress(b""), r"no text in .*a\.txt\.gz"),
        ("a.tsv", b"text\n", r"no text in .*a\.tsv"),
        ("a.txt", b"\n \n\xe2\x80\x83\n", r"no text in .*a\.txt: all 3 lines"),
        ("a.txt", b"gut\nsch\xf6n\n", r"a\.txt:2: text is UTF-8.*0xf6"),
        (
            "a.txt.gz",
            gzip.compress(b"text")[:-9],
            r"\.gz: .*damaged or truncated",
        ),
        ("a.tsv", b"id\tText\n1\tx\n", r"a\.tsv:1: .*text.*'id \| Text'"),
        ("a.tsv", b"text\ttext\n1\tx\n", r"a\.tsv:1: .*each column once"),
        ("a.tsv", b"text\tid\nx\t1\ny\n", r"a\.tsv:3: .*2\. Received 1"),
        ("a.jsonl", b'{"text": "x"}\nx\n', r"a\.jsonl:2: .*JSON object.*'x'"),
        ("a.jsonl", b'["x"]\n', r"a\.jsonl:1: .*JSON object.*\[\"x\"\]"),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl:1: .*JSON object"),
        ("a.jsonl", b'\n{"t": 1}\n', r"a\.jsonl:2: .*field 'text'.*: t\. At"),
        (
            "a.jsonl",
            b'{"text": 5}\n',
            r"jsonl:1: .*'text' is text.*int: '5'",
        ),
        ("a.jsonl", b'{"text": null}\n', r"a\.jsonl:1: .*'text' is null"),
        ("a.jsonl", b'{"text": "\\ud800"}\n', r"jsonl:1: .*surrogate"),
        ("a.jsonl", b'{"text": "x", "y": "\\ud800"}\n', r"1: .*surrogate"),
        (
            "a.jsonl",
            b'{"text": "x", "language": 1}\n',
            r"1: .*'language' is",
        ),
        ("a.csv", b"text,id\nx,1\n", r"a\.csv: \.csv files are not"),
        (
            "a.parquet",
            b"PAR1",
            r"a\.parquet: the Parquet file is damaged or truncated",
        ),
    ],
)
def test_bad_input(tmp_path, name, content, message):
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    path = write(tmp_path / name, content)
    folder = tmp_path / "corpus"
    # What was there before is gone: it was of another input.
    prepare_corpus([write(tmp_path / "good.txt", "good\n")], folder)
    with pytest.raises(InputError, match=message):
        prepare_corpus([path], folder)
    with pytest.raises(InputError, match="holds no prepared corpus"):
        open_corpus(folder)
    assert not list(folder.glob("*.tmp"))


def test_bad_parquet(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = str(tmp_path / "a.parquet")
    parquet.write_table(pyarrow.table({"t": ["x"]}), path)
    with pytest.raises(InputError, match=r"text among them. Received: 't'\."):
        prepare_corpus([path], tmp_path / "corpus")
    parquet.write_table(pyarrow.table({"text": [5]}), path)
    with pytest.raises(InputError, match=r"parquet:1: .*is text.*int: '5'"):
        prepare_corpus([path], tmp_path / "corpus")
    broken = pyarrow.array([b"a", b"b", b"\xff"]).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"text": broken}), path)
    with pytest.raises(InputError, match=r"parquet:3: text is UTF-8"):
        prepare_corpus([path], tmp_path / "corpus")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'labse\[mining\]'"):
        prepare_corpus([path], tmp_path / "corpus")


def test_bad_records(tmp_path):
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example(text=[b"x"]))
        writer.write(example(text=[b"\xff"]))
    whole = path.read_bytes()
    with pytest.raises(
        InputError, match=r"tfrecord:2: text: text is UTF-8.*0xff"
    ):
        prepare_corpus([str(path)], tmp_path / "corpus")
    for content, message in [
        (whole[:-1], r"tfrecord:2: .*truncated record"),
        (whole[:14], r"tfrecord:1: .*truncated record"),
        (whole[:5], r"tfrecord:1: .*truncated record"),
        (whole[:-6] + b"x" + whole[-5:], r"tfrecord:2: .*corrupted record"),
        (b"\x01" + whole[1:], r"tfrecord:1: .*corrupted record"),
    ]:
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            prepare_corpus([str(path)], tmp_path / "corpus")
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"\xff\xff")
    with pytest.raises(InputError, match=r"tfrecord:1: .*tf\.train\.Example"):
        prepare_corpus([str(path)], tmp_path / "corpus")


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match=r"No file matches '.*none-\*'"):
        prepare_corpus([f"{tmp_path}/none-*"], tmp_path / "corpus")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(InputError, match=r"folder\.txt: .*This is a folder"):
        prepare_corpus([f"{tmp_path}/folder*"], tmp_path / "corpus")


def test_a_damaged_corpus(tmp_path):
    folder = tmp_path / "corpus"
    prepare_corpus([write(tmp_path / "a.txt", "ab\ncd\n")], folder)
    for name, content in [
        ("texts.txt", b"ab\ncd"),
        ("lines.npy", b""),
        ("offsets.npy", (folder / "lines.npy").read_bytes()),
    ]:
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(content)
        with pytest.raises(InputError, match=f"damaged .*{name}"):
            open_corpus(folder)
        (folder / name).write_bytes(before)
    about = json.loads((folder / "corpus.json").read_text())
    about["num_read"] += 1
    (folder / "corpus.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="3 read, 2 kept, 0 blank, 0 malf"):
        open_corpus(folder)
    (folder / "corpus.json").write_text("{")
    with pytest.raises(InputError, match=r"damaged \(corpus\.json"):
        open_corpus(folder)
