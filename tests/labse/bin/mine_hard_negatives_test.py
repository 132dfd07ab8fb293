"""From pairs to a model trained with hard negatives, with the programs."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

import labse
from labse.bin import convert, mine_hard_negatives, train
from labse.bin.flags import program
from labse.checkpoints import recognition

WORDS = ["rot", "blau", "Haus", "Hund", "Katze", "Baum"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
PIECES += [word.upper() for word in WORDS]
SMALL = {
    "encoder.num_heads": 1,
    "encoder.hidden_size": 8,
    "encoder.intermediate_size": 8,
    "encoder.max_positions": 8,
    "tokenizer.max_length": 8,
    "data.length_buckets": "[4]",
    "training.global_batch_size": 6,
    "training.warmup_steps": 0,
    "training.log_every": 1,
    "training.checkpoint_every": 2,
    "training.validate_every": 2,
    # It would hold for the whole process, and so for all later tests.
    "training.deterministic": "false",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    random = np.random.default_rng(0)
    rows = ["source\ttarget\tsource_language\ttarget_language"]
    for _ in range(30):
        source = " ".join(random.choice(WORDS, size=random.integers(1, 5)))
        rows.append(f"{source}\t{source.upper()}\tde\tde-UPPER")
    (folder / "pairs.tsv").write_text("\n".join(rows) + "\n")
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return folder


def run_train(files, out, config, pairs, **overrides):
    arguments = [
        f"--config={config}",
        f"--train={pairs}",
        f"--vocab={files / 'vocab.txt'}",
        f"--out={out}",
        "--distribution=none",
        *(
            f"--override={key}={value}"
            for key, value in {**SMALL, **overrides}.items()
        ),
    ]
    return program.run(train, arguments, "labse train")


def run_mine(*arguments):
    return program.run(
        mine_hard_negatives, list(arguments), "labse mine-hard-negatives"
    )


@pytest.fixture(scope="module")
def averaging_network(files):
    out = files / "dan"
    steps = {"training.num_steps": 3}
    assert run_train(files, out, "labse_dan", files / "pairs.tsv", **steps) == 0
    return out


@pytest.fixture(scope="module")
def mined(files, averaging_network):
    out = files / "with_negatives.tsv"
    code = run_mine(
        f"--model={averaging_network}",
        f"--input={files / 'pairs.tsv'}",
        f"--out={out}",
    )
    assert code == 0
    return out


def weights(run):
    prefix = tf.train.latest_checkpoint(run / "checkpoints" / "last")
    reader = tf.train.load_checkpoint(prefix)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.startswith("encoder/")
    }


def losses(run):
    lines = (run / "history.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def test_the_averaging_network_is_loaded_and_asked(averaging_network, files):
    """Its vectors are those of NumPy on the weights of the checkpoint."""
    model = labse.load(averaging_network)
    texts = ["rot Haus", "Katze"]
    vectors = model.encode(texts)
    table = {
        name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): value
        for name, value in weights(averaging_network).items()
    }

    words, kernel, bias = (
        next(v for n, v in table.items() if n.endswith(part))
        for part in (
            "_embedding_layer/embeddings",
            "_pooler_layer/kernel",
            "_pooler_layer/bias",
        )
    )
    for text, vector in zip(texts, vectors, strict=True):
        pieces = ["[CLS]", *text.split(), "[SEP]"]
        ids = [PIECES.index(piece) for piece in pieces]
        pooled = np.tanh(words[ids].mean(axis=0) @ kernel + bias)
        expected = pooled / np.linalg.norm(pooled)
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_negatives_are_other_targets(mined, files):
    rows = [line.split("\t") for line in mined.read_text().splitlines()]
    plain = (files / "pairs.tsv").read_text().splitlines()
    assert ["\t".join(row[:4]) for row in rows] == plain
    targets = {row[1] for row in rows[1:]}
    for source, target, *_, cell in rows[1:]:
        negatives = json.loads(cell)
        assert len(set(negatives)) == 3
        assert set(negatives) <= targets - {target, source}


def test_training_with_hard_negatives_and_going_on(mined, files, tmp_path):
    """Two steps; a run of four, cut back to two, ends as it did."""
    options = {
        "encoder.num_layers": 1,
        "data.hard_negatives": 1,
        "training.num_steps": 4,
    }
    out = tmp_path / "run"
    assert run_train(files, out, "labse_tiny", mined, **options) == 0
    assert len(losses(out)) == 4
    without = {**options, "data.hard_negatives": 0}
    assert run_train(files, tmp_path / "w", "labse_tiny", mined, **without) == 0
    # One more candidate for each pair costs something.
    assert losses(out)[0] > losses(tmp_path / "w")[0] + 0.01
    cut = shutil.copytree(out, tmp_path / "cut")
    last = cut / "checkpoints" / "last"
    assert sorted(path.stem for path in last.glob("*.index")) == [
        *("step-2", "step-4")
    ]
    for path in last.glob("step-4.*"):
        path.unlink()
    (last / "checkpoint").write_text(
        'model_checkpoint_path: "step-2"\n'
        'all_model_checkpoint_paths: "step-2"\n'
    )
    assert run_train(files, cut, "labse_tiny", mined, **options) == 0
    again, whole = weights(cut), weights(out)
    assert again.keys() == whole.keys()
    for name, value in whole.items():
        np.testing.assert_allclose(again[name], value, atol=1e-5)


def test_pairs_without_hard_negatives_are_refused(files, tmp_path, capsys):
    options = {"data.hard_negatives": 1, "training.num_steps": 2}
    code = run_train(
        files, tmp_path / "r", "labse_dan", files / "pairs.tsv", **options
    )
    assert code == 2
    message = capsys.readouterr().err
    assert "data.hard_negatives=1 needs pairs with a column" in message
    assert "labse mine-hard-negatives" in message


def test_the_averaging_network_is_converted_to_a_run_and_not_further(
    averaging_network, tmp_path, capsys
):
    arguments = [f"--input={averaging_network}", f"--out={tmp_path / 'copy'}"]
    assert program.run(convert, arguments, "labse convert") == 0
    source = recognition.open_model(str(tmp_path / "copy"))
    assert source.config.encoder.pooling == "mean_tanh"
    texts = ["rot Haus", "Katze Baum"]
    np.testing.assert_allclose(
        labse.load(tmp_path / "copy").encode(texts),
        labse.load(averaging_network).encode(texts),
        atol=1e-6,
    )
    arguments = [
        f"--input={averaging_network}",
        f"--out={tmp_path / 'hf'}",
        "--to=huggingface",
    ]
    assert program.run(convert, arguments, "labse convert") == 2
    message = capsys.readouterr().err
    assert "has the pooling mean_tanh" in message
    assert not (tmp_path / "hf").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--max_cosine=0"], "a multiple of the true pair's cosine"),
        (["--max_cosine=nan"], "a multiple of the true pair's cosine"),
        (["--negatives=0"], "--negatives=0"),
        (["--input=absent*"], "No file matches 'absent*'."),
        (["--model=absent"], "A model is a run folder"),
        (["--out=a.csv"], "A file of pairs ends in"),
    ],
)
def test_mistakes_are_one_line(files, tmp_path, capsys, arguments, message):
    flags = {
        "--model": files / "dan",
        "--input": files / "pairs.tsv",
        "--out": tmp_path / "o.tsv",
    }
    flags |= dict(argument.split("=") for argument in arguments)
    assert run_mine(*(f"{name}={flags[name]}" for name in flags)) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors


def test_a_python_function_may_be_the_model(files, tmp_path, monkeypatch):
    (tmp_path / "lengths_of_texts.py").write_text(
        "import numpy as np\n"
        "def encode(texts):\n"
        "    return np.array([[len(t), t.count(' ') + 1] for t in texts])\n"
    )
    monkeypatch.chdir(tmp_path)
    code = run_mine(
        "--model=python:lengths_of_texts.encode",
        f"--input={files / 'pairs.tsv'}",
        "--out=o.tfrecord",
        "--negatives=1",
    )
    assert code == 0
    assert pathlib.Path("o.tfrecord").is_file()
