"""The longest text that counts, and what is said of longer ones."""

import copy
import warnings

import numpy as np
import pytest

import labse
from labse.configs import loading as config_loading
from labse.configs.schema import ExperimentConfig
from labse.errors import InputError

# "hello" is a piece; with [CLS] and [SEP] these are 3, 12 and 72 tokens.
TEXTS = ["hello", "hello " * 10, "hello " * 70]


@pytest.fixture
def model(small_run):
    return labse.load(small_run)


def test_it_works_whenever_it_is_set(model, small_run):
    long, short = "hello " * 10, "hello " * 6
    whole = model.encode(long)
    model.max_length = 8
    cut = model.encode(long)
    # Six pieces and the two special ones.
    np.testing.assert_allclose(cut, model.encode(short), atol=1e-6)
    assert np.abs(cut - whole).max() > 1e-3
    model.max_length = 64
    np.testing.assert_allclose(model.encode(long), whole, atol=1e-6)
    loaded = labse.load(small_run, max_length=8)
    np.testing.assert_allclose(loaded.encode(long), cut, atol=1e-6)
    # The vectors are others, so a cache must know.
    assert loaded.fingerprint != model.fingerprint
    model.max_length = 8
    assert loaded.fingerprint == model.fingerprint


def test_the_peer_s_name_is_the_same(model):
    model.max_seq_length = 9
    assert model.max_length == model.max_seq_length == 9
    np.testing.assert_array_equal(model.truncated(TEXTS), [False, True, True])


@pytest.mark.parametrize("value", [2, 0, -1, 65, 500, 8.0, "8", None, True])
def test_what_cannot_be_is_refused(model, small_run, value):
    if value is not None:  # As the files say.
        with pytest.raises(InputError, match="from 3 .* to 64, .* positions"):
            labse.load(small_run, max_length=value)
    with pytest.raises(InputError, match="from 3 .* to 64, .* positions"):
        model.max_length = value
    assert model.max_length == 64
    model.encode(TEXTS[:2])


def test_a_number_of_numpy_is_a_number(small_run):
    assert labse.load(small_run, max_length=np.int64(16)).max_length == 16


def test_what_has_no_effect_cannot_be_set(model):
    with pytest.raises(AttributeError, match="Did you mean max_length"):
        model.max_lenght = 8
    with pytest.raises(AttributeError, match="'device'"):
        model.device = "cpu"
    for name in ("fingerprint", "dimension"):
        with pytest.raises(AttributeError):
            setattr(model, name, 3)


def test_settings_of_training_do_not_bind(small_run, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for entry in small_run.iterdir():
        (folder / entry.name).symlink_to(entry)
    config = (small_run / "config.yaml").read_text("utf-8")
    assert "length_buckets: []" in config
    (folder / "config.yaml").unlink()
    (folder / "config.yaml").write_text(
        config.replace("length_buckets: []", "length_buckets: [8, 16, 32]")
    )
    model = labse.load(folder, max_length=16)
    assert model.max_length == 16
    assert model.source.config.data.length_buckets == (8, 16)
    assert labse.load(folder).source.config.data.length_buckets == (8, 16, 32)


def test_shorter_texts_take_the_data_s_lengths_along():
    config = config_loading.from_dict(
        {
            "tokenizer": {"max_length": 64},
            "data": {"max_length": 32, "length_buckets": [8, 24, 32]},
        }
    )
    for max_length, longest, buckets in [
        (64, 32, (8, 24, 32)),
        (128, 32, (8, 24, 32)),
        (24, 24, (8, 24)),
        (4, 4, ()),
    ]:
        tokenizer = config_loading.from_dict(
            {"tokenizer": {"max_length": max_length}}
        ).tokenizer
        found = config.with_model(config.encoder, tokenizer)
        assert isinstance(found, ExperimentConfig)
        assert found.data.max_length == longest
        assert found.data.length_buckets == buckets


def test_tokens_are_counted_before_the_cut(model):
    np.testing.assert_array_equal(model.num_tokens(TEXTS), [3, 12, 72])
    assert model.num_tokens("hello world the") == 5
    np.testing.assert_array_equal(model.truncated(TEXTS), [False, False, True])
    assert model.truncated(TEXTS[2]) and not model.truncated("hello " * 62)
    assert model.num_tokens([]).shape == model.truncated([]).shape == (0,)


def test_it_is_told_once(model):
    with pytest.warns(
        UserWarning, match="1 of 3 texts were truncated at 64 tokens"
    ):
        model.encode(TEXTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.encode(TEXTS)
        copy.copy(model).encode(TEXTS[:2])
    model.max_length = 3
    with pytest.warns(
        UserWarning, match="2 of 3 texts were truncated at 3 tokens"
    ):
        model.encode(TEXTS)


def test_nothing_is_told_of_what_fits_or_is_ignored(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.encode(TEXTS[:2])
        vectors = model.encode(TEXTS, on_truncation="ignore")
    assert vectors.shape == (3, 32)


def test_it_can_be_an_error(model, monkeypatch):
    model.encode(TEXTS[:2], on_truncation="error")
    embedded = []
    monkeypatch.setattr(model, "_embed", embedded.append)
    with pytest.raises(
        InputError, match="at most 64 tokens.* Received 1 .* index 2"
    ):
        model.encode(TEXTS, on_truncation="error")
    assert not embedded


def test_the_index_of_an_error_counts_all_chunks(model, monkeypatch):
    monkeypatch.setattr("labse.inference.sentences.CHUNK_SENTENCES", 2)
    with pytest.raises(InputError, match="index 4"):
        model.encode(["a", "b", "c", "d", TEXTS[2]], on_truncation="error")


@pytest.mark.parametrize("choice", ["raise", None, True])
def test_other_choices_are_refused(model, choice):
    with pytest.raises(InputError, match="one of warn, ignore, error"):
        model.encode("a", on_truncation=choice)


def test_a_saved_model_says_what_it_cuts(text_export):
    model = labse.load(text_export)
    texts = ["a", "12345678", "123456789", ""]
    assert model.max_length == 8 and model.reports_truncation
    np.testing.assert_array_equal(
        model.truncated(texts), [False, False, True, False]
    )
    with pytest.warns(
        UserWarning, match="1 of 4 texts were truncated at 8 tokens"
    ):
        model.encode(texts, batch_size=3)
    with pytest.raises(InputError, match="at most 8 tokens.* index 2"):
        model.encode(texts, on_truncation="error")
    model.encode(texts[:2], on_truncation="error")
    with pytest.raises(InputError, match="does not count the tokens"):
        model.num_tokens(texts)


def test_a_saved_model_keeps_its_length(text_export):
    model = labse.load(text_export)
    for name in ("max_length", "max_seq_length"):
        with pytest.raises(InputError, match="fixed .8.*run folder"):
            setattr(model, name, 4)
    model.max_length = 8  # As it is.


def test_of_a_model_that_does_not_say_nothing_is_claimed(tmp_path):
    import tensorflow as tf

    root = tf.train.Checkpoint()
    root.__call__ = tf.function(
        lambda text: tf.ones([tf.shape(text)[0], 2]),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    tf.saved_model.save(root, str(tmp_path))
    model = labse.load(tmp_path)
    assert not model.reports_truncation
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.encode(["a " * 1000])
    with pytest.raises(InputError, match="does not report truncation"):
        model.truncated("a")
    with pytest.raises(InputError, match="needs a model that reports"):
        model.encode("a", on_truncation="error")
