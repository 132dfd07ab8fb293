import subprocess
import sys

import pytest

from labse.bin import cli
from labse.bin.flags import models
from labse.checkpoints.kinds import KINDS


def shown_help(monkeypatch, capsys, name):
    monkeypatch.setattr(sys, "argv", ["labse", name, "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    return capsys.readouterr().out


def without_space(text):
    return "".join(text.split())


@pytest.mark.parametrize(
    "name",
    [
        *("convert", "encode", "evaluate", "grow-vocab", "mine"),
        *("mine-hard-negatives", "paraphrases", "prune-vocab", "score"),
        "train",
    ],
)
def test_help_says_what_a_model_is(monkeypatch, capsys, name):
    shown = without_space(shown_help(monkeypatch, capsys, name))
    assert without_space(KINDS) in shown


def test_the_help_of_convert_needs_a_folder(monkeypatch, capsys):
    shown = shown_help(monkeypatch, capsys, "convert")
    assert "--input=./LaBSE" in shown
    assert "--input=sentence-transformers/LaBSE" not in shown


def test_the_kinds_say_how_to_have_a_model_of_a_hub():
    assert "snapshots/HASH" in KINDS and "Git LFS" in KINDS
    assert "are not downloaded" in models.MODEL_HELP


def test_help_needs_no_tensorflow():
    code = (
        "import labse.bin.flags.models, sys; print('tensorflow' in sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "False\n"
