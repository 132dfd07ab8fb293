import os
import pickle
import random
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
from tensorflow.types.experimental import ConcreteFunction

import labse
from labse.checkpoints import run_folder
from labse.errors import InputError
from labse.inference import loading, sentence_model, sentences
from labse.preprocessing.tokenizer import WordPieceTokenizer

# One sentence a script, the empty one, white space, one of unknown letters,
# and two of more than the 64 tokens that the model takes.
SENTENCES = [
    "hello world",
    "Größe und Wärme",
    "добрый день",
    "добрий день їм",
    "καλημέρα κόσμε",
    "مرحبا بالعالم",
    "سلام دنیا چطوری",
    "שלום עולם",
    "नमस्ते दुनिया",
    "ওহে বিশ্ব",
    "สวัสดีชาวโลก",
    "你好世界",
    "こんにちはカタナ",
    "안녕하세요",
    "ქართული ენა",
    "հայերեն լեզու",
    "አማርኛ ቋንቋ",
    "தமிழ் மொழி",
    "తెలుగు",
    "ಕನ್ನಡ",
    "മലയാളം",
    "සිංහල",
    "မြန်မာ",
    "ᠮᠣᠩᠭᠣᠯ",
    "",
    " ",
    "a",
    "!",
    "no. 1, 2 - 3?",
    "long " * 100,
    "สวัสดี" * 40,
]


@pytest.fixture(scope="module")
def model(small_run):
    return labse.load(small_run)


@pytest.fixture(scope="module")
def alone(model):
    """Each sentence in a batch of its own."""
    return np.stack([model.encode(sentence) for sentence in SENTENCES])


def assert_same(actual, expected):
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


def test_vectors_are_those_of_the_encoder(small_run, alone):
    encoder, _, vocabulary = run_folder.load_encoder(str(small_run))
    tokenizer = WordPieceTokenizer(vocabulary)
    for sentence, vector in zip(SENTENCES, alone, strict=True):
        pieces = tokenizer.tokenize(tf.constant([sentence]))[0].numpy()
        ids = [vocabulary.cls_id, *pieces[:62], vocabulary.sep_id]
        inputs = {
            "input_word_ids": tf.constant([ids]),
            "input_mask": tf.ones([1, len(ids)], tf.int32),
            "input_type_ids": tf.zeros([1, len(ids)], tf.int32),
        }
        assert_same(vector, encoder(inputs)[0])


def test_rows_have_length_one_and_differ(model, alone):
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-6)
    # Without differences the other tests could not fail.
    unlike = [SENTENCES.index(s) for s in ("hello world", "добрый день", "")]
    distances = 1 - alone[unlike] @ alone[unlike].T
    assert np.all(distances[np.triu_indices(3, 1)] > 1e-2)
    assert (model.dimension, model.max_length) == (32, 64)


@pytest.mark.parametrize("batch_size", [None, 1, 2, 7, 31, 1000])
def test_a_vector_does_not_depend_on_its_batch(model, alone, batch_size):
    assert_same(model.encode(SENTENCES, batch_size), alone)


def test_a_vector_does_not_depend_on_its_neighbours(model, alone):
    for seed in range(5):
        order = random.Random(seed).choices(range(len(SENTENCES)), k=100)
        vectors = model.encode([SENTENCES[i] for i in order])
        assert_same(vectors, alone[order])


@pytest.mark.parametrize("place", [0, 1, 5])
def test_a_vector_does_not_depend_on_padding(model, alone, place):
    # All in one batch with a sentence of the greatest length.
    mixed = SENTENCES[:place] + ["world " * 200] + SENTENCES[place:]
    vectors = np.delete(model.encode(mixed, len(mixed)), place, axis=0)
    assert_same(vectors, alone)


def test_chunks_change_nothing(model, alone, monkeypatch):
    monkeypatch.setattr(sentences, "CHUNK_SENTENCES", 4)
    assert_same(model.encode(SENTENCES), alone)
    monkeypatch.setattr(sentences, "CHUNK_SENTENCES", 1000)
    monkeypatch.setattr(sentences, "CHUNK_CHARACTERS", 30)
    assert_same(model.encode(iter(SENTENCES)), alone)


