"""Records of files: what is in them, in which order, and after a kill."""

import collections
import json
import os
import pathlib
import signal
import struct

import numpy as np
import pytest
import tensorflow as tf

from labse.data.records import dealing, job, shards, writer
from labse.data.records import manifest as manifests
from labse.data.records.manifest import Manifest
from labse.data.records.tokens import TokenIds
from labse.data.records.writer import write_records
from labse.errors import InputError
from labse.files.pair_writer import write_pairs
from labse.files.reading import ReadOptions
from labse.files.remote_path import as_path
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import SPECIAL_PIECES, Vocabulary

LANGUAGES = ["de", "fr", "ja", "sw"]
ROOT = pathlib.Path(__file__).parents[4]


def make_rows(size=1000, **columns):
    """Pairs of which a half are German, fewer French, and so on."""
    return [
        {
            "source": f"text {number}",
            "target": f"Text {number}",
            "source_language": "en",
            "target_language": LANGUAGES[min(number * 7 % 8 // 2, 3)]
            if number % 2
            else "de",
            **columns,
        }
        for number in range(size)
    ]


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    """It takes milliseconds a file, and matters only where power fails."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    write_pairs(path, make_rows())
    return path


def frames_of(content):
    """The records of a TFRecord file's content, its checksums unread."""
    start = 0
    while start < len(content):
        (size,) = struct.unpack_from("<Q", content, start)
        yield content[start + 12 : start + 12 + size]
        start += 12 + size + 4


def read_shards(folder):
    """Each shard's records as dicts of lists, by the shard's number."""
    result = []
    for path in Manifest.read(folder).paths(folder):
        records = []
        for content in frames_of(as_path(path).read_bytes()):
            example = tf.train.Example.FromString(content)
            records.append(
                {
                    name: list(getattr(value, value.WhichOneof("kind")).value)
                    for name, value in example.features.feature.items()
                }
            )
        result.append(records)
    return result


def records_of(folder):
    return [record for shard in read_shards(folder) for record in shard]


def contents(folder):
    """The bytes of all files of a folder."""
    return {
        path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()
    }


def shards_of(folder):
    """The bytes of the shards and counts, without what the manifest says."""
    found = contents(folder)
    del found["manifest.json"]
    return found


def test_each_record_once_with_its_group(pairs, tmp_path):
    found = write_records([pairs], tmp_path / "out")
    assert found.num_records == 1000 and len(found.shards) == 64
    rows = make_rows()
    for record in records_of(tmp_path / "out"):
        group = found.groups[record.pop("group")[0]]
        assert group.corpus == ""
        assert group.languages == ("en", record["target_language"][0].decode())
        row = {name: value.decode() for name, (value,) in record.items()}
        rows.remove(row)
    assert rows == []
    assert sorted(os.listdir(tmp_path / "out")) == sorted(
        [*(shard.name for shard in found.shards), "counts.npy", "manifest.json"]
    )


def test_shards_are_fair_samples_and_the_manifest_counts_them(pairs, tmp_path):
    out = tmp_path / "out"
    write_records([pairs], out, shard_records=4)
    found = Manifest.open(out, "pairs")
    # 1,000 records in shards of at most 4: 64 * ceil(1000 / (64 * 4)).
    assert len(found.shards) == 256
    sizes = [shard.records for shard in found.shards]
    assert set(sizes) == {3, 4}  # 1,000 / 256 = 3.9
    for group, counts in zip(found.groups, found.counts.T, strict=True):
        assert counts.sum() == group.records
        assert counts.max() - counts.min() <= 1
    for shard, counts in zip(read_shards(out), found.counts, strict=True):
        of_groups = collections.Counter(r["group"][0] for r in shard)
        assert [of_groups[g] for g in range(4)] == counts.tolist()


def test_a_shard_is_in_random_order(pairs, tmp_path):
    write_records([pairs], tmp_path / "out")
    places, numbers, groups = [], [], []
    for shard in read_shards(tmp_path / "out"):
        places += range(len(shard))
        numbers += [int(record["source"][0].split()[1]) for record in shard]
        groups += [record["group"][0] for record in shard]
    # A place says nothing: 0, give or take five times 1 / sqrt(1000).
    assert abs(np.corrcoef(places, numbers)[0, 1]) < 0.16
    assert abs(np.corrcoef(places, groups)[0, 1]) < 0.16


def test_the_same_rows_and_seed_give_the_same_bytes(pairs, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_records([pairs], tmp_path / name, seed=seed, shard_records=8)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    a, c = records_of(tmp_path / "a"), records_of(tmp_path / "c")
    assert a != c
    assert sorted(map(str, a)) == sorted(map(str, c))


def test_tensorflow_reads_and_writes_the_same(pairs, tmp_path):
    write_records([pairs], tmp_path / "out")
    path = str(tmp_path / "out" / "shard-00000-of-00064.tfrecord")
    content = pathlib.Path(path).read_bytes()
    # It compares the checksums.
    records = list(tf.data.TFRecordDataset(path).as_numpy_iterator())
    assert records == list(frames_of(content))
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as theirs:
        for record in records:
            theirs.write(record)
            example = tf.train.Example.FromString(record)
            assert example.ByteSize() == len(record)
    assert (tmp_path / "theirs").read_bytes() == content


@pytest.mark.parametrize(
    "name",
    [
        *("a.jsonl", "a.tsv.gz", "a.parquet", "a.tmx", "a.tfrecord"),
        *("a.en-de.en", "a.en-de.zip", "a.jsonl.zst", "a.tmx.xz"),
    ],
)
def test_every_format_gives_the_same_shards(tmp_path, name):
    rows = [{**row, "target_language": "de"} for row in make_rows(200)]
    write_pairs(tmp_path / "a.tsv", rows)
    write_records([tmp_path / "a.tsv"], tmp_path / "tsv")
    write_pairs(tmp_path / name, rows)
    write_records([tmp_path / name], tmp_path / "other")
    assert shards_of(tmp_path / "other") == shards_of(tmp_path / "tsv")


def test_corpora_and_hard_negatives(tmp_path):
    rows = make_rows(100, corpus="web", hard_negatives=["x", "ÿ y"])
    rows[3]["hard_negatives"] = rows[4]["hard_negatives"] = None
    rows[5]["corpus"] = None
    found = None
    for name in ("a.tsv", "a.jsonl", "a.tfrecord"):
        write_pairs(tmp_path / name, rows)
        out = tmp_path / f"out.{name}"
        found = write_records([tmp_path / name], out)
        assert found.hard_negatives == {2: 98, 0: 2}
        assert {group.corpus for group in found.groups} == {"web", ""}
        records = {r["source"][0].decode(): r for r in records_of(out)}
        for row in rows:
            record = records[row["source"]]
            assert "corpus" not in record or record["corpus"] == [b"web"]
            assert ("corpus" in record) == bool(row["corpus"])
            negatives = [each.encode() for each in row["hard_negatives"] or ()]
            assert record.get("hard_negatives", []) == negatives
            group = found.groups[record["group"][0]]
            assert group.corpus == (row["corpus"] or "")
    a, b = (shards_of(tmp_path / f"out.a.{e}") for e in ("tsv", "tfrecord"))
    assert a == b


def test_monolingual_texts(tmp_path):
    texts = [
        {"text": f"t {n}", "language": "sw", "corpus": "web"} for n in range(70)
    ]
    lines = map(json.dumps, [*texts, {"source": "a", "target": "b"}])
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "b.txt").write_text("one\n\ntwo\n")
    out = tmp_path / "out"
    options = ReadOptions(language="de", target_language="fr")
    found = write_records(
        [tmp_path / "a.jsonl", tmp_path / "b.txt"],
        out,
        kind="text",
        options=options,
    )
    assert {(*g.languages, g.corpus, g.records) for g in found.groups} == {
        *(("sw", "web", 70), ("und", "", 1), ("fr", "", 1), ("de", "", 2)),
    }
    assert found.tally["blank_lines"] == 1
    records = records_of(out)
    assert len(records) == 74
    assert {"text", "language", "corpus", "group"} == {
        name for record in records for name in record
    }
    assert {r["text"][0] for r in records if r["language"] == [b"de"]} == {
        *(b"one", b"two"),
    }
    for record in records:
        group = found.groups[record["group"][0]]
        assert group.languages == (record["language"][0].decode(),)


PIECES = [*SPECIAL_PIECES, "text", "##ext", *"abcdefghijklmnopqrstuvwxyz"]
PIECES += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
PIECES += list("0123456789")


@pytest.fixture(scope="module")
def tokenizer():
    # Ids of two and three bytes as well.
    unused = [f"[unused{number}]" for number in range(20_000)]
    return WordPieceTokenizer(Vocabulary([*PIECES[:20], *unused, *PIECES[20:]]))


def test_pretokenized_records_hold_the_tokenizers_ids(tokenizer, tmp_path):
    rows = make_rows(80, hard_negatives=["text z", "\u200b", "a b c d e f g"])
    rows[7]["source"] = "text \u4e00 unknown " + "word " * 20
    rows[9]["hard_negatives"] = None
    write_pairs(tmp_path / "a.jsonl", rows)
    out = tmp_path / "out"
    found = write_records(
        [tmp_path / "a.jsonl"], out, token_ids=TokenIds(tokenizer, 8)
    )
    assert found.tokens.max_length == 8
    assert found.tokens.vocabulary == tokenizer.vocabulary.fingerprint
    Manifest.open(out, "pairs", tokenizer, 8)

    def ids(texts):
        return [row[:7] for row in tokenizer.tokenize(texts).to_list()]

    wanted = collections.Counter(
        str(
            [
                *ids([row["source"], row["target"]]),
                ids(row["hard_negatives"] or [])
                if row["hard_negatives"]
                else [],
            ]
        )
        for row in rows
    )
    got = collections.Counter()
    for record in records_of(out):
        lengths = record.get("hard_negatives_lengths", [])
        ends = np.cumsum(lengths, dtype=int)
        flat = record.get("hard_negatives_ids", [])
        assert len(flat) == sum(lengths)
        negatives = [
            flat[end - size : end]
            for size, end in zip(lengths, ends, strict=True)
        ]
        got[str([record["source_ids"], record["target_ids"], negatives])] += 1
        assert not {"source", "target", "hard_negatives"} & record.keys()
        assert record["source_language"] == [b"en"]
    assert got == wanted
    with pytest.raises(InputError, match="at least 3. Received 2."):
        TokenIds(tokenizer, 2)


def test_pretokenized_texts(tokenizer, tmp_path):
    (tmp_path / "a.txt").write_text("text s\nab\n")
    write_records(
        [tmp_path / "a.txt"],
        tmp_path / "out",
        kind="text",
        token_ids=TokenIds(tokenizer, 128),
    )
    found = sorted(
        record["text_ids"] for record in records_of(tmp_path / "out")
    )
    assert found == sorted(tokenizer.tokenize(["text s", "ab"]).to_list())


class Killed(BaseException):
    """Stands for a kill: nothing is cleaned up after it by `write_records`."""


def kill_at(monkeypatch, module, name, number):
    """Raises in the call of that number, from 0."""
    original, calls = getattr(module, name), iter(range(10**9))

    def counted(*arguments):
        if next(calls) == number:
            raise Killed
        return original(*arguments)

    monkeypatch.setattr(module, name, counted)


KILLS = {
    "reading": (writer, "frame", 700),
    "before the first shard": (shards, "_store", 0),
    "between the shards of a spool": (shards, "_store", 7),
    "before a note": (job.RecordJob, "add_shard", 9),
    "dealing a spool": (shards, "Dealer", 20),
    "removing a part": (dealing.Part, "remove", 30),
    "counts": (manifests, "write_bytes", 0),
    "manifest": (manifests, "write_bytes", 1),
    "at the end": (job.RecordJob, "remove_work", 0),
}


@pytest.mark.parametrize("place", KILLS)
def test_killed_and_resumed_gives_the_same_bytes(
    pairs, tmp_path, place, monkeypatch
):
    write_records([pairs], tmp_path / "whole", shard_records=8)
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        kill_at(patch, *KILLS[place])
        with pytest.raises(Killed):
            write_records([pairs], out, shard_records=8)
    had = {path.name: path.stat().st_mtime_ns for path in out.glob("shard-*")}
    if place != "reading":
        assert (out / "work").exists()
        # The rows are not read again.
        monkeypatch.setattr(writer, "_read_rows", None)
    write_records([pairs], out, shard_records=8)
    assert contents(out) == contents(tmp_path / "whole")
    now = {path.name: path.stat().st_mtime_ns for path in out.glob("shard-*")}
    changed = {name for name in had if now[name] != had[name]}
    # Of what was written, at most the shard whose note is missing.
    assert len(changed) <= (place == "before a note")


# Two notes are synced before the shards.
PROGRAM = """
import os, signal, sys
from labse.data.records.writer import write_records
sync, calls = os.fsync, []
def sync_or_die(file):
    calls.append(file)
    if len(calls) == 22:
        os.kill(os.getpid(), signal.SIGKILL)
    sync(file)
os.fsync = sync_or_die
write_records([sys.argv[1]], sys.argv[2])
"""


def test_sigkill(pairs, run_python, tmp_path, monkeypatch):
    write_records([pairs], tmp_path / "whole")
    out = tmp_path / "out"
    done = run_python("-c", PROGRAM, pairs, out, cwd=ROOT, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list(out.glob("shard-*"))) == 19
    with pytest.raises(InputError, match="there is no such file, so"):
        Manifest.open(out, "pairs")
    monkeypatch.setattr(writer, "_read_rows", None)
    write_records([pairs], out)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_finished_folder_is_not_written_again(pairs, tmp_path, monkeypatch):
    first = write_records([pairs], tmp_path / "out")
    monkeypatch.setattr(writer, "_read_rows", None)
    again = write_records([pairs], tmp_path / "out")
    assert again.identity() == first.identity()
    # Another share of malformed rows makes no other records.
    options = ReadOptions(max_malformed_share=0.5)
    write_records([pairs], tmp_path / "out", options=options)
    shard = tmp_path / "out" / first.shards[3].name
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InputError, match="so it was cut short or replaced"):
        write_records([pairs], tmp_path / "out")


def test_memory_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(dealing, "BUFFER_BYTES", 2**14)
    peaks = []

    class Watched(dealing.Dealer):
        def finish(self):
            super().finish()
            peaks.append(self.peak_bytes)

    monkeypatch.setattr(writer, "Dealer", Watched)
    for size in (4000, 16_000):
        write_pairs(tmp_path / f"{size}.tsv", make_rows(size))
        write_records([tmp_path / f"{size}.tsv"], tmp_path / f"out{size}")
    # The buffer, and at most 64 waiting records of 4 groups, of under 200
    # bytes each.
    assert max(peaks) < 2**14 + 4 * 64 * 200
    assert peaks[1] < 1.2 * peaks[0]


def test_a_folder_of_a_tensorflow_file_system(pairs, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    write_records([pairs], tmp_path / "out")
    folder = "ram://record_writer_test/records"
    with monkeypatch.context() as patch:
        kill_at(patch, shards, "_store", 5)
        with pytest.raises(Killed):
            write_records([pairs], folder)
    assert len(list(tmp_path.glob("labse-records-*/spools/*.index"))) > 50
    write_records([pairs], folder)
    assert not list(tmp_path.glob("labse-records-*"))
    found = Manifest.open(folder, "pairs")
    for name, content in shards_of(tmp_path / "out").items():
        assert (as_path(folder) / name).read_bytes() == content
    assert records_of(folder) == records_of(tmp_path / "out")
    assert write_records([pairs], folder).identity() == found.identity()


def test_a_machine_that_is_lost_leaves_files_that_are_written_over(
    pairs, tmp_path, monkeypatch
):
    """Another machine does not have the work; its shards are others."""
    write_records([pairs], tmp_path / "whole", shard_records=8)
    folder = as_path("ram://record_writer_test/lost")
    for number in (1, 2):  # The first machine, and the second.
        (tmp_path / f"{number}").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / f"{number}"))
        if number == 1:
            begin(folder, pairs, monkeypatch)
            with (folder / "counts.npy").open("wb") as file:
                file.write(b"half")
    assert len(list(folder.iterdir())) == 6
    write_records([pairs], folder, shard_records=8)
    names = {path.name for path in folder.iterdir()}
    assert names == set(os.listdir(tmp_path / "whole"))
    for name in names:
        whole = (tmp_path / "whole" / name).read_bytes()
        assert (folder / name).read_bytes() == whole


