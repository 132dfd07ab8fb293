import gzip
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from labse.data import pair_index
from labse.data.pair_store import PairStore
from labse.errors import InputError
from labse.files.reading import ReadOptions

HEADER = "source\ttarget\tsource_language\ttarget_language\n"
PAIRS = [
    ("a cat", "eine Katze", "en", "de"),
    ("the dog barks", "der Hund bellt", "en", "de"),
    ("слово", "คำ", "ru", "th"),
    ("one\u2028line\x0b\x85only", "eine\u2029Zeile", "en", "de"),
]


def table(pairs, header=HEADER, end="\n"):
    rows = ["\t".join(pair) for pair in pairs]
    return "".join([header, *(row + end for row in rows)]).encode()


def record(**features):
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                name: tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[value.encode()])
                )
                for name, value in features.items()
            }
        )
    ).SerializeToString()


def write_records(path, pairs):
    names = HEADER.split()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for pair in pairs:
            writer.write(record(**dict(zip(names, pair, strict=True))))
    return path


def write(path, content):
    compressed = path.name.endswith(".gz")
    path.write_bytes(gzip.compress(content) if compressed else content)
    return path


def store(tmp_path, *paths, **arguments):
    return PairStore(
        [str(path) for path in paths], tmp_path / "c", ReadOptions(**arguments)
    )


def rows(pairs):
    """All rows of a store, one by one, as (source, target, languages)."""
    result = []
    for index in range(len(pairs)):
        pair = pairs.pair(index)
        name = pairs.language_names[pairs.languages[index]]
        result.append((pair.source.decode(), pair.target.decode(), str(name)))
    return result


def expected(pairs):
    return [(pair[0], pair[1], f"{pair[2]}-{pair[3]}") for pair in pairs]


def refusal(tmp_path, *paths, **arguments):
    with pytest.raises(InputError) as error:
        store(tmp_path, *paths, **arguments)
    return str(error.value)


@pytest.mark.parametrize("name", ["p.tsv", "p.tsv.gz", "p.tfrecord"])
def test_every_kind_of_file_gives_its_pairs(tmp_path, name):
    path = tmp_path / name
    if name == "p.tfrecord":
        write_records(path, PAIRS)
    else:
        write(path, table(PAIRS))
    pairs = store(tmp_path, path)
    assert rows(pairs) == expected(PAIRS)
    assert list(pairs.language_names) == ["en-de", "ru-th"]
    assert pairs.languages.tolist() == [0, 0, 1, 0]


def test_pairs_name_their_corpora(tmp_path):
    header = HEADER.strip() + "\tcorpus\n"
    some = [(*PAIRS[0], "bible"), (*PAIRS[1], ""), (*PAIRS[2], "bible")]
    with tf.io.TFRecordWriter(str(tmp_path / "3.tfrecord")) as writer:
        writer.write(record(source="a", target="b", corpus="news"))
    paths = [
        write(tmp_path / "1.tsv", table(some, header)),
        write(tmp_path / "2.tsv", table(PAIRS[3:])),
        tmp_path / "3.tfrecord",
    ]
    pairs = store(tmp_path, *paths)
    names = ["bible", "", "bible", "", "news"]
    assert [pairs.pair(row).corpus for row in range(5)] == names
    assert list(pairs.corpus_names[pairs.corpora]) == names
    # Read from the index that the first one made.
    again = store(tmp_path, *paths)
    assert list(again.corpus_names[again.corpora]) == names
    assert again.identity(with_corpora=True) == pairs.identity(
        with_corpora=True
    )
    write(paths[0], table([(*pair[:4], "verse") for pair in some], header))
    other = store(tmp_path, *paths)
    assert other.identity(with_corpora=True) != pairs.identity(
        with_corpora=True
    )


