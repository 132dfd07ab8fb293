"""What is read from Hugging Face folders, and everything that is refused."""

import json
import shutil

import numpy as np
import pytest

from labse.checkpoints import recognition, weights
from labse.checkpoints.huggingface import folder_reader
from labse.checkpoints.stored_model import ModelOptions
from labse.configs.schema import EncoderConfig
from labse.errors import InputError
from labse.formats import safetensors_file

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b"]
SIZE = 4
CONFIG = {
    "model_type": "bert",
    "vocab_size": len(PIECES),
    "hidden_size": SIZE,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 6,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.2,
    "initializer_range": 0.5,
    "position_embedding_type": "absolute",
}
ENCODER = EncoderConfig(
    vocab_size=len(PIECES),
    num_layers=1,
    num_heads=2,
    hidden_size=SIZE,
    intermediate_size=6,
    max_positions=16,
    activation="gelu",
    pooling="mean",
    dropout=0.0,
    attention_dropout=0.2,
    initializer_range=0.5,
)
TOKENIZER_CONFIG = {
    "tokenizer_class": "BertTokenizer",
    "do_lower_case": False,
    "model_max_length": 12,
}
SINGLE = [
    {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
    {"Sequence": {"id": "A", "type_id": 0}},
    {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
]
TOKENIZER = {
    "added_tokens": [{"id": 4, "content": "[MASK]"}],
    "normalizer": {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": False,
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "TemplateProcessing", "single": SINGLE},
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {piece: number for number, piece in enumerate(PIECES)},
    },
}
SETTINGS = "config_sentence_transformers.json"
PACKAGE = "sentence_transformers.models"
MODULES = ["Transformer", "Pooling", "Dense", "Normalize"]
POOLING = {"embedding_dimension": SIZE, "pooling_mode": "cls"}
DENSE = {
    "in_features": SIZE,
    "out_features": SIZE,
    "bias": True,
    "activation_function": "torch.nn.modules.activation.Tanh",
}
MEAN = ModelOptions(pooling="mean")


class Array:
    """An array as `safetensors_file.write` takes it."""

    def __init__(self, value):
        self.value = np.asarray(value, np.float32)
        self.shape = self.value.shape

    def row_blocks(self):
        yield self.value


def random_weights():
    generator = np.random.default_rng(0)
    return {
        row.hugging_face: Array(generator.normal(size=row.hugging_face_shape))
        for row in weights.weight_names(ENCODER)
    }


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def change_json(path, **changes):
    """Sets values; `None` stays null, `...` takes the key away."""
    value = json.loads(path.read_text()) | changes
    write_json(path, {k: v for k, v in value.items() if v is not ...})


@pytest.fixture
def bert(tmp_path):
    """A BERT folder with vocab.txt and tokenizer_config.json."""
    folder = tmp_path / "bert"
    write_json(folder / "config.json", CONFIG)
    write_json(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
    (folder / "vocab.txt").write_text("".join(f"{p}\n" for p in PIECES))
    safetensors_file.write_tensors(
        folder / "model.safetensors", random_weights()
    )
    return folder


@pytest.fixture
def fast(bert):
    """As `bert`, with tokenizer.json instead of vocab.txt."""
    write_json(bert / "tokenizer.json", TOKENIZER)
    (bert / "vocab.txt").unlink()
    return bert


@pytest.fixture
def sentences(bert):
    """A sentence-transformers folder with all modules."""
    list_modules(bert, MODULES)
    write_json(bert / "sentence_bert_config.json", {"max_seq_length": 10})
    write_json(bert / "1_Pooling" / "config.json", POOLING)
    write_json(bert / "2_Dense" / "config.json", DENSE)
    write_dense(bert, np.eye(SIZE), np.arange(SIZE))
    return bert


def list_modules(folder, kinds):
    write_json(
        folder / "modules.json",
        [
            {
                "idx": number,
                "name": str(number),
                "path": f"{number}_{kind}" if number else "",
                "type": kind
                if "." in kind
                else f"sentence_transformers.{kind}",
            }
            for number, kind in enumerate(kinds)
        ],
    )


def write_dense(folder, weight, bias):
    safetensors_file.write_tensors(
        folder / "2_Dense" / "model.safetensors",
        {"linear.weight": Array(weight), "linear.bias": Array(bias)},
    )


def refusal(folder, stated=MEAN):
    with pytest.raises(InputError) as error:
        folder_reader.open_folder(str(folder), stated)
    message = str(error.value)
    assert "\n" not in message and str(folder) in message
    return message


def opened(folder, stated=MEAN):
    return folder_reader.open_folder(str(folder), stated)


def test_a_bert_folder_is_known_and_read(bert):
    source = recognition.open_model(str(bert), MEAN)

    assert source.kind == "Hugging Face BERT folder"
    assert source.config.encoder == ENCODER
    tokenizer = source.config.tokenizer
    assert (tokenizer.max_length, tokenizer.lower_case) == (12, False)
    assert (tokenizer.ids, tokenizer.max_bytes_per_word) == (
        "hugging_face",
        400,
    )
    assert source.vocabulary.pieces == tuple(PIECES)
    assert {file.name for file in source.files} == {
        *("config.json", "tokenizer_config.json", "vocab.txt"),
        "model.safetensors",
    }
    assert source.notes == ("encoder.pooling: mean, as requested",)
    stored = random_weights()
    # [out, in] there is [in, heads, size of a head] here.
    query = stored["encoder.layer.0.attention.self.query.weight"].value
    np.testing.assert_array_equal(
        source.weights[
            "transformer/layer_0/self_attention/query/kernel"
        ].read(),
        query.T.reshape(SIZE, 2, SIZE // 2),
    )
    bias = stored["encoder.layer.0.intermediate.dense.bias"].value
    np.testing.assert_array_equal(
        source.weights["transformer/layer_0/intermediate/bias"].read(), bias
    )


def test_a_bert_folder_does_not_record_its_pooling(bert):
    message = refusal(bert, ModelOptions())
    assert "does not record its pooling" in message
    assert "pooling=" in message and "cls_tanh: BERT's pooler" in message


def test_a_sentence_transformers_folder_is_known_and_read(sentences):
    source = recognition.open_model(str(sentences))

    assert source.kind == "sentence-transformers folder"
    assert source.config.encoder.pooling == "cls_tanh"
    assert source.config.tokenizer.max_length == 10
    np.testing.assert_array_equal(
        source.weights["pooler_transform/kernel"].read(), np.eye(SIZE)
    )
    np.testing.assert_array_equal(
        source.weights["pooler_transform/bias"].read(), np.arange(SIZE)
    )
    assert source.notes == (
        "left out: BERT's own pooler, which the folder replaces by a Dense",
    )
    assert sentences / "2_Dense" / "model.safetensors" in source.files


def test_the_transformer_may_lie_in_a_folder_of_its_own(sentences):
    inner = sentences / "0_Transformer"
    inner.mkdir()
    for file in [f for f in sentences.iterdir() if f.is_file()]:
        if file.name != "modules.json":
            shutil.move(file, inner / file.name)
    modules = json.loads((sentences / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    write_json(sentences / "modules.json", modules)
    source = recognition.open_model(str(sentences))
    assert source.config.tokenizer.max_length == 10


OLD_FLAGS = {
    "word_embedding_dimension": SIZE,
    "pooling_mode_cls_token": False,
    "pooling_mode_mean_tokens": True,
    "pooling_mode_max_tokens": False,
}


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        (OLD_FLAGS, "mean"),
        ({"word_embedding_dimension": SIZE}, "mean"),
        (POOLING, "cls"),
        ({**POOLING, "pooling_mode": ["mean"]}, "mean"),
        (
            {
                **OLD_FLAGS,
                "pooling_mode_cls_token": True,
                "pooling_mode_mean_tokens": False,
            },
            "cls",
        ),
    ],
)
def test_the_pooling_of_every_version_is_read(sentences, config, pooling):
    list_modules(sentences, ["Transformer", "Pooling"])
    write_json(sentences / "1_Pooling" / "config.json", config)
    source = opened(sentences, ModelOptions())
    assert source.config.encoder.pooling == pooling
    assert any("no Normalize" in note for note in source.notes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model_type": "roberta"}, "'roberta'. Only BERT"),
        ({"model_type": ...}, "has no model_type"),
        ({"model_type": 1}, "model_type must be a string. Received: 1."),
        ({"vocab_size": ...}, "has no vocab_size"),
        ({"vocab_size": "7"}, "vocab_size must be a whole number"),
        ({"vocab_size": 7.0}, "vocab_size must be a whole number"),
        ({"vocab_size": True}, "vocab_size must be a whole number"),
        ({"vocab_size": None}, "vocab_size must be a whole number"),
        (
            {"vocab_size": 8},
            "word_embeddings.weight is float32 (7, 4), not (8, 4)",
        ),
        ({"vocab_size": 10**12}, "Received 7 pieces and 1,000,000,000,000"),
        ({"hidden_size": 0}, "hidden_size must be a whole number"),
        ({"hidden_size": 5}, "hidden_size must be a multiple of the 2 heads"),
        ({"hidden_size": 10**12}, "of another shape"),
        ({"intermediate_size": 10**12}, "of another shape"),
        ({"max_position_embeddings": 10**12}, "of another shape"),
        ({"max_position_embeddings": 2}, "of at least 3"),
        (
            {"num_hidden_layers": 10**12},
            "must be 1, the number that have weights",
        ),
        ({"num_hidden_layers": 2}, "must be 1, the number that have weights"),
        ({"num_hidden_layers": -1}, "a whole number of at least 0"),
        ({"num_hidden_layers": 0}, "must be at least 1. Received: 0. A BERT"),
        ({"num_hidden_layers": 0}, "sentence-transformers' StaticEmbedding."),
        ({"num_attention_heads": -2}, "num_attention_heads must be a whole"),
        ({"hidden_act": "relu"}, 'hidden_act must be "gelu" or "gelu_new"'),
        ({"hidden_act": 1}, "hidden_act must be"),
        ({"layer_norm_eps": 1e-5}, "layer_norm_eps must be 1e-12, BERT's"),
        ({"layer_norm_eps": "x"}, "layer_norm_eps must be a number"),
        ({"hidden_dropout_prob": 2}, "must be a number from 0 to 1"),
        ({"hidden_dropout_prob": float("nan")}, "a number from 0 to 1"),
        ({"initializer_range": []}, "must be a number from 0 to 1"),
        ({"position_embedding_type": "relative_key"}, '"absolute"'),
        ({"is_decoder": True}, "is_decoder must be false"),
        ({"add_cross_attention": True}, "add_cross_attention must be false"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads must be absent"),
        ({"quantization_config": {"bits": 4}}, "quantization_config must be"),
        ({"auto_map": {"AutoModel": "x.Y"}}, "auto_map must be absent"),
    ],
)
def test_configurations_that_are_refused(bert, changes, expected):
    change_json(bert / "config.json", **changes)
    assert expected in refusal(bert)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xef\xbb\xbf{}", "is not JSON (it begins with a byte order mark"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"vocab_size": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[]", "must hold an object"),
        (b" " * (2**22 + 1), "such a file has at most 4,194,304"),
    ],
)
@pytest.mark.parametrize(
    "name",
    ["config.json", "tokenizer_config.json", "special_tokens_map.json"],
)
def test_files_that_are_no_json_objects(bert, name, content, expected):
    (bert / name).write_bytes(content)
    message = refusal(bert)
    assert expected in message and name in message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tokenizer_class": "RobertaTokenizer"}, 'must be "BertTokenizer"'),
        ({"auto_map": {"AutoTokenizer": ["x.Y", None]}}, "auto_map must be"),
        ({"tokenize_chinese_chars": False}, "chinese_chars must be true"),
        ({"do_basic_tokenize": False}, "do_basic_tokenize must be true"),
        ({"padding_side": "left"}, 'padding_side must be "right"'),
        ({"do_lower_case": 0}, "do_lower_case must be true or false"),
        ({"strip_accents": True}, "strip_accents must be absent or as lower"),
        ({"unk_token": "<unk>"}, 'unk_token must be "[UNK]"'),
        (
            {"cls_token": {"content": "<s>"}},
            'cls_token.content must be "[CLS]"',
        ),
        ({"additional_special_tokens": "<x>"}, "special_tokens must be"),
        ({"additional_special_tokens": ["x"]}, "adds the token 'x'"),
        (
            {"added_tokens_decoder": {"9": {"content": "<x>"}}},
            "adds the token '<x>'",
        ),
        ({"model_max_length": "long"}, "model_max_length must be a number"),
    ],
)
def test_tokenizer_configurations_that_are_refused(bert, changes, expected):
    change_json(bert / "tokenizer_config.json", **changes)
    message = refusal(bert)
    assert expected in message and "tokenizer_config.json" in message


