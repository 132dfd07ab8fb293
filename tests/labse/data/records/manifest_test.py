"""The manifest: what it says, and what it refuses."""

import json

import numpy as np
import pytest

from labse.data.records.groups import Group, MadeFrom, Shard
from labse.data.records.manifest import Manifest
from labse.data.records.tokens import Tokens
from labse.errors import InputError
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import SPECIAL_PIECES, Vocabulary

PIECES = [*SPECIAL_PIECES, "one", "two"]


def made_from(kind="pairs", tokens=None):
    files = [["a.tsv", 1000, 1_700_000_000_000_000_000]]
    return MadeFrom(kind, 7, 16384, files, {"source_column": "en"}, tokens)


def make_folder(path, **changes):
    """Writes 64 shards of 10 bytes; the first holds 3 records, others 1."""
    counts = np.ones([64, 2], np.int32)
    counts[1:, 1] = 0
    counts[0, 0] = 2
    shards = tuple(
        Shard(f"shard-{i:05d}-of-00064.tfrecord", int(n), 10, f"{i:064x}")
        for i, n in enumerate(counts.sum(axis=1))
    )
    values = {
        "made_from": made_from(),
        "groups": (Group(("en", "de"), "", 65), Group(("en", "ja"), "web", 1)),
        "shards": shards,
        "counts": counts,
        "hard_negatives": {0: 65, 3: 1},
        "tally": {"rows": 66, "malformed": {"empty source": 1}},
        **changes,
    }
    path.mkdir(exist_ok=True)
    for shard in shards:
        (path / shard.name).write_bytes(b"0123456789")
    manifest = Manifest(**values)
    manifest.write(path)
    return manifest


def test_what_is_written_reads_back(tmp_path):
    written = make_folder(tmp_path)
    found = Manifest.open(tmp_path, "pairs")
    np.testing.assert_array_equal(found.counts, written.counts)
    assert found.counts.dtype == np.int32
    assert vars(found) == {**vars(written), "counts": found.counts}
    assert found.num_records == 66
    assert [group.name for group in found.groups] == ["en-de", "en-ja"]
    assert found.identity() == written.identity()
    assert found.paths(tmp_path)[63] == str(
        tmp_path / "shard-00063-of-00064.tfrecord"
    )


def test_identity_changes_with_the_records(tmp_path):
    one = make_folder(tmp_path)
    shards = (one.shards[0]._replace(sha256="f" * 64), *one.shards[1:])
    assert make_folder(tmp_path, shards=shards).identity() != one.identity()
    groups = (one.groups[0]._replace(corpus="a"), one.groups[1])
    assert make_folder(tmp_path, groups=groups).identity() != one.identity()
    # Not with how they came about.
    assert make_folder(tmp_path, tally={}).identity() == one.identity()


def edited(path, **changes):
    values = json.loads((path / "manifest.json").read_text("utf-8"))
    for name, value in changes.items():
        values[name] = value
    (path / "manifest.json").write_text(json.dumps(values), "utf-8")


def cut(path):
    (path / "shard-00005-of-00064.tfrecord").write_bytes(b"012345678")


