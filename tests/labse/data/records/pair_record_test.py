import gzip
import json

import numpy as np
import pytest
import tensorflow as tf

from labse.data.records.pair_record import TrainingPairs
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


def read(*paths, **options):
    return list(TrainingPairs(paths, ReadOptions(**options)))


def rows(pairs):
    """Each pair as (source, target, languages)."""
    return [
        (pair.source.decode(), pair.target.decode(), languages(pair))
        for pair in pairs
    ]


def languages(pair):
    return f"{pair.source_language}-{pair.target_language}"


def expected(pairs):
    return [(pair[0], pair[1], f"{pair[2]}-{pair[3]}") for pair in pairs]


def refusal(*paths, **options):
    with pytest.raises(InputError) as error:
        read(*paths, **options)
    return str(error.value)


@pytest.mark.parametrize("name", ["p.tsv", "p.tsv.gz", "p.tfrecord"])
def test_every_kind_of_file_gives_its_pairs(tmp_path, name):
    path = tmp_path / name
    if name == "p.tfrecord":
        write_records(path, PAIRS)
    else:
        write(path, table(PAIRS))
    pairs = read(path)
    assert rows(pairs) == expected(PAIRS)


def test_a_corpus_that_is_not_bytes_is_malformed(tmp_path):
    path = tmp_path / "p.tfrecord"
    example = tf.train.Example.FromString(record(source="a", target="b"))
    example.features.feature["corpus"].int64_list.value.append(3)
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example.SerializeToString())
    assert "the field 'corpus' is text. Received int" in refusal(path)


def test_files_of_all_kinds_follow_one_another(tmp_path):
    paths = [
        write_records(tmp_path / "1.tfrecord", PAIRS[:2]),
        write(tmp_path / "2.tsv.gz", table(PAIRS[2:3])),
        write(tmp_path / "3.tsv", table(PAIRS[3:])),
        write(tmp_path / "4.tsv", table([("x", "y", "aa", "bb")])),
    ]
    pairs = read(*paths)
    assert rows(pairs) == [*expected(PAIRS), ("x", "y", "aa-bb")]


def test_the_order_of_columns_is_free_and_more_are_ignored(tmp_path):
    header = "note\ttarget_language\ttarget\tsource\tsource_language\n"
    path = write(
        tmp_path / "p.tsv",
        table([("x", "de", "Haus", "house", "en")], header),
    )
    assert rows(read(path)) == [("house", "Haus", "en-de")]


def test_without_languages_they_are_undetermined(tmp_path):
    bare = write(
        tmp_path / "p.tsv", table([("house", "Haus")], "source\ttarget\n")
    )
    records = tmp_path / "r.tfrecord"
    with tf.io.TFRecordWriter(str(records)) as writer:
        writer.write(record(source="dog", target="Hund"))
    assert rows(read(bare, records)) == [
        ("house", "Haus", "und-und"),
        ("dog", "Hund", "und-und"),
    ]


def test_an_empty_language_is_malformed(tmp_path):
    path = write(tmp_path / "q.tsv", table([("cat", "Katze", "", "de")]))
    assert f"{path}:2: source_language is empty" in refusal(path)


def test_languages_by_options_where_a_file_has_none(tmp_path, caplog):
    bare = write(
        tmp_path / "p.tsv", table([("house", "Haus")], "source\ttarget\n")
    )
    named = write(tmp_path / "q.tsv", table(PAIRS[2:3]))
    options = {"source_language": "en", "target_language": "de"}
    assert rows(read(bare, named, **options)) == [
        ("house", "Haus", "en-de"),
        *expected(PAIRS[2:3]),
    ]
    assert "undetermined" not in caplog.text
    assert rows(read(bare))[0][2] == "und-und"
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
    pairs = read(path, max_malformed_share=0.4)
    assert rows(pairs) == [("cat", "cat", "cat-und"), ("hör", "hör", "hör-und")]
    message = refusal(path)
    assert f"{path}:3: source: text is UTF-8. Received the byte 0xff" in message


