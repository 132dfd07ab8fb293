"""Models of the TensorFlow world, made by Google's own code, then read."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras
from official.nlp.configs import encoders
from official.nlp.modeling import layers, models, networks
from official.nlp.tools import export_tfhub_lib
from official.nlp.tools import tf1_bert_checkpoint_converter_lib as converter

import labse
from labse.checkpoints import stored_model, tensorflow_model
from labse.checkpoints.stored_model import ModelOptions
from labse.configs import loading
from labse.errors import InputError
from labse.training.initial_model import open_init

PIECES = [
    *("[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *("a", "b", "c", "##a", "##b", "##c", "A"),
]
SHAPE = {
    "vocab_size": len(PIECES),
    "hidden_size": 8,
    "num_layers": 2,
    "num_attention_heads": 2,
    "max_sequence_length": 20,
    "type_vocab_size": 2,
}
POOLED = ModelOptions(pooling="cls_tanh")
IDS = tf.constant([[3, 6, 10, 4], [3, 7, 4, 0]])
INPUTS = {
    "input_word_ids": IDS,
    "input_mask": tf.cast(IDS > 0, tf.int32),
    "input_type_ids": tf.zeros_like(IDS),
}


@pytest.fixture
def folder(tmp_path):
    """A folder with a vocabulary, in which checkpoints are saved."""
    text = "".join(f"{piece}\n" for piece in PIECES)
    (tmp_path / "vocab.txt").write_text(text)
    return tmp_path


def encoder(version=2):
    """Model Garden's encoder with weights that are not near zero."""
    tf.random.set_seed(0)
    initializer = tf_keras.initializers.TruncatedNormal(stddev=0.3)
    if version == 1:
        return networks.BertEncoder(
            **SHAPE, intermediate_size=16, initializer=initializer
        )
    built = networks.BertEncoderV2(
        **SHAPE, inner_dim=16, initializer=initializer
    )
    built(INPUTS)
    return built


def vectors(source):
    return stored_model.load_encoder(source)(INPUTS).numpy()


def expected_vectors(model):
    pooled = model(INPUTS)["pooled_output"].numpy()
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", ["encoder", "model"])
def test_model_gardens_encoders(folder, version, name):
    model = encoder(version)
    if version == 1:
        _, expected = model([INPUTS[key] for key in INPUTS])
        expected = expected.numpy()
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    else:
        expected = expected_vectors(model)
    prefix = tf.train.Checkpoint(**{name: model}).save(str(folder / "ckpt"))
    source = tensorflow_model.open_checkpoint(prefix, POOLED)
    assert source.kind == "Model Garden checkpoint"
    assert source.config.encoder.num_heads == 2
    assert source.config.encoder.num_layers == 2
    assert source.config.encoder.intermediate_size == 16
    assert source.config.encoder.max_positions == 20
    assert source.config.encoder.activation == "gelu_tanh"
    assert source.config.tokenizer.max_length == 20
    # "A" is a piece: the vocabulary can only be cased.
    assert source.config.tokenizer.lower_case is False
    assert not [note for note in source.notes if "left out" in note]
    np.testing.assert_allclose(vectors(source), expected, atol=1e-6)


@pytest.mark.parametrize("legacy", [False, True])
def test_model_gardens_pretrainers(folder, legacy):
    heads = [layers.ClassificationHead(8, 2, name="next_sentence")]
    model = models.BertPretrainerV2(encoder(), classification_heads=heads)
    inputs = {**INPUTS, "masked_lm_positions": tf.constant([[1], [1]])}
    with tf.GradientTape() as tape:
        outputs = model(inputs)
        total = tf.reduce_sum(outputs["mlm_logits"])
        total += tf.reduce_sum(outputs["next_sentence"])
    gradients = tape.gradient(total, model.trainable_variables)
    kinds = tf_keras.optimizers.legacy if legacy else tf_keras.optimizers
    optimizer = kinds.Adam()
    optimizer.apply_gradients(
        zip(gradients, model.trainable_variables, strict=True)
    )
    items = {} if legacy else model.checkpoint_items
    checkpoint = tf.train.Checkpoint(
        model=model, optimizer=optimizer, global_step=tf.Variable(3), **items
    )
    prefix = checkpoint.save(str(folder / "ckpt"))
    source = tensorflow_model.open_checkpoint(prefix, POOLED)
    expected = expected_vectors(model.encoder_network)
    np.testing.assert_allclose(vectors(source), expected, atol=1e-6)
    assert any(note.startswith("left out: ") for note in source.notes)