@pytest.mark.parametrize(
    "name", ["note.txt", "shard-00000-of-00010.tfrecord", "manifest.json.bak"]
)
def test_files_of_others_are_not_written_over(pairs, tmp_path, name):
    out = tmp_path / "out"
    out.mkdir()
    for each in ("shard-00000-of-00064.tfrecord", name):
        (out / each).write_text("mine")
    with pytest.raises(InputError, match="nothing is written over"):
        write_records([pairs], out)
    assert (out / name).read_text() == "mine"


def test_malformed_rows_are_counted(tmp_path):
    lines = "".join(f"a {n}\tb {n}\n" for n in range(99))
    path = tmp_path / "a.tsv"
    path.write_text(f"source\ttarget\n{lines}a\t\n\n")
    found = write_records([path], tmp_path / "out")
    assert found.tally == {
        "rows": 99,
        "blank_lines": 1,
        "without_language": 0,
        "malformed": {"empty target": 1},
    }
    assert found.groups[0].languages == ("und", "und")
    path.write_text(f"source\ttarget\n{lines}a\t\nb\t\n")
    with pytest.raises(
        InputError, match=r"2 of 101 rows are malformed .2 empt"
    ):
        write_records([path], tmp_path / "new")
    # Corrected, the same call writes them.
    path.write_text(f"source\ttarget\n{lines}a\tb\nb\tc\n")
    assert write_records([path], tmp_path / "new").num_records == 101


