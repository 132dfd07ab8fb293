import dataclasses
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from labse.checkpoints import run_folder, stored_model
from labse.configs import loading
from labse.configs.schema import EncoderConfig, ExperimentConfig
from labse.configs.schema import TokenizerConfig as Tokenizer
from labse.errors import InputError
from labse.files.atomic_write import write_bytes
from labse.files.remote_path import as_path
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.training import history

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]
ENCODER = EncoderConfig(
    vocab_size=len(PIECES),
    num_layers=1,
    num_heads=2,
    hidden_size=4,
    intermediate_size=8,
    max_positions=8,
)
CONFIG = ExperimentConfig(encoder=ENCODER, tokenizer=Tokenizer(max_length=8))


@pytest.fixture
def vocabulary(tmp_path):
    path = tmp_path / "pieces.txt"
    path.write_text("\n".join(PIECES) + "\n")
    return str(path)


@pytest.fixture
def run(tmp_path, vocabulary):
    return run_folder.create(str(tmp_path / "run"), CONFIG, vocabulary)


@pytest.fixture
def begun(run):
    """A run with a checkpoint, which must not be mixed with another."""
    save(SentenceEncoder(ENCODER), run / run_folder.LAST, 1)
    return run


def refusal(function, *arguments):
    with pytest.raises(InputError) as error:
        function(*arguments)
    return str(error.value)


def replaced(**encoder):
    return dataclasses.replace(
        CONFIG, encoder=dataclasses.replace(ENCODER, **encoder)
    )


def save(encoder, folder, number):
    encoder.build()
    checkpoint = tf.train.Checkpoint(encoder=encoder)
    manager = tf.train.CheckpointManager(checkpoint, str(folder), 1)
    return manager.save(number)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_holds_configuration_and_vocabulary(run, vocabulary):
    assert run_folder.is_run_folder(str(run))
    assert files(run) == ["config.yaml", "vocab.txt"]
    copy = (run / "vocab.txt").read_bytes()
    assert copy == pathlib.Path(vocabulary).read_bytes()
    assert "hidden_size: 4" in (run / "config.yaml").read_text()


def test_the_same_run_is_gone_on_with(begun, vocabulary):
    (begun / "history.jsonl").write_text("kept")
    assert run_folder.create(str(begun), CONFIG, vocabulary) == begun
    kept = ["checkpoints", "config.yaml", "history.jsonl", "vocab.txt"]
    assert files(begun) == kept


def test_a_run_without_a_checkpoint_may_begin_differently(run, vocabulary):
    """As after a mistake that was found before the first step."""
    (run / "vocab.txt.tmp").write_text("of a process that was killed")
    history.append(run, {"step": 10})
    run_folder.create(str(run), replaced(dropout=0.25), vocabulary)
    assert "dropout: 0.25" in (run / "config.yaml").read_text()


def test_an_empty_folder_will_do(tmp_path, vocabulary):
    (tmp_path / "empty").mkdir()
    run = run_folder.create(str(tmp_path / "empty"), CONFIG, vocabulary)
    assert run_folder.is_run_folder(str(run))


def test_another_configuration_is_refused(begun, vocabulary):
    other = replaced(dropout=0.25, pooling="mean")
    before = (begun / "config.yaml").read_bytes()
    assert refusal(run_folder.create, str(begun), other, vocabulary) == (
        f"{begun} holds a run with another configuration: encoder.pooling: cls "
        "-> mean; encoder.dropout: 0.1 -> 0.25. Resume it with the saved "
        "values, or begin a new run that starts from its encoder: "
        f"init={begun} and another run folder."
    )
    assert (begun / "config.yaml").read_bytes() == before


def test_another_vocabulary_is_refused(begun, vocabulary):
    with open(vocabulary, "a") as file:
        file.write("b\n")
    message = refusal(run_folder.create, str(begun), CONFIG, vocabulary)
    assert "holds a run with another vocabulary" in message
    assert f"Resume it with {begun / 'vocab.txt'}." in message
    assert "labse grow-vocab" in message


def test_a_folder_with_something_else_is_refused(tmp_path, vocabulary):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"1")
    message = refusal(run_folder.create, str(folder), CONFIG, vocabulary)
    assert message.startswith("A run needs a new folder, or one to resume")
    assert message.endswith("holds no checkpoint, but cat.jpg.")
    assert files(folder) == ["cat.jpg"]


