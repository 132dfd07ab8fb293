"""Weights whose names have the prefixes of wrappers; padded tables."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from labse.checkpoints import recognition, weights
from labse.checkpoints.huggingface import folder_writer
from labse.checkpoints.stored_model import ModelOptions
from labse.errors import InputError
from labse.formats import safetensors_file

CLS = ModelOptions(pooling="cls")
PREFIXES = [
    *("module.", "_orig_mod.", "0.auto_model.", "model.", "encoder."),
    *("bert.", "0.model.", "student."),
    *("module._orig_mod.", "module.model.encoder.bert.", "model.0.auto_model."),
]


@pytest.fixture(scope="module")
def source(small_run):
    return recognition.open_model(str(small_run))


@pytest.fixture
def bert(source, tmp_path):
    """A BERT folder of Hugging Face."""
    folder = tmp_path / "bert"
    folder_writer.write_folder(source, str(folder))
    for name in ("modules.json", "config_sentence_transformers.json"):
        (folder / name).unlink()
    for name in ("1_Pooling", "2_Normalize"):
        shutil.rmtree(folder / name)
    return folder


def tensors_of(folder):
    return safetensors_file.read_header(folder / safetensors_file.SINGLE)


class Array:
    """An array as `safetensors_file.write` takes it."""

    def __init__(self, value):
        self.value = np.asarray(value, np.float32)
        self.shape = self.value.shape

    def row_blocks(self):
        yield self.value


def rename(folder, new_name, others=()):
    """Writes the weights under other names, and others beside."""
    arrays = {
        new_name(name): Array(tensor.read())
        for name, tensor in tensors_of(folder).items()
    }
    arrays |= {name: Array(np.ones(3)) for name in others}
    safetensors_file.write_tensors(folder / safetensors_file.SINGLE, arrays)


def same(found, source):
    assert found.weights.keys() == source.weights.keys()
    for name, weight in source.weights.items():
        np.testing.assert_array_equal(
            found.weights[name].read(), weight.read(), err_msg=name
        )


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_of_wrappers(bert, source, prefix):
    heads = ["cls.predictions.bias"]  # Beside the encoder, in the wrappers.
    outer = prefix.removesuffix("bert.")
    rename(bert, (prefix + "{}").format, [outer + head for head in heads])
    found = recognition.open_model(str(bert), CLS)
    same(found, source)
    assert (prefix == "bert.") != any(
        note.startswith("names of weights: ") for note in found.notes
    )


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.bert."])
def test_a_prefix_in_a_file_of_pytorch(bert, source, prefix, torch):
    tensors = {
        prefix + name: torch.from_numpy(tensor.read().copy())
        for name, tensor in tensors_of(bert).items()
    }
    (bert / safetensors_file.SINGLE).unlink()
    torch.save(tensors, bert / "pytorch_model.bin")
    same(recognition.open_model(str(bert), CLS), source)


def test_wrappers_inside_of_names(bert, source):
    def wrapped(name):
        name = name.replace("layer.0.", "layer.0._fsdp_wrapped_module.")
        name = name.replace("layer.1.", "layer.1._orig_mod.module.")
        return f"_fsdp_wrapped_module.{name}"

    rename(bert, wrapped)
    same(recognition.open_model(str(bert), CLS), source)


def test_names_that_are_none_of_berts(bert):
    rename(bert, lambda name: name.replace("word_embeddings", "tokens"))
    with pytest.raises(InputError) as error:
        recognition.open_model(str(bert), CLS)
    assert "'embeddings.word_embeddings.weight' or ends with it" in str(
        error.value
    )
    assert "It holds 39 tensors: ['embeddings.LayerNorm.bias', " in str(
        error.value
    )


def test_two_encoders(bert):
    arrays = {
        prefix + name: Array(tensor.read())
        for name, tensor in tensors_of(bert).items()
        for prefix in ("student.", "teacher.")
    }
    safetensors_file.write_tensors(bert / safetensors_file.SINGLE, arrays)
    with pytest.raises(InputError) as error:
        recognition.open_model(str(bert), CLS)
    assert (
        "holds 2 encoders, whose names begin with ['student.', 'teacher.']"
        in (str(error.value))
    )


def test_what_does_not_fit_wholly(bert):
    rename(bert, "module.{}".format, ["module.classifier.weight"])
    with pytest.raises(InputError, match="unexpected: classifier.weight"):
        recognition.open_model(str(bert), CLS)


def tensorflow_1(
    folder, source, bert_config, rows=None, scope="bert/", slots=False
):
    """A checkpoint of TensorFlow 1, in a scope, its table padded to rows."""
    config = source.config.encoder
    values = bert_config(
        vocab_size=rows or config.vocab_size,
        hidden_size=32,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    (folder / "bert_config.json").write_text(json.dumps(values))
    text = "".join(f"{piece}\n" for piece in source.vocabulary.pieces)
    (folder / "vocab.txt").write_bytes(text.encode())
    arrays = {
        row.tensorflow_1.replace("bert/", scope): source.weights[row.name]
        .read()
        .reshape(row.matrix_shape)
        for row in weights.weight_names(config)
    }
    table = f"{scope}embeddings/word_embeddings"
    arrays[table] = padded(arrays[table], rows)
    outer = scope.rpartition("bert/")[0]
    if slots:
        arrays |= {f"{name}/adam_m": arrays[name] for name in list(arrays)}
        arrays |= {f"{outer}cls/predictions/output_bias": np.ones(3, "f4")}
    tf.raw_ops.SaveV2(
        prefix=str(folder / "bert_model.ckpt"),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=list(arrays.values()),
    )


def padded(table, rows):
    """The table with rows of NaN up to `rows`: nobody may read them."""
    more = (rows or len(table)) - len(table)
    return np.pad(table, [(0, more), (0, 0)], constant_values=np.nan)


@pytest.mark.parametrize("scope", ["bert/", "module/bert/", "labse/", "a/b/"])
def test_a_scope_of_tensorflow_1(tmp_path, source, bert_config, scope):
    tensorflow_1(tmp_path, source, bert_config, scope=scope, slots=True)
    found = recognition.open_model(str(tmp_path), CLS)
    assert found.kind == "TensorFlow 1 checkpoint"
    same(found, source)


def test_model_gardens_names_without_objects(tmp_path, source):
    text = "".join(f"{piece}\n" for piece in source.vocabulary.pieces)
    (tmp_path / "vocab.txt").write_bytes(text.encode())
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "model"),
        tensor_names=[f"module/bert_encoder/{name}" for name in source.weights],
        shape_and_slices=[""] * len(source.weights),
        tensors=[weight.read() for weight in source.weights.values()],
    )
    found = recognition.open_model(str(tmp_path), CLS)
    assert found.kind == "Model Garden checkpoint"
    same(found, source)


@pytest.mark.parametrize("multiple", [8, 64, 128])
@pytest.mark.parametrize("kind", ["hugging_face", "tensorflow_1"])
def test_a_padded_table(bert, bert_config, source, tmp_path, kind, multiple):
    rows = -(-len(source.vocabulary) // multiple) * multiple
    if kind == "tensorflow_1":
        folder = tmp_path
        tensorflow_1(folder, source, bert_config, rows=rows)
    else:
        folder = bert
        pad_hugging_face(folder, rows)
    found = recognition.open_model(str(folder), CLS)
    same(found, source)
    assert found.config.encoder.vocab_size == len(source.vocabulary)
    extra = rows - len(source.vocabulary)
    assert f"left out: the last {extra} of {rows:,} rows" in str(found.notes)
    table = source.weights[weights.WORD_EMBEDDINGS]
    np.testing.assert_array_equal(
        found.weights[weights.WORD_EMBEDDINGS].map(), table.map()
    )


def pad_hugging_face(folder, rows):
    name = "embeddings.word_embeddings.weight"
    arrays = {
        name: Array(tensor.read())
        for name, tensor in tensors_of(folder).items()
    }
    arrays[name] = Array(padded(arrays[name].value, rows))
    safetensors_file.write_tensors(folder / safetensors_file.SINGLE, arrays)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | {"vocab_size": rows})
    )


@pytest.mark.parametrize(
    ("rows", "change"),
    [
        (863, lambda text: text),  # 862 pieces: to no multiple.
        (864 + 1024, lambda text: text),
        (864, lambda text: text[:-1]),  # No end: maybe cut off.
        (864, lambda text: text[: text.rindex("\n", 0, -1) - 1]),
    ],
)
def test_a_vocabulary_that_is_short_of_its_table(
    source, tmp_path, bert_config, rows, change
):
    tensorflow_1(tmp_path, source, bert_config, rows=rows)
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text(change(vocabulary.read_text("utf-8")), "utf-8")
    with pytest.raises(InputError) as error:
        recognition.open_model(str(tmp_path), CLS)
    assert str(error.value).startswith(f"{vocabulary}: the vocabulary and")


def test_a_damaged_padded_table_is_noticed(source, tmp_path, bert_config):
    # In the last of the padding: the checksum is of all rows.
    tensorflow_1(tmp_path, source, bert_config, rows=864)
    found = recognition.open_model(str(tmp_path), CLS)
    stored = found.weights[weights.WORD_EMBEDDINGS].stored
    content = bytearray(stored.path.read_bytes())
    content[stored.offset + stored.num_bytes - 1] ^= 1
    stored.path.write_bytes(content)
    with pytest.raises(InputError, match="the checksum of the bytes"):
        found.weights[weights.WORD_EMBEDDINGS].check()
