import pytest

from labse.bin import split_pairs
from labse.bin.flags import file_flags, program
from labse.files import pair_writer
from labse.files.pairs import PairFiles


@pytest.fixture
def folder(tmp_path):
    rows = [f"text {n}\tText {n}\n" for n in range(100)]
    (tmp_path / "pairs.tsv").write_text("source\ttarget\n" + "".join(rows))
    return tmp_path


def run(folder, *arguments):
    """Runs the program; a flag among the arguments stands for its default."""
    flags = {
        "--input": folder / "pairs.tsv",
        "--train_out": folder / "train.tsv",
        "--heldout_out": folder / "heldout.tsv",
    }
    given = {argument.partition("=")[0] for argument in arguments}
    return program.run(
        split_pairs,
        [
            *(f"{name}={flags[name]}" for name in flags.keys() - given),
            *arguments,
        ],
        "labse split-pairs",
    )


def test_two_files_and_the_counts(folder, capsys):
    assert run(folder, "--share=0.4", "--seed=3") == 0
    train = (folder / "train.tsv").read_text().splitlines()
    heldout = (folder / "heldout.tsv").read_text().splitlines()
    assert train[0] == heldout[0] == "source\ttarget"
    assert len(train) + len(heldout) == 102
    # 100 draws at 0.4: 40, give or take four times 4.9.
    assert 20 < len(heldout) < 60
    summary = capsys.readouterr().err.splitlines()
    assert summary[0].split()[0] == str(len(train) - 1)
    assert summary[1].split()[0] == str(len(heldout) - 1)
    assert summary[2].split()[0] == "0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--share=0"], "--share must lie between 0 and 1. Received: 0."),
        (["--share=1"], "--share must lie between 0 and 1. Received: 1."),
        (["--share=nan"], "--share must lie between 0 and 1. Received: nan."),
        (["--train_out=x.txt"], "--train_out: A file of pairs ends in .tsv"),
        (
            ["--heldout_out=/no/such/x.tsv"],
            "--heldout_out: Pairs are written into",
        ),
        (["--input=gone.tsv"], "No file matches 'gone.tsv'"),
        (["--share=1e-9"], "At least one source text must be held out"),
    ],
)
def test_wrong_flags_write_nothing(folder, capsys, arguments, message):
    assert run(folder, *arguments) == program.USAGE_EXIT_CODE
    assert message in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["pairs.tsv"]


def rows_of(path):
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return lines[0], lines[1:]


def test_several_inputs_and_globs(folder, capsys):
    """Nothing of a second input is lost."""
    (folder / "more-1.tsv").write_text("target\tsource\nA\ta\nB\tb\n")
    (folder / "more-2.jsonl").write_text(
        '{"source": "c", "target": "C", "source_language": "en", "n": 1}\n'
    )
    inputs = [f"--input={folder}/pairs.tsv", f"--input={folder}/more-*"]
    assert run(folder, *inputs, "--share=0.4") == 0
    header, train = rows_of(folder / "train.tsv")
    other, heldout = rows_of(folder / "heldout.tsv")
    assert header == other == "source\ttarget\tsource_language\tn"
    assert len(train) + len(heldout) == 103
    # Where one file names a language, all rows have one.
    assert "a\tA\tund\t" in train + heldout
    assert "c\tC\ten\t1" in train + heldout


def test_other_columns_get_the_names_that_are_read_by_default(folder):
    lines = [
        f'{{"id": {n}, "translation": {{"en": "text {n}", "de": "Text {n}"}}, '
        f'"source": "the web"}}\n'
        for n in range(100)
    ]
    (folder / "in.jsonl").write_text("".join(lines))
    code = run(
        folder,
        *(f"--input={folder}/in.jsonl", "--source_language=en", "--share=0.5"),
        *("--source_column=translation.en", "--target_column=translation.de"),
    )
    assert code == 0
    header, train = rows_of(folder / "train.tsv")
    _, heldout = rows_of(folder / "heldout.tsv")
    assert header == "id\tsource\ttarget\tsource_language"
    assert "7\ttext 7\tText 7\ten" in train + heldout
    assert len(train) + len(heldout) == 100


def test_what_is_written_may_be_of_another_kind(folder):
    outputs = [
        f"--train_out={folder}/train.jsonl.gz",
        f"--heldout_out={folder}/heldout.parquet",
    ]
    pytest.importorskip("pyarrow")
    assert run(folder, *outputs, "--share=0.4") == 0
    paths = [folder / "train.jsonl.gz", folder / "heldout.parquet"]
    assert sum(1 for _ in PairFiles(paths)) == 100


def test_the_help_names_every_ending():
    for ending in pair_writer.ENDINGS:
        if ending not in (".tfrecords", ".record"):
            assert ending in file_flags.PAIR_OUTPUT