def test_compressed_records_and_a_single_hard_negative(tmp_path):
    plain = tmp_path / "plain.tfrecord"
    with tf.io.TFRecordWriter(str(plain)) as writer:
        example = record(source="a", target="b", hard_negatives='["c"]')
        writer.write(example)
    path = write(tmp_path / "p.tfrecord.gz", plain.read_bytes())
    # Of a TFRecord, it is a text, not JSON.
    assert read(path)[0].hard_negatives == (b'["c"]',)


def test_windows_line_ends_belong_to_no_column(tmp_path):
    header = HEADER.replace("\n", "\r\n")
    path = write(tmp_path / "p.tsv", table(PAIRS, header, "\r\n"))
    assert rows(read(path)) == expected(PAIRS)
    # The text is the last column here.
    header = "source\ttarget\r\n"
    path = write(tmp_path / "q.tsv", table([("a", "b")], header, "\r\n"))
    assert rows(read(path)) == [("a", "b", "und-und")]


def test_a_last_line_without_an_end_is_a_pair(tmp_path):
    path = write(tmp_path / "p.tsv", table(PAIRS).removesuffix(b"\n"))
    assert rows(read(path)) == expected(PAIRS)


BROKEN = b"only one column\n  \tempty source\ten\tde\n\xff\xfe\tb\ten\tde\n"


@pytest.mark.parametrize("name", ["p.tsv", "p.tsv.gz"])
def test_malformed_lines_are_refused_with_their_place(tmp_path, name):
    path = write(tmp_path / name, table(PAIRS) + BROKEN)
    message = refusal(path, max_malformed_share=0.42)
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
        pairs = read(path, max_malformed_share=3 / 7)
    assert rows(pairs) == expected(PAIRS)
    assert "3 of 7 rows are malformed" in caplog.text
    assert f"{path}:4: " in caplog.text
    # What was found is remembered with the index.
    message = refusal(path, max_malformed_share=0.4)
    assert f"{path}:4: " in message


def test_only_the_first_five_malformed_lines_are_shown(tmp_path):
    path = write(tmp_path / "p.tsv", table(PAIRS) + b"x\n" * 20)
    message = refusal(path)
    assert message.startswith("20 of 24 rows are malformed (20 wrong")
    assert f"{path}:10: " in message
    assert f"{path}:11: " not in message


def test_the_share_is_that_of_all_files(tmp_path):
    good = write(tmp_path / "good.tsv", table(PAIRS * 5))
    bad = write(tmp_path / "bad.tsv", table(PAIRS[:1]) + b"x\n")
    # 1 of 22 in all, but 1 of 2 in the bad one.
    assert len(read(good, bad, max_malformed_share=0.05)) == 21
    assert "1 of 2 rows" in refusal(bad, max_malformed_share=0.05)


def test_malformed_records_are_counted_as_well(tmp_path):
    path = tmp_path / "p.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(record(source="a", target="b"))
        writer.write(record(source="a"))
        writer.write(b"no example at all")
        writer.write(record(source="c", target="d"))
    message = refusal(path)
    assert message.startswith("2 of 4 rows are malformed (1 without")
    assert f"{path}:3: a record is a tf.train.Example" in message
    assert f"{path}:2: a row has the field 'target'" in message
    pairs = read(path, max_malformed_share=0.5)
    assert [row[:2] for row in rows(pairs)] == [("a", "b"), ("c", "d")]


def test_an_empty_file_is_refused(tmp_path):
    path = write(tmp_path / "p.tsv", b"")
    assert refusal(path) == (
        f"{path}: the file is empty. Make or fetch it again, or leave it out."
    )


def test_a_missing_header_is_refused(tmp_path):
    path = write(tmp_path / "p.tsv", b"a cat\teine Katze\n")
    message = refusal(path)
    assert message.startswith(f"{path}:1: the columns are named in a")
    assert "source and target among them" in message
    assert "Received: 'a cat | eine Katze'." in message


def test_the_header_of_a_compressed_file_is_named_by_that_file(tmp_path):
    path = write(tmp_path / "p.tsv.gz", b"a,b\n")
    assert refusal(path).startswith(f"{path}:1: the columns")