@pytest.mark.parametrize(
    "kind",
    [list, tuple, iter, np.array, lambda s: np.array(s, object)],
)
def test_any_iterable_of_strings(model, alone, kind):
    assert_same(model.encode(kind(SENTENCES)), alone)


def test_one_string_gives_one_vector(model, alone):
    assert model.encode("hello world").shape == (32,)
    assert_same(model.encode("hello world"), alone[0])


@pytest.mark.parametrize("nothing", [[], (), iter([]), np.array([], str)])
def test_nothing_gives_no_rows(model, nothing):
    vectors = model.encode(nothing)
    assert vectors.shape == (0, 32)
    assert vectors.dtype == np.float32


def test_what_is_over_the_greatest_length_does_not_count(model):
    # 62 pieces and the two special ones are 64.
    kept = model.encode("hello " * 62)
    assert_same(model.encode("hello " * 62 + "world"), kept)
    shorter = model.encode("hello " * 61 + "world")
    assert np.abs(shorter - kept).max() > 1e-3


def test_a_lone_surrogate_is_dropped(model, alone):
    assert_same(model.encode("hello \ud800world"), alone[0])


@pytest.mark.parametrize(
    "items, index, kind",
    [
        (["a", 1], 1, "int"),
        (["a", "b", None], 2, "NoneType"),
        ([["a"], ["b"]], 0, "list"),
        (np.array([["a"]]), 0, "ndarray"),
        (iter(["a", float("nan")]), 1, "float"),
    ],
)
def test_an_item_that_is_no_string_is_named(model, items, index, kind):
    with pytest.raises(InputError, match=f"at index {index}: {kind}") as error:
        model.encode(items)
    assert "iterable of strings" in str(error.value)


def test_what_is_no_iterable_is_refused(model):
    with pytest.raises(InputError, match="Received: int"):
        model.encode(5)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batch_size_is_at_least_one(model, batch_size):
    with pytest.raises(InputError, match=f"at least 1.*: {batch_size}"):
        model.encode(["a"], batch_size=batch_size)


def test_the_progress_bar_counts_sentences(model, capsys):
    model.encode(SENTENCES)
    assert capsys.readouterr().err == ""
    model.encode(SENTENCES, show_progress_bar=True)
    assert f"{len(SENTENCES)}/{len(SENTENCES)}" in capsys.readouterr().err


def test_no_batch_is_traced_again(small_run):
    model = labse.load(small_run)
    for size in (1, 3, 9):
        model.encode(SENTENCES, size)
        model.encode(SENTENCES[:size])
    # A concrete function: it cannot be traced again.
    for function in (model._tokenize, model._pack, model._embed_inputs):
        assert function.cache_info().misses == 1
        assert isinstance(function(), ConcreteFunction)


def test_many_models_are_not_called_retracing(small_run, text_export, caplog):
    """TensorFlow counts the traces of one code, and warns at the fifth."""
    caplog.set_level("WARNING", "tensorflow")
    for _ in range(7):
        labse.load(small_run).encode(["a", "b"])
        labse.load(text_export).encode(["a", "b"])
    assert "retracing" not in caplog.text
    # So it would be told, and this is where.
    for _ in range(7):
        tf.function(lambda texts: texts, autograph=False)(tf.constant("a"))
    assert "retracing" in caplog.text


def test_batches_hold_every_row_once_and_few_tokens():
    lengths = np.array([5, 600, 3, 5000, 700, 3])
    batches = list(sentence_model._batches(lengths, None))
    assert sorted(np.concatenate(batches)) == [0, 1, 2, 3, 4, 5]
    # 2,048 tokens: one of 5,000 is alone, two of 700 fit, so do ten of 5.
    assert [sorted(batch) for batch in batches] == [[3], [1, 4], [0, 2, 5]]
    by_two = [list(batch) for batch in sentence_model._batches(lengths, 2)]
    assert by_two == [[3, 4], [1, 0], [2, 5]]


