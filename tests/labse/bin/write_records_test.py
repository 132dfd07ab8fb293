import json

import pytest

from labse.bin import write_records
from labse.bin.flags import program
from labse.data.records.manifest import Manifest
from labse.files.texts import Texts


@pytest.fixture
def folder(tmp_path):
    rows = [f"text {n}\tText {n}\tweb\n" for n in range(100)]
    header = "source\ttarget\tcorpus\n"
    (tmp_path / "pairs.tsv").write_text(header + "".join(rows))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "text", "Text"]
    pieces += [*"0123456789", *(f"##{digit}" for digit in range(10))]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces))
    return tmp_path


def run(folder, *arguments):
    return program.run(
        write_records,
        [
            *(f"--input={folder}/pairs.tsv", f"--out={folder}/out"),
            *arguments,
        ],
        "labse write-records",
    )


def test_pairs(folder, capsys):
    arguments = ["--seed=3", "--source_language=en", "--target_language=de"]
    assert run(folder, *arguments, "--shard_records=1") == 0
    found = Manifest.open(folder / "out", "pairs")
    # 64 * ceil(100 / 64)
    assert len(found.shards) == 128
    assert found.groups == ((("en", "de"), "web", 100),)
    assert found.made_from.seed == 3
    assert capsys.readouterr().err.splitlines()[-1] == (
        "100 records of 1 groups (languages and corpus) in 128 files of "
        f"{folder}/out"
    )
    # The same command again, then another one.
    assert run(folder, *arguments, "--shard_records=1") == 0
    assert run(folder, *arguments) == 2
    assert "shard_records was 1 and is 16384" in capsys.readouterr().err


def test_monolingual(folder):
    assert run(folder, "--monolingual") == 0
    found = Manifest.open(folder / "out", "text")
    assert found.groups == ((("und",), "web", 200),)
    # Every program reads the shards of texts as files.
    texts = Texts([folder / "out/shard-*.tfrecord"])
    assert sum(1 for _ in texts) == 200


def test_ids(folder):
    arguments = [f"--vocab={folder}/vocab.txt", "--config=labse_tiny"]
    arguments += ["--override=data.max_length=4"]
    assert run(folder, *arguments, "--override=data.length_buckets=[]") == 0
    values = json.loads((folder / "out/manifest.json").read_text())
    assert values["tokens"]["max_length"] == 4
    assert values["tokens"]["settings"]["lower_case"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--config=labse_tiny"],
            "Received --config without --vocab. Add --vocab to write ids",
        ),
        (["--override=tokenizer.lower_case=true"], "Received --override with"),
        (["--vocab=gone.txt"], "gone.txt: there is no such vocabulary file."),
        (["--shard_records=0"], "integer"),
        (["--seed=-1"], "integer"),
        (["--input=gone.tsv"], "No file matches 'gone.tsv'"),
        (["--source_column=english"], "in a header, english and target among"),
    ],
)
def test_bad_flags(folder, capsys, arguments, message):
    assert run(folder, *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "out" / "manifest.json").exists()


def test_a_folder_of_records_is_no_file(folder, capsys):
    assert run(folder) == 0
    assert run(folder, f"--input={folder}/out") == 2
    assert (
        "out: text and pairs are read from files. This is a folder of "
        f"records. Name the files in it: {folder}/out/shard-*.tfrecord."
    ) in capsys.readouterr().err


@pytest.mark.parametrize(
    "left", ["shard-00007-of-00064.tfrecord", "work/job.json"]
)
def test_an_unfinished_folder_of_records_is_named_as_such(folder, capsys, left):
    """To name the files in it would take a part of the pairs for all."""
    (folder / "rec" / left).parent.mkdir(parents=True)
    (folder / "rec" / left).write_text("")
    assert run(folder, f"--input={folder}/rec") == 2
    assert (
        "rec: a folder of records has a manifest.json. This one has none, so "
        "it holds a part of the records. Run the command that writes it again"
    ) in capsys.readouterr().err