CASES = {
    "no manifest": (
        lambda path: (path / "manifest.json").unlink(),
        "manifest.json: there is no such file, so .* is no folder of records, "
        "or an unfinished one. Run the command that writes it again",
    ),
    "no counts": (
        lambda path: (path / "counts.npy").unlink(),
        "counts.npy: there is no such file. Copy the folder again",
    ),
    "cut counts": (
        lambda path: (path / "counts.npy").write_bytes(b"\x93NUMPY"),
        "counts.npy: the file is damaged or truncated",
    ),
    "no shard": (
        lambda path: (path / "shard-00005-of-00064.tfrecord").unlink(),
        "shard-00005-of-00064.tfrecord: the manifest has this shard with 10 "
        "bytes. There is no such file. Copy",
    ),
    "cut shard": (cut, "with 10 bytes. It has 9 bytes, so it was cut short"),
    "no JSON": (
        lambda path: (path / "manifest.json").write_text("{"),
        r"manifest.json: the manifest is damaged \(JSONDecodeError",
    ),
    "not one": (
        lambda path: (path / "manifest.json").write_text("{}"),
        'no manifest of records: it lacks "format": "labse records"',
    ),
    "not an object": (
        lambda path: (path / "manifest.json").write_text("[]"),
        "no manifest of records",
    ),
    "version": (
        lambda path: edited(path, version=2),
        "records of the format version 1 are read. Received version 2. Read",
    ),
    "unknown kind": (
        lambda path: edited(path, kind="vectors"),
        "of the kind pairs or text. Received: 'vectors'. Copy",
    ),
    "a field less": (
        lambda path: edited(path, groups=[{"records": 1}]),
        r"the manifest is damaged \(KeyError\('source_language'\)\)",
    ),
    "fewer shards": (
        lambda path: edited(path, shards=[]),
        "Received 0 shards, which is no multiple of 64. The files are",
    ),
    "other counts": (
        lambda path: np.save(path / "counts.npy", np.ones([64, 2], np.int32)),
        "Received other numbers of records in shards than counts.npy",
    ),
    "counts of another type": (
        lambda path: np.save(path / "counts.npy", np.ones([64, 3])),
        r"Received counts.npy of type float64 and shape \(64, 3\), which must "
        r"be int32 \(64, 2\)",
    ),
    "number of records": (
        lambda path: edited(path, records=67),
        "Received 66 records in the shards, not 67. The files",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_does_not_fit_is_refused(tmp_path, case):
    make_folder(tmp_path)
    damage, message = CASES[case]
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        Manifest.open(tmp_path, "pairs")


def test_groups_must_fit_the_counts(tmp_path):
    groups = (Group(("en", "de"), "", 64), Group(("en", "ja"), "web", 2))
    make_folder(tmp_path, groups=groups)
    with pytest.raises(InputError, match="other numbers of records in groups"):
        Manifest.open(tmp_path, "pairs")


def test_records_of_another_kind_are_refused(tmp_path):
    make_folder(tmp_path)
    with pytest.raises(
        InputError,
        match="records of monolingual texts are needed here. These are of "
        "pairs. Give",
    ):
        Manifest.open(tmp_path, "text")


TOKENS = {
    "another vocabulary": (
        {"vocabulary": Vocabulary([*PIECES, "three"])},
        8,
        "Received another vocabulary. Write them again",
    ),
    "other settings": (
        {"lower_case": True},
        8,
        "Received tokenizer.lower_case=False, not True. Write",
    ),
    "too short": (
        {},
        9,
        "Received texts truncated to 8 tokens, where 9 are to be read.",
    ),
}


@pytest.mark.parametrize("case", TOKENS)
def test_ids_of_another_tokenizer_are_refused(tmp_path, case):
    changes, max_length, message = TOKENS[case]
    vocabulary = Vocabulary(PIECES)
    tokenizer = WordPieceTokenizer(vocabulary)
    tokens = Tokens.of(tokenizer, 8)
    make_folder(tmp_path, made_from=made_from(tokens=tokens))
    assert Manifest.open(tmp_path, "pairs", tokenizer, 7).tokens.max_length == 8
    other = WordPieceTokenizer(**{"vocabulary": vocabulary, **changes})
    with pytest.raises(InputError, match=message):
        Manifest.open(tmp_path, "pairs", other, max_length)


def test_a_folder_of_a_tensorflow_file_system(tmp_path):
    make_folder(tmp_path)
    found = Manifest.open(tmp_path, "pairs")
    folder = "ram://manifest_test"
    found.write(folder)
    with pytest.raises(InputError, match="There is no such file"):
        Manifest.open(folder, "pairs")
    assert Manifest.read(folder).identity() == found.identity()