def replaced(value, path, new):
    """A copy with the value at the dotted path replaced; `...` removes it."""
    copy = json.loads(json.dumps(value))
    *keys, last = path.split(".")
    inner = copy
    for key in keys:
        inner = inner[key]
    if new is ...:
        del inner[last]
    else:
        inner[last] = new
    return copy


@pytest.mark.parametrize(
    ("path", "new", "expected"),
    [
        ("model.type", "BPE", 'model.type must be "WordPiece"'),
        ("model.unk_token", ..., "has no WordPiece model"),
        ("model.unk_token", "<unk>", 'model.unk_token must be "[UNK]"'),
        ("model.continuing_subword_prefix", "@@", 'prefix must be "##"'),
        ("model.max_input_chars_per_word", 50, "per_word must be 100"),
        ("model.vocab", {"a": 0, "b": 2}, "the ids from 0 to 1, each once"),
        ("model.vocab", {"a": 0, "b": 0}, "the ids from 0 to 1, each once"),
        ("model.vocab", {"a": True}, "the ids from 0 to 0, each once"),
        ("model.vocab", {}, "model.vocab must give 0 pieces"),
        ("model.vocab", [["a", 0]], "model.vocab must be an object"),
        ("model.vocab", {"a": 0}, "Received ['[MASK]'] with [4]"),
        ("model.vocab", {"a\nb": 0}, "a piece must be one line of text"),
        ("model.vocab", {"\ud800": 0}, "a piece must be one line of text"),
        ("model", "x", "model must be an object"),
        ("normalizer", None, "has no normalizer"),
        ("normalizer.type", "NFKC", 'must be "BertNormalizer"'),
        ("normalizer.clean_text", False, "clean_text must be true"),
        ("normalizer.handle_chinese_chars", False, "chars must be true"),
        ("pre_tokenizer", None, "has no pre_tokenizer"),
        ("pre_tokenizer.type", "Whitespace", 'must be "BertPreTokenizer"'),
        ("post_processor", None, "has no post_processor"),
        ("post_processor.single", SINGLE[:2], "post_processor.single must"),
        ("added_tokens", [{"content": "<x>"}], "adds the token '<x>'"),
        ("added_tokens", ["<x>"], "added_tokens must be a list of tokens"),
    ],
)
def test_tokenizers_that_are_refused(fast, path, new, expected):
    write_json(fast / "tokenizer.json", replaced(TOKENIZER, path, new))
    message = refusal(fast)
    assert expected in message and "tokenizer.json" in message


