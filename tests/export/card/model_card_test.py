import dataclasses
import json
import pathlib
import shutil

import pytest

from export.card import model_card
from labse.bin import evaluate
from labse.bin.flags import program
from labse.checkpoints import converted_run, run_folder


@pytest.fixture(scope="module")
def loaded(run):
    encoder, config, _ = run_folder.load_encoder(run)
    return encoder, config


def test_card_has_the_figures_of_the_run(exported, loaded):
    encoder, config = loaded
    card = (exported / "README.md").read_text(encoding="utf-8")
    pieces = config.encoder.vocab_size
    # 16 numbers a piece.
    assert f"({16 * pieces:,} of them word embeddings)" in card
    assert f"{encoder.count_params():,} (" in card
    assert "| encoder | 2 blocks, hidden size 16, 2 heads" in card
    assert "`checkpoints/last/ckpt-700`" in card
    assert "the last block's [CLS] (`cls`), l2-normalised" in card
    assert "Texts are truncated at 48 tokens" in card
    # Nothing was measured, so nothing is claimed.
    assert "The run recorded none." in card
    for way in ("hub.KerasLayer(", "labse.load(", "docker run", "curl "):
        assert way in card


def figure(value: float) -> dict:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def evaluated(model: str, value: float) -> dict:
    """A model of metrics.json, with more rows than a card can hold."""
    figures = {"target_to_source": figure(value)}
    return {
        "model": model,
        "averages": {"all": {"num_rows": 112, **figures}},
        "rows": [
            {"name": f"en-{n}", "num_items": 1000, "figures": figures}
            for n in range(500)
        ],
    }


def test_card_quotes_what_the_run_measured(run, loaded, tmp_path):
    encoder, config = loaded
    copy = pathlib.Path(shutil.copytree(run, tmp_path / "measured"))
    (copy / "metrics.json").write_text(
        json.dumps(
            {
                "schema_version": 2,
                "task": "tatoeba",
                "data": "tatoeba/v1",
                "models": [
                    evaluated("runs/measured", 0.95012),
                    evaluated("another", 0.25),
                ],
            }
        )
    )
    (copy / "history.jsonl").write_text(
        '{"step": 100, "validation": {"accuracy": 0.25}}\n'
        '{"step": 200, "validation": {"accuracy": 0.5, "languages": {}}}\n'
        '{"step": 210, "loss": 2.5}\n'
    )
    card = model_card.render_card(
        copy, "checkpoints/best/ckpt-2", config, encoder
    )
    assert "Averages of the task `tatoeba` on `tatoeba/v1`" in card
    assert (
        "| all (112) | target_to_source | 0.9501 | 0.9401 to 0.9601 |" in card
    )
    # Another model's figures are not this one's.
    assert "0.25" not in card
    assert "| step | 200 |\n| accuracy | 0.5 |" in card
    assert "languages |" not in card
    assert "The run recorded none." not in card
    assert max(map(len, card.splitlines())) < 200
    # In full the file has 500 rows for each model.
    assert len(card) < 10_000