# The names of google-research/bert, modeling.py, and their shapes.
TENSORFLOW_1 = {
    "bert/embeddings/word_embeddings": (13, 8),
    "bert/embeddings/token_type_embeddings": (2, 8),
    "bert/embeddings/position_embeddings": (20, 8),
    "bert/embeddings/LayerNorm/gamma": (8,),
    "bert/embeddings/LayerNorm/beta": (8,),
    **{
        f"bert/encoder/layer_{layer}/{name}": shape
        for layer in range(2)
        for name, shape in {
            "attention/self/query/kernel": (8, 8),
            "attention/self/query/bias": (8,),
            "attention/self/key/kernel": (8, 8),
            "attention/self/key/bias": (8,),
            "attention/self/value/kernel": (8, 8),
            "attention/self/value/bias": (8,),
            "attention/output/dense/kernel": (8, 8),
            "attention/output/dense/bias": (8,),
            "attention/output/LayerNorm/gamma": (8,),
            "attention/output/LayerNorm/beta": (8,),
            "intermediate/dense/kernel": (8, 16),
            "intermediate/dense/bias": (16,),
            "output/dense/kernel": (16, 8),
            "output/dense/bias": (8,),
            "output/LayerNorm/gamma": (8,),
            "output/LayerNorm/beta": (8,),
        }.items()
    },
    "bert/pooler/dense/kernel": (8, 8),
    "bert/pooler/dense/bias": (8,),
}


def save_by_names(prefix, tensors):
    names = list(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tensors[name] for name in names],
    )


@pytest.fixture
def tensorflow_1(folder, bert_config):
    """A checkpoint as google-research/bert's create_model leaves it."""
    generator = np.random.default_rng(0)
    shapes = {
        **TENSORFLOW_1,
        "cls/predictions/output_bias": (13,),
        "cls/seq_relationship/output_weights": (2, 8),
        "bert/pooler/dense/kernel/adam_m": (8, 8),
        "global_step": (),
    }
    tensors = {
        name: np.float32(generator.normal(size=shape, scale=0.3))
        for name, shape in shapes.items()
    }
    save_by_names(folder / "bert_model.ckpt", tensors)
    (folder / "bert_config.json").write_text(json.dumps(bert_config()))
    return folder


def test_tensorflow_1(tensorflow_1):
    prefix = tensorflow_model.checkpoint_prefix(str(tensorflow_1))
    assert prefix == str(tensorflow_1 / "bert_model.ckpt")
    source = tensorflow_model.open_checkpoint(prefix, POOLED)
    assert source.kind == "TensorFlow 1 checkpoint"
    # Model Garden's converter has a table of its own.
    converter.convert(
        prefix,
        str(tensorflow_1 / "second" / "ckpt"),
        2,
        converter.BERT_V2_NAME_REPLACEMENTS,
        converter.BERT_V2_PERMUTATIONS,
        ["adam_", "global_step", "cls/"],
    )
    reader = tf.train.load_checkpoint(str(tensorflow_1 / "second" / "ckpt"))
    converted = reader.get_variable_to_shape_map()
    assert converted.keys() == source.weights.keys()
    for name, weight in source.weights.items():
        np.testing.assert_array_equal(
            weight.read(), reader.get_tensor(name), name
        )
    # What the converter wrote, by names, is read as well.
    stated = ModelOptions(
        pooling="cls_tanh", vocabulary=str(tensorflow_1 / "vocab.txt")
    )
    again = tensorflow_model.open_checkpoint(
        str(tensorflow_1 / "second" / "ckpt"), stated
    )
    np.testing.assert_array_equal(vectors(again), vectors(source))


def refusal(function, *arguments):
    with pytest.raises(InputError) as error:
        function(*arguments)
    return str(error.value)


def test_what_tensorflow_1_does_not_record(tensorflow_1):
    prefix = str(tensorflow_1 / "bert_model.ckpt")
    message = refusal(tensorflow_model.open_checkpoint, prefix, ModelOptions())
    assert "does not record its pooling. State it, as in labse.load(" in message
    lower = "".join(f"{piece}\n" for piece in PIECES).replace("A\n", "d\n")
    (tensorflow_1 / "vocab.txt").write_text(lower)
    message = refusal(tensorflow_model.open_checkpoint, prefix, POOLED)
    assert "does not record its lower_case." in message
    (tensorflow_1 / "bert_config.json").unlink()
    message = refusal(tensorflow_model.open_checkpoint, prefix, POOLED)
    assert "needs bert_config.json beside it" in message


