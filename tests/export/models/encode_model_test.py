"""Written as users of google/LaBSE/2 and google/LaBSE/1 write their code."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras

from export import golden
from export.models import encode_model
from labse.checkpoints import run_folder

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
POSITIONS = 128  # of the run
ENGLISH = ["dog", "Puppies are nice.", "I enjoy taking long walks."]


@pytest.fixture(scope="module")
def preprocessor(exported):
    return hub.KerasLayer(str(exported / "preprocess"))


@pytest.fixture(scope="module")
def encoder(exported):
    return hub.KerasLayer(str(exported / "encode"))


def test_version_2_call(preprocessor, encoder):
    outputs = encoder(preprocessor(tf.constant(ENGLISH)))
    assert outputs["default"].shape == (3, 16)
    pooled = outputs["pooled_output"].numpy()
    unit = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["default"], unit, atol=1e-6)
    # A test of lengths alone would pass if pooled_output were default.
    assert np.abs(np.linalg.norm(pooled, axis=1) - 1).max() > 0.1
    assert outputs["sequence_output"].shape == (3, 48, 16)
    assert len(outputs["encoder_outputs"]) == 2


def test_version_1_functional_model_with_a_list(exported, preprocessor):
    labse_layer = hub.KerasLayer(str(exported / "encode"), trainable=True)
    names = ("input_word_ids", "input_mask", "segment_ids")
    three = [tf_keras.Input((48,), dtype=tf.int32, name=n) for n in names]
    pooled_output, sequence_output = labse_layer(three)
    assert sequence_output.shape[-1] == 16
    normalised = tf_keras.layers.Lambda(
        lambda x: tf.nn.l2_normalize(x, axis=1)
    )(pooled_output)
    model = tf_keras.Model(three, normalised)
    packed = preprocessor(tf.constant(ENGLISH))
    ids = packed["input_word_ids"].numpy().astype(np.int64)
    mask = packed["input_mask"].numpy().astype(np.int64)
    found = model([ids, mask, np.zeros_like(ids)])
    expected = labse_layer(packed)["default"]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # The mask counts: without its first piece it is another sentence.
    shorter = mask.copy()
    shorter[:, 1] = 0
    other = model([ids, shorter, np.zeros_like(ids)])
    assert np.abs(other - expected).max() > 1e-3


def test_vocabulary_and_casing_for_a_tokenizer_of_ones_own(encoder):
    resolved = encoder.resolved_object
    path = resolved.vocab_file.asset_path.numpy().decode()
    assert path.endswith("assets/cased_vocab.txt")
    with open(path, encoding="utf-8") as file:
        assert file.readline() == "[PAD]\n"
    assert resolved.do_lower_case.numpy() == np.False_


def test_variables_have_the_names_of_google_labse(encoder):
    expected = {
        "word_embeddings/embeddings:0",
        "position_embedding/embeddings:0",
        "type_embeddings/embeddings:0",
        "embeddings/layer_norm/gamma:0",
        "embeddings/layer_norm/beta:0",
        "pooler_transform/kernel:0",
        "pooler_transform/bias:0",
        "Variable:0",
    }
    dense = ("query", "key", "value", "attention_output")
    for layer in range(2):
        start = f"transformer/layer_{layer}"
        parts = [f"{start}/self_attention/{name}" for name in dense]
        parts += [f"{start}/intermediate", f"{start}/output"]
        expected |= {f"{p}/{w}:0" for p in parts for w in ("kernel", "bias")}
        norms = ("self_attention_layer_norm", "output_layer_norm")
        expected |= {
            f"{start}/{n}/{w}:0" for n in norms for w in ("gamma", "beta")
        }
    resolved = encoder.resolved_object
    assert {v.name for v in resolved.variables} == expected
    trainable = {v.name for v in resolved.trainable_variables}
    # Pooling "cls" has no use for the pooler.
    assert trainable == {
        name
        for name in expected
        if not name.startswith(("pooler_transform", "Variable"))
    }
    shapes = {v.name: v.shape for v in resolved.variables}
    key = "transformer/layer_0/self_attention/query/kernel:0"
    assert shapes[key] == (16, 2, 8)


def test_batch_and_length_are_free(encoder, preprocessor):
    pack = hub.KerasLayer(
        preprocessor.resolved_object.bert_pack_inputs,
        arguments={"seq_length": 20},
    )
    tokenize = hub.KerasLayer(preprocessor.resolved_object.tokenize)
    short = pack([tokenize(tf.constant(ENGLISH[:2]))])
    assert encoder(short)["sequence_output"].shape == (2, 20, 16)
    long = encoder(preprocessor(tf.constant(ENGLISH[:2])))["default"]
    np.testing.assert_allclose(encoder(short)["default"], long, atol=1e-5)
    nothing = {name: tf.zeros([0, 5], tf.int32) for name in INPUTS}
    assert encoder(nothing)["default"].shape == (0, 16)


def padded_by_server(inputs, length: int, pad_with: str) -> dict:
    """Rows [1, n] filled up as servers do, `length` long."""
    fill = {
        "first element": [row[0, 0] for row in inputs.values()],
        "zeros, mask of ones": [0, 1, 0],
        "zeros": [0, 0, 0],
    }[pad_with]
    return {
        name: np.pad(
            row, [[0, 0], [0, length - row.shape[1]]], constant_values=value
        )
        for (name, row), value in zip(inputs.items(), fill, strict=True)
    }


PADDINGS = ("first element", "zeros, mask of ones", "zeros")


@pytest.mark.parametrize("pad_with", PADDINGS)
@pytest.mark.parametrize("own_padding", [0, 2])
def test_padding_of_a_server_changes_nothing(
    exported, encoder, pad_with, own_padding
):
    rows = golden.read_golden(exported)
    short, long = rows.names.index("de"), rows.names.index("truncated")
    ids = np.array([rows.ids[short]], np.int32)
    mask = np.ones_like(ids)
    alone = dict(zip(INPUTS, (ids, mask, np.zeros_like(ids)), strict=True))
    # A caller's own padding comes before the server's.
    alone = padded_by_server(alone, ids.shape[1] + own_padding, "zeros")
    padded = padded_by_server(alone, 48, pad_with)
    other = np.array([rows.ids[long]], np.int32)
    others = (other, np.ones_like(other), np.zeros_like(other))
    batch = {
        name: tf.constant(np.concatenate([padded[name], value]))
        for name, value in zip(INPUTS, others, strict=True)
    }
    served = hub.load(str(exported / "text")).signatures["encode"](**batch)
    for found in (encoder(batch)["default"], served["embedding"]):
        np.testing.assert_allclose(
            found, rows.embeddings[[short, long]], atol=1e-5
        )


@pytest.mark.parametrize("dtype", [tf.int32, tf.int64])
def test_rows_longer_than_the_positions_are_refused(exported, dtype):
    preprocess = tf.saved_model.load(str(exported / "preprocess"))
    encode = tf.saved_model.load(str(exported / "encode"))
    words = preprocess.tokenize(tf.constant(ENGLISH))
    for length, fits in ((POSITIONS, True), (POSITIONS + 1, False)):
        packed = preprocess.bert_pack_inputs(words, seq_length=length)
        packed = {name: tf.cast(ids, dtype) for name, ids in packed.items()}
        if fits:
            assert encode(packed)["default"].shape == (3, 16)
            continue
        with pytest.raises(
            tf.errors.InvalidArgumentError,
            match=f"seq_length of at most {POSITIONS}",
        ):
            encode(packed)


def test_keras_3_calls_the_object(exported):
    """The signature takes keyword arguments, which TFSMLayer does not pass."""
    import keras

    packed = tf.saved_model.load(str(exported / "preprocess"))(
        tf.constant(ENGLISH)
    )
    layer = keras.layers.TFSMLayer(
        str(exported / "encode"), call_endpoint="__call__", trainable=False
    )
    outputs = layer(packed)
    expected = tf.saved_model.load(str(exported / "encode"))(packed)
    assert len(outputs["encoder_outputs"]) == 2
    np.testing.assert_allclose(
        outputs["default"], expected["default"], atol=1e-6
    )
    by_signature = keras.layers.TFSMLayer(
        str(exported / "encode"), call_endpoint="serving_default"
    )
    with pytest.raises(TypeError):
        by_signature(packed)


def test_two_segments_count(encoder, preprocessor):
    inputs = preprocessor(tf.constant(["walked"]))
    typed = {**inputs, "input_type_ids": inputs["input_mask"]}
    difference = encoder(inputs)["default"] - encoder(typed)["default"]
    assert np.abs(difference).max() > 1e-3


def test_graph_compiles_around_the_model(encoder, preprocessor):
    inputs = preprocessor(tf.constant(ENGLISH))
    compiled = tf.function(lambda x: encoder(x)["default"], jit_compile=True)
    np.testing.assert_allclose(
        compiled(inputs), encoder(inputs)["default"], atol=1e-5
    )


def test_pooler_is_trainable_where_it_pools(make_run, exported):
    encoder, _, _ = run_folder.load_encoder(make_run(pooling="cls_tanh"))
    asset = str(exported / "encode" / "assets" / "cased_vocab.txt")
    root, _ = encode_model.build_encode_model(encoder, asset)
    names = {v.name for v in root.trainable_variables}
    assert "pooler_transform/kernel:0" in names
    assert names == {v.name for v in encoder.variables}


def test_signature_has_the_contract_names(exported):
    loaded = hub.load(str(exported / "encode"))
    signature = loaded.signatures["serving_default"]
    assert set(signature.structured_input_signature[1]) == set(INPUTS)
    outputs = signature.structured_outputs
    assert {name: value.shape.rank for name, value in outputs.items()} == {
        "default": 2,
        "pooled_output": 2,
        "sequence_output": 3,
    }


def test_text_model_is_fine_tunable_too(exported):
    rows = golden.read_golden(exported)
    layer = hub.KerasLayer(
        str(exported / "text"), trainable=True, input_shape=[], dtype=tf.string
    )
    model = tf_keras.Sequential([layer, tf_keras.layers.Dense(1)])
    np.testing.assert_allclose(
        layer(tf.constant(rows.texts[:3])), rows.embeddings[:3], atol=1e-5
    )
    model.compile(tf_keras.optimizers.legacy.SGD(0.5), "mse")
    model.train_on_batch(tf.constant(rows.texts[:3]), tf.constant([1.0, 2, 3]))
    after = layer(tf.constant(rows.texts[:3])).numpy()
    assert np.abs(after - rows.embeddings[:3]).max() > 1e-4


def test_text_signatures_have_the_contract_names(exported):
    signatures = hub.load(str(exported / "text")).signatures
    assert set(signatures) == {"serving_default", "preprocess", "encode"}
    served = signatures["serving_default"](text=tf.constant(["the bus", ""]))
    assert {name: value.dtype for name, value in served.items()} == {
        "embedding": tf.float32,
        "num_tokens": tf.int32,
        "truncated": tf.bool,
    }
    assert served["num_tokens"].numpy().tolist() == [4, 2]
    long = signatures["serving_default"](text=tf.constant(["the " * 47]))
    assert long["num_tokens"].numpy().tolist() == [48]
    assert long["truncated"].numpy().tolist() == [True]
    inputs = signatures["preprocess"](text=tf.constant(["the bus", ""]))
    assert set(inputs) == set(INPUTS)
    assert inputs["input_mask"].numpy().tolist() == [[1] * 4, [1, 1, 0, 0]]
    encoded = signatures["encode"](**inputs)
    assert set(encoded) == {"embedding"}
    np.testing.assert_allclose(
        encoded["embedding"], served["embedding"], atol=1e-6
    )