@pytest.mark.parametrize("task", ["pairs", "tatoeba"])
def test_card_of_an_evaluated_run_has_a_few_figures(
    run, loaded, tmp_path, task
):
    """As `labse evaluate` writes them."""
    copy = pathlib.Path(shutil.copytree(run, tmp_path / "evaluated"))
    data = tmp_path / "data"
    data.mkdir()
    for code in ("deu", "fra"):
        name = f"tatoeba.{code}-eng"
        (data / f"{name}.{code}").write_text("a\nb\nc\nd\n")
        (data / f"{name}.eng").write_text("a\nb\nd\nc\n")
    (data / "pairs.tsv").write_text(
        "source\ttarget\tsource_language\ttarget_language\n"
        + "".join(
            f"{a}\t{b}\t{code}\ten\n"
            for code in ("de", "fr")
            for a, b in ("aa", "bb", "cd", "dc")
        )
    )
    arguments = [
        *(f"--model={copy}", f"--task={task}", f"--out={copy}"),
        f"--data={data / 'pairs.tsv' if task == 'pairs' else data}",
        *["--min_pairs=1"] * (task == "pairs"),
    ]
    assert program.run(evaluate, arguments, "labse evaluate") == 0
    metrics = json.loads((copy / "metrics.json").read_text())
    [judged] = metrics["models"]
    encoder, config = loaded
    card = model_card.render_card(
        copy, "checkpoints/best/ckpt-2", config, encoder
    )
    assert f"Averages of the task `{task}` on `{metrics['data']}`" in card
    figure = judged["averages"]["all"]["target_to_source"]
    assert (
        f"| all (2) | target_to_source | {figure['value']:.4g} | "
        f"{figure['low']:.4g} to {figure['high']:.4g} |"
    ) in card
    figures = card.partition("## Figures")[2].partition("## ")[0]
    assert "{" not in figures and len(figures) < 3000


def test_figures_of_other_models_alone_are_none(run, loaded, tmp_path):
    copy = pathlib.Path(shutil.copytree(run, tmp_path / "mine"))
    metrics = {"task": "sts", "data": "d", "models": [evaluated("x", 0.9)]}
    (copy / "metrics.json").write_text(json.dumps(metrics))
    encoder, config = loaded
    card = model_card.render_card(
        copy, "checkpoints/best/ckpt-2", config, encoder
    )
    assert "The run recorded none." in card


TRAINING = ("50,000 steps", "batch size", "margin", "training run")


def converted(source, out, *notes) -> pathlib.Path:
    """What `labse convert` writes of `source`."""
    converted_run.write_run(
        str(out),
        source.config,
        source.vocabulary,
        source.weights,
        converted_run.source_record(source, *notes),
    )
    return out


def card_of(folder: pathlib.Path) -> str:
    encoder, config, _ = run_folder.load_encoder(str(folder))
    checkpoint = pathlib.Path(run_folder.best_or_last(folder))
    name = checkpoint.relative_to(folder).as_posix()
    return model_card.render_card(folder, name, config, encoder)


def test_card_of_a_converted_model_claims_no_training(run, tmp_path):
    source = dataclasses.replace(
        run_folder.open_run(run), kind="Hugging Face BERT folder", path="x/y"
    )
    first = converted(source, tmp_path / "converted")
    # Pruned, or converted again: that is no training either.
    again = run_folder.open_run(str(first))
    second = converted(again, tmp_path / "pruned", "vocabulary: 9 pieces")
    for folder in (first, second):
        card = card_of(folder)
        for claim in (*TRAINING, "translation get nearly"):
            assert claim not in card
        assert "How\nthey were trained is not recorded here" in card
        assert "| longest text | 48 tokens |" in card
    assert "made from `x/y` (Hugging Face BERT folder)" in card_of(first)
    assert f"made from `{first}` (run folder)" in card
    assert "Vocabulary: 9 pieces." in card


def test_card_of_a_pruned_run_tells_of_its_training(run, tmp_path):
    first = converted(run_folder.open_run(run), tmp_path / "pruned")
    second = converted(run_folder.open_run(str(first)), tmp_path / "grown")
    for folder in (first, second):
        card = card_of(folder)
        assert (
            f"trained by the run `{run}`, checkpoint "
            "`checkpoints/last/ckpt-700`" in card
        )
        assert "| training, as configured | 50,000 steps, global batch" in card
        # Of the folder itself no training is claimed.
        assert "training run `" not in card


def test_card_of_a_folder_of_an_older_version_claims_nothing(run, tmp_path):
    folder = converted(run_folder.open_run(run), tmp_path / "old")
    record = folder / run_folder.SOURCE_RECORD
    source = json.loads(record.read_text())
    del source["trained_by"]
    record.write_text(json.dumps(source))
    assert "50,000 steps" not in card_of(folder)
