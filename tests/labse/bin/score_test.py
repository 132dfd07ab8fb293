import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import labse
from labse.bin import score
from labse.bin.flags import program
from labse.mining import margin

TABLE = "source\ttarget\nhello\tпривет\nworld\thello\nthe\tthe\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text(TABLE)
    return path


def run(*arguments):
    return program.run(score, list(map(str, arguments)), "labse score")


def columns(path):
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    return dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))


def test_the_scores_are_the_model_s(small_run, table, tmp_path, capsys):
    out = tmp_path / "out.tsv"
    assert run(f"--model={small_run}", f"--input={table}", f"--out={out}") == 0
    vectors = labse.load(small_run).encode
    expected = np.sum(
        vectors(["hello", "world", "the"])
        * vectors(["привет", "hello", "the"]),
        axis=1,
    )
    found = columns(out)
    assert list(found) == ["source", "target", "cosine"]
    np.testing.assert_allclose(
        np.array(found["cosine"], float), expected, atol=1e-5
    )
    assert (
        f"3 pairs read, 3 in {out}, 0 dropped, 0 malformed"
        in capsys.readouterr().err
    )
    assert run(f"--model={small_run}", f"--input={table}", f"--out={out}") == 2
    assert "out.tsv exists. Delete it" in capsys.readouterr().err


def test_all_flags_and_the_cache(small_run, table, tmp_path, capsys):
    cache = tmp_path / "cache"
    written = []
    for name in ("a.tsv", "b.tsv"):
        assert (
            run(
                *(f"--model={small_run}", f"--input={table}", "--k=2"),
                *(f"--out={tmp_path / name}", "--scoring=ratio"),
                *("--min_score=1.0001", f"--cache={cache}"),
                "--compute_dtype=bfloat16",
            )
            == 0
        )
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    # Sources and targets, once each; the second time nothing was asked.
    assert len(list(cache.glob("*/part-*.npz"))) == 2
    found = columns(tmp_path / "a.tsv")
    assert list(found) == ["source", "target", "cosine", "margin"]
    assert min(map(float, found["margin"])) >= 1.0001
    kept = len(found["source"])
    assert f"3 pairs read, {kept} in" in capsys.readouterr().err


def test_a_function_as_a_model_and_many_inputs(
    table, tmp_path, monkeypatch, capsys
):
    (tmp_path / "planted_for_score.py").write_text(
        "import numpy as np\n"
        "def encode(texts):\n"
        "    return np.array([[len(t), 1] for t in texts], np.float32)\n"
    )
    monkeypatch.chdir(tmp_path)
    model = "--model=python:planted_for_score.encode"
    inputs = [f"--input={table}", f"--input={tmp_path / 'more.jsonl'}"]
    (tmp_path / "more.jsonl").write_text('{"source": "a", "target": "b"}\n')
    assert run(model, *inputs, f"--out={tmp_path / 'out.tsv'}") == 0
    found = columns(tmp_path / "out.tsv")
    # Equal texts and equal lengths have the cosine 1.
    assert found["cosine"][1:] == ("1.0", "1.0", "1.0")
    assert "4 pairs read, 4 in" in capsys.readouterr().err
    arguments = [model, *inputs, f"--out={tmp_path}/b.tsv", "--cache=c"]
    assert run(*arguments) == 2
    assert "Leave --cache out" in capsys.readouterr().err


def test_a_bad_file_is_told_before_the_model_is_loaded(table, tmp_path, capsys):
    table.write_text("source\ttarget\na\t\n")
    code = run("--model=none", f"--input={table}", f"--out={tmp_path}/o.tsv")
    assert code == 2
    error = capsys.readouterr().err
    assert "pairs.tsv:2: target is empty" in error
    assert "Traceback" not in error


def test_the_scorings_are_those_of_the_library():
    assert score.SCORINGS == margin.SCORINGS


def test_killed_it_leaves_no_half_file(table, tmp_path):
    """SIGKILL in the midst; the same command then does it all."""
    (tmp_path / "dying.py").write_text(
        "import os, signal, numpy as np\n"
        "def encode(texts):\n"
        "    if os.path.exists('die') and 'привет' in texts:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return np.array([[len(t), 1] for t in texts], np.float32)\n"
    )
    (tmp_path / "die").write_text("")
    command = [
        *(sys.executable, "-m", "labse.bin.score", "--scoring=ratio"),
        *("--model=python:dying.encode", f"--input={table}", "--k=2"),
        *(f"--out={tmp_path / 'out.tsv'}",),
    ]
    path = os.pathsep.join(each for each in sys.path if each)
    how = {
        "cwd": tmp_path,
        "env": {**os.environ, "PYTHONPATH": path},
        "capture_output": True,
    }
    assert subprocess.run(command, **how).returncode == -signal.SIGKILL
    assert not (tmp_path / "out.tsv").exists()
    (tmp_path / "die").unlink()
    again = subprocess.run(command, **how)
    assert again.returncode == 0, again.stderr
    assert len(columns(tmp_path / "out.tsv")["margin"]) == 3
    assert sorted(each for each in os.listdir(tmp_path) if "out" in each) == [
        "out.tsv"
    ]