def test_the_vocabulary_of_tokenizer_json_is_read(fast):
    assert opened(fast).vocabulary.pieces == tuple(PIECES)


def test_vocabularies_that_contradict_each_other_are_refused(fast):
    pieces = [*PIECES[:-2], PIECES[-1], PIECES[-2]]
    (fast / "vocab.txt").write_text("\n".join(pieces) + "\n")
    assert "different vocabularies (7 and 7 pieces)" in refusal(fast)


GENERAL = {"tokenizer_class": "PreTrainedTokenizerFast"}


@pytest.mark.parametrize(
    ("config", "normalizer", "lower_case", "contradiction"),
    [
        # What transformers 5.23 was seen to do with each.
        ({"do_lower_case": False}, False, False, None),
        ({"do_lower_case": True}, True, True, None),
        ({"do_lower_case": False}, True, False, "tokenizer_config.json is"),
        ({"do_lower_case": True}, False, True, "tokenizer_config.json is"),
        ({}, True, True, None),
        ({}, False, True, "tokenizer_config.json is"),
        (GENERAL, False, False, None),
        (GENERAL, True, True, None),
        ({**GENERAL, "do_lower_case": True}, False, False, "tokenizer.json is"),
    ],
)
def test_lower_case_is_what_transformers_takes(
    fast, config, normalizer, lower_case, contradiction
):
    write_json(fast / "tokenizer_config.json", config)
    write_json(
        fast / "tokenizer.json",
        replaced(TOKENIZER, "normalizer.lowercase", normalizer),
    )
    source = opened(fast)
    assert source.config.tokenizer.lower_case == lower_case
    notes = [note for note in source.notes if "contradict" in note]
    assert len(notes) == (contradiction is not None)
    assert all(contradiction in note for note in notes)