def test_a_corpus_that_is_not_bytes_is_malformed(tmp_path):
    path = tmp_path / "p.tfrecord"
    example = tf.train.Example.FromString(record(source="a", target="b"))
    example.features.feature["corpus"].int64_list.value.append(3)
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example.SerializeToString())
    assert "the field 'corpus' is text. Received int" in refusal(tmp_path, path)


def test_files_of_all_kinds_follow_one_another(tmp_path):
    paths = [
        write_records(tmp_path / "1.tfrecord", PAIRS[:2]),
        write(tmp_path / "2.tsv.gz", table(PAIRS[2:3])),
        write(tmp_path / "3.tsv", table(PAIRS[3:])),
        write(tmp_path / "4.tsv", table([("x", "y", "aa", "bb")])),
    ]
    pairs = store(tmp_path, *paths)
    assert rows(pairs) == [*expected(PAIRS), ("x", "y", "aa-bb")]
    assert list(pairs.language_names) == ["aa-bb", "en-de", "ru-th"]


def test_random_reads_give_the_rows_asked_for(tmp_path):
    many = [(f"s{i}" * (i % 7 + 1), f"t{i}", "a", "b") for i in range(300)]
    paths = [
        write(tmp_path / "1.tsv", table(many[:120])),
        write_records(tmp_path / "2.tfrecord", many[120:]),
    ]
    pairs = store(tmp_path, *paths)
    chosen = np.random.default_rng(0).integers(0, 300, size=500)
    read = [pairs.pair(i) for i in chosen]
    assert [pair.source for pair in read] == [
        many[i][0].encode() for i in chosen
    ]
    assert [pair.target for pair in read] == [
        many[i][1].encode() for i in chosen
    ]


def test_lengths_are_the_bytes_of_the_lines(tmp_path):
    path = write(tmp_path / "p.tsv", table(PAIRS[:1] + PAIRS[2:3]))
    # "a cat", "eine Katze" and two languages with three tabs: 5 + 10 + 4 + 3;
    # five letters of two bytes, two of three, 4 + 3.
    assert store(tmp_path, path).lengths.tolist() == [22, 23]


def test_the_order_of_columns_is_free_and_more_are_ignored(tmp_path):
    header = "note\ttarget_language\ttarget\tsource\tsource_language\n"
    path = write(
        tmp_path / "p.tsv",
        table([("x", "de", "Haus", "house", "en")], header),
    )
    assert rows(store(tmp_path, path)) == [("house", "Haus", "en-de")]


def test_without_languages_they_are_undetermined(tmp_path):
    bare = write(
        tmp_path / "p.tsv", table([("house", "Haus")], "source\ttarget\n")
    )
    records = tmp_path / "r.tfrecord"
    with tf.io.TFRecordWriter(str(records)) as writer:
        writer.write(record(source="dog", target="Hund"))
    assert rows(store(tmp_path, bare, records)) == [
        ("house", "Haus", "und-und"),
        ("dog", "Hund", "und-und"),
    ]


def test_an_empty_language_is_malformed(tmp_path):
    path = write(tmp_path / "q.tsv", table([("cat", "Katze", "", "de")]))
    assert f"{path}:2: source_language is empty" in refusal(tmp_path, path)


def test_languages_by_options_where_a_file_has_none(tmp_path, caplog):
    bare = write(
        tmp_path / "p.tsv", table([("house", "Haus")], "source\ttarget\n")
    )
    named = write(tmp_path / "q.tsv", table(PAIRS[2:3]))
    options = {"source_language": "en", "target_language": "de"}
    assert rows(store(tmp_path, bare, named, **options)) == [
        ("house", "Haus", "en-de"),
        *expected(PAIRS[2:3]),
    ]
    assert "undetermined" not in caplog.text
    # The index knows how it was read.
    assert rows(store(tmp_path, bare))[0][2] == "und-und"
    message = f"Rows of {bare} have no source_language and no target_language"
    assert message in caplog.text


