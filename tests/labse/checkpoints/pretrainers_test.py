"""Pre-trainers: runs, TensorFlow's checkpoints and Hugging Face's folders.

Against `transformers` and Model Garden themselves, both ways.
"""

import dataclasses
import json
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.nlp.modeling import layers, models, networks
from official.nlp.tools import tf1_bert_checkpoint_converter_lib as converter

import labse
from labse.bin.flags import program
from labse.checkpoints import (
    head_weights,
    recognition,
    run_folder,
    stored_model,
    weights,
)
from labse.checkpoints.huggingface import folder_writer
from labse.checkpoints.stored_model import ModelOptions
from labse.configs import loading
from labse.configs.pretraining import PretrainingConfig
from labse.configs.schema import ExperimentConfig
from labse.errors import InputError
from labse.features import (
    BILINGUAL,
    MASKED_IDS,
    MASKED_POSITIONS,
    MASKED_WEIGHTS,
)
from labse.formats import safetensors_file
from labse.modeling.masked_lm import MaskedLanguageModel
from labse.training.initial_model import open_init

CLS = ModelOptions(pooling="cls")
IDS = tf.constant([[3, 5, 10, 8, 5, 4], [3, 7, 5, 4, 0, 0]])
POSITIONS = tf.constant([[1, 4], [2, 0]])
LABELS = tf.constant([[6, 12], [9, 0]])
INPUTS = {
    "input_word_ids": IDS,
    "input_mask": tf.cast(IDS > 0, tf.int32),
    "input_type_ids": tf.constant([[0, 0, 0, 1, 1, 1], [0] * 6]),
}
BATCH = {
    **INPUTS,
    MASKED_POSITIONS: POSITIONS,
    MASKED_IDS: LABELS,
    MASKED_WEIGHTS: tf.constant([[1.0, 1.0], [1.0, 0.0]]),
    BILINGUAL: tf.constant([1, 0]),
}
# The masked tokens of the batch: sentence, position.
MASKED = ([0, 0, 1], [1, 4, 2])


def built(source):
    model = MaskedLanguageModel.of_experiment(source.config)
    stored_model.assign_weights(model.encoder, source)
    stored_model.assign_head(model.head, source)
    return model


def logits(source):
    """Float32 [3, V] of the masked tokens, and their losses [3]."""
    model = built(source)
    transformer = model.encoder.transformer
    hidden = transformer(INPUTS)["sequence_output"]
    hidden = tf.gather(hidden, POSITIONS, batch_dims=1)
    hidden = model.head.transform(tf.reshape(hidden, [4, 8]))[:3]
    table = transformer.get_embedding_table()
    found = tf.matmul(hidden, table, transpose_b=True) + model.head.bias
    losses = tf.reshape(model.predict_masked(BATCH)["loss"], [-1])[:3]
    return found.numpy(), losses.numpy()


def assert_same(found, expected):
    # A model that gives every token the same would prove nothing.
    assert np.abs(expected[0] - expected[0][0]).max() > 0.1
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=0)


def contents(source):
    return {name: w.read() for name, w in source.all_weights.items()}


def assert_bitwise(source, expected):
    found, expected = contents(source), contents(expected)
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], name)


def convert(*arguments):
    from labse.bin import convert

    return program.run(convert, list(arguments), "labse convert")


def refusal(function, *arguments):
    with pytest.raises(InputError) as error:
        function(*arguments)
    return str(error.value)


@pytest.fixture(scope="module")
def source(pretraining_run):
    return recognition.open_model(str(pretraining_run))


# Runs.


def test_a_run_of_pretraining(source):
    assert source.kind == "run folder"
    assert source.is_pretrainer and source.notes == ()
    assert "encoder.pooling" not in source.recorded
    config = source.config.encoder
    assert source.head.keys() == {
        row.name for row in head_weights.head_names(13, 8)
    }
    assert len(source.weights) == len(weights.weight_names(config))


def test_it_does_not_say_how_it_pools(pretraining_run):
    message = refusal(labse.load, pretraining_run)
    assert message.startswith(
        f"{pretraining_run} does not record its pooling. State it, as in "
        "labse.load(path, pooling=...) or labse convert --pooling=..."
    )
    assert message == refusal(run_folder.load_encoder, str(pretraining_run))
    model = labse.load(pretraining_run, pooling="cls")
    assert model.encode(["ab A", "c"]).shape == (2, 8)
    note = "left out of the sentence encoder: its masked-LM head"
    assert note in model.source.notes