def test_the_general_class_needs_its_normalizer(bert):
    write_json(bert / "tokenizer_config.json", GENERAL)
    assert "class that needs tokenizer.json with a norm" in refusal(bert)


def test_the_class_may_stand_in_the_configuration_of_bert(fast):
    (fast / "tokenizer_config.json").unlink()
    change_json(fast / "config.json", **GENERAL)
    assert not opened(fast).config.tokenizer.lower_case
    change_json(fast / "config.json", tokenizer_class="BertTokenizer")
    assert opened(fast).config.tokenizer.lower_case  # Its default.
    change_json(fast / "config.json", tokenizer_class="BertJapaneseTokenizer")
    assert "tokenizer_class must be" in refusal(fast)


def test_accents_stripped_from_a_cased_normalizer_are_refused(fast):
    write_json(fast / "tokenizer_config.json", GENERAL)
    write_json(
        fast / "tokenizer.json",
        replaced(TOKENIZER, "normalizer.strip_accents", True),
    )
    assert "normalizer.strip_accents must be absent" in refusal(fast)


def test_casing_is_asked_for_where_nothing_tells(bert):
    (bert / "tokenizer_config.json").unlink()
    assert "does not record its lower_case" in refusal(bert)
    stated = ModelOptions(pooling="mean", lower_case=True)
    assert opened(bert, stated).config.tokenizer.lower_case
    stated = ModelOptions(pooling="mean", lower_case=False)
    assert not opened(bert, stated).config.tokenizer.lower_case