def test_a_worker_waits_for_the_folder(run, tmp_path):
    run_folder.wait_for(str(run), seconds=1)
    message = refusal(run_folder.wait_for, str(tmp_path / "absent"), 0)
    assert message.startswith("The first worker creates the run folder")
    assert "did not appear within 0 seconds" in message


def test_writing_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert files(tmp_path) == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_bytes(path, "no bytes")
    assert path.read_bytes() == b"old"


def test_the_best_checkpoint_goes_before_the_last(run):
    message = refusal(run_folder.best_or_last, run)
    assert message.startswith(f"{run} has no checkpoint. Train it first")
    last = save(SentenceEncoder(ENCODER), run / run_folder.LAST, 7)
    assert run_folder.best_or_last(run) == last
    best = save(SentenceEncoder(ENCODER), run / run_folder.BEST, 5)
    assert best != last
    assert run_folder.best_or_last(run) == best


def test_a_loaded_encoder_has_every_weight(run):
    encoder = SentenceEncoder(ENCODER)
    save(encoder, run / run_folder.LAST, 1)
    loaded, config, vocabulary = run_folder.load_encoder(str(run))
    assert config == CONFIG
    assert vocabulary.pieces == tuple(PIECES)
    names = [variable.name for variable in encoder.variables]
    assert [variable.name for variable in loaded.variables] == names
    assert len(names) == 5 + 16 + 2
    fresh = SentenceEncoder(ENCODER)
    fresh.build()
    for one, other in zip(encoder.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.name)
    # The control: another encoder's weights are others.
    kernels = [
        encoder.transformer.pooler_layer.kernel.numpy(),
        fresh.transformer.pooler_layer.kernel.numpy(),
    ]
    assert np.any(kernels[0] != kernels[1])


def test_a_built_encoder_is_filled_as_well(run):
    encoder = SentenceEncoder(ENCODER)
    save(encoder, run / run_folder.LAST, 1)
    other = SentenceEncoder(ENCODER)
    other.build()
    stored_model.assign_weights(other, run_folder.open_run(str(run)))
    for one, two in zip(encoder.variables, other.variables, strict=True):
        np.testing.assert_array_equal(one, two, err_msg=one.name)


def test_the_compute_dtype_is_the_callers(run):
    save(SentenceEncoder(ENCODER), run / run_folder.LAST, 1)
    loaded, *_ = run_folder.load_encoder(str(run), "mixed_bfloat16")
    assert loaded.transformer.compute_dtype == "bfloat16"
    assert {variable.dtype for variable in loaded.variables} == {tf.float32}


def test_no_run_is_no_model(tmp_path):
    message = refusal(run_folder.load_encoder, str(tmp_path))
    assert message == (
        f"A run folder holds config.yaml. {tmp_path} does not. If it is a "
        "model of another kind, such as a Hugging Face folder, make it a run "
        "first, with labse convert."
    )


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": 8},
        {"vocab_size": 9},
        {"num_heads": 1},
        {"intermediate_size": 4},
        {"max_positions": 9},
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(run, change):
    save(SentenceEncoder(replaced(**change).encoder), run / run_folder.LAST, 1)
    message = refusal(run_folder.open_run, str(run))
    assert str(run) in message
    assert "does not hold the weights of the BERT that its conf" in message
    assert "of another shape or type: " in message


def test_a_checkpoint_of_more_blocks_is_refused(run):
    deep = SentenceEncoder(replaced(num_layers=2).encoder)
    save(deep, run / run_folder.LAST, 1)
    message = refusal(run_folder.open_run, str(run))
    assert "unexpected: transformer/layer_1/" in message
    assert message.endswith("and 11 more.")


def test_a_checkpoint_of_fewer_blocks_is_refused(run):
    config = replaced(num_layers=2)
    write_bytes(run / "config.yaml", loading.to_yaml(config).encode())
    save(SentenceEncoder(ENCODER), run / run_folder.LAST, 1)
    message = refusal(run_folder.open_run, str(run))
    assert "missing: transformer/layer_1/" in message


