"""Programs say how many texts were cut, at what length."""

import pathlib

import pytest

import labse
from labse.bin import convert, mine, mine_hard_negatives, score
from labse.bin.flags import program

# With [CLS] and [SEP], "hello" has 3 tokens and 70 of them have 72: over 64.
SHORT = [" ".join(["hello"] * count) for count in (1, 2, 3, 5, 8, 13)]
LONG = ["hello " * 70 + "world", "the " * 80]


def run(module, *arguments):
    return program.run(module, list(map(str, arguments)), "labse x")


@pytest.fixture
def pairs(tmp_path):
    sources = [*SHORT, LONG[0]]
    targets = [f"world {text}" for text in [*SHORT[:-1], *LONG]]
    path = tmp_path / "pairs.tsv"
    rows = [
        f"{source}\t{target}\ten\txx"
        for source, target in zip(sources, targets, strict=True)
    ]
    header = "source\ttarget\tsource_language\ttarget_language"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_score_also_where_a_cache_has_the_vectors(
    small_run, pairs, tmp_path, capsys
):
    for number, cache in enumerate(([], ["--cache"], ["--cache"])):
        flags = [f"{flag}={tmp_path / 'cache'}" for flag in cache]
        out = tmp_path / f"{number}.tsv"
        code = run(
            score,
            *(f"--model={small_run}", f"--input={pairs}", f"--out={out}"),
            *flags,
        )
        assert code == 0
        expected = "3 of 14 texts were truncated at 64 tokens"
        assert expected in capsys.readouterr().err


def test_of_a_python_function_nothing_is_said(
    pairs, tmp_path, capsys, monkeypatch
):
    (tmp_path / "of_mine_alone.py").write_text(
        "import numpy as np\n"
        "def encode(texts):\n"
        "    return np.array([[len(t), 1.0] for t in texts], np.float32)\n"
    )
    monkeypatch.chdir(tmp_path)
    code = run(
        score,
        "--model=python:of_mine_alone.encode",
        *(f"--input={pairs}", f"--out={tmp_path / 'out.tsv'}"),
    )
    assert code == 0
    assert "truncated" not in capsys.readouterr().err


def test_mine_also_where_a_work_folder_has_the_vectors(
    small_run, tmp_path, capsys
):
    (tmp_path / "a.txt").write_text("\n".join([*SHORT, *LONG]) + "\n")
    (tmp_path / "b.txt").write_text("\n".join([*SHORT, "a b c"]) + "\n")
    flags = [
        *(f"--model={small_run}", f"--source={tmp_path / 'a.txt'}"),
        *(f"--target={tmp_path / 'b.txt'}", f"--out={tmp_path / 'out.tsv'}"),
        *("--k=2", "--min_score=0.1", "--keep_identical"),
    ]
    for more in ([], ["--steps=select"]):
        assert run(mine, *flags, *more) == 0
        told = capsys.readouterr().err
        assert "source: 2 of 8 sentences were truncated to 64 tokens" in told
        assert "target: 0 of 7 sentences were truncated to 64 tokens" in told
    # A work folder of an earlier version has no such files.
    work = pathlib.Path(f"{tmp_path / 'out.tsv'}.work")
    [*_] = [
        path.unlink() for path in work.rglob("notes/**/*.truncated.json.json")
    ]
    assert run(mine, *flags, "--steps=select") == 0
    assert "were truncated" not in capsys.readouterr().err


def test_mine_hard_negatives(small_run, pairs, tmp_path, capsys):
    flags = [f"--model={small_run}", f"--input={pairs}"]
    for name in ("a.tsv", "b.tsv"):
        out = f"--out={tmp_path / name}"
        work = f"--work={tmp_path / 'work'}"
        assert run(mine_hard_negatives, *flags, out, work) == 0
        expected = "3 of 14 texts were truncated to 64 tokens"
        assert expected in capsys.readouterr().err


def test_convert_takes_another_length(small_run, tmp_path):
    """A setting of training alone does not bind it."""
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    for entry in small_run.iterdir():
        (run_folder / entry.name).symlink_to(entry)
    config = (small_run / "config.yaml").read_text("utf-8")
    (run_folder / "config.yaml").unlink()
    (run_folder / "config.yaml").write_text(
        config.replace("length_buckets: []", "length_buckets: [8, 16, 32]")
    )
    out = tmp_path / "out"
    flags = [f"--input={run_folder}", f"--out={out}", "--max_length=16"]
    assert run(convert, *flags) == 0
    assert labse.load(out).max_length == 16