CASED = ModelOptions(pooling="mean", lower_case=False)


def test_a_vocabulary_with_capitals_is_cased(bert):
    (bert / "tokenizer_config.json").unlink()
    assert not any("casing" in note for note in opened(bert, CASED).notes)
    (bert / "vocab.txt").write_text("\n".join([*PIECES[:-1], "B"]) + "\n")
    with pytest.warns(UserWarning, match="transformers would lower-case"):
        source = opened(bert)
    assert not source.config.tokenizer.lower_case
    [note] = [note for note in source.notes if note.startswith("casing: kept")]
    # As it says, with the file there is nothing to note.
    assert '{"do_lower_case": false} into' in note
    write_json(bert / "tokenizer_config.json", {"do_lower_case": False})
    assert note not in opened(bert).notes


def test_stated_casing_must_not_contradict_the_files(bert):
    message = refusal(bert, ModelOptions(pooling="mean", lower_case=True))
    assert "records tokenizer.lower_case False. Received: True" in message


def test_a_stated_vocabulary_must_be_the_folders_own(bert, tmp_path):
    other = tmp_path / "other.txt"
    stated = ModelOptions(pooling="mean", vocabulary=str(other))
    other.write_text("\n".join([*PIECES[:-1], "other"]) + "\n")
    assert "has its own vocabulary" in refusal(bert, stated)
    other.write_bytes((bert / "vocab.txt").read_bytes())
    assert opened(bert, stated).vocabulary.pieces == tuple(PIECES)
    (bert / "vocab.txt").unlink()
    assert "has no vocabulary: neither vocab.txt nor" in refusal(bert)
    source = opened(bert, stated)
    assert source.vocabulary.pieces == tuple(PIECES)
    assert other in source.files


