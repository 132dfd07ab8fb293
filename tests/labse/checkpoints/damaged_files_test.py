"""Every file of every kind of model, damaged in every way.

Either one error names the file and says what to do, or the model is the same.
"""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import tempfile

import numpy as np
import pytest
import tensorflow as tf

from labse.checkpoints import (
    converted_run,
    head_weights,
    recognition,
    stored_model,
    weights,
)
from labse.checkpoints.huggingface import folder_writer
from labse.checkpoints.stored_model import ModelOptions
from labse.configs.pretraining import PretrainingConfig
from labse.configs.schema import (
    EncoderConfig,
    ExperimentConfig,
    TokenizerConfig,
)
from labse.errors import InputError
from labse.features import MODEL_INPUTS
from labse.formats import safetensors_file
from labse.formats.stored_tensor import MappedTensor

CLS = ModelOptions(pooling="cls")
STATED = {
    "hugging_face": CLS,
    "pytorch": CLS,
    "sharded_pytorch": CLS,
    "sharded": CLS,
    "tensorflow_1": CLS,
    "model_garden": CLS,
    "saved_model": CLS,
}
LFS = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2\n"
    "size 1883785969\n"
)


def write_vocabulary(folder, source):
    text = "".join(f"{piece}\n" for piece in source.vocabulary.pieces)
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_bytes(text.encode())


def run(folder, source, small_run):
    shutil.copytree(small_run, folder)


def pretraining(folder, source, small_run):
    config = source.config.encoder
    generator = np.random.default_rng(0)
    head = {
        row.name: MappedTensor(None, generator.normal(size=row.shape))
        for row in head_weights.head_names(
            config.vocab_size, config.hidden_size
        )
    }
    converted_run.write_run(
        str(folder),
        PretrainingConfig(config, source.config.tokenizer),
        source.vocabulary,
        source.weights | head,
        {},
    )


def sentence_transformers(folder, source, small_run):
    encoder = dataclasses.replace(source.config.encoder, pooling="cls_tanh")
    config = dataclasses.replace(source.config, encoder=encoder)
    folder_writer.write_folder(
        dataclasses.replace(source, config=config), str(folder)
    )


def static_embedding(folder, source, small_run):
    config = ExperimentConfig(
        encoder=EncoderConfig(
            vocab_size=len(source.vocabulary),
            num_layers=0,
            hidden_size=32,
            num_heads=1,
            pooling="mean",
        ),
        tokenizer=TokenizerConfig(max_length=64),
    )
    folder_writer.write_folder(
        dataclasses.replace(source, config=config), str(folder)
    )


def hugging_face(folder, source, small_run):
    folder_writer.write_folder(source, str(folder))
    for name in ("modules.json", "config_sentence_transformers.json"):
        (folder / name).unlink()
    for name in ("1_Pooling", "2_Normalize"):
        shutil.rmtree(folder / name)


def pytorch(folder, source, small_run):
    torch = pytest.importorskip("torch")
    hugging_face(folder, source, small_run)
    safetensors = folder / safetensors_file.SINGLE
    tensors = {
        name: torch.from_numpy(tensor.read().copy())
        for name, tensor in safetensors_file.read_header(safetensors).items()
    }
    safetensors.unlink()
    torch.save(tensors, folder / "pytorch_model.bin")


def sharded_pytorch(folder, source, small_run):
    torch = pytest.importorskip("torch")
    pytorch(folder, source, small_run)
    tensors = torch.load(folder / "pytorch_model.bin", weights_only=True)
    (folder / "pytorch_model.bin").unlink()
    where = {}
    for number, name in enumerate(sorted(tensors)):
        where[name] = f"pytorch_model-{number % 2 + 1}-of-2.bin"
    for part in set(where.values()):
        torch.save(
            {name: tensors[name] for name in where if where[name] == part},
            folder / part,
        )
    (folder / "pytorch_model.bin.index.json").write_text(
        json.dumps({"weight_map": where})
    )


def sharded(folder, source, small_run):
    hugging_face(folder, source, small_run)
    single = folder / safetensors_file.SINGLE
    tensors = safetensors_file.read_header(single)
    names = sorted(tensors)
    parts = {"model-1-of-2.safetensors": names[:9]}
    parts["model-2-of-2.safetensors"] = names[9:]
    for part, held in parts.items():
        safetensors_file.write_tensors(
            folder / part, {name: tensors[name] for name in held}
        )
    single.unlink()
    where = {name: part for part, held in parts.items() for name in held}
    (folder / safetensors_file.INDEX).write_text(
        json.dumps({"weight_map": where})
    )


