"""Tokens added to a tokenizer in transformers, and what is made of them."""

import json

import numpy as np
import pytest

from labse.checkpoints import recognition, weights
from labse.checkpoints.huggingface import folder_writer
from labse.checkpoints.stored_model import ModelOptions
from labse.errors import InputError
from labse.preprocessing.tokenizer import WordPieceTokenizer

CLS = ModelOptions(pooling="cls")
TEXTS = [
    *("hello world", "hel鱼lo 鱼鱼 world鱼!", "wait…what", "the [MASC] <x>"),
    *("", "…", "鱼", "日本鱼", "Ä鱼b … c…"),
]


@pytest.fixture
def bert(small_run, tmp_path, torch):
    """A BERT folder of Hugging Face."""
    source = recognition.open_model(str(small_run))
    folder_writer.write_folder(source, str(tmp_path / "model"))
    folder = tmp_path / "bert"
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    model = transformers.AutoModel.from_pretrained(tmp_path / "model")

    def save(*added, special=(), multiple=None):
        tokenizer.add_tokens(list(added))
        if special:
            tokenizer.add_special_tokens(
                {"additional_special_tokens": list(special)}
            )
        model.resize_token_embeddings(
            len(tokenizer), pad_to_multiple_of=multiple, mean_resizing=False
        )
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder, tokenizer, model

    return save


def check(folder, tokenizer, model):
    """Ids and rows are those of transformers."""
    found = recognition.open_model(str(folder), CLS)
    ours = WordPieceTokenizer.from_config(
        found.vocabulary, found.config.tokenizer
    )
    expected = [
        ids[1:-1] for ids in tokenizer(TEXTS, truncation=True)["input_ids"]
    ]
    assert ours.tokenize(TEXTS).to_list() == expected
    table = model.get_input_embeddings().weight.detach().numpy()
    np.testing.assert_array_equal(
        found.weights[weights.WORD_EMBEDDINGS].read(),
        table[: len(found.vocabulary)],
    )
    return found, expected


@pytest.mark.parametrize("multiple", [None, 64])
def test_special_tokens_and_characters(bert, multiple):
    folder, tokenizer, model = bert(
        *("鱼", "…"), special=("[Q]", "<s>"), multiple=multiple
    )
    found, expected = check(folder, tokenizer, model)
    assert found.vocabulary.pieces[-4:] == ("鱼", "…", "[Q]", "<s>")
    assert len(found.vocabulary) == 866
    assert expected[6] == [862]  # A row of its own.
    # A special token that is written out: ordinary words here.
    ours = WordPieceTokenizer.from_config(
        found.vocabulary, found.config.tokenizer
    )
    assert 864 in tokenizer("[Q]")["input_ids"]
    assert 864 not in ours.tokenize(["[Q]"]).to_list()[0]


@pytest.mark.parametrize(
    ("added", "special"),
    [
        (["covid"], []),
        (["<url>"], []),
        (["鱼缸"], []),
        (["😀"], []),
        ([], ["query"]),
    ],
)
def test_what_word_piece_cannot_do(bert, added, special):
    folder, _, _ = bert(*added, special=special)
    with pytest.raises(InputError) as error:
        recognition.open_model(str(folder), CLS)
    message = str(error.value)
    assert f"adds the token {[*added, *special][0]!r}" in message
    assert "labse grow-vocab" in message


def test_a_table_that_is_longer_than_the_tokenizer(bert, tmp_path):
    """The model was resized, the tokenizer was not saved again."""
    folder, tokenizer, _ = bert()
    tokenizer.save_pretrained(tmp_path / "before")
    _, _, model = bert("covid")
    for path in (tmp_path / "before").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    found = recognition.open_model(str(folder), CLS)
    assert len(found.vocabulary) == 862
    assert "left out: the last 1 of 863 rows" in str(found.notes)
    assert found.weights[weights.WORD_EMBEDDINGS].map().shape == (862, 32)
    assert len(model.get_input_embeddings().weight) == 863


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"[Q]": 870}, "that follow the vocabulary's, 862 and so on"),
        ({"[Q]": "x"}, "[Q] must be a whole number"),
        ({"covid": 862}, "adds the token 'covid'"),
        ({"[CLS]": 862}, "give '[CLS]' different ids, 2 and 862"),
    ],
)
def test_added_tokens_json(bert, values, expected):
    folder, _, _ = bert()
    special = {"additional_special_tokens": ["[Q]"]}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "added_tokens.json").write_text(json.dumps(values))
    with pytest.raises(InputError) as error:
        recognition.open_model(str(folder), CLS)
    assert expected in str(error.value)