@pytest.mark.parametrize(
    ("settings", "model_max_length", "max_length", "noted"),
    [
        ({"max_seq_length": 9}, 12, 9, False),
        ({"max_seq_length": None}, 12, 12, False),
        ({}, 12, 12, False),
        ({}, int(1e30), 16, False),
        ({}, ..., 16, False),
        ({"max_seq_length": 17}, 12, 16, True),
    ],
)
def test_the_maximum_length(
    sentences, settings, model_max_length, max_length, noted
):
    write_json(sentences / "sentence_bert_config.json", settings)
    change_json(
        sentences / "tokenizer_config.json", model_max_length=model_max_length
    )
    source = opened(sentences, ModelOptions())
    assert source.config.tokenizer.max_length == max_length
    assert any("number of positions" in n for n in source.notes) == noted


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["Transformer"], "has the modules ['Transformer']"),
        (["Pooling", "Transformer"], "has the modules"),
        (["Transformer", "Pooling", "Normalize", "Dense"], "has the modules"),
        (["Transformer", "Pooling", "Dense", "Dense"], "has the modules"),
        (["Transformer", "WordWeights", "Pooling"], "has the modules"),
        (["Transformer", "LSTM", "Pooling"], "has the modules"),
        (["WordEmbeddings", "Pooling"], "has the modules"),
        (["StaticEmbedding", "Dense", "Normalize"], "has the modules"),
        (["StaticEmbedding", "Pooling"], "has the modules"),
        (["Normalize", "StaticEmbedding"], "has the modules"),
        (
            ["Transformer", "modeling_evil.Pooling"],
            "'modeling_evil.Pooling', which is code of the model's author. "
            "It was not run",
        ),
        (
            ["Transformer", "sentence_transformers_evil.models.Pooling"],
            "which is code of the model's author",
        ),
    ],
)
def test_modules_that_are_refused(sentences, kinds, expected):
    list_modules(sentences, kinds)
    message = refusal(sentences)
    assert expected in message and "Supported are Transformer, Poo" in message


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ({"path": "../else"}, "must stay in the folder"),
        ({"path": "/etc"}, "must stay in the folder"),
        ({"path": "..\\else"}, "must stay in the folder"),
        ({"path": 1}, "[1].path must be a string"),
        ({"type": ...}, "has no [1].type"),
        ({"kwargs": ["task"]}, "[1].kwargs must be absent"),
    ],
)
def test_module_entries_that_are_refused(sentences, module, expected):
    modules = json.loads((sentences / "modules.json").read_text())
    modules[1] = {k: v for k, v in (modules[1] | module).items() if v != ...}
    write_json(sentences / "modules.json", modules)
    assert expected in refusal(sentences)