def write_kind(path, fields):
    """Rows as a file of the kind that its name says."""
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow.parquet").write_table(
            pytest.importorskip("pyarrow").Table.from_pylist(fields), path
        )
        return path
    lines = "".join(json.dumps(row) + "\n" for row in fields)
    return write(path, b"\xef\xbb\xbf" + lines.encode())


@pytest.mark.parametrize("name", ["p.jsonl", "p.jsonl.gz", "p.parquet"])
def test_json_and_parquet_are_read_at_any_place(tmp_path, name):
    fields = [
        {
            "translation": {"en": source, "de": target},
            "corpus": corpus,
            "hard_negatives": negatives,
        }
        for source, target, corpus, negatives in (
            ("a\tcat", "eine\nKatze", "x", ["der Hut", "ein \u2028Hund"]),
            ("слово", "คำ", None, []),
            ("", "leer", "y", None),
            ("dog", "Hund", "y", None),
        )
    ]
    path = write_kind(tmp_path / name, fields)
    options = {
        "source_column": "translation.en",
        "target_column": "translation.de",
        "target_language": "de",
        "max_malformed_share": 0.25,
    }
    for _ in range(2):  # The second time, from the index and the copy.
        pairs = store(tmp_path, path, **options)
        assert rows(pairs) == [
            ("a\tcat", "eine\nKatze", "und-de"),
            ("слово", "คำ", "und-de"),
            ("dog", "Hund", "und-de"),
        ]
        found = [pairs.pair(i) for i in range(3)]
        assert [pair.corpus for pair in found] == ["x", "", "y"]
        assert found[0].hard_negatives == (
            b"der Hut",
            "ein \u2028Hund".encode(),
        )
        assert found[1].hard_negatives == found[2].hard_negatives == ()
    assert f"{path}:3: translation.en is empty" in refusal(
        tmp_path, path, **{**options, "max_malformed_share": 0.2}
    )
    # A copy that is gone is made again.
    for copy in (tmp_path / "c").glob("*.parquet"):
        copy.unlink()
    assert len(store(tmp_path, path, **options)) == 3


