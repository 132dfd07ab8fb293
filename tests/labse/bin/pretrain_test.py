"""`labse pretrain` in this process: what it refuses, and the way to train."""

import pytest

from labse.bin import pretrain, train
from labse.bin.flags import program
from labse.checkpoints import run_folder
from labse.modeling import progressive_stacking

WORDS = ["rot", "blau", "Haus", "Hund", "Baum"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
PIECES += [word.upper() for word in WORDS]
ENCODER = {
    "encoder.num_layers": 2,
    "encoder.num_heads": 1,
    "encoder.hidden_size": 8,
    "encoder.intermediate_size": 8,
    "encoder.max_positions": 16,
    # It would hold for the whole process, and so for all later tests.
    "training.deterministic": "false",
    "training.warmup_steps": 0,
    "training.log_every": 1,
}
SMALL = {
    **ENCODER,
    "tokenizer.max_length": 16,
    "masking.max_masked": 3,
    "data.packed": "false",
    "training.global_batch_size": 4,
    "training.num_steps": 2,
    "training.validate_every": 1,
    "stacking.num_layers": "[1]",
    "stacking.num_steps": "[1]",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    texts = [
        f"{one} {two} {three}"
        for one in WORDS
        for two in WORDS
        for three in ("rot", "Haus")
    ]
    (folder / "texts.txt").write_text("\n".join(texts) + "\n")
    rows = ["source\ttarget\tsource_language\ttarget_language"]
    rows += [f"{text}\t{text.upper()}\tde\tde-UPPER" for text in texts]
    (folder / "pairs.tsv").write_text("\n".join(rows) + "\n")
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    (folder / "no_mask.txt").write_text(
        "\n".join(piece for piece in PIECES if piece != "[MASK]") + "\n"
    )
    (folder / "larger.txt").write_text("\n".join([*PIECES, "x"]) + "\n")
    return folder


def run(files, out, *more, without=(), **overrides):
    flags = {
        "config": "pretrain_tiny",
        "monolingual": files / "texts.txt",
        "bilingual": files / "pairs.tsv",
        "language": "de",
        "vocab": files / "vocab.txt",
        "out": out,
        "distribution": "none",
    }
    given = {flag.partition("=")[0].removeprefix("--") for flag in more}
    return program.run(
        pretrain,
        [
            *(
                f"--{name}={value}"
                for name, value in flags.items()
                if name not in given and name not in without
            ),
            *(
                f"--override={key}={value}"
                for key, value in {**SMALL, **overrides}.items()
            ),
            *more,
        ],
        "labse pretrain",
    )


def error_of(capsys):
    """The message, which has to be one line without a traceback."""
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    [line] = [line for line in errors.splitlines() if "labse pretrain:" in line]
    assert errors.splitlines()[-1] == line
    return line.removeprefix("labse pretrain: ")


@pytest.mark.parametrize(
    "without, overrides, message",
    [
        (
            "monolingual",
            {},
            "data.bilingual_share=0.5 needs monolingual files. Received none. "
            "Give some, or set data.bilingual_share=1.",
        ),
        (
            "bilingual",
            {},
            "data.bilingual_share=0.5 needs bilingual files. Received none. "
            "Give some, or set data.bilingual_share=0.",
        ),
        (
            "",
            {"stacking.num_layers": "[3]", "encoder.num_layers": 4},
            "The blocks of a stage must be a multiple of those of the stage "
            "before. Received: stacking.num_layers=[3] and "
            "encoder.num_layers=4.",
        ),
        (
            "",
            {"training.early_stopping_patience": 2},
            "training.early_stopping_patience needs validation texts or pairs. "
            "Received none: give some, or set 0.",
        ),
        (
            "",
            {"data.bilingual_share": 0.1},
            "A kind of records with a share has at least one sequence",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    files, tmp_path, capsys, without, overrides, message
):
    out = tmp_path / "run"
    assert run(files, out, without=(without,), **overrides) == 2
    assert error_of(capsys).startswith(message)
    assert not (out / "checkpoints").exists()


@pytest.mark.parametrize(
    "flag, value, message",
    [
        ("vocab", "no_mask.txt", "[MASK]. Is it a WordPiece vocab.txt of BERT"),
        ("config", "labse_base", "Pre-training is configured by pretrain_base"),
        ("monolingual", "missing.txt", "missing.txt"),
        ("validation_monolingual", "missing.txt", "missing.txt"),
        ("init", "vocab.txt", "Progressive stacking begins with new models"),
    ],
)
def test_flags_that_do_not_fit_are_refused(
    files, tmp_path, capsys, flag, value, message
):
    if flag != "config":
        value = files / value
    assert run(files, tmp_path / "run", f"--{flag}={value}") == 2
    assert message in error_of(capsys)


def test_a_configuration_of_pretraining_is_not_for_train(capsys):
    flags = ["--config=pretrain_base", "--train=x", "--vocab=x", "--out=x"]
    assert program.run(train, flags, "labse train") == 2
    assert "and is for labse pretrain." in capsys.readouterr().err


@pytest.fixture(scope="module")
def pretrained(files, tmp_path_factory):
    """Two stages of one step each, with validation."""
    out = tmp_path_factory.mktemp("runs") / "pretrained"
    assert (
        run(
            *(files, out),
            f"--validation_monolingual={files / 'texts.txt'}",
            f"--validation_bilingual={files / 'pairs.tsv'}",
        )
        == 0
    )
    return out


def stored_weights(folder):
    """Those of the encoder, and of the head where there is one."""
    model = run_folder.open_run(str(folder))
    weights = {**model.weights, **(model.head or {})}
    return {name: weight.read() for name, weight in weights.items()}


def train_from(files, init, out, *more, **overrides):
    values = {
        **ENCODER,
        "data.length_buckets": "[]",
        "tokenizer.max_length": 8,
        "training.global_batch_size": 4,
        "training.num_steps": 1,
        # So small that no weight changes: they are those of the start.
        "training.learning_rate": 1e-38,
        **overrides,
    }
    return program.run(
        train,
        [
            "--config=labse_tiny",
            f"--train={files / 'pairs.tsv'}",
            f"--vocab={files / 'vocab.txt'}",
            f"--init={init}",
            f"--out={out}",
            "--distribution=none",
            *(f"--override={key}={value}" for key, value in values.items()),
            *more,
        ],
        "labse train",
    )


def test_train_starts_from_a_pretrained_encoder(
    files, pretrained, tmp_path, capsys
):
    assert train_from(files, pretrained, tmp_path / "run") == 0
    expected = stored_weights(pretrained)
    found = stored_weights(tmp_path / "run")
    assert len(found) == 5 + 2 * 16 + 2
    for name, value in found.items():
        # Pre-training trains no pooler, so the run begins with its own.
        is_new = name.endswith("pooler_transform/kernel")
        assert (expected[name] == value).all() != is_new, name
    # Strictly.
    other = {"encoder.num_heads": 2}
    assert train_from(files, pretrained, tmp_path / "no", **other) == 2
    assert "Override encoder.num_heads=1" in capsys.readouterr().err


def test_pretraining_starts_from_a_pretrained_model(
    files, pretrained, tmp_path, caplog, capsys
):
    caplog.set_level("INFO", logger="absl")
    one_stage = {
        "stacking.num_layers": "[]",
        "stacking.num_steps": "[]",
        "training.learning_rate": 1e-38,
        "training.num_steps": 1,
    }
    init = f"--init={pretrained}"
    out = tmp_path / "run"
    assert run(files, out, init, **one_stage) == 0
    assert "(run folder), with its head." in caplog.text
    expected, found = stored_weights(pretrained), stored_weights(out)
    assert len(expected) == 5 + 2 * 16 + 2 + 5
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert (found[name] == value).all(), name
    larger = f"--vocab={files / 'larger.txt'}"
    assert run(files, tmp_path / "no", init, larger, **one_stage) == 2
    assert "has its own vocabulary of 15 pieces" in error_of(capsys)


def test_another_program_does_not_resume_a_run(files, pretrained, capsys):
    assert train_from(files, "", pretrained) == 2
    assert (
        f"A run is resumed by the program that began it. {pretrained} holds "
        "one of labse pretrain, this one is of labse train. To use its "
        "encoder, begin a new run that starts from its encoder: init="
    ) in capsys.readouterr().err


def test_a_run_in_its_first_stage_is_no_model_yet(
    files, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(
        progressive_stacking, "grow", lambda small, large: 1 / 0
    )
    out = tmp_path / "run"
    with pytest.raises(ZeroDivisionError):
        run(files, out)
    assert train_from(files, out, tmp_path / "trained") == 2
    errors = capsys.readouterr().err
    assert "stage 1 of 2" in errors and "labse pretrain" in errors