@pytest.mark.parametrize("value", [{}, [1], "x"])
def test_modules_must_be_a_list_of_objects(sentences, value):
    write_json(sentences / "modules.json", value)
    assert "must hold a list of objects" in refusal(sentences)


@pytest.mark.parametrize(
    ("file", "changes", "expected"),
    [
        ("1_Pooling", {"pooling_mode": "max"}, "has the pooling ['max']"),
        ("1_Pooling", {"pooling_mode": ["cls", "mean"]}, "['cls', 'mean']"),
        ("1_Pooling", {"pooling_mode": "mean"}, "a Dense after mean pooling"),
        ("1_Pooling", {"pooling_mode": 1}, "has the pooling 1"),
        ("1_Pooling", {"other": 1}, "has ['other'], which is not known here"),
        ("2_Dense", {"out_features": 3}, "out_features must be in_features"),
        ("2_Dense", {"bias": False}, "bias must be true"),
        (
            "2_Dense",
            {"activation_function": "torch.nn.modules.linear.Identity"},
            "activation_function must be",
        ),
        ("2_Dense", {"activation_function": "os.system"}, "must be"),
        ("2_Dense", {"use_residual": True}, "use_residual must be false"),
        ("2_Dense", {"module_input_name": "token_embeddings"}, "must be"),
        ("2_Dense", {"other": 1}, "has ['other'], which is not known here"),
    ],
)
def test_module_configurations_that_are_refused(
    sentences, file, changes, expected
):
    change_json(sentences / file / "config.json", **changes)
    message = refusal(sentences, ModelOptions())
    assert expected in message and file.split("_")[1] in message


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        (SETTINGS, {"default_prompt_name": "q"}, "name must be absent"),
        (SETTINGS, {"model_type": "SparseEncoder"}, '"SentenceTransformer"'),
        (SETTINGS, {"truncate_dim": 3}, "truncate_dim must be absent"),
        (SETTINGS, {"prompts": 1}, "prompts must be an object"),
        ("sentence_bert_config.json", {"max_seq_length": 2}, "at least 3"),
        ("sentence_bert_config.json", {"max_seq_length": "9"}, "at least 3"),
        ("sentence_bert_config.json", {"model_args": {"x": 1}}, "absent"),
        ("sentence_bert_config.json", {"new": 1}, "which is not known here"),
        ("sentence_bert_config.json", {"do_lower_case": True}, "cased tok"),
        ("sentence_bert_config.json", {"transformer_task": "x"}, "feature-"),
        ("3_Normalize/config.json", {"module_input_name": "x"}, "must be"),
    ],
)
def test_settings_that_are_refused(sentences, name, values, expected):
    write_json(sentences / name, values)
    assert expected in refusal(sentences, ModelOptions())


def test_prompts_are_noted(sentences):
    write_json(
        sentences / "config_sentence_transformers.json",
        {"prompts": {"query": "query: ", "document": ""}},
    )
    notes = opened(sentences, ModelOptions()).notes
    assert any("has the prompts ['query'], which are not" in n for n in notes)


def test_a_dense_of_another_size_is_refused(sentences):
    write_dense(sentences, np.eye(3), np.zeros(3))
    assert "another size than the hidden size, 4" in refusal(sentences)
    change_json(
        sentences / "2_Dense" / "config.json", in_features=3, out_features=3
    )
    assert "another size than the hidden size, 4" in refusal(sentences)