def test_a_parquet_file_of_bytes(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    texts = [b"cat", "h\u00f6r".encode(), b"\xff"]
    columns = {
        name: arrow.array(texts, arrow.binary())
        for name in ("source", "target", "source_language")
    }
    path = tmp_path / "p.parquet"
    parquet.write_table(arrow.table(columns), path)
    pairs = store(tmp_path, path, max_malformed_share=0.4)
    assert rows(pairs) == [("cat", "cat", "cat-und"), ("hör", "hör", "hör-und")]
    message = refusal(tmp_path, path)
    assert f"{path}:3: source: text is UTF-8. Received the byte 0xff" in message


def test_compressed_records_and_a_single_hard_negative(tmp_path):
    plain = tmp_path / "plain.tfrecord"
    with tf.io.TFRecordWriter(str(plain)) as writer:
        example = record(source="a", target="b", hard_negatives='["c"]')
        writer.write(example)
    path = write(tmp_path / "p.tfrecord.gz", plain.read_bytes())
    # Of a TFRecord, it is a text, not JSON.
    assert store(tmp_path, path).pair(0).hard_negatives == (b'["c"]',)


def test_windows_line_ends_belong_to_no_column(tmp_path):
    header = HEADER.replace("\n", "\r\n")
    path = write(tmp_path / "p.tsv", table(PAIRS, header, "\r\n"))
    assert rows(store(tmp_path, path)) == expected(PAIRS)
    # The text is the last column here.
    header = "source\ttarget\r\n"
    path = write(tmp_path / "q.tsv", table([("a", "b")], header, "\r\n"))
    assert rows(store(tmp_path, path)) == [("a", "b", "und-und")]


def test_a_last_line_without_an_end_is_a_pair(tmp_path):
    path = write(tmp_path / "p.tsv", table(PAIRS).removesuffix(b"\n"))
    assert rows(store(tmp_path, path)) == expected(PAIRS)


BROKEN = b"only one column\n  \tempty source\ten\tde\n\xff\xfe\tb\ten\tde\n"


@pytest.mark.parametrize("name", ["p.tsv", "p.tsv.gz"])
def test_malformed_lines_are_refused_with_their_place(tmp_path, name):
    path = write(tmp_path / name, table(PAIRS) + BROKEN)
    message = refusal(tmp_path, path, max_malformed_share=0.42)
    # 3 of 7 lines are 0.4286.
    assert message.startswith("3 of 7 rows are malformed (1 wrong")
    assert (
        f"{path}:6: a line has as many columns as the header, 4. Received 1; "
        in message
    )
    assert f"{path}:7: source is empty; " in message
    assert f"{path}:8: " in message
    assert "the byte 0xff at byte 1" in message
    assert "At most a share of 0.42 is left out" in message
    assert "data.max_malformed_share" in message


def test_malformed_lines_below_the_share_are_left_out_and_told(
    tmp_path, caplog
):
    path = write(tmp_path / "p.tsv", table(PAIRS[:2]) + BROKEN)
    with open(path, "ab") as file:
        file.write(table(PAIRS[2:], ""))
    with caplog.at_level("WARNING", logger="absl"):
        pairs = store(tmp_path, path, max_malformed_share=3 / 7)
    assert rows(pairs) == expected(PAIRS)
    assert "3 of 7 rows are malformed" in caplog.text
    assert f"{path}:4: " in caplog.text
    # What was found is remembered with the index.
    message = refusal(tmp_path, path, max_malformed_share=0.4)
    assert f"{path}:4: " in message


def test_only_the_first_five_malformed_lines_are_shown(tmp_path):
    path = write(tmp_path / "p.tsv", table(PAIRS) + b"x\n" * 20)
    message = refusal(tmp_path, path)
    assert message.startswith("20 of 24 rows are malformed (20 wrong")
    assert f"{path}:10: " in message
    assert f"{path}:11: " not in message


def test_the_share_is_that_of_all_files(tmp_path):
    good = write(tmp_path / "good.tsv", table(PAIRS * 5))
    bad = write(tmp_path / "bad.tsv", table(PAIRS[:1]) + b"x\n")
    # 1 of 22 in all, but 1 of 2 in the bad one.
    assert len(store(tmp_path, good, bad, max_malformed_share=0.05)) == 21
    assert "1 of 2 rows" in refusal(tmp_path, bad, max_malformed_share=0.05)


def test_malformed_records_are_counted_as_well(tmp_path):
    path = tmp_path / "p.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(record(source="a", target="b"))
        writer.write(record(source="a"))
        writer.write(b"no example at all")
        writer.write(record(source="c", target="d"))
    message = refusal(tmp_path, path)
    assert message.startswith("2 of 4 rows are malformed (1 without")
    assert f"{path}:3: a record is a tf.train.Example" in message
    assert f"{path}:2: a row has the field 'target'" in message
    pairs = store(tmp_path, path, max_malformed_share=0.5)
    assert [row[:2] for row in rows(pairs)] == [("a", "b"), ("c", "d")]


def test_an_empty_file_is_refused(tmp_path):
    path = write(tmp_path / "p.tsv", b"")
    assert refusal(tmp_path, path) == (
        f"{path}: the file is empty. Make or fetch it again, or leave it out."
    )


def test_files_without_a_pair_are_refused(tmp_path):
    path = write(tmp_path / "p.tsv", HEADER.encode())
    assert refusal(tmp_path, path) == f"No pairs found in {path}."


def test_a_missing_header_is_refused(tmp_path):
    path = write(tmp_path / "p.tsv", b"a cat\teine Katze\n")
    message = refusal(tmp_path, path)
    assert message.startswith(f"{path}:1: the columns are named in a")
    assert "source and target among them" in message
    assert "Received: 'a cat | eine Katze'." in message


def test_the_header_of_a_compressed_file_is_named_by_that_file(tmp_path):
    path = write(tmp_path / "p.tsv.gz", b"a,b\n")
    assert refusal(tmp_path, path).startswith(f"{path}:1: the columns")


def test_a_truncated_gz_is_refused_and_leaves_no_copy(tmp_path):
    random = np.random.default_rng(0)
    pairs = [(str(n), "t", "a", "b") for n in random.random(2000)]
    path = write(tmp_path / "p.tsv.gz", table(pairs))
    path.write_bytes(path.read_bytes()[:-2000])
    assert f"{path}: the compressed file is damaged" in refusal(tmp_path, path)
    assert not list((tmp_path / "c").glob("*.tsv"))
    assert not list((tmp_path / "c").glob("*.npz"))
    path.write_bytes(b"no gzip file")
    assert "by its name this is a gzip file" in refusal(tmp_path, path)


def test_a_truncated_tfrecord_is_refused(tmp_path):
    path = write_records(tmp_path / "p.tfrecord", PAIRS)
    path.write_bytes(path.read_bytes()[:-3])
    message = refusal(tmp_path, path)
    assert f"{path}:4: the record is damaged or truncated" in message


def test_a_text_file_with_another_name_is_refused(tmp_path):
    path = write(tmp_path / "p.csv", table(PAIRS))
    assert f"{path}: .csv files are not read" in refusal(tmp_path, path)


def test_no_match_is_refused(tmp_path):
    pattern = tmp_path / "*.tsv"
    assert refusal(tmp_path, pattern).endswith(
        f"No file matches {str(pattern)!r}."
    )


@pytest.mark.parametrize("name", ["p.tsv", "p.tsv.gz"])
def test_the_index_is_made_once(tmp_path, monkeypatch, name):
    path = write(tmp_path / name, table(PAIRS))
    store(tmp_path, path)
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "c").iterdir()}

    def forbidden(*arguments):
        raise AssertionError("The file was indexed again.")

    monkeypatch.setattr(pair_index, "_arrays", forbidden)
    monkeypatch.setattr(pair_index, "open_unpacked", forbidden)
    assert rows(store(tmp_path, path)) == expected(PAIRS)
    again = {p: p.stat().st_mtime_ns for p in (tmp_path / "c").iterdir()}
    assert again == made
    assert not [p for p in made if "tmp" in p.name]