def test_its_pooling_is_the_new_runs(pretraining_run, source):
    config = ExperimentConfig(
        dataclasses.replace(source.config.encoder, pooling="mean"),
        source.config.tokenizer,
    )
    vocabulary = str(pretraining_run / "vocab.txt")
    model = open_init(str(pretraining_run), config, vocabulary)
    assert model.config.encoder.pooling == "mean"
    other = dataclasses.replace(
        config, encoder=dataclasses.replace(config.encoder, num_heads=4)
    )
    message = refusal(open_init, str(pretraining_run), other, vocabulary)
    assert "Override encoder.num_heads=2, or" in message


def test_pretraining_starts_from_it_and_from_sentence_encoders(
    pretraining_run, source, small_run
):
    vocabulary = str(pretraining_run / "vocab.txt")
    model = open_init(str(pretraining_run), source.config, vocabulary)
    assert_bitwise(model, source)
    small = run_folder.open_run(str(small_run))
    for pooling in ("cls", "mean"):
        encoder = dataclasses.replace(small.config.encoder, pooling=pooling)
        config = PretrainingConfig(encoder, small.config.tokenizer)
        vocabulary = str(small_run / "vocab.txt")
        assert open_init(str(small_run), config, vocabulary).head is None
    encoder = dataclasses.replace(encoder, intermediate_size=65)
    config = PretrainingConfig(encoder, small.config.tokenizer)
    message = refusal(open_init, str(small_run), config, vocabulary)
    assert "Override encoder.intermediate_size=64, or" in message


def test_another_vocabulary_than_the_checkpoints(
    pretraining_run, source, tmp_path
):
    text = (pretraining_run / "vocab.txt").read_text()
    other = tmp_path / "vocab.txt"
    other.write_text(text.replace("A\n", "B\n"))
    message = refusal(
        open_init, str(pretraining_run), source.config, str(other)
    )
    assert message.startswith(f"init={pretraining_run}: ")
    assert "has its own vocabulary of 13 pieces, and" in message


def test_a_checkpoint_of_an_earlier_stage(
    pretraining_run, save_pretrainer, source, tmp_path
):
    run = tmp_path / "run"
    shutil.copytree(pretraining_run, run)
    shutil.rmtree(run / run_folder.LAST)
    save_pretrainer(source.config, run / run_folder.LAST, 1, num_layers=1)
    message = refusal(recognition.open_model, str(run))
    assert (
        "is of stage 1 of 2 of its pre-training: 1 of 2 blocks, steps 0 to 40. "
    ) in message
    assert message == refusal(labse.load, run)


# Conversions.


def test_converted_it_is_the_same_pretrainer(
    pretraining_run, source, tmp_path, capsys
):
    out = tmp_path / "out"
    assert convert(f"--input={pretraining_run}", f"--out={out}") == 0
    assert ", gelu_tanh, masked-LM head" in capsys.readouterr().err
    again = recognition.open_model(str(out))
    assert again.is_pretrainer
    assert again.config == source.config
    assert_bitwise(again, source)
    vocabulary = str(out / "vocab.txt")
    assert open_init(str(out), source.config, vocabulary).head
    second = tmp_path / "second"
    assert convert(f"--input={out}", f"--out={second}") == 0
    assert_bitwise(recognition.open_model(str(second)), source)
    assert_same(logits(again), logits(source))


def test_with_a_pooling_it_becomes_a_sentence_encoder(
    pretraining_run, tmp_path, capsys
):
    arguments = [f"--input={pretraining_run}", "--pooling=mean"]
    run, folder = tmp_path / "run", tmp_path / "folder"
    assert convert(*arguments, f"--out={run}") == 0
    assert "note: left out of the sentence encoder" in capsys.readouterr().err
    assert convert(*arguments, f"--out={folder}", "--to=huggingface") == 0
    assert isinstance(loading.load(str(run / "config.yaml")), ExperimentConfig)
    texts = ["ab A", "c", "a b c"]
    expected = labse.load(pretraining_run, pooling="mean").encode(texts)
    for out in (run, folder):
        model = labse.load(out)
        assert model.source.head is None
        np.testing.assert_array_equal(model.encode(texts), expected)