def test_a_dense_needs_its_weights(sentences):
    safetensors_file.write_tensors(
        sentences / "2_Dense" / "model.safetensors",
        {"linear.weight": Array(np.eye(SIZE))},
    )
    assert "must hold the weights linear.weight, linear.b" in refusal(sentences)
    (sentences / "2_Dense" / "model.safetensors").unlink()
    assert "pytorch_model.bin" in refusal(sentences)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda w: w.pop("encoder.layer.0.output.dense.bias"),
            "missing: encoder.layer.0.output.dense.bias.",
        ),
        (
            lambda w: w.update({"classifier.weight": Array([1])}),
            "unexpected: classifier.weight.",
        ),
        (
            lambda w: w.update({"embeddings.LayerNorm.bias": Array([1, 2, 3])}),
            "describes. These are of another shape or type: "
            "embeddings.LayerNorm.bias is float32 (3,), not (4,).",
        ),
        (
            lambda w: w.update({"bert.pooler.dense.bias": Array([1])}),
            "unexpected: bert.pooler.dense.bias",
        ),
        (
            lambda w: w.pop("pooler.dense.bias"),
            "missing: pooler.dense.bias.",
        ),
    ],
)
def test_weights_that_are_refused(bert, change, expected):
    changed = random_weights()
    change(changed)
    safetensors_file.write_tensors(bert / "model.safetensors", changed)
    assert expected in refusal(bert)


def test_what_is_left_out_is_noted(bert):
    more = random_weights()
    more["cls.predictions.bias"] = Array(np.zeros(7))
    more["embeddings.position_ids"] = Array(np.arange(16))
    with_prefix = {f"bert.{name}": w for name, w in more.items()}
    with_prefix["cls.predictions.bias"] = with_prefix.pop(
        "bert.cls.predictions.bias"
    )
    safetensors_file.write_tensors(bert / "model.safetensors", with_prefix)
    notes = opened(bert).notes
    assert notes[-2] == (
        "left out: cls.predictions.bias, the heads of pre-training"
    )
    # The masked-LM head has five weights; four are missing.
    assert notes[-1].startswith(
        "left out: the masked-LM head, which cannot be used: cls.predictions."
        "transform.dense.weight is missing; "
    )
    assert notes[-1].count(" is missing") == 4


def test_a_bert_without_a_pooler(bert):
    without = {
        name: weight
        for name, weight in random_weights().items()
        if not name.startswith("pooler")
    }
    safetensors_file.write_tensors(bert / "model.safetensors", without)
    source = opened(bert)
    assert source.notes[-1] == (
        "the model has no pooler, and the pooling mean uses none"
    )
    for name, shape in zip(weights.POOLER, [(4, 4), (4,)], strict=True):
        np.testing.assert_array_equal(
            source.weights[name].read(), np.zeros(shape)
        )
    message = refusal(bert, ModelOptions(pooling="cls_tanh"))
    assert "cls_tanh is BERT's pooler" in message


def test_weights_are_needed(bert):
    (bert / "model.safetensors").unlink()
    (bert / "tf_model.h5").touch()
    message = refusal(bert)
    assert "has no weights" in message and "'tf_model.h5'" in message


def test_adapters_are_refused(bert):
    write_json(bert / "adapter_config.json", {})
    assert "holds an adapter" in refusal(bert)


def test_the_ids_of_tf_hub_can_be_asked_for(bert):
    stated = ModelOptions(pooling="mean", ids="tensorflow_hub")
    tokenizer = opened(bert, stated).config.tokenizer
    assert tokenizer.ids == "tensorflow_hub"
    assert tokenizer.max_bytes_per_word == 100


def test_no_value_anywhere_leads_to_another_error(sentences, spoiled):
    write_json(sentences / "tokenizer.json", TOKENIZER)
    write_json(sentences / "special_tokens_map.json", {"cls_token": "[CLS]"})
    write_json(sentences / "3_Normalize" / "config.json", {"x": 1})
    write_json(
        sentences / "config_sentence_transformers.json",
        {"prompts": {"query": "q"}, "default_prompt_name": None},
    )
    refused = 0
    for path in sorted(sentences.rglob("*.json")):
        value = json.loads(path.read_text())
        for copy in spoiled(value):
            write_json(path, copy)
            try:
                opened(sentences, ModelOptions())
            except InputError:
                refused += 1
        write_json(path, value)
    opened(sentences, ModelOptions())
    assert refused > 500
