"""`labse prune-vocab` and `labse grow-vocab` in this process."""

import json

import numpy as np
import pytest

import labse
from export import export_folder
from export.checks import verification
from labse.bin import build_vocab, convert, grow_vocab, prune_vocab, train
from labse.bin.flags import program
from labse.features import PAIR_COLUMNS
from labse.preprocessing.vocabulary import Vocabulary

ENGLISH = ["hello the world", "ending the world!", "hello hello"]
RUSSIAN = ["добрый день", "день, мир!", "мир добрый"]
SWAHILI = ["habari ya asubuhi", "asante sana", "habari za leo", "asante"] * 3

NAMES = {
    prune_vocab: "labse prune-vocab",
    grow_vocab: "labse grow-vocab",
    build_vocab: "labse build-vocab",
    convert: "labse convert",
    train: "labse train",
}


@pytest.fixture
def files(tmp_path):
    rows = ["\t".join(PAIR_COLUMNS)]
    rows += [
        f"{ru}\t{en}\tru\ten" for ru, en in zip(RUSSIAN, ENGLISH, strict=True)
    ] * 2
    (tmp_path / "pairs.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    (tmp_path / "sw.txt").write_text("\n".join(SWAHILI) + "\n")
    return tmp_path


def run(module, **flags):
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    return program.run(module, arguments, NAMES[module])


def train_on(files, init):
    """Trains a few steps from `init`; the last figures of the history."""
    out = files / f"{init.name}-trained"
    overrides = {
        "encoder.num_layers": 2,
        "encoder.num_heads": 4,
        "encoder.hidden_size": 32,
        "encoder.intermediate_size": 64,
        "encoder.pooling": "cls",
        "data.length_buckets": "[]",
        # Else a batch is one text many times, and so has no negatives.
        "training.global_batch_size": 4,
        "training.num_steps": 2,
        "training.warmup_steps": 0,
        "training.log_every": 1,
        # It would hold for the whole process, and so for all later tests.
        "training.deterministic": "false",
    }
    arguments = [
        "--config=labse_tiny",
        f"--train={files}/pairs.tsv",
        f"--init={init}",
        f"--vocab={init}/vocab.txt",
        f"--out={out}",
        "--distribution=none",
        *(f"--override={key}={value}" for key, value in overrides.items()),
    ]
    assert program.run(train, arguments, "labse train") == 0
    lines = (out / "history.jsonl").read_text().splitlines()
    assert 0 < json.loads(lines[-1])["loss"] < 100
    return out


def test_prune_then_ask_then_train(files, small_run, capsys):
    out = files / "small"
    flags = {"model": small_run, "text": f"{files}/*.tsv", "out": out}
    assert run(prune_vocab, **flags) == 0
    shown, errors = capsys.readouterr()
    report = json.loads((out / "prune_report.json").read_text())
    lines = shown.splitlines()
    # The fixture has every letter, alone and with ##.
    letters = set("".join(ENGLISH + RUSSIAN)) - set(" ")
    words = {"hello", "world", "the", "##ing"}
    after = 5 + 2 * len(letters) + len(words)
    before = len(Vocabulary.read(small_run / "vocab.txt"))
    assert report["pieces"] == {"before": before, "after": after}
    change = f"{before:,} -> {after:,} ({after / before - 1:+.1%})"
    assert " ".join(lines[0].split()) == f"pieces: {change}"
    assert lines[-3].split()[:3] == ["en", "6", "18"]
    # добрый: 6 pieces, день: 4, мир: 3, twice each; a comma, a mark: 28 / 8.
    assert lines[-2].split() == [
        *["ru", "6", "16", "0.000%", "0.000%", "3.500", "3.500"]
    ]
    assert lines[-1].split()[:3] == ["all", "12", "34"]
    assert "counting pieces: " in errors
    assert "texts/s" in errors
    assert f"wrote {out} in " in errors
    texts = ENGLISH + RUSSIAN
    expected = labse.load(small_run).encode(texts)
    np.testing.assert_array_equal(labse.load(out).encode(texts), expected)
    trained = train_on(files, out)
    moved = labse.load(trained).encode(texts) - expected
    assert np.abs(moved).max() > 1e-4


def test_a_new_language_from_text_to_training(files, small_run, capsys):
    new, out, text = files / "new.txt", files / "large", files / "sw.txt"
    learned = run(
        build_vocab, input=text, language="sw", vocab_size=140, out=new
    )
    assert learned == 0
    grown = run(
        grow_vocab,
        model=small_run,
        pieces=new,
        report_text=text,
        language="sw",
        out=out,
    )
    assert grown == 0
    shown = capsys.readouterr().out
    report = json.loads((out / "grow_report.json").read_text())
    assert report["from_unknown"] == 0
    assert report["added"] > 5
    assert (
        f"{report['added']} pieces added, 0 of them start from [UNK]; "
        f"the model had {report['known']} already"
    ) in shown
    row = report["languages"]["sw"]
    assert row["before"]["pieces_per_word"] > 4
    assert row["after"]["pieces_per_word"] < 3
    pieces = Vocabulary.read(out / "vocab.txt").pieces
    assert "[unused1]" not in pieces
    trained = train_on(files, out)
    assert labse.load(trained).encode(SWAHILI).shape == (12, 32)


def test_a_model_of_another_kind(files, small_run):
    theirs, out = files / "hf", files / "small"
    assert run(convert, input=small_run, out=theirs, to="huggingface") == 0
    flags = {"model": theirs, "text": f"{files}/pairs.tsv", "out": out}
    assert run(prune_vocab, **flags, languages="ru", max_length=16) == 0
    model = labse.load(out)
    assert model.max_length == 16
    expected = labse.load(small_run).encode(RUSSIAN)
    np.testing.assert_allclose(model.encode(RUSSIAN), expected, atol=1e-6)
    report = json.loads((out / "prune_report.json").read_text())
    assert list(report["languages"]) == ["ru"]


@pytest.mark.slow
def test_a_pruned_run_is_exported_and_verified(files, small_run):
    flags = {"model": small_run, "text": f"{files}/pairs.tsv"}
    assert run(prune_vocab, **flags, out=files / "small") == 0
    export_folder.export_run(str(files / "small"), str(files / "export"))
    assert verification.verify(str(files / "export")) == 0


@pytest.mark.parametrize(
    "module,changed,message",
    [
        (prune_vocab, {"text": "{}/none-*"}, "No file matches"),
        (prune_vocab, {"text": "{}"}, "This is a folder"),
        (prune_vocab, {"languages": "ru,sw"}, "No text found in sw in "),
        (prune_vocab, {"min_count": 0}, "--min_count"),
        (prune_vocab, {"model": "{}/none"}, "does not exist"),
        (prune_vocab, {"model": "{}/pairs.tsv"}, "Received the file"),
        (prune_vocab, {"model": "{}"}, "which holds pairs.tsv, sw.txt"),
        (prune_vocab, {"lower_case": "true"}, "records tokenizer.lower_case"),
        (prune_vocab, {"report_text": "{}/none"}, "No file matches"),
        (prune_vocab, {"out": "{}"}, "--out must be a new folder"),
        (grow_vocab, {"pieces": "{}/none.txt"}, "there is no such file"),
        (grow_vocab, {"pieces": "{}/sw.txt"}, "sw.txt:5: every piece occurs"),
        (grow_vocab, {"out": "{}/sw.txt"}, "--out must be a new folder"),
        (grow_vocab, {"report_text": "{}"}, "This is a folder"),
    ],
)
def test_wrong_use_is_one_line_and_leaves_nothing(
    files, small_run, capsys, module, changed, message
):
    flags = {"model": small_run, "out": files / "out"}
    needed = "text" if module is prune_vocab else "pieces"
    flags[needed] = f"{files}/pairs.tsv"
    flags |= {
        name: value.replace("{}", str(files)) if "{}" in str(value) else value
        for name, value in changed.items()
    }
    assert run(module, **flags) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith(f"{NAMES[module]}: ")
    assert sorted(entry.name for entry in files.iterdir()) == [
        "pairs.tsv",
        "sw.txt",
    ]