def test_bfloat16_is_near_but_not_equal(small_run, alone):
    model = labse.load(small_run, compute_dtype="bfloat16")
    vectors = model.encode(SENTENCES)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    cosines = np.sum(vectors * alone, axis=1)
    assert cosines.min() > 0.999
    assert np.abs(vectors - alone).max() > 1e-5


def test_the_fingerprint_tells_models_apart(small_run, tmp_path, model):
    assert labse.load(small_run).fingerprint == model.fingerprint
    low = labse.load(small_run, "bfloat16").fingerprint
    copy = tmp_path / "copy"
    shutil.copytree(small_run, copy)
    assert labse.load(copy).fingerprint == model.fingerprint
    encoder, _, _ = run_folder.load_encoder(str(copy))
    encoder.variables[-1].assign_add(tf.ones_like(encoder.variables[-1]))
    for last in (copy / run_folder.LAST).glob("ckpt-0*"):
        last.unlink()
    checkpoint = tf.train.Checkpoint(encoder=encoder)
    checkpoint.write(str(copy / run_folder.LAST / "ckpt-0"))
    changed = labse.load(copy).fingerprint
    assert len({model.fingerprint, low, changed}) == 3


def test_real_sentences_alone_and_together(model, data_dir):
    files = sorted((data_dir / "tatoeba_v1").glob("tatoeba.*-eng.*"))
    sentences = [
        line
        for file in files
        for line in file.read_text("utf-8").split("\n")[:3]
    ]
    assert len(sentences) > 300
    together = model.encode(sentences)
    assert_same(model.encode(sentences, 5), together)
    some = random.Random(0).sample(range(len(sentences)), 50)
    assert_same(
        np.stack([model.encode(sentences[i]) for i in some]), together[some]
    )


def count_letters(text):
    """float32 [n, 2]: bytes and occurrences of "a", from strings [n]."""
    length = tf.strings.length(text)
    without = tf.strings.length(tf.strings.regex_replace(text, "a", ""))
    return tf.cast(tf.stack([length + 1, length - without], 1), tf.float32)


def save(folder, signature=True):
    """A SavedModel from strings to vectors, by signature or when called."""
    root = tf.train.Checkpoint()
    root.weight = tf.Variable(1.0)
    texts = tf.TensorSpec([None], tf.string)
    if signature:
        embed = tf.function(
            lambda text: {"embedding": root.weight * count_letters(text)},
            input_signature=[tf.TensorSpec([None], tf.string, name="text")],
        )
        preprocess = tf.function(
            lambda text: {
                "input_word_ids": tf.zeros([tf.shape(text)[0], 128], tf.int32)
            },
            input_signature=[tf.TensorSpec([None], tf.string, name="text")],
        )
        signatures = {"serving_default": embed, "preprocess": preprocess}
        tf.saved_model.save(root, str(folder), signatures)
    else:
        root.__call__ = tf.function(count_letters, input_signature=[texts])
        tf.saved_model.save(root, str(folder))


DATA = "variables/variables.data-00000-of-00001"
TEXTS = ["banana", "", "aa" * 3000, "xyz"]
# Bytes and one more, occurrences of "a"; to length one.
COUNTS = np.array([[7, 3], [1, 0], [6001, 6000], [4, 0]], np.float32)
EXPECTED = COUNTS / np.linalg.norm(COUNTS, axis=1, keepdims=True)


@pytest.mark.parametrize("inside", ["text", ""])
def test_an_export_folder_or_its_text_model(tmp_path, inside):
    save(tmp_path / inside if inside else tmp_path)
    if inside:
        (tmp_path / "export.json").write_text("{}")
    model = labse.load(tmp_path)
    assert_same(model.encode(TEXTS), EXPECTED)
    assert_same(model.encode(TEXTS, 1), EXPECTED)
    assert model.encode([]).shape == (0, 2)
    assert (model.dimension, model.max_length) == (2, 128)


def test_a_model_that_is_called_with_strings(tmp_path):
    save(tmp_path, signature=False)
    model = labse.load(tmp_path)
    assert_same(model.encode(TEXTS), EXPECTED)
    assert model.max_length is None


