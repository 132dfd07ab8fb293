"""The files of a written folder, without PyTorch."""

import dataclasses
import json
import os
import pathlib

import numpy as np
import pytest
import tokenizers

from labse.checkpoints import weights
from labse.checkpoints.huggingface import folder_reader, folder_writer
from labse.checkpoints.stored_model import ModelOptions, StoredModel
from labse.configs.schema import (
    EncoderConfig,
    ExperimentConfig,
    TokenizerConfig,
)
from labse.errors import InputError
from labse.preprocessing.vocabulary import Vocabulary

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Ab", "##\xa0c", "d"]
ENCODER = EncoderConfig(
    vocab_size=len(PIECES),
    num_layers=2,
    num_heads=2,
    hidden_size=4,
    intermediate_size=6,
    max_positions=16,
    dropout=0.3,
    attention_dropout=0.2,
    initializer_range=0.5,
    pooling="cls_tanh",
)


@dataclasses.dataclass
class Array:
    """A weight in memory."""

    value: np.ndarray

    @property
    def shape(self):
        return self.value.shape

    def read(self):
        return self.value

    def row_blocks(self):
        # One row at a time, as a table too big for memory comes.
        for row in self.value:
            yield row[None]


def make_source(tokenizer=None, **encoder):
    config = ExperimentConfig(
        dataclasses.replace(ENCODER, **encoder),
        tokenizer or TokenizerConfig(max_length=12),
    )
    generator = np.random.default_rng(0)
    return StoredModel(
        kind="test",
        path="here",
        config=config,
        recorded={},
        vocabulary=Vocabulary(PIECES),
        weights={
            row.name: Array(generator.normal(size=row.shape).astype(np.float32))
            for row in weights.weight_names(config.encoder)
        },
        files=(),
    )


@pytest.fixture
def out(tmp_path):
    return tmp_path / "deep" / "out"


def load_file(path):
    """The tensors, read by the official library."""
    numpy = pytest.importorskip(
        "safetensors.numpy",
        reason="safetensors is not installed: pip install 'labse[parity]'",
    )
    return numpy.load_file(path)


def read_json(path: pathlib.Path):
    return json.loads(path.read_text("utf-8"))


def files(folder):
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file()
    )