# Hugging Face.


@pytest.fixture(scope="module")
def peers(torch):
    transformers = pytest.importorskip(
        "transformers",
        reason="transformers is not installed: pip install 'labse[parity]'",
    )
    return types.SimpleNamespace(torch=torch, transformers=transformers)


def their_logits(peers, model):
    def tensor(values):
        return peers.torch.tensor(values.numpy(), dtype=peers.torch.long)

    with peers.torch.no_grad():
        outputs = model.eval()(
            input_ids=tensor(IDS),
            attention_mask=tensor(INPUTS["input_mask"]),
            token_type_ids=tensor(INPUTS["input_type_ids"]),
        )
        found = outputs[0][MASKED]
        losses = peers.torch.nn.functional.cross_entropy(
            found, tensor(LABELS).reshape(-1)[:3], reduction="none"
        )
    return found.numpy(), losses.numpy()


def make_theirs(peers, pretraining_run, folder, architecture, **settings):
    """Saves a random model as `transformers` does; returns it."""
    config = peers.transformers.BertConfig(
        **{
            "vocab_size": 13,
            "hidden_size": 8,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "max_position_embeddings": 20,
            "initializer_range": 0.3,
        }
        | settings
    )
    peers.torch.manual_seed(0)
    model = getattr(peers.transformers, architecture)(config)
    with peers.torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(peers.torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    shutil.copy(pretraining_run / "vocab.txt", folder)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": False})
    )
    return model


def rewrite(peers, folder, change):
    """Changes the state dict on disk, as pytorch_model.bin."""
    from safetensors.torch import load_file

    state = change(load_file(folder / "model.safetensors"))
    peers.torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("BertForMaskedLM", {"hidden_act": "gelu_new"}),
        ("BertForPreTraining", {}),
        # Beyond the vocabulary; no id reaches those rows.
        ("BertForMaskedLM", {"vocab_size": 16}),
    ],
)
def test_their_pretrainers(
    architecture, settings, peers, pretraining_run, tmp_path
):
    folder = tmp_path / "theirs"
    model = make_theirs(
        peers, pretraining_run, folder, architecture, **settings
    )
    found = recognition.open_model(str(folder))
    assert found.is_pretrainer
    named = any("cls.seq_relationship.bias, " in note for note in found.notes)
    assert named == (architecture == "BertForPreTraining")
    if "vocab_size" not in settings:
        assert_same(logits(found), their_logits(peers, model))
    else:
        expected, _ = their_logits(peers, model)
        np.testing.assert_allclose(
            logits(found)[0], expected[:, :13], atol=1e-5
        )


def test_their_old_files(peers, pretraining_run, tmp_path):
    folder = tmp_path / "theirs"
    model = make_theirs(peers, pretraining_run, folder, "BertForMaskedLM")

    def as_before_2020(state):
        state = {
            name.replace("Norm.weight", "Norm.gamma").replace(
                "Norm.bias", "Norm.beta"
            ): tensor
            for name, tensor in state.items()
        }
        table = state["bert.embeddings.word_embeddings.weight"]
        bias = state.pop("cls.predictions.bias")
        return state | {
            "cls.predictions.decoder.weight": table,
            "cls.predictions.decoder.bias": bias,
        }

    rewrite(peers, folder, as_before_2020)
    found = recognition.open_model(str(folder))
    assert_same(logits(found), their_logits(peers, model))
    assert any("no pooler" in note for note in found.notes)


def test_written_it_is_their_masked_lm(
    pretraining_run, source, peers, tmp_path
):
    folder = tmp_path / "ours"
    arguments = [f"--input={pretraining_run}", f"--out={folder}"]
    assert convert(*arguments, "--to=huggingface") == 0
    assert not (folder / "modules.json").exists()
    model, report = peers.transformers.AutoModelForMaskedLM.from_pretrained(
        folder, output_loading_info=True
    )
    assert type(model).__name__ == "BertForMaskedLM"
    assert not report["missing_keys"] and not report["mismatched_keys"]
    assert {name.split(".")[1] for name in report["unexpected_keys"]} <= {
        "pooler"
    }
    assert_same(logits(source), their_logits(peers, model))
    tokenizer = peers.transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer.mask_token_id == 5
    assert tokenizer("ab A")["input_ids"] == [3, 6, 10, 12, 4]
    again = recognition.open_model(str(folder))
    assert again.is_pretrainer
    assert_bitwise(again, source)


