"""The program that trains the quality classifier."""

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("resiliparse")

from data_pipeline.quality.model import QualityModel
from labse.bin import train_quality
from labse.bin.flags import program
from tests.data_pipeline.quality.training_test import write_pages


def run(*flags):
    return program.run(train_quality, list(flags), "labse train-quality")


def test_a_model_a_page_and_a_table(tmp_path, capsys):
    folder = write_pages(tmp_path / "pages")
    code = run(f"--input={folder}/*.html", f"--out={tmp_path}/out")
    assert code == 0
    model = QualityModel.read(tmp_path / "out" / "model.json")
    assert model.threshold(0.5) > model.threshold(0.9)
    assert (tmp_path / "out" / "report.html").exists()
    output = capsys.readouterr().out
    assert "24 pages" not in output
    assert "bodies extracted by resiliparse" in output
    assert "chance" in output


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--held_out_share=1"], "must lie between 0 and 1. Received: 1."),
        (["--input=gone.html"], "No file matches 'gone.html'"),
        (["--input={}/a.wet"], "have no rest of a page to learn from"),
        (["--bodies={}/a.wet"], "marked bodies are a JSON object"),
    ],
)
def test_errors(tmp_path, capsys, flags, message):
    (tmp_path / "a.wet").write_text("")
    (tmp_path / "a.html").write_text("")
    flags = [flag.format(tmp_path) for flag in flags]
    if not flags[0].startswith("--input"):
        flags.append(f"--input={tmp_path}/a.html")
    assert run(*flags, f"--out={tmp_path}/out") == 2
    assert message in capsys.readouterr().err
