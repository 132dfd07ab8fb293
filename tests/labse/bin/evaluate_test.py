import inspect
import json
import pathlib
import re
import sys
import types

import numpy as np
import pytest

import labse
from labse.bin import evaluate
from labse.bin.flags import program
from labse.evaluation import results, statistics, task_table, tasks
from labse.evaluation.task_table import TASKS

_TABLE = """source\ttarget\tsource_language\ttarget_language
dog\tHund\ten\tde
cat\tKatze\ten\tde
dog\tchien\ten\tfr
"""
_VECTORS = {
    **{"dog": [1, 0], "Hund": [1, 0.1], "chien": [1, 0.2]},
    **{"cat": [0, 1], "Katze": [0.1, 1]},
}


class _Model:
    fingerprint = "f" * 64
    max_length = 4
    reports_truncation = True

    def encode(self, texts, show_progress_bar=False, on_truncation="warn"):
        assert show_progress_bar and on_truncation == "ignore"
        return np.array([_VECTORS[text] for text in texts], np.float32)

    def truncated(self, texts):
        return np.array([len(text) > 4 for text in texts])


@pytest.fixture
def loads(monkeypatch):
    """The arguments of calls of labse.load, which returns the planted model."""
    calls = []

    def load(path, compute_dtype):
        calls.append((path, compute_dtype))
        return _Model()

    # Not setattr: that would import the real one, and TensorFlow with it.
    monkeypatch.setitem(labse.__dict__, "load", load)
    return calls


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "heldout.tsv"
    path.write_text(_TABLE, encoding="utf-8")
    return path


def _run(*arguments):
    return program.run(evaluate, list(map(str, arguments)), "labse evaluate")