def broken(peers, source, folder, change):
    """A folder of ours whose tensors were changed, in safetensors."""
    folder_writer.write_folder(source, str(folder))
    path = folder / safetensors_file.SINGLE
    tensors = {
        name: tensor.read().copy()
        for name, tensor in safetensors_file.read_header(path).items()
    }
    change(tensors)
    peers.torch.save(
        {k: peers.torch.from_numpy(v) for k, v in tensors.items()},
        folder / "pytorch_model.bin",
    )
    path.unlink()
    return str(folder)


TABLE = "bert.embeddings.word_embeddings.weight"
DECODER = "cls.predictions.decoder.weight"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda held: held.update({DECODER: held[TABLE] + 1}),
            f"{DECODER} is another matrix than embeddings.word_embeddings."
            "weight (not tied), which is not supported",
        ),
        (
            lambda held: held.update(
                {"cls.predictions.decoder.bias": np.zeros(13, "f4")}
            ),
            "cls.predictions.decoder.bias differs from cls.predictions.bias",
        ),
        (
            lambda held: held.pop("cls.predictions.transform.dense.bias"),
            "cls.predictions.transform.dense.bias is missing",
        ),
        (
            lambda held: held.update(
                {"cls.predictions.bias": np.zeros(12, "f4")}
            ),
            "cls.predictions.bias is float32 (12,), not (13,)",
        ),
    ],
)
def test_a_head_that_cannot_be_used(source, peers, tmp_path, change, problem):
    folder = broken(peers, source, tmp_path / "folder", change)
    problem = f"left out: the masked-LM head, which cannot be used: {problem}"
    message = refusal(recognition.open_model, folder)
    assert "does not record its pooling. " in message
    assert message.endswith(
        f"As a pre-trainer it needs no pooling, but {problem}."
    )
    found = recognition.open_model(folder, CLS)
    assert found.head is None and problem in found.notes


def test_a_decoder_that_is_not_tied_by_its_configuration(
    source, peers, tmp_path
):
    folder = broken(peers, source, tmp_path / "folder", lambda held: None)
    path = tmp_path / "folder" / "config.json"
    config = json.loads(path.read_text()) | {"tie_word_embeddings": False}
    path.write_text(json.dumps(config))
    assert f"{DECODER} is missing, and not tied to" in refusal(
        recognition.open_model, folder
    )


# TensorFlow.


def model_gardens(source):
    """Model Garden's pre-trainer with the same shapes, other weights."""
    config = source.config.encoder
    tf.random.set_seed(0)
    encoder = networks.BertEncoderV2(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        num_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        max_sequence_length=config.max_positions,
        type_vocab_size=config.type_vocab_size,
        inner_dim=config.intermediate_size,
        initializer=tf_keras.initializers.TruncatedNormal(stddev=0.3),
    )
    heads = [layers.ClassificationHead(8, 2, name="next_sentence")]
    model = models.BertPretrainerV2(
        encoder,
        mlm_activation=lambda x: tf_keras.activations.gelu(x, approximate=True),
        mlm_initializer=tf_keras.initializers.TruncatedNormal(stddev=0.3),
        classification_heads=heads,
    )
    model({**INPUTS, "masked_lm_positions": POSITIONS})
    for variable in model.variables:
        if "bias" in variable.name or "/beta" in variable.name:
            variable.assign(tf.random.normal(variable.shape, stddev=0.3))
    return model


def model_gardens_logits(model):
    found = model({**INPUTS, "masked_lm_positions": POSITIONS})["mlm_logits"]
    found = tf.reshape(found, [-1, found.shape[-1]])[:3]
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        tf.reshape(LABELS, [-1])[:3], found
    )
    return found.numpy(), losses.numpy()


