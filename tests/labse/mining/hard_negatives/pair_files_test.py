import gzip
import json

import numpy as np
import pytest

from labse.data.records.pair_record import TrainingPairs
from labse.errors import InputError
from labse.files.reading import ReadOptions
from labse.mining.hard_negatives import pair_files
from labse.mining.hard_negatives.pair_files import mine_hard_negatives as mine

HEADER = "source\ttarget\tsource_language\ttarget_language\n"
# A text's vector is told by its first number: an angle in degrees.
ROWS = [
    ("0 cat", "1 Katze", "en", "de"),
    ("0 cat", "2 Mieze", "en", "de"),
    ("9 cap", "8 Kappe", "en", "de"),
    ("20 dog", "21 Hund", "en", "de"),
    ("20 dog", "22 chien", "en", "fr"),
]
# All texts differ in more than their numbers.
EXPECTED = [
    ["8 Kappe", "21 Hund"],
    ["8 Kappe", "21 Hund"],
    ["2 Mieze", "1 Katze"],
    ["8 Kappe", "2 Mieze"],
    [],
]


class Encoder:
    """Loads an encode function that counts what it is asked."""

    def __init__(self, fingerprint="one", broken_after=None):
        self.fingerprint = fingerprint
        self.texts = []
        self.broken_after = broken_after

    def __call__(self):
        return self.encode, self.fingerprint

    def encode(self, texts):
        if len(self.texts) == self.broken_after:
            raise KeyboardInterrupt
        self.texts += texts
        angles = np.radians([float(text.split()[0]) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def write(path, rows=ROWS, header=HEADER):
    content = header + "".join("\t".join(row) + "\n" for row in rows)
    path.write_text(content)
    return path


def run(tmp_path, out="out.tsv", encoder=None, rows=ROWS, **arguments):
    path = tmp_path / "pairs.tsv"
    if not path.exists():
        write(path, rows)
    return mine(
        [str(path)],
        tmp_path / out,
        encoder or Encoder(),
        tmp_path / "work",
        **{"negatives": 2, **arguments},
    )


def read(path):
    return list(TrainingPairs([path]))


@pytest.mark.parametrize("name", ["o.tsv", "o.tsv.gz", "o.tfrecord"])
def test_what_is_written_is_what_training_reads(tmp_path, name):
    summary = run(tmp_path, name)
    found = read(tmp_path / name)
    assert [
        (
            pair.source.decode(),
            pair.target.decode(),
            pair.source_language,
            pair.target_language,
        )
        for pair in found
    ] == ROWS
    assert [
        [text.decode() for text in pair.hard_negatives] for pair in found
    ] == EXPECTED
    assert (summary.pairs, summary.texts) == (5, 8)
    assert (summary.complete, summary.fewer, summary.none) == (4, 0, 1)
    true = np.cos(np.radians([1, 2, 1, 1, 2])).mean()
    assert summary.true_cosine == pytest.approx(true, abs=1e-6)
    angles = [8, 21, 8, 21, 7, 8, 12, 18]
    negative = np.cos(np.radians(angles)).mean()
    assert summary.negative_cosine == pytest.approx(negative, abs=1e-6)
    assert not list(tmp_path.glob(".*"))


def test_the_table_byte_by_byte(tmp_path):
    run(tmp_path)
    lines = (tmp_path / "out.tsv").read_text().splitlines()
    assert lines[0] == HEADER.strip() + "\thard_negatives"
    assert lines[1] == '0 cat\t1 Katze\ten\tde\t["8 Kappe","21 Hund"]'
    assert lines[5] == "20 dog\t22 chien\ten\tfr\t[]"


@pytest.mark.parametrize("name", ["o.tsv", "o.tfrecord"])
def test_a_pair_keeps_its_corpus(tmp_path, name):
    corpora = ["", "bible", "", "interface", "interface"]
    rows = [(*row, corpus) for row, corpus in zip(ROWS, corpora, strict=True)]
    write(tmp_path / "pairs.tsv", rows, HEADER.strip() + "\tcorpus\n")
    run(tmp_path, name)
    found = read(tmp_path / name)
    assert [pair.corpus for pair in found] == corpora
    assert found[0].hard_negatives == (b"8 Kappe", b"21 Hund")


def test_the_same_bytes_again(tmp_path):
    for name in ("tsv", "tsv.gz", "tfrecord"):
        contents = set()
        for number in "12":
            run(tmp_path, f"{number}.{name}")
            contents.add((tmp_path / f"{number}.{name}").read_bytes())
        assert len(contents) == 1


def test_killed_it_goes_on_and_ends_with_the_same_bytes(tmp_path, monkeypatch):
    whole = run(tmp_path, "whole.tsv")
    (tmp_path / "again").mkdir()
    write(tmp_path / "again" / "pairs.tsv")
    monkeypatch.setattr(pair_files, "CHUNK", 3)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "again", encoder=Encoder(broken_after=6))
    assert not (tmp_path / "again" / "out.tsv").exists()
    encoder = Encoder()
    assert run(tmp_path / "again", encoder=encoder) == whole
    assert encoder.texts == ["21 Hund", "22 chien"]
    assert (tmp_path / "again" / "out.tsv").read_bytes() == (
        tmp_path / "whole.tsv"
    ).read_bytes()


def test_vectors_are_used_again_but_not_of_another_model(tmp_path):
    run(tmp_path)
    encoder = Encoder()
    run(tmp_path, "second.tsv", encoder, negatives=1)
    assert encoder.texts == []
    other = Encoder("other")
    with pytest.raises(InputError) as error:
        run(tmp_path, "third.tsv", other)
    assert 'model was "one" and is "other"' in str(error.value)
    run(tmp_path, "third.tsv", other, restart=True)
    assert len(other.texts) == 8


def test_other_columns_and_old_negatives_are_left_out(tmp_path):
    header = "note\tsource\ttarget\thard_negatives\n"
    rows = [("x", *row[:2], json.dumps(["old"])) for row in ROWS[:4]]
    write(tmp_path / "pairs.tsv", rows, header)
    run(tmp_path)
    found = read(tmp_path / "out.tsv")
    assert found[0].target_language == "und"
    assert found[0].hard_negatives == (b"8 Kappe", b"21 Hund")


def test_a_tab_in_a_record_needs_records(tmp_path):
    first = run(tmp_path, "first.tfrecord")
    assert first.pairs == 5
    import tensorflow as tf

    path = tmp_path / "tab.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for source, target in (("1 a\tb", "2 c"), ("3 d", "4 e")):
            example = tf.train.Example()
            for name, text in (("source", source), ("target", target)):
                feature = example.features.feature[name]
                feature.bytes_list.value.append(text.encode())
            writer.write(example.SerializeToString())

    def run_it(out):
        mine([str(path)], tmp_path / out, Encoder(), tmp_path / "w")

    with pytest.raises(InputError) as error:
        run_it("tab.tsv")
    assert "a cell of a TSV holds neither a tab nor" in str(error.value)
    assert "tab.tsv, pair 1: " in str(error.value)
    assert "source: '1 a\\tb'" in str(error.value)
    assert not (tmp_path / "tab.tsv").exists()
    run_it("out.tfrecord")
    assert read(tmp_path / "out.tfrecord")[0].source == (b"1 a\tb")


@pytest.mark.parametrize(
    "out, message",
    [
        ("out.csv", "A file of pairs ends in .tsv, .jsonl, "),
        ("absent/out.tsv", "written into a folder that exists."),
        ("a.en-de.en", "It cannot hold hard_negatives. Write .tsv"),
        ("pairs.tsv", "exists. Delete it, or choose another name."),
    ],
)
def test_an_output_that_cannot_be_is_told_first(tmp_path, out, message):
    write(tmp_path / "pairs.tsv")
    encoder = Encoder()
    with pytest.raises(InputError) as error:
        run(tmp_path, out, encoder)
    assert message in str(error.value)
    assert encoder.texts == []


def test_malformed_lines_and_pairs_without_negatives_are_refused(tmp_path):
    path = write(tmp_path / "bad.tsv", [*ROWS, ("one column",)])
    arguments = (tmp_path / "o.tsv", Encoder(), tmp_path / "w")
    with pytest.raises(InputError, match=f"{path}:7: .* header, 4. Received 1"):
        mine([str(path)], *arguments)
    assert (
        mine(
            [str(path)],
            *arguments,
            options=ReadOptions(max_malformed_share=0.2),
        ).pairs
        == 5
    )
    path = write(tmp_path / "one.tsv", ROWS[:2])
    with pytest.raises(InputError) as error:
        mine([str(path)], tmp_path / "p.tsv", Encoder(), tmp_path / "v")
    assert "No pair has a hard negative" in str(error.value)
    assert not (tmp_path / "p.tsv").exists()


def test_more_negatives_than_targets(tmp_path, capsys):
    # German has four targets; French has one.
    summary = run(tmp_path, negatives=10)
    assert summary.negatives == 3
    assert (
        "from 10 to 3: no language has more than 4" in capsys.readouterr().err
    )
    run(tmp_path, "same.tsv", negatives=3)
    assert "lowered" not in capsys.readouterr().err
    assert (tmp_path / "out.tsv").read_bytes() == (
        tmp_path / "same.tsv"
    ).read_bytes()


def test_without_any_other_target_nothing_is_encoded(tmp_path):
    encoder = Encoder()
    with pytest.raises(InputError, match="no language with two different t"):
        run(tmp_path, encoder=encoder, rows=ROWS[-2:])
    assert encoder.texts == []


@pytest.mark.parametrize(
    "rows, number", [(ROWS[:-1], 4), ([*ROWS, ROWS[0]], 6), (ROWS[::-1], 1)]
)
def test_files_that_change_meanwhile_are_refused(tmp_path, rows, number):
    path = write(tmp_path / "pairs.tsv")
    encoder = Encoder()

    def load():
        write(path, rows)
        return encoder()

    with pytest.raises(InputError, match=f"changed.*pair {number} is another"):
        run(tmp_path, encoder=load)
    assert not (tmp_path / "out.tsv").exists()


def test_packed_and_plain_hold_the_same(tmp_path):
    run(tmp_path)
    run(tmp_path, "out.tsv.gz")
    packed = gzip.decompress((tmp_path / "out.tsv.gz").read_bytes())
    assert packed == (tmp_path / "out.tsv").read_bytes()