def test_a_truncated_gz_is_refused_and_leaves_no_copy(tmp_path):
    random = np.random.default_rng(0)
    pairs = [(str(n), "t", "a", "b") for n in random.random(2000)]
    path = write(tmp_path / "p.tsv.gz", table(pairs))
    path.write_bytes(path.read_bytes()[:-2000])
    assert f"{path}: the compressed file is damaged" in refusal(path)
    assert not list((tmp_path / "c").glob("*.tsv"))
    assert not list((tmp_path / "c").glob("*.npz"))
    path.write_bytes(b"no gzip file")
    assert "by its name this is a gzip file" in refusal(path)


def test_a_truncated_tfrecord_is_refused(tmp_path):
    path = write_records(tmp_path / "p.tfrecord", PAIRS)
    path.write_bytes(path.read_bytes()[:-3])
    message = refusal(path)
    assert f"{path}:4: the record is damaged or truncated" in message


def test_a_text_file_with_another_name_is_refused(tmp_path):
    path = write(tmp_path / "p.csv", table(PAIRS))
    assert f"{path}: .csv files are not read" in refusal(path)


def test_no_match_is_refused(tmp_path):
    pattern = tmp_path / "*.tsv"
    assert refusal(pattern).endswith(f"No file matches {str(pattern)!r}.")


def test_an_empty_compressed_file_is_refused(tmp_path):
    path = write(tmp_path / "p.tsv.gz", b"")
    assert refusal(path).startswith(f"{path}:1: the columns")


def test_a_byte_order_mark_belongs_to_no_column(tmp_path):
    path = write(tmp_path / "p.tsv", b"\xef\xbb\xbf" + table(PAIRS))
    assert rows(read(path)) == expected(PAIRS)


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "f.tsv").mkdir()
    assert "is a folder" in refusal(tmp_path / "f.tsv")


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
    pairs = read(path)
    found = [[text.decode() for text in pair.hard_negatives] for pair in pairs]
    assert found == NEGATIVES
    assert pairs[2].source == b"s2"


def test_without_the_column_there_are_none(tmp_path):
    pairs = read(write(tmp_path / "p.tsv", table(PAIRS)))
    assert [pair.hard_negatives for pair in pairs] == [()] * 4
    assert [pair.corpus for pair in pairs] == [""] * 4
    assert pairs[2].source_language == "ru"
    assert pairs[2].target_language == "th"


def test_pairs_name_their_corpora(tmp_path):
    header = HEADER.strip() + "\tcorpus\n"
    some = [(*PAIRS[0], "bible"), (*PAIRS[1], ""), (*PAIRS[2], "bible")]
    with tf.io.TFRecordWriter(str(tmp_path / "3.tfrecord")) as writer:
        writer.write(record(source="a", target="b", corpus="news"))
    pairs = read(
        write(tmp_path / "1.tsv", table(some, header)),
        write(tmp_path / "2.tsv", table(PAIRS[3:])),
        tmp_path / "3.tfrecord",
    )
    names = ["bible", "", "bible", "", "news"]
    assert [pair.corpus for pair in pairs] == names


@pytest.mark.parametrize("name", ["p.jsonl", "p.jsonl.gz", "p.parquet"])
def test_json_and_parquet(tmp_path, name):
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
    pairs = read(path, **options)
    assert rows(pairs) == [
        ("a\tcat", "eine\nKatze", "und-de"),
        ("слово", "คำ", "und-de"),
        ("dog", "Hund", "und-de"),
    ]
    assert [pair.corpus for pair in pairs] == ["x", "", "y"]
    first = (b"der Hut", "ein \u2028Hund".encode())
    assert [pair.hard_negatives for pair in pairs] == [first, (), ()]
    assert f"{path}:3: translation.en is empty" in refusal(
        path, **{**options, "max_malformed_share": 0.2}
    )


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
    refused = refusal(path)
    assert f"{path}:3: hard_negatives must be a list" in refused
    assert message in refused