@pytest.mark.parametrize("part", ["data-00000-of-00001", "index"])
def test_a_damaged_checkpoint_is_refused(run, part):
    prefix = save(SentenceEncoder(ENCODER), run / run_folder.LAST, 1)
    path = pathlib.Path(f"{prefix}.{part}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    message = refusal(run_folder.load_encoder, str(run))
    assert "is damaged or" in message
    assert f"{prefix}.{part}" in message


def test_a_run_folder_can_be_moved(run, tmp_path):
    save(SentenceEncoder(ENCODER), run / run_folder.LAST, 1)
    shutil.move(run, tmp_path / "moved")
    loaded, *_ = run_folder.load_encoder(str(tmp_path / "moved"))
    assert len(loaded.variables) == 5 + 16 + 2


def test_what_changes_no_weight_may_change(begun, vocabulary):
    training = dataclasses.replace(
        CONFIG.training,
        log_every=7,
        checkpoint_every=8,
        validate_every=9,
        early_stopping_patience=3,
    )
    data = dataclasses.replace(CONFIG.data, max_malformed_share=0.5)
    other = dataclasses.replace(CONFIG, training=training, data=data)
    assert run_folder.create(str(begun), other, vocabulary) == begun
    # What the run does from now on is what it says.
    assert loading.load(str(begun / "config.yaml")) == other
    longer = dataclasses.replace(training, num_steps=70_000)
    message = refusal(
        run_folder.create,
        str(begun),
        dataclasses.replace(other, training=longer),
        vocabulary,
    )
    assert "configuration: training.num_steps: 50000 -> 70000." in message


def test_a_run_with_the_old_name_of_a_key_is_resumed(begun, vocabulary):
    path = begun / "config.yaml"
    text = path.read_text()
    old = text.replace("  compute_dtype:", "  precision:")
    assert old != text
    path.write_text(old)
    assert run_folder.open_run(str(begun)).config.encoder == ENCODER
    run_folder.create(str(begun), CONFIG, vocabulary)
    assert path.read_text() == text


def test_a_run_of_an_earlier_version_is_opened_and_not_resumed(
    begun, vocabulary
):
    path = begun / "config.yaml"
    text = path.read_text()
    old = text.replace("  length_chunks: 4\n", "  batches_sorted_together: 1\n")
    assert old != text
    path.write_text(old)
    assert run_folder.open_run(str(begun)).config.encoder == ENCODER
    message = refusal(run_folder.create, str(begun), CONFIG, vocabulary)
    assert message.startswith(
        f"{begun} holds a run of an earlier version, which took the pairs in "
        "another order (data.batches_sorted_together)."
    )
    assert message.endswith(f"init={begun} and another run folder.")
    assert path.read_text() == old


def test_a_remote_run_is_created_resumed_and_refused(tmp_path, vocabulary):
    folder = as_path("ram://bucket/runs/created")
    pieces = folder.parent / "pieces.txt"
    write_bytes(pieces, pathlib.Path(vocabulary).read_bytes())
    assert run_folder.create(str(folder), CONFIG, str(pieces)) == folder
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.yaml", "vocab.txt"}
    run_folder.wait_for(str(folder), seconds=1)
    message = refusal(run_folder.open_run, str(folder))
    assert message == f"{folder} has no checkpoint. Train it first."
    save(SentenceEncoder(ENCODER), folder / run_folder.LAST, 1)
    assert run_folder.create(str(folder), CONFIG, str(pieces)) == folder
    message = refusal(
        run_folder.create, str(folder), replaced(hidden_size=6), str(pieces)
    )
    assert f"{folder} holds a run with another configuration: " in message
    config = loading.load(str(folder / "config.yaml"))
    assert config == CONFIG
    message = refusal(loading.load, str(folder / "no.yaml"))
    assert "which is neither" in message


def test_a_remote_run_is_opened_as_a_copy_that_goes_with_the_process(
    remote_run, small_run, run_python
):
    """With the best checkpoint alone, and what lies beside it."""
    code = f"""
import json, pathlib, sys
from labse.checkpoints import run_folder
from labse.files.remote_path import as_path
remote = as_path("ram://bucket/run")
for path in pathlib.Path({str(small_run)!r}).rglob("*"):
    if path.is_file():
        with (remote / path.relative_to({str(small_run)!r})).open("wb") as file:
            file.write(path.read_bytes())
print(run_folder.open_run(str(remote)).path)
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("/bucket/run\n")
    assert not pathlib.Path(done.stdout.strip()).parents[1].exists()
    copy = pathlib.Path(run_folder.open_run(str(remote_run)).path)
    expected = {
        path.relative_to(small_run)
        for path in small_run.rglob("*")
        if path.is_file()
    }
    assert expected == {
        path.relative_to(copy) for path in copy.rglob("*") if path.is_file()
    }
