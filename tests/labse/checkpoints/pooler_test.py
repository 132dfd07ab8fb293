"""Models without a trained pooler: none is made up for them.

A pre-trainer's is random or zeros. Zeros give vectors of zeros, and gradients
too, so an encoder that starts from them never learns.
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import labse
from labse.bin import convert
from labse.bin.flags import program
from labse.checkpoints import recognition, run_folder
from labse.checkpoints.huggingface import folder_writer
from labse.checkpoints.stored_model import ModelOptions
from labse.checkpoints.weights import POOLER, Zeros
from labse.configs.pretraining import StackingConfig
from labse.configs.schema import ExperimentConfig
from labse.errors import InputError
from labse.features import MODEL_INPUTS
from labse.formats import safetensors_file
from labse.formats.stored_tensor import MappedTensor
from labse.training.dual_encoder_task import DualEncoderTask
from labse.training.initial_model import open_init
from labse.training.pretraining_task import PretrainingTask

POOLINGS = ["cls_tanh", "mean_tanh"]
KERNEL = POOLER[0]
TEXTS = ["ab A", "c"]


def converted(source, out, *more) -> str:
    """The folder that `labse convert` writes."""
    arguments = [f"--input={source}", f"--out={out}", *more]
    assert program.run(convert, arguments, "labse convert") == 0
    return str(out)


def refusal(function, *arguments, **named):
    with pytest.raises(InputError) as error:
        function(*arguments, **named)
    return str(error.value)


@pytest.fixture(scope="module")
def masked_lm(pretraining_run, tmp_path_factory):
    """A BertForMaskedLM folder, which has no pooler."""
    folder = tmp_path_factory.mktemp("masked_lm") / "folder"
    return converted(pretraining_run, folder, "--to=huggingface")


@pytest.fixture(scope="module")
def with_pooler(masked_lm, tmp_path_factory):
    """The same with a pooler, as in a BertForPreTraining; and the kernel."""
    folder = tmp_path_factory.mktemp("with_pooler") / "folder"
    folder_writer.write_folder(recognition.open_model(masked_lm), str(folder))
    path = folder / safetensors_file.SINGLE
    tensors = {
        name: MappedTensor(None, tensor.read().copy())
        for name, tensor in safetensors_file.read_header(path).items()
    }
    kernel = np.random.default_rng(0).normal(size=(8, 8)).astype("f4")
    path.unlink()
    safetensors_file.write_tensors(
        path,
        tensors
        | {
            "bert.pooler.dense.weight": MappedTensor(None, kernel.T),
            "bert.pooler.dense.bias": MappedTensor(None, np.ones(8, "f4")),
        },
    )
    return str(folder), kernel


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_run_of_pretraining_has_no_pooler(pretraining_run, pooling, tmp_path):
    message = refusal(labse.load, pretraining_run, pooling=pooling)
    assert message == (
        f"The pooling {pooling} is BERT's pooler, which {pretraining_run} does "
        "not hold (pre-training trains none). State another pooling."
    )
    stated = ModelOptions(pooling=pooling)
    prefix = run_folder.best_or_last(pretraining_run)
    for path in (str(pretraining_run), prefix):
        assert message == refusal(recognition.open_model, path, stated)
    # A pre-trainer of `transformers` and the run that it becomes.
    folder = converted(pretraining_run, tmp_path / "mlm", "--to=huggingface")
    run = converted(folder, tmp_path / "run")
    for path in (folder, run):
        found = refusal(labse.load, path, pooling=pooling)
        assert found.startswith(f"The pooling {pooling} is BERT's pooler, ")


def test_its_pooler_is_not_proposed(pretraining_run, masked_lm, with_pooler):
    for path in (pretraining_run, masked_lm):
        message = refusal(labse.load, path)
        assert "(cls: [CLS] itself; mean: the mean over the pieces)" in message
    message = refusal(labse.load, with_pooler[0])
    assert "(cls_tanh: BERT's pooler over [CLS], as " in message


def test_nor_written(masked_lm, with_pooler, tmp_path):
    again = converted(with_pooler[0], tmp_path / "again", "--to=huggingface")
    for folder in (masked_lm, again):
        held = safetensors_file.read_header(
            f"{folder}/{safetensors_file.SINGLE}"
        )
        assert not any("pooler" in name for name in held)
        assert len(held) == 5 + 2 * 16 + 5


def test_a_pretrainer_with_a_pooler(with_pooler, tmp_path, capsys):
    folder, kernel = with_pooler
    stated = ModelOptions(pooling="cls_tanh")
    run = converted(folder, tmp_path / "run", "--pooling=cls_tanh")
    for path, options in ((folder, stated), (run, None)):
        found = recognition.open_model(path, options).weights[KERNEL].read()
        np.testing.assert_array_equal(found, kernel)
    expected = labse.load(folder, pooling="cls_tanh").encode(TEXTS)
    np.testing.assert_array_equal(labse.load(run).encode(TEXTS), expected)
    assert "without a pooler" not in capsys.readouterr().err
    # Without a pooling it is a pre-trainer, whose pooler is not trained on.
    run = converted(folder, tmp_path / "pretrainer")
    assert (
        "note: a pre-trainer counts as one without a pooler; to keep this "
        "model's, state the pooling cls_tanh or mean_tanh"
    ) in capsys.readouterr().err
    assert "(pre-training trains none)" in refusal(
        recognition.open_model, run, stated
    )


def test_an_encoder_that_does_not_pool_by_it(
    small_run, pretraining_run, tmp_path
):
    run = converted(pretraining_run, tmp_path / "run", "--pooling=cls")
    for path in (small_run, run):
        assert refusal(labse.load, path, pooling="cls_tanh") == (
            f"The pooling cls_tanh is BERT's pooler, which {path} does not "
            "hold (trained with the pooling cls, it is not). State another "
            "pooling."
        )
        labse.load(path, pooling="mean")


def experiment(source, pooling):
    encoder = dataclasses.replace(source.config.encoder, pooling=pooling)
    return ExperimentConfig(encoder, source.config.tokenizer)


@pytest.mark.parametrize("is_run", [True, False])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_training_makes_a_new_one(pretraining_run, masked_lm, is_run, pooling):
    path = str(pretraining_run) if is_run else masked_lm
    source = recognition.open_model(path)
    config = experiment(source, pooling)
    init = open_init(path, config, str(pretraining_run / "vocab.txt"))
    assert init.notes[-1] == (
        f"the model has no trained pooler: that of the pooling {pooling} "
        "starts from random weights"
    )
    task = DualEncoderTask(config, None, None, init)
    model = task.make_model()
    kernel = model.encoder.transformer.pooler_layer.kernel
    before = kernel.numpy()
    task.initialize(model, None)
    np.testing.assert_array_equal(kernel, before)
    assert np.abs(before).max() > 0
    for variable in model.encoder.variables:
        name = variable.name.removesuffix(":0")
        if name not in POOLER:
            np.testing.assert_array_equal(
                variable, source.weights[name].read(), name
            )
    ids = tf.constant([[3, 6, 10, 4], [3, 8, 4, 0]])
    masks = {"input_mask": tf.cast(ids > 0, tf.int32)}
    inputs = dict.fromkeys(MODEL_INPUTS, tf.zeros_like(ids)) | masks
    inputs["input_word_ids"] = ids
    with tf.GradientTape() as tape:
        vectors = model.encoder(inputs)
        loss = tf.reduce_sum(vectors[0] * vectors[1])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert np.abs(tape.gradient(loss, kernel)).max() > 0


def test_training_takes_over_the_one_there_is(with_pooler, pretraining_run):
    path, expected = with_pooler
    config = experiment(recognition.open_model(path), "cls_tanh")
    init = open_init(path, config, str(pretraining_run / "vocab.txt"))
    task = DualEncoderTask(config, None, None, init)
    model = task.make_model()
    task.initialize(model, None)
    kernel = model.encoder.transformer.pooler_layer.kernel
    np.testing.assert_array_equal(kernel, expected)


@pytest.mark.parametrize("is_run", [True, False])
def test_pretraining_keeps_its_own(pretraining_run, masked_lm, is_run):
    path = str(pretraining_run) if is_run else masked_lm
    source = recognition.open_model(path)
    assert isinstance(source.weights[KERNEL], Zeros)
    config = dataclasses.replace(
        recognition.open_model(str(pretraining_run)).config,
        stacking=StackingConfig((), ()),
    )
    init = open_init(path, config, str(pretraining_run / "vocab.txt"))
    task = PretrainingTask(config, 0, None, init)
    model = task.make_model()
    kernel = model.encoder.transformer.pooler_layer.kernel
    before = kernel.numpy()
    task.initialize(model, None)
    np.testing.assert_array_equal(kernel, before)
    assert np.abs(before).max() > 0


def test_what_uses_no_pooler_is_loaded_as_before(pretraining_run, masked_lm):
    vectors = labse.load(pretraining_run, pooling="mean").encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    again = labse.load(masked_lm, pooling="mean").encode(TEXTS)
    np.testing.assert_array_equal(again, vectors)