@pytest.mark.parametrize("saved_as", ["items", "model", "weights"])
def test_model_gardens_pretrainers(source, pretraining_run, saved_as, tmp_path):
    model = model_gardens(source)
    shutil.copy(pretraining_run / "vocab.txt", tmp_path)
    prefix = str(tmp_path / "ckpt")
    if saved_as == "weights":
        model.save_weights(prefix)
    else:
        items = {"model": model}
        if saved_as == "items":
            items = model.checkpoint_items
        prefix = tf.train.Checkpoint(**items).save(prefix)
    found = recognition.open_model(prefix)
    assert found.kind == "Model Garden checkpoint" and found.is_pretrainer
    assert_same(logits(found), model_gardens_logits(model))
    if saved_as == "items":  # Our model restores it as it is.
        ours = MaskedLanguageModel.of_experiment(found.config)
        checkpoint = tf.train.Checkpoint(**ours.checkpoint_items)
        checkpoint.restore(prefix).assert_existing_objects_matched()
        for part in (ours.encoder, ours.head):
            for variable in part.variables:
                name = variable.name.removesuffix(":0")
                np.testing.assert_array_equal(
                    variable, found.all_weights[name].read(), name
                )


@pytest.mark.parametrize("is_converted", [False, True])
def test_model_garden_restores_our_checkpoints(
    source, pretraining_run, is_converted, tmp_path
):
    run = pretraining_run
    if is_converted:
        run = tmp_path / "run"
        assert convert(f"--input={pretraining_run}", f"--out={run}") == 0
    model = model_gardens(source)
    model.classification_heads.clear()  # We have no next-sentence head.
    checkpoint = tf.train.Checkpoint(**model.checkpoint_items)
    status = checkpoint.restore(run_folder.best_or_last(run))
    status.assert_existing_objects_matched()
    assert_same(model_gardens_logits(model), logits(source))


@pytest.fixture
def tensorflow_1(source, pretraining_run, bert_config, tmp_path):
    """A checkpoint as google-research/bert leaves it."""
    config = source.config.encoder
    rows = weights.weight_names(config)
    rows += head_weights.head_names(config.vocab_size, config.hidden_size)
    tensors = {
        row.tensorflow_1: source.all_weights[row.name]
        .read()
        .reshape(row.matrix_shape)
        for row in rows
    }
    tensors |= {
        f"{name}/adam_m": np.zeros_like(value)
        for name, value in tensors.items()
    }
    tensors |= {
        "cls/seq_relationship/output_weights": np.ones((2, 8), "f4"),
        "cls/seq_relationship/output_bias": np.ones(2, "f4"),
        "global_step": np.int64(7),
    }
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "bert_model.ckpt"),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )
    (tmp_path / "bert_config.json").write_text(json.dumps(bert_config()))
    shutil.copy(pretraining_run / "vocab.txt", tmp_path)
    return tmp_path


def test_tensorflow_1(tensorflow_1, source):
    reader = tf.train.load_checkpoint(str(tensorflow_1 / "bert_model.ckpt"))
    # google-research/bert, run_pretraining.py: get_masked_lm_output.
    for name, shape in {
        "cls/predictions/transform/dense/kernel": [8, 8],
        "cls/predictions/transform/dense/bias": [8],
        "cls/predictions/transform/LayerNorm/beta": [8],
        "cls/predictions/transform/LayerNorm/gamma": [8],
        "cls/predictions/output_bias": [13],
    }.items():
        assert reader.get_variable_to_shape_map()[name] == shape
    found = recognition.open_model(str(tensorflow_1))
    assert found.kind == "TensorFlow 1 checkpoint" and found.is_pretrainer
    assert_bitwise(found, source)
    # Model Garden's converter has names of its own for the heads.
    second = tensorflow_1 / "second"
    converter.convert(
        str(tensorflow_1 / "bert_model.ckpt"),
        str(second / "ckpt"),
        2,
        converter.BERT_V2_NAME_REPLACEMENTS,
        converter.BERT_V2_PERMUTATIONS,
        ["adam_", "global_step"],
    )
    shutil.copy(tensorflow_1 / "vocab.txt", second)
    again = recognition.open_model(str(second))
    assert_bitwise(again, source)