def test_a_casing_that_the_vocabulary_contradicts(tensorflow_1):
    prefix = str(tensorflow_1 / "bert_model.ckpt")
    stated = ModelOptions(pooling="cls", lower_case=True)
    message = refusal(tensorflow_model.open_checkpoint, prefix, stated)
    assert "records tokenizer.lower_case False. Received: True." in message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"num_hidden_layers": 3}, "missing: bert/encoder/layer_2/"),
        ({"num_hidden_layers": 1}, "unexpected: bert/encoder/layer_1/"),
        ({"vocab_size": 14}, "equally long. Received 13 pieces and 14 rows"),
        ({"vocab_size": 14}, "such as [unused1], to the end of the vocabulary"),
        ({"vocab_size": 11}, "remove its last 2 pieces: they have no row"),
        ({"intermediate_size": 17}, "of another shape or type: "),
        ({"hidden_act": "relu"}, "hidden_act must be one of gelu."),
        ({"vocab_size": "13"}, "json: vocab_size must be a whole number"),
    ],
)
def test_a_configuration_that_does_not_fit(
    tensorflow_1, bert_config, change, expected
):
    path = tensorflow_1 / "bert_config.json"
    path.write_text(json.dumps(bert_config(**change)))
    prefix = str(tensorflow_1 / "bert_model.ckpt")
    assert expected in refusal(tensorflow_model.open_checkpoint, prefix, POOLED)


def test_another_model(folder):
    save_by_names(folder / "ckpt", {"gpt/kernel": np.float32([1])})
    message = refusal(
        tensorflow_model.open_checkpoint, str(folder / "ckpt"), POOLED
    )
    assert "holds no graph of objects" in message
    root = tf.train.Checkpoint(kernel=tf.Variable([1.0], name="gpt/kernel"))
    prefix = root.save(str(folder / "other"))
    message = refusal(tensorflow_model.open_checkpoint, prefix, POOLED)
    assert "holds no BERT encoder by Model Garden's names" in message
    assert "the first: gpt/kernel." in message


def test_several_checkpoints_in_a_folder(folder):
    for name in ("one", "two"):
        save_by_names(folder / name, {"a": np.float32([1])})
    message = refusal(tensorflow_model.checkpoint_prefix, str(folder))
    assert "holds several checkpoints: one, two. Name one" in message


def export_hub_model(folder, **changes):
    """What Model Garden's exporter, which made google/LaBSE/2, writes."""
    vocabulary = folder / "cased_vocab.txt"
    vocabulary.write_text("".join(f"{piece}\n" for piece in PIECES))
    config = encoders.EncoderConfig(
        type="bert",
        bert=encoders.BertEncoderConfig(
            vocab_size=len(PIECES),
            hidden_size=8,
            num_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=20,
            type_vocab_size=2,
            initializer_range=0.3,
            **changes,
        ),
    )
    tf.random.set_seed(0)
    model = encoders.build_encoder(config)
    prefix = tf.train.Checkpoint(encoder=model).save(str(folder / "ckpt"))
    export_tfhub_lib.export_model(
        str(folder / "model"),
        encoder_config=config,
        model_checkpoint_path=prefix,
        with_mlm=False,
        vocab_file=str(vocabulary),
        do_lower_case=False,
    )
    return folder / "model"


@pytest.fixture(scope="module")
def hub_model(tmp_path_factory):
    return export_hub_model(tmp_path_factory.mktemp("hub"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"hidden_activation": "relu"}, "computes Relu, which BERT does not"),
        ({"norm_first": True}, "normalises before attention"),
    ],
)
def test_a_saved_model_that_is_no_bert(tmp_path, change, expected):
    path = str(export_hub_model(tmp_path, **change))
    assert expected in refusal(
        tensorflow_model.open_saved_model, path, ModelOptions()
    )


