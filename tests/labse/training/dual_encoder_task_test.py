"""Validation on the devices in use, and training into a remote folder."""

import json

import numpy as np
import pytest
import tensorflow as tf

import labse
from labse.checkpoints import run_folder, stored_model
from labse.files.remote_path import as_path
from labse.inference.encoder_model import EncoderModel
from labse.inference.replicated_encoder import ReplicatedEncoder
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.training.dual_encoder_task import DualEncoderTask


@pytest.mark.parametrize("several", [False, True])
def test_validation_encodes_on_the_devices_of_the_strategy(small_run, several):
    stored = run_folder.open_run(str(small_run))
    tokenizer = WordPieceTokenizer.from_config(
        stored.vocabulary, stored.config.tokenizer
    )
    encoders = []

    def validate(encode):
        encoders.append(encode.func.__self__)
        return encode(["hello", "hello world"])

    task = DualEncoderTask(stored.config, None, tokenizer, validate=validate)
    strategy = tf.distribute.get_strategy()
    if several:
        strategy = tf.distribute.MirroredStrategy(["CPU:1", "CPU:2"])
    with strategy.scope():
        model = task.make_model()
        stored_model.assign_weights(model.encoder, stored)
    vectors = [task.validate(model) for _ in range(2)]
    expected = labse.load(small_run).encode(["hello", "hello world"])
    for each in vectors:
        np.testing.assert_allclose(each, expected, atol=2e-6)
    kind = ReplicatedEncoder if several else EncoderModel
    assert [type(encoder) for encoder in encoders] == [kind] * 2
    # Its graphs are kept; the other one casts the weights anew.
    assert (encoders[0] is encoders[1]) == several


SETTINGS = {
    "training.num_steps": 10,
    "training.validate_every": 5,
    # It would hold for all later tests of this process.
    "training.deterministic": "false",
}


def test_everything_of_a_run_may_be_remote(toy, caplog):
    """Trained, started again, loaded, and the start of another run."""
    out = as_path("ram://bucket/runs/trained")
    vocabulary = as_path("ram://bucket/files/vocab.txt")
    vocabulary.parent.mkdir(parents=True)
    with vocabulary.open("w") as file:
        file.write(toy.vocabulary.read_text())
    toy = type(toy)(toy.folder, vocabulary)

    def train(out, *more):
        return toy.train(out, *more, **SETTINGS)

    assert train(out) == 0
    names = {path.name for path in out.iterdir()}
    assert {"config.yaml", "vocab.txt", "history.jsonl", "logs"} < names
    lines = (out / "history.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == [5, 5, 10, 10]  # Metrics, validation.
    caplog.set_level("INFO", logger="absl")
    assert train(out) == 0
    assert "Resuming from step 10." in caplog.text
    assert labse.load(str(out)).encode(toy.words).shape == (10, 16)
    second = out.with_name("second")
    assert train(second, f"--init={out}") == 0
    assert f"{out.parent.name}/{out.name} (run folder)." in caplog.text
