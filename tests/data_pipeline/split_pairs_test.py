import pytest

from data_pipeline import split_pairs
from labse.bin import program


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