@pytest.mark.parametrize("name", ["p.tsv", "p.tsv.gz"])
def test_a_changed_file_is_indexed_again(tmp_path, name):
    path = write(tmp_path / name, table([("a", "b", "en", "de")]))
    assert rows(store(tmp_path, path)) == [("a", "b", "en-de")]
    times = path.stat()
    write(path, table([("c", "d", "en", "de")]))
    # Of the same size; the time alone tells.
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))
    assert rows(store(tmp_path, path)) == [("c", "d", "en-de")]


def test_an_empty_compressed_file_is_refused(tmp_path):
    path = write(tmp_path / "p.tsv.gz", b"")
    assert refusal(tmp_path, path).startswith(f"{path}:1: the columns")


def test_a_byte_order_mark_belongs_to_no_column(tmp_path):
    path = write(tmp_path / "p.tsv", b"\xef\xbb\xbf" + table(PAIRS))
    assert rows(store(tmp_path, path)) == expected(PAIRS)


@pytest.mark.parametrize("name", ["p.tsv", "p.tsv.gz"])
def test_a_run_may_go_on_from_another_folder(tmp_path, monkeypatch, name):
    """The index is found by the absolute path, and so must be the file."""
    path = write(tmp_path / name, table(PAIRS))
    monkeypatch.chdir(tmp_path)
    assert rows(PairStore([name], "c")) == expected(PAIRS)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    # A file of the same name that must not be read instead.
    write(tmp_path / "other" / name, table(PAIRS).upper())
    assert rows(PairStore([str(path)], "../c")) == expected(PAIRS)