def test_a_saved_model_with_more_than_an_encoder(tmp_path):
    model = encoder()
    root = tf.train.Checkpoint()
    root.variables = [*model.variables, tf.Variable(tf.eye(8))]
    specs = [tf.TensorSpec([None, None], tf.int32, name) for name in INPUTS]

    @tf.function(input_signature=specs)
    def serve(input_word_ids, input_mask, input_type_ids):
        values = (input_word_ids, input_mask, input_type_ids)
        pooled = model(dict(zip(INPUTS, values, strict=True)))["pooled_output"]
        return {"default": tf.matmul(pooled, root.variables[-1])}

    tf.saved_model.save(root, str(tmp_path), {"serving_default": serve})
    (tmp_path / "assets").mkdir(exist_ok=True)
    text = "".join(f"{piece}\n" for piece in PIECES)
    (tmp_path / "assets" / "vocab.txt").write_text(text)
    message = refusal(labse.load, str(tmp_path))
    assert "does not record its pooling" in message
    with pytest.raises(InputError, match="unexpected: Variable"):
        labse.load(str(tmp_path), pooling="cls_tanh")


def test_a_run_does_not_start_from_another_pooling(hub_model):
    config = loading.load("labse_tiny")
    vocabulary = str(hub_model / "assets" / "cased_vocab.txt")
    message = refusal(open_init, str(hub_model), config, vocabulary)
    assert " encoder.pooling=cls_tanh " in message


def test_blocks_that_no_file_can_hold(tensorflow_1, bert_config):
    path = tensorflow_1 / "bert_config.json"
    path.write_text(json.dumps(bert_config(num_hidden_layers=10**9)))
    prefix = str(tensorflow_1 / "bert_model.ckpt")
    message = refusal(tensorflow_model.open_checkpoint, prefix, POOLED)
    assert "cannot be those of the 1000000000 blocks" in message


def test_a_saved_model_of_the_labse_2_kind(hub_model):
    source = tensorflow_model.open_saved_model(str(hub_model), ModelOptions())
    assert source.config.encoder.pooling == "cls_tanh"
    assert source.config.encoder.activation == "gelu_tanh"
    assert source.config.tokenizer.max_length == 20
    assert source.recorded["tokenizer.lower_case"] is False
    assert "encoder.pooling: cls_tanh, as nothing records another" in (
        source.notes
    )
    expected = hub.load(str(hub_model))(INPUTS)["default"].numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors(source), expected, atol=1e-6)


def test_loading_it_runs_nothing_of_it(hub_model, monkeypatch):
    def fail(*_):
        raise AssertionError("The SavedModel was loaded.")

    monkeypatch.setattr(tf.saved_model, "load", fail)
    monkeypatch.setattr(hub, "load", fail)
    model = labse.load(str(hub_model))
    assert model.encode(["ab A", "c"]).shape == (2, 8)
    assert model.source.kind == "SavedModel of an encoder"


def test_a_saved_model_that_is_cut_off(hub_model, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(hub_model, copy)
    data = copy / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    message = refusal(labse.load, str(copy))
    assert f"{data} is damaged or truncated" in message


def test_ids_of_tf_hub_by_a_recorded_option(hub_model):
    source = tensorflow_model.open_saved_model(
        str(hub_model), ModelOptions(ids="tensorflow_hub")
    )
    assert source.config.tokenizer.ids == "tensorflow_hub"
    assert source.config.tokenizer.max_bytes_per_word == 100
    assert "tokenizer.ids: tensorflow_hub, as requested" in source.notes


def test_a_vocabulary_from_elsewhere(hub_model, tmp_path):
    asset = pathlib.Path(hub_model, "assets", "cased_vocab.txt")
    longer = tmp_path / "vocab.txt"
    longer.write_text(asset.read_text() + "d\n")
    stated = ModelOptions(vocabulary=str(longer))
    message = refusal(tensorflow_model.open_saved_model, str(hub_model), stated)
    assert "has its own vocabulary of 13 pieces, and" in message


def test_a_configuration_of_other_weights_than_model_gardens(
    folder, bert_config
):
    tf.train.Checkpoint(encoder=encoder()).save(str(folder / "ckpt"))
    # 12 pieces; the table may be padded.
    values = bert_config(vocab_size=12, num_attention_heads=4)
    path = folder / "bert_config.json"
    path.write_text(json.dumps(values))
    message = refusal(
        tensorflow_model.open_checkpoint, str(folder / "ckpt-1"), POOLED
    )
    assert message.startswith(f"{path} does not describe the weights beside")
    assert "otherwise: num_heads 4, not 2. " in message
    path.write_text(json.dumps(values | {"num_attention_heads": 2}))
    source = tensorflow_model.open_checkpoint(str(folder / "ckpt-1"), POOLED)
    assert source.config.encoder.vocab_size == len(PIECES)