def test_every_task_is_in_the_help(capsys):
    assert _run("--help") == 0
    text = capsys.readouterr().out
    folder = pathlib.Path(tasks.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")}
    for name, task in TASKS.items():
        assert re.search(rf"^  {name} +{re.escape(task.data)}", text, re.M)
        assert name in modules
        arguments = inspect.signature(task_table.evaluator(name)).parameters
        assert list(arguments)[:2] == ["encode_fn", "data"]
        assert set(arguments) == {"encode_fn", "data", *task.options}


def test_one_of_several_n_way_sets(loads, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for name, text in (
        *(("train.en", "dog\n"), ("train.de", "Hund\n")),
        *(("train.fr", "chien\n"), ("test.en", "dog\ncat\n")),
        ("test.de", "Hund\nKatze\n"),
    ):
        (data / name).write_text(text)
    out = tmp_path / "out"
    arguments = ["--model=m", "--task=n_way", f"--data={data}", f"--out={out}"]
    assert _run(*arguments) == 2
    message = capsys.readouterr().err
    assert "test.* (de, en); train.* (de, en, fr). Choose one with" in message
    assert not loads
    assert _run(*arguments, "--file_set=test.*") == 0
    [model] = json.loads((out / "metrics.json").read_text())["models"]
    rows = {row["name"]: row["num_items"] for row in model["rows"]}
    assert rows == {"de-en": 2, "en-de": 2}


def test_pairs_of_a_run_with_its_curve(loads, table, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    (run / "history.jsonl").write_text('{"step": 77, "loss": 1.5}\n')
    code = _run(
        *(f"--model={run}", "--task=pairs", f"--data={table}"),
        *(f"--out={run}", "--min_pairs=2", "--compute_dtype=bfloat16"),
    )
    assert code == 0
    assert loads == [(str(run), "bfloat16")]
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["task"] == "pairs" and metrics["data"] == str(table)
    [mine] = metrics["models"]
    assert mine["model"] == str(run)
    average = mine["averages"]["all"]
    assert average["num_rows"] == 1  # French has one string
    assert average["target_to_source"]["value"] == 1.0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page and ">77<" in page
    out = capsys.readouterr().out
    assert "pairs, all: mean over 1" in out
    # Of dog, cat, Hund, Katze and chien the last two have over 4 letters.
    assert "2 of 5 texts were truncated at 4 tokens" in out
    assert f"Wrote {run / 'metrics.json'} and {run / 'report.html'}." in out


def test_tatoeba_of_a_model_without_history(loads, tmp_path):
    for name, lines in {"deu": "Hund\nKatze\n", "eng": "dog\ncat\n"}.items():
        (tmp_path / f"tatoeba.deu-eng.{name}").write_text(lines)
    out = tmp_path / "new" / "folder"
    code = _run(
        *("--model=m", "--task=tatoeba", f"--data={tmp_path}"),
        *(f"--out={out}", "--languages=deu"),
    )
    assert code == 0
    metrics = json.loads((out / "metrics.json").read_text())
    [row] = metrics["models"][0]["rows"]
    assert row["name"] == "deu"
    assert row["figures"]["text_aware_target_to_source"]["value"] == 1.0
    assert "<svg" not in (out / "report.html").read_text(encoding="utf-8")


def test_history_of_another_folder(loads, table, tmp_path):
    history = tmp_path / "elsewhere.jsonl"
    history.write_text('{"step": 1234, "loss": 1.5}\n')
    arguments = [
        *("--model=m", "--task=pairs", f"--data={table}", "--min_pairs=1"),
        f"--out={tmp_path / 'out'}",
    ]
    assert _run(*arguments, f"--history={history}") == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert ">1,234<" in page


def test_mistakes_are_found_before_a_model_is_loaded(
    loads, table, tmp_path, capsys
):
    good = ["--model=m", "--task=pairs", f"--data={table}", f"--out={tmp_path}"]
    cases = [
        (
            [*good[:3], f"--out={table}"],
            "out must be a folder. Received a fi",
        ),
        ([*good[:2], good[3], "--data=absent.tsv"], "No file matches 'absent."),
        (
            ["--model=m", "--task=sts", "--data=absent", good[3]],
            "--data must exist",
        ),
        ([*good, "--history=absent"], "--history must be a run's history"),
        ([good[0], "--task=mteb", *good[2:]], "--task must be one of tatoeba"),
        (
            [good[0], "--task=python:nowhere.f", *good[2:]],
            "could not be imported",
        ),
        ([*good, f"--out={tmp_path}"], "--out takes one value. Received it 2"),
        ([*good, "--model=m"], "--model names one twice: m, m"),
        (good[1:], "--model"),
        (
            ["--model=m", "--task=sts", *good[2:], "--languages=de"],
            "--languages is a flag of tatoeba, n_way, bucc, pairs. Received it "
            "with --task=sts",
        ),
        ([*good, "--pool=en=f"], "--pool is a flag of n_way."),
        ([f"--model={n}" for n in range(5)] + good[1:], "at most 4 models"),
    ]
    for arguments, message in cases:
        assert _run(*arguments) == program.USAGE_EXIT_CODE
        assert message in capsys.readouterr().err
    assert loads == []


def test_error_of_the_data_is_one_line(loads, table, capsys, tmp_path):
    out = tmp_path / "new" / "folder"
    code = _run(
        *("--model=m", "--task=pairs", f"--data={table}", f"--out={out}")
    )
    assert code == program.USAGE_EXIT_CODE
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("labse evaluate: ") and "lower min_pairs" in line
    assert loads == []
    assert not out.parent.exists()
    assert table.exists()


def own_encoder(texts):
    """An encoder that labse does not know."""
    return np.array([_VECTORS[text][::-1] for text in texts], np.float32)


def own_task(encode_fn, data):
    """A task that labse does not know."""
    vectors = encode_fn(["dog", "cat"])
    figure = statistics.mean(vectors[:, 0])
    return results.TaskResult(
        "mine", data, [results.Row("row", {"first": figure}, 2)], "first"
    )


def test_an_encoder_and_a_task_of_ones_own(loads, table, tmp_path, monkeypatch):
    module = types.ModuleType("own_module")
    module.encoder, module.task = own_encoder, own_task
    monkeypatch.setitem(sys.modules, "own_module", module)
    code = _run(
        *("--model=m", "--model=python:own_module.encoder"),
        *("--task=python:own_module.task", f"--data={table}"),
        f"--out={tmp_path / 'out'}",
    )
    assert code == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    values = [
        model["averages"]["all"]["first"]["value"]
        for model in metrics["models"]
    ]
    assert values == [0.5, 0.5]
    assert loads == [("m", "float32")]


def test_embeddings_are_kept(loads, table, tmp_path, monkeypatch, capsys):
    arguments = [
        *("--model=m", "--task=pairs", f"--data={table}", "--min_pairs=1"),
        *(f"--out={tmp_path / 'out'}", f"--cache={tmp_path / 'cache'}"),
    ]
    assert _run(*arguments) == 0

    def refuse(*_, **__):
        raise AssertionError("A text was encoded twice.")

    monkeypatch.setattr(_Model, "encode", refuse)
    capsys.readouterr()
    assert _run(*arguments) == 0
    # Those are counted too whose vectors are there.
    assert "2 of 5 texts were truncated at 4" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["f" * 32]