def test_a_resumed_job_counts_malformed_rows_too(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_text('{"source": "a", "target": "b"}\n{"source": "a"}\n')
    half = ReadOptions(max_malformed_share=0.5)
    with monkeypatch.context() as patch:
        kill_at(patch, shards, "_store", 5)
        with pytest.raises(Killed):
            write_records([path], tmp_path / "out", options=half)
    with pytest.raises(InputError, match="1 of 2 rows are malformed"):
        write_records([path], tmp_path / "out")
    assert (
        write_records([path], tmp_path / "out", options=half).num_records == 1
    )


def begin(folder, pairs, monkeypatch):
    """A job that was killed."""
    with monkeypatch.context() as patch:
        kill_at(patch, shards, "_store", 5)
        with pytest.raises(Killed):
            write_records([pairs], folder)


def test_an_unfinished_folder_of_others_is_refused(
    pairs, tmp_path, monkeypatch
):
    begin(tmp_path / "out", pairs, monkeypatch)
    with pytest.raises(
        InputError,
        match="out holds records that were made otherwise: seed was 0 and is "
        "1. Choose another folder, or remove it.",
    ):
        write_records([pairs], tmp_path / "out", seed=1)
    os.utime(pairs, ns=(1, pairs.stat().st_mtime_ns + 1))
    with pytest.raises(InputError, match=r'files was .+pairs\.tsv", \d+'):
        write_records([pairs], tmp_path / "out")


def test_a_changed_spool_is_refused(pairs, tmp_path, monkeypatch):
    begin(tmp_path / "out", pairs, monkeypatch)
    spool = tmp_path / "out/work/spools/00040.records"
    spool.write_bytes(spool.read_bytes()[1:])
    with pytest.raises(InputError, match="00040.records changed after they"):
        write_records([pairs], tmp_path / "out")


def test_two_processes_do_not_write_one_folder(pairs, tmp_path, monkeypatch):
    read_rows = writer._read_rows

    def meanwhile(*arguments):
        with pytest.raises(InputError, match="Another process is writing"):
            write_records([pairs], tmp_path / "out")
        return read_rows(*arguments)

    monkeypatch.setattr(writer, "_read_rows", meanwhile)
    assert write_records([pairs], tmp_path / "out").num_records == 1000


BAD = {
    "no file": (
        {"patterns": ["gone*.tsv"]},
        "No file matches '.*gone[*].tsv'.",
    ),
    "kind": ({"kind": "vectors"}, "kind is one of pairs, text. Received: 'vec"),
    "seed": ({"seed": -1}, "seed is at least 0. Received: -1."),
    "no records in a shard": (
        {"shard_records": 0},
        "shard_records is at least 1. Received: 0.",
    ),
    "a file in place of a folder": (
        {"out": "a.tsv"},
        "into a new folder; nothing is written over. .*a.tsv is a file. Choose",
    ),
    "other files": (
        {"out": "full"},
        "full holds note.txt. Choose another name, or remove it first.",
    ),
    "no rows": (
        {"patterns": ["empty.tsv"]},
        "There are no pairs in .*empty.tsv. Is it the right file?",
    ),
    "a column that is missing": (
        {"patterns": ["note.tsv"]},
        "named in a header, source and target among them. Received: 'note",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(tmp_path, case):
    (tmp_path / "a.tsv").write_text("source\ttarget\na\tb\n")
    (tmp_path / "empty.tsv").write_text("source\ttarget\n\n")
    (tmp_path / "note.tsv").write_text("note\tother\na\tb\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    changes, message = BAD[case]
    arguments = {"patterns": ["a.tsv"], "out": "out", **changes}
    arguments["patterns"] = [tmp_path / each for each in arguments["patterns"]]
    arguments["out"] = tmp_path / arguments["out"]
    with pytest.raises(InputError, match=message):
        write_records(**arguments)
    assert (tmp_path / "full" / "note.txt").read_text() == "mine"
    left = tmp_path / "out"
    assert not left.exists() or not list(left.iterdir())


def test_too_many_corpora_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("labse.data.records.encoding.MAX_GROUPS", 3)
    rows = [{**row, "corpus": row["source"]} for row in make_rows(4)]
    write_pairs(tmp_path / "a.tsv", rows)
    with pytest.raises(
        InputError, match="at most 3 groups.* the next one is en .* text 3. A"
    ):
        write_records([tmp_path / "a.tsv"], tmp_path / "out")


def test_a_disk_without_room(pairs, tmp_path, monkeypatch):
    usage = collections.namedtuple("usage", ["free"])
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: usage(2**20))
        with pytest.raises(
            InputError, match=r"needs 0.07 GB free on the disk of .*/work\. It"
        ):
            write_records([pairs], tmp_path / "out")
    # With room, it goes on.
    monkeypatch.setattr(writer, "_read_rows", None)
    assert write_records([pairs], tmp_path / "out").num_records == 1000


def test_a_full_disk_is_one_clear_error(pairs, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dealing.Dealer, "_flush", full)
    with pytest.raises(InputError, match="The disk of .* is full"):
        write_records([pairs], tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
