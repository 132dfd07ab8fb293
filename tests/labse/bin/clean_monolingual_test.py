import json
import sys

import pytest

from labse.bin import clean_monolingual
from labse.bin.flags import program

SKIP = "--skip_steps=document_language,sentence_language"


def run(*arguments):
    return program.run(clean_monolingual, list(arguments), "labse x")


def test_a_line_is_explained(capsys):
    assert run("--explain=Cookies { here", "--language=de", SKIP) == 0
    shown = capsys.readouterr().out
    assert "policies              drops     cookies" in shown
    assert "curly_brackets        drops     has a curly bracket" in shown


@pytest.mark.parametrize("arguments", [[], ["--input=a.txt"], ["--out=a"]])
def test_what_is_missing_is_named(arguments, capsys):
    assert run(*arguments) == program.USAGE_EXIT_CODE
    assert "--input and --out say what to clean" in capsys.readouterr().err


def test_an_unknown_step_is_named(capsys):
    code = run("--explain=It is.", "--skip_steps=wrods")
    assert code == program.USAGE_EXIT_CODE
    assert "Received: wrods" in capsys.readouterr().err


@pytest.mark.slow
def test_two_workers_write_what_one_writes(tmp_path, monkeypatch, capsys):
    # Phases of this size would run in one process otherwise.
    from data_pipeline.cleaning import clean

    monkeypatch.setattr(clean, "_SMALL_PHASE", 0)
    monkeypatch.setattr(clean, "_SMALL_PHASES", {})
    for name in "abc":
        path = tmp_path / f"{name}.txt"
        lines = [f"In {name} stands sentence {k // 2}.\n" for k in range(50)]
        path.write_text("".join(lines), "utf-8")
    for workers in (1, 2):
        code = run(
            f"--input={tmp_path}/*.txt",
            f"--out={tmp_path}/out-{workers}",
            f"--workers={workers}",
            "--language=en",
            SKIP,
        )
        assert code == 0, capsys.readouterr().err
    found = [
        {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        for folder in (tmp_path / "out-1", tmp_path / "out-2")
    ]
    assert found[0] == found[1]
    report = json.loads((tmp_path / "out-1" / "report.json").read_text("utf-8"))
    assert report["kept"] == [
        {
            "language": "en",
            "texts": 75,
            "characters": report["kept"][0]["characters"],
        }
    ]
    assert "apache_beam" in sys.modules