def test_the_layout_is_that_of_the_published_labse(out):
    folder_writer.write_folder(make_source(), str(out))

    assert files(out) == [
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "2_Dense/model.safetensors",
        "README.md",
        "config.json",
        "config_sentence_transformers.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    assert list(out.parent.iterdir()) == [out]
    types = [
        (module["idx"], module["path"], module["type"].rpartition(".")[2])
        for module in read_json(out / "modules.json")
    ]
    assert types == [
        (0, "", "Transformer"),
        (1, "1_Pooling", "Pooling"),
        (2, "2_Dense", "Dense"),
        (3, "3_Normalize", "Normalize"),
    ]
    # https://huggingface.co/sentence-transformers/LaBSE/tree/main/2_Dense
    assert read_json(out / "2_Dense" / "config.json") == {
        "in_features": 4,
        "out_features": 4,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    }
    assert read_json(out / "config.json")["hidden_act"] == "gelu_new"
    assert "at most 12 tokens" in (out / "README.md").read_text()


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_without_a_pooler_in_use_there_is_no_dense(out, pooling):
    folder_writer.write_folder(make_source(pooling=pooling), str(out))
    paths = [module["path"] for module in read_json(out / "modules.json")]
    assert paths == ["", "1_Pooling", "2_Normalize"]
    assert (out / "2_Normalize").is_dir()
    config = read_json(out / "1_Pooling" / "config.json")
    assert config["pooling_mode_cls_token"] == (pooling == "cls")
    assert config["pooling_mode_mean_tokens"] == (pooling == "mean")


@pytest.mark.parametrize("lower_case", [False, True])
@pytest.mark.parametrize("pooling", ["cls", "cls_tanh", "mean"])
def test_what_is_written_is_read_back(out, pooling, lower_case):
    tokenizer = TokenizerConfig(max_length=9, lower_case=lower_case)
    source = make_source(tokenizer, pooling=pooling, activation="gelu")
    folder_writer.write_folder(source, str(out))

    back = folder_reader.open_folder(str(out), ModelOptions())

    assert back.config == source.config
    assert back.vocabulary.pieces == source.vocabulary.pieces
    for name, weight in source.weights.items():
        np.testing.assert_array_equal(back.weights[name].read(), weight.value)


def test_matrices_are_transposed_and_heads_joined(out):
    source = make_source()
    folder_writer.write_folder(source, str(out))
    stored = load_file(out / "model.safetensors")
    part = "encoder.layer.1.attention"
    name = "transformer/layer_1/self_attention"
    query = source.weights[f"{name}/query/kernel"].value  # [4, 2, 2]
    np.testing.assert_array_equal(
        stored[f"{part}.self.query.weight"], query.reshape(4, 4).T
    )
    output = source.weights[f"{name}/attention_output/kernel"].value
    np.testing.assert_array_equal(
        stored[f"{part}.output.dense.weight"], output.reshape(4, 4).T
    )
    bias = source.weights[f"{name}/key/bias"].value
    np.testing.assert_array_equal(
        stored[f"{part}.self.key.bias"], bias.reshape(4)
    )
    # The pooler stands in BERT, for AutoModel, and in the Dense.
    dense = load_file(out / "2_Dense" / "model.safetensors")
    np.testing.assert_array_equal(
        dense["linear.weight"], stored["pooler.dense.weight"]
    )
    assert stored["pooler.dense.weight"].dtype == np.float32


def test_a_pooler_that_was_not_there_is_not_made_up(out):
    source = make_source(pooling="mean")
    for name in weights.POOLER:
        source.weights[name] = weights.Zeros(source.weights[name].shape)
    folder_writer.write_folder(source, str(out))
    stored = load_file(out / "model.safetensors")
    assert not [name for name in stored if name.startswith("pooler")]
    back = folder_reader.open_folder(str(out), ModelOptions())
    assert isinstance(back.weights[weights.POOLER[0]], weights.Zeros)


def test_pieces_stay_as_they_are(out):
    folder_writer.write_folder(make_source(), str(out))
    assert (out / "vocab.txt").read_bytes().split(b"\n")[6] == b"##\xc2\xa0c"
    ids = tokenizers.Tokenizer.from_file(str(out / "tokenizer.json")).encode(
        "Ab d x [MASK]"
    )
    assert ids.ids == [2, 5, 7, 1, 4, 3]


def test_lower_case_is_in_both_tokenizer_files(out):
    source = make_source(TokenizerConfig(max_length=9, lower_case=True))
    folder_writer.write_folder(source, str(out))
    assert read_json(out / "tokenizer_config.json")["do_lower_case"] is True
    normalizer = read_json(out / "tokenizer.json")["normalizer"]
    assert normalizer["lowercase"] is True
    assert normalizer["strip_accents"] is None


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [
        (
            TokenizerConfig(
                max_length=9, ids="tensorflow_hub", max_bytes_per_word=100
            ),
            "the ids of TF Hub's preprocessor",
        ),
        (
            TokenizerConfig(max_length=9, max_bytes_per_word=100),
            "words of more than 100 bytes into [UNK]",
        ),
    ],
)
def test_other_ids_cannot_be_expressed(out, tokenizer, expected):
    with pytest.raises(InputError) as error:
        folder_writer.write_folder(make_source(tokenizer), str(out))
    assert expected in str(error.value)
    assert not out.exists()


def test_nothing_is_written_over(out):
    out.mkdir(parents=True)
    folder_writer.write_folder(make_source(), str(out))  # Empty: fine.
    before = (out / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="nothing is written over"):
        folder_writer.write_folder(make_source(pooling="mean"), str(out))
    assert (out / "model.safetensors").read_bytes() == before


def test_nothing_is_left_of_a_folder_that_failed(out):
    class Broken(Array):
        def row_blocks(self):
            raise OSError("disk full")

    source = make_source()
    source.weights[weights.WORD_EMBEDDINGS] = Broken(np.zeros((8, 4)))
    with pytest.raises(OSError, match="disk full"):
        folder_writer.write_folder(source, str(out))
    assert os.listdir(out.parent) == []