def test_the_identity_tells_other_pairs_from_the_same(tmp_path):
    one = write(tmp_path / "1.tsv", table(PAIRS[:2]))
    two = write(tmp_path / "2.tsv", table(PAIRS[2:]))
    whole = write(tmp_path / "3.tsv", table(PAIRS[:2] + PAIRS[3:]))
    identity = store(tmp_path, one, two).identity()
    assert store(tmp_path, one, two).identity() == identity
    others = [[two, one], [one], [one, whole]]
    for paths in others:
        assert store(tmp_path, *paths).identity() != identity


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "f.tsv").mkdir()
    assert "is a folder" in refusal(tmp_path, tmp_path / "f.tsv")


NEGATIVES = [["der Hut", "die \t\n\u2028Kappe"], [], ["ein Hund"]]


def write_negatives(path, rows, languages=("en", "de")):
    """Pairs s0 - t0, s1 - t1 ... with hard negatives, as a file of any kind."""
    if path.suffix == ".tsv":
        cells = [json.dumps(row) if row else "" for row in rows]
        lines = [
            "\t".join([f"s{i}", f"t{i}", *languages, cell])
            for i, cell in enumerate(cells)
        ]
        header = HEADER.rstrip() + "\thard_negatives\n"
        return write(path, (header + "\n".join(lines) + "\n").encode())
    with tf.io.TFRecordWriter(str(path)) as writer:
        for i, row in enumerate(rows):
            example = tf.train.Example.FromString(
                record(source=f"s{i}", target=f"t{i}")
            )
            values = [text.encode() for text in row]
            feature = example.features.feature["hard_negatives"]
            feature.bytes_list.value.extend(values)
            writer.write(example.SerializeToString())
    return path


@pytest.mark.parametrize("name", ["p.tsv", "p.tfrecord"])
def test_hard_negatives_are_read_in_their_order(tmp_path, name):
    path = write_negatives(tmp_path / name, NEGATIVES)
    pairs = store(tmp_path, path)
    found = [
        [text.decode() for text in pairs.pair(i).hard_negatives]
        for i in range(3)
    ]
    assert found == NEGATIVES
    assert pairs.num_hard_negatives.tolist() == [2, 0, 1]
    assert pairs.pair(2).source == b"s2"
    # The index that is read again says the same.
    again = store(tmp_path, path).num_hard_negatives
    assert again.tolist() == [2, 0, 1]


def test_without_the_column_there_are_none(tmp_path):
    pairs = store(tmp_path, write(tmp_path / "p.tsv", table(PAIRS)))
    assert pairs.num_hard_negatives.tolist() == [0, 0, 0, 0]
    pair = pairs.pair(0)
    assert pair.hard_negatives == ()
    assert (pair.source_language, pair.target_language) == ("en", "de")


@pytest.mark.parametrize(
    "cell, message",
    [
        ("der Hut", "is not JSON: "),
        ('{"a": 1}', "is not a list of strings"),
        ("[1]", "is not a list of strings"),
        ('["a", " "]', "has an empty text"),
        ("[" * 100_000, "is not JSON: "),
    ],
)
def test_a_cell_that_is_no_list_of_strings_is_refused(tmp_path, cell, message):
    content = f"source\ttarget\thard_negatives\na\tb\t\nc\td\t{cell}\n"
    path = write(tmp_path / "p.tsv", content.encode())
    refused = refusal(tmp_path, path)
    assert f"{path}:3: hard_negatives must be a list" in refused
    assert message in refused


def test_the_identity_tells_other_hard_negatives(tmp_path):
    """Records of the same lengths, with one and with two."""
    identities = set()
    for number, row in enumerate((["ab", "cd"], ["xy", "cd"], ["abcdefgh"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = write_negatives(folder / "p.tsv", [row])
        pairs = store(folder, path)
        assert pairs.lengths.tolist() == [24]
        identities.add(pairs.identity())
    # What they are is not read; how many there are is.
    assert len(identities) == 2