def tensorflow_1(folder, source, small_run, bert_config):
    write_vocabulary(folder, source)
    config = source.config.encoder
    values = bert_config(
        vocab_size=config.vocab_size,
        hidden_size=32,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    (folder / "bert_config.json").write_text(json.dumps(values))
    rows = weights.weight_names(config)
    tf.raw_ops.SaveV2(
        prefix=str(folder / "bert_model.ckpt"),
        tensor_names=[row.tensorflow_1 for row in rows],
        shape_and_slices=[""] * len(rows),
        tensors=[
            source.weights[row.name].read().reshape(row.matrix_shape)
            for row in rows
        ],
    )


def model_garden(folder, source, small_run):
    write_vocabulary(folder, source)
    encoder = stored_model.load_encoder(source)
    tf.train.Checkpoint(encoder=encoder).save(str(folder / "ckpt"))


def saved_model(folder, source, small_run):
    encoder = stored_model.load_encoder(source)
    root = tf.train.Checkpoint(encoder=encoder)
    specs = [
        tf.TensorSpec([None, None], tf.int32, name) for name in MODEL_INPUTS
    ]

    @tf.function(input_signature=specs)
    def serve(*inputs):
        return {
            "default": encoder(dict(zip(MODEL_INPUTS, inputs, strict=True)))
        }

    tf.saved_model.save(root, str(folder), {"serving_default": serve})
    write_vocabulary(folder / "assets", source)


def export(folder, source, small_run):
    saved_model(folder / "encode", source, small_run)
    config = dataclasses.asdict(source.config)
    (folder / "text").mkdir()
    (folder / "export.json").write_text(json.dumps({"config": config}))


KINDS = (
    *(
        run,
        pretraining,
        sentence_transformers,
        static_embedding,
        hugging_face,
        pytorch,
        sharded_pytorch,
    ),
    *(sharded, tensorflow_1, model_garden, saved_model, export),
)


@pytest.fixture(scope="module")
def models(tmp_path_factory, small_run, bert_config):
    """From a kind to its model and what it holds."""
    parent = tmp_path_factory.mktemp("models")
    source = recognition.open_model(str(small_run))
    made = {}

    def model(kind):
        if kind not in made:
            folder = parent / kind.__name__
            more = [bert_config] if kind is tensorflow_1 else []
            kind(folder, source, small_run, *more)
            made[kind] = folder, content(folder, kind)
        return made[kind]

    return model


def content(folder, kind):
    """All that a model is."""
    source = recognition.open_model(
        str(folder), STATED.get(kind.__name__, ModelOptions())
    )
    numbers = {
        name: weight.read().tobytes()
        for name, weight in source.all_weights.items()
    }
    config = source.config
    return numbers, source.vocabulary.pieces, config.encoder, config.tokenizer


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def emptied(path):
    path.write_bytes(b"")


def one_byte_short(path):
    path.write_bytes(path.read_bytes()[:-1])


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path):
    value = bytearray(path.read_bytes())
    value[len(value) // 2] ^= 0xFF
    path.write_bytes(value)


def removed(path):
    path.unlink()


def a_folder(path):
    path.unlink()
    path.mkdir()


def a_link_to_nothing(path):
    path.unlink()
    path.symlink_to(path.with_name("blob"))


def text(path):
    path.write_text("Hello.\n")


def a_list(path):
    path.write_text("[1]")


def an_object(path):
    path.write_text("{}")


def zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def a_pointer(path):
    path.write_text(LFS)


def a_web_page(path):
    path.write_text("<!DOCTYPE html><html></html>")


DAMAGES = (
    *(emptied, one_byte_short, half, flipped, removed, a_folder),
    *(a_link_to_nothing, text, a_list, an_object, zeros),
    *(a_pointer, a_web_page),
)
# What no one can see, for the format has neither a checksum nor a rule.
UNSEEN = {
    # Numbers stay numbers.
    ("*/model.safetensors", "flipped"),
    ("*.safetensors", "flipped"),
    # Optional files, with the meaning that transformers gives to none.
    ("*/tokenizer_config.json", "removed"),
    ("*/tokenizer_config.json", "an_object"),
    ("*/sentence_bert_config.json", "removed"),
    ("*/sentence_bert_config.json", "an_object"),
}
REMEDY = re.compile(
    r"[Ff]etch|[Dd]ownload|[Cc]opy|git lfs|Is this the model's own"
    r"|Convert the file|State |Is it a WordPiece|Give |Train it first|Choose"
    r"|Remove"
)


def is_unseen(path, damage):
    return any(
        pathlib.PurePath(path).match(pattern.removeprefix("*/"))
        and damage.__name__ == name
        for pattern, name in UNSEEN
    )


def refusal_or_content(folder, kind):
    try:
        return None, content(folder, kind)
    except InputError as error:
        return str(error), None


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.__name__)
def test_a_damaged_file(models, kind, damage, tmp_path):
    folder, expected = models(kind)
    for number, path in enumerate(files(folder)):
        copy = tmp_path / str(number)
        shutil.copytree(folder, copy)
        broken = copy / path.relative_to(folder)
        damage(broken)
        message, found = refusal_or_content(copy, kind)
        if message is None:
            assert found == expected or is_unseen(path, damage), broken
        else:
            assert path.name in message, (broken, message)
            assert REMEDY.search(message), (broken, message)
        shutil.rmtree(copy)


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.__name__)
def test_any_bit_of_a_small_file(models, kind, tmp_path):
    """What is raised is for the user, whatever stands in a file."""
    folder, _ = models(kind)
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    generator = np.random.default_rng(0)
    for path in files(copy):
        if path.suffix in (".md", ".safetensors", ".bin"):
            continue
        value = path.read_bytes()
        for place in generator.integers(len(value), size=12):
            changed = bytearray(value)
            changed[place] ^= 1 << int(generator.integers(8))
            path.write_bytes(changed)
            refusal_or_content(copy, kind)
        path.write_bytes(value)


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.__name__)
def test_a_file_that_may_not_be_read(models, kind):
    folder, expected = models(kind)
    # Others may not look into pytest's folders.
    with tempfile.TemporaryDirectory() as parent:
        copy = pathlib.Path(parent, "model")
        shutil.copytree(folder, copy)
        os.chmod(parent, 0o755)
        assert content(copy, kind) == expected
        for path in files(copy):
            path.chmod(0)
            with nobody():
                message, found = refusal_or_content(copy, kind)
            path.chmod(0o644)
            if message is None:
                assert found == expected, path
            else:
                assert f"{path} may not be read by this user." in message


class nobody:
    """Where the tests run as root, which may read everything: another user."""

    def __enter__(self):
        self.is_root = os.geteuid() == 0
        if self.is_root:
            os.seteuid(65534)

    def __exit__(self, *_):
        if self.is_root:
            os.seteuid(0)