def test_a_hub_handle(tmp_path, monkeypatch):
    save(tmp_path)
    asked = []

    def resolve(handle):
        asked.append(handle)
        return str(tmp_path)

    monkeypatch.setattr(hub, "resolve", resolve)
    model = labse.load("https://example.org/some/1")
    assert_same(model.encode("banana"), EXPECTED[0])
    assert asked == ["https://example.org/some/1"]


def test_a_hub_handle_that_cannot_be_fetched(monkeypatch):
    def resolve(handle):
        raise OSError("no route")

    monkeypatch.setattr(hub, "resolve", resolve)
    with pytest.raises(
        InputError, match="https://x.org/1 .* fetched: no route"
    ):
        labse.load("https://x.org/1")


def test_a_model_that_takes_ids_is_refused(tmp_path):
    root = tf.train.Checkpoint()
    embed = tf.function(
        lambda input_word_ids: {"default": tf.cast(input_word_ids, tf.float32)},
        input_signature=[
            tf.TensorSpec([None, None], tf.int32, name="input_word_ids")
        ],
    )
    tf.saved_model.save(root, str(tmp_path), {"serving_default": embed})
    with pytest.raises(InputError, match=r"takes input_word_ids \(int32\)"):
        labse.load(tmp_path)


def test_a_damaged_saved_model_is_refused(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no graph")
    with pytest.raises(InputError, match="SavedModel that can be loaded"):
        labse.load(tmp_path)


def cut_off(path, count):
    path.write_bytes(path.read_bytes()[:-count])


@pytest.mark.parametrize(
    "name, damage, message",
    [
        ("variables/variables.index", lambda p: cut_off(p, 1), "damaged"),
        ("variables/variables.index", os.remove, "is missing"),
        (DATA, lambda p: cut_off(p, 1), "damaged or truncated"),
        (DATA, lambda p: p.write_bytes(b""), "damaged or truncated"),
        (DATA, os.remove, "lacks its file"),
        ("saved_model.pb", lambda p: cut_off(p, 1), "damaged"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, damage, message):
    save(tmp_path)
    damage(tmp_path / name)
    with pytest.raises(InputError, match=message) as error:
        labse.load(tmp_path)
    assert name in str(error.value)


def test_a_damaged_cache_names_handle_and_folder(tmp_path, monkeypatch):
    save(tmp_path)
    cut_off(tmp_path / DATA, 1)
    monkeypatch.setattr(hub, "resolve", lambda handle: str(tmp_path))
    handle = "https://example.org/some/1"
    with pytest.raises(
        InputError, match=f"{tmp_path} is damaged, delete that .* {handle} is"
    ):
        labse.load(handle)


def test_a_damaged_number_is_noticed(tmp_path):
    save(tmp_path)
    content = bytearray((tmp_path / DATA).read_bytes())
    content[0] ^= 1
    (tmp_path / DATA).write_bytes(content)
    with pytest.raises(InputError, match="Checksum does not match"):
        labse.load(tmp_path)


def test_a_saved_model_keeps_its_compute_dtype(tmp_path):
    save(tmp_path)
    with pytest.raises(InputError, match="compute_dtype='bfloat16' for "):
        labse.load(tmp_path, compute_dtype="bfloat16")


def test_compute_dtype_is_one_of_two(small_run):
    with pytest.raises(InputError, match="float32, bfloat16. Received: 'int8'"):
        labse.load(small_run, compute_dtype="int8")


def test_what_cannot_be_loaded_is_named(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").touch()
    for path, words in {
        5: "an object of type int",
        tmp_path / "missing": "missing' does not exist",
        tmp_path / "file": "the file ",
        tmp_path / "empty": "empty', which holds nothing",
        tmp_path / "other": "other', which holds notes.txt",
        tmp_path / "hf": "hf/config.json is not JSON",
    }.items():
        with pytest.raises(InputError, match=words):
            loading.load(path)


def test_a_remote_run(model, remote_run):
    remote = labse.load(str(remote_run))
    np.testing.assert_array_equal(
        remote.encode(SENTENCES[:3]), model.encode(SENTENCES[:3])
    )
    assert remote.fingerprint == model.fingerprint
    again = pickle.loads(pickle.dumps(remote))
    assert again.origin.path == str(remote_run)
