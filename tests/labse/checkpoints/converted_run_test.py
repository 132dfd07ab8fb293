"""What `labse convert` writes, read by TensorFlow and by the trainer."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import labse
from labse.bin import cli
from labse.bin.flags import program
from labse.bin.flags.flag_set import FlagSet
from labse.checkpoints import (
    recognition,
    run_folder,
    stored_model,
)
from labse.checkpoints.stored_model import ModelOptions
from labse.configs import loading
from labse.errors import InputError
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.training.initial_model import open_init

SENTENCES = ["hello world", "мир", "", "こんにちは 世界", "the ing en"]


def convert(*arguments):
    from labse.bin import convert

    return program.run(convert, list(arguments), "labse convert")


@pytest.fixture
def converted(small_run, tmp_path):
    out = tmp_path / "converted"
    assert convert(f"--input={small_run}", f"--out={out}") == 0
    return out


def files(folder):
    return sorted(
        path.relative_to(folder).as_posix()
        for path in pathlib.Path(folder).rglob("*")
        if path.is_file()
    )


def refusal(function, *arguments):
    with pytest.raises(InputError) as error:
        function(*arguments)
    return str(error.value)


def test_a_run_converted_is_the_same_model(small_run, converted):
    assert files(converted) == [
        "checkpoints/best/checkpoint",
        "checkpoints/best/step-0.data-00000-of-00001",
        "checkpoints/best/step-0.index",
        "config.yaml",
        "source.json",
        "vocab.txt",
    ]
    one = (small_run / "vocab.txt").read_bytes()
    assert (converted / "vocab.txt").read_bytes() == one
    assert loading.load(str(converted / "config.yaml")) == loading.load(
        str(small_run / "config.yaml")
    )
    np.testing.assert_array_equal(
        labse.load(converted).encode(SENTENCES),
        labse.load(small_run).encode(SENTENCES),
    )
    record = json.loads((converted / "source.json").read_text())
    assert record["made_from"] == "run folder"
    assert record["recorded"]["encoder.num_layers"] == 2


def test_tensorflow_restores_it_by_objects(small_run, converted):
    source = run_folder.open_run(str(small_run))
    encoder = SentenceEncoder(source.config.encoder)
    encoder.build()
    checkpoint = tf.train.Checkpoint(encoder=encoder)
    folder = converted / "checkpoints" / "best"
    prefix = tf.train.latest_checkpoint(folder)
    status = checkpoint.restore(prefix)
    status.assert_consumed()
    for variable in encoder.variables:
        name = variable.name.removesuffix(":0")
        np.testing.assert_array_equal(
            variable, source.weights[name].read(), name
        )


def test_no_training_goes_on_in_a_converted_folder(small_run, converted):
    config = loading.load(str(converted / "config.yaml"))
    vocabulary = str(converted / "vocab.txt")
    message = refusal(run_folder.create, str(converted), config, vocabulary)
    assert "holds a converted model, not a run to resume" in message
    assert f"init={converted}" in message


def test_a_run_starts_from_it(converted):
    config = loading.load(str(converted / "config.yaml"))
    source = open_init(str(converted), config, str(converted / "vocab.txt"))
    assert source.kind == "run folder"


def test_a_run_of_another_shape_or_pooling_does_not(converted):
    config = loading.load(str(converted / "config.yaml"))
    encoder = dataclasses.replace(
        config.encoder, pooling="mean", num_layers=3, dropout=0.5
    )
    other = dataclasses.replace(config, encoder=encoder)
    message = refusal(open_init, str(converted), other, converted / "vocab.txt")
    assert ("Override encoder.num_layers=2 encoder.pooling=cls, or") in message


def test_a_run_with_another_vocabulary_does_not(converted, tmp_path):
    config = loading.load(str(converted / "config.yaml"))
    pieces = (converted / "vocab.txt").read_text("utf-8").split("\n")[:-1]
    other = tmp_path / "other.txt"
    other.write_text("\n".join([*pieces[:-1], "new"]) + "\n", "utf-8")
    message = refusal(open_init, str(converted), config, str(other))
    assert "has its own vocabulary of" in message


def test_a_run_starts_from_a_sentence_transformers_folder(small_run, tmp_path):
    folder = tmp_path / "folder"
    arguments = (f"--input={small_run}", f"--out={folder}")
    assert convert(*arguments, "--to=huggingface") == 0
    config = loading.load(str(small_run / "config.yaml"))
    vocabulary = str(small_run / "vocab.txt")
    source = open_init(str(folder), config, vocabulary)
    assert source.kind == "sentence-transformers folder"
    expected = run_folder.open_run(str(small_run)).weights
    for name, weight in source.weights.items():
        if not name.startswith("pooler"):
            np.testing.assert_array_equal(weight.read(), expected[name].read())


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("encoder", {"activation": "gelu"}),
        ("tokenizer", {"lower_case": True}),
        (
            "tokenizer",
            {"ids": "tensorflow_hub", "max_bytes_per_word": 100},
        ),
        ("tokenizer", {"max_bytes_per_word": 100}),
    ],
)
def test_a_run_that_would_read_otherwise_does_not_start(
    converted, section, change
):
    config = loading.load(str(converted / "config.yaml"))
    part = dataclasses.replace(getattr(config, section), **change)
    other = dataclasses.replace(config, **{section: part})
    message = refusal(
        open_init, str(converted), other, str(converted / "vocab.txt")
    )
    for key in change:
        saved = getattr(getattr(config, section), key)
        assert f"{section}.{key}={saved}" in message


def test_a_checkpoint_below_a_run_is_that_runs(converted):
    prefix = str(converted / "checkpoints" / "best" / "step-0")
    source = recognition.open_model(prefix)
    assert source.config.encoder.pooling == "cls"
    assert source.kind == "run folder"


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_a_flipped_bit_is_noticed(converted, place, tmp_path):
    [data] = (converted / "checkpoints" / "best").glob("*.data-*")
    content = bytearray(data.read_bytes())
    content[int(len(content) * place)] ^= 64
    data.write_bytes(content)
    message = refusal(labse.load, converted)
    assert f"{data} is damaged: the checksum" in message
    out = tmp_path / "again"
    assert convert(f"--input={converted}", f"--out={out}") == 2
    assert not out.exists()


def test_a_weight_that_is_not_finite_is_refused(small_run, tmp_path):
    source = run_folder.open_run(str(small_run))
    encoder = stored_model.load_encoder(source)
    encoder.transformer.pooler_layer.bias[3].assign(np.nan)
    copy = run_folder.create(
        str(tmp_path / "run"), source.config, str(small_run / "vocab.txt")
    )
    checkpoint = tf.train.Checkpoint(encoder=encoder)
    folder = str(copy / run_folder.LAST)
    tf.train.CheckpointManager(checkpoint, folder, max_to_keep=1).save()
    assert "numbers that are not finite" in refusal(labse.load, copy)


def test_a_program_beside_the_weights_is_not_run(converted, monkeypatch):
    (converted / "saved_model.pb").write_bytes(b"a program")
    (converted / "text").mkdir()
    (converted / "text" / "saved_model.pb").write_bytes(b"a program")
    assert labse.load(converted).source.kind == "run folder"


def test_whose_ids_says_how_long_a_word_may_be(small_run):
    there = run_folder.open_run(
        str(small_run), ModelOptions(ids="tensorflow_hub")
    ).config.tokenizer
    assert (there.ids, there.max_bytes_per_word) == ("tensorflow_hub", 100)
    again = stored_model.resolve_config(
        stored_model.config_values(
            dataclasses.replace(
                run_folder.open_run(str(small_run)).config, tokenizer=there
            )
        ),
        ModelOptions(ids="hugging_face"),
        {},
        "model",
    )[0].tokenizer
    assert (again.ids, again.max_bytes_per_word) == ("hugging_face", 400)


def test_a_vocabulary_of_another_model_is_refused(small_run, tmp_path):
    pieces = (small_run / "vocab.txt").read_text("utf-8").split("\n")[:-1]
    permuted = tmp_path / "permuted.txt"
    permuted.write_text("\n".join([*pieces[:-2], *pieces[:-3:-1]]), "utf-8")
    stated = ModelOptions(vocabulary=str(permuted))
    message = refusal(recognition.open_model, str(small_run), stated)
    assert "has its own vocabulary of" in message
    stated = ModelOptions(vocabulary=str(small_run / "vocab.txt"))
    assert recognition.open_model(str(small_run), stated)


def test_a_link_is_no_new_folder(small_run, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    arguments = (f"--input={small_run}", f"--out={tmp_path / 'link'}")
    assert convert(*arguments) == 2
    assert convert(*arguments, "--to=huggingface") == 2


def test_every_replica_gets_every_weight(small_run):
    source = run_folder.open_run(str(small_run))
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    with strategy.scope():
        encoder = SentenceEncoder(source.config.encoder)
        encoder.build()
    stored_model.assign_weights(encoder, source)
    for variable in encoder.variables:
        name = variable.name.removesuffix(":0")
        for part in strategy.experimental_local_results(variable):
            np.testing.assert_array_equal(part, source.weights[name].read())


def test_pooling_and_length_by_choice(small_run, tmp_path, capsys):
    out = tmp_path / "mean"
    arguments = (f"--input={small_run}", f"--out={out}")
    assert convert(*arguments, "--pooling=mean", "--max_length=7") == 0
    error = capsys.readouterr().err
    assert "run folder; 2 blocks of 32, 4 heads" in error
    assert "note: encoder.pooling: mean, as requested; recorded is cls" in error
    model = labse.load(out)
    assert model.max_length == 7
    expected = labse.load(small_run, pooling="mean", max_length=7)
    np.testing.assert_array_equal(
        model.encode(SENTENCES), expected.encode(SENTENCES)
    )
    assert not np.array_equal(
        model.encode(SENTENCES), labse.load(small_run).encode(SENTENCES)
    )


def test_nothing_is_written_over(small_run, converted, capsys):
    before = (converted / "source.json").read_bytes()
    assert convert(f"--input={small_run}", f"--out={converted}") == 2
    assert "--out must be a new folder" in capsys.readouterr().err
    assert (converted / "source.json").read_bytes() == before


def test_what_fails_leaves_nothing(small_run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("labse.formats.tensor_bundle._write_tensor", full)
    out = tmp_path / "out"
    assert convert(f"--input={small_run}", f"--out={out}") == 2
    assert files(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def exported(small_run, tmp_path_factory):
    export = pytest.importorskip("export.export_folder")
    out = tmp_path_factory.mktemp("exported") / "export"
    return export.export_run(str(small_run), str(out))


@pytest.mark.parametrize("suffix", ["", "/encode", "/text"])
def test_an_export_comes_back(small_run, exported, tmp_path, suffix):
    out = tmp_path / "back"
    assert convert(f"--input={exported}{suffix}", f"--out={out}") == 0
    np.testing.assert_array_equal(
        labse.load(out).encode(SENTENCES),
        labse.load(small_run).encode(SENTENCES),
    )
    assert loading.load(str(out / "config.yaml")) == loading.load(
        str(small_run / "config.yaml")
    )


def test_every_kind_is_named_for_what_is_none(tmp_path):
    (tmp_path / "notes.txt").touch()
    message = refusal(recognition.open_model, str(tmp_path))
    for kind in ("config.yaml", "export.json", "modules.json", "config.json"):
        assert kind in message
    assert "which holds notes.txt. A model is" in message


def test_choices_of_the_command_are_those_of_the_schema():

    from labse.bin import convert
    from labse.configs import schema

    values = FlagSet()
    convert.define_flags(values)
    assert tuple(values["pooling"].parser.enum_values) == schema.POOLINGS
    assert tuple(values["activation"].parser.enum_values) == (
        schema.ACTIVATIONS
    )
    assert tuple(values["ids"].parser.enum_values) == schema.TOKENIZER_IDS
    assert "convert" in cli.PROGRAMS
    assert set(ModelOptions.__annotations__) - {"fallback"} <= set(values)


def test_a_map_of_the_table_gives_the_same_vectors(small_run):
    source = run_folder.open_run(str(small_run))
    table = source.weights["word_embeddings/embeddings"].map()
    assert isinstance(table, np.memmap)
    encoder = stored_model.load_encoder(source, word_table=False)
    names = [variable.name for variable in encoder.variables]
    assert not any("word_embeddings" in name for name in names)
    whole = stored_model.load_encoder(source)
    ids = tf.constant([[2, 7, 9, 3]])
    inputs = dict.fromkeys(
        ("input_word_ids", "input_mask"), tf.ones_like(ids)
    ) | {"input_word_ids": ids, "input_type_ids": tf.zeros_like(ids)}
    expected = whole(inputs)
    words = {"input_word_embeddings": tf.constant(table[ids.numpy()])}
    np.testing.assert_array_equal(encoder({**inputs, **words}), expected)
