"""Written as users of multilingual-preprocess/2 write their code."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text as tf_text
import tf_keras

from labse.preprocessing.vocabulary import Vocabulary

# Plain text, on which TensorFlow Text's tokenizer and BERT's agree.
PLAIN = [
    "the bus was walking",
    "",
    "Die  Busse, walked!",
    "今天早上 3 km",
    "привет, мир",
    "[CLS] the",
    "☃ unknown",
]


@pytest.fixture(scope="module")
def model(exported):
    return hub.load(str(exported / "preprocess"))


@pytest.fixture(scope="module")
def vocabulary(exported):
    return Vocabulary.read(exported / "preprocess/assets/cased_vocab.txt")


@pytest.fixture(scope="module")
def peer(exported):
    return tf_text.BertTokenizer(
        str(exported / "preprocess/assets/cased_vocab.txt"),
        token_out_type=tf.int32,
        lower_case=False,
    )


def peer_pack(segments, vocabulary, length):
    """TensorFlow Text's own packing: dict of int32 [n, length]."""
    flat = [rows.merge_dims(1, -1) for rows in segments]
    room = length - len(flat) - 1
    ids, types = tf_text.combine_segments(
        tf_text.RoundRobinTrimmer(room).trim(flat),
        vocabulary.cls_id,
        vocabulary.sep_id,
    )
    word_ids, mask = tf_text.pad_model_inputs(ids, length, vocabulary.pad_id)
    return {
        "input_word_ids": word_ids,
        "input_mask": mask,
        "input_type_ids": tf_text.pad_model_inputs(types, length)[0],
    }


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
        assert found[name].dtype == tf.int32


def test_tokenize_gives_words_of_pieces_as_the_peer_does(model, peer):
    found = model.tokenize(tf.constant(PLAIN))
    assert found.dtype == tf.int32
    assert found.shape.as_list() == [7, None, None]
    assert found.to_list() == peer.tokenize(PLAIN).to_list()
    assert found[0].row_lengths().numpy().tolist() == [1, 1, 1, 2]
    empty = model.tokenize(tf.constant([], tf.string))
    assert empty.to_list() == []


def test_call_equals_the_peer(model, peer, vocabulary):
    texts = [*PLAIN, "the bus " * 60]
    expected = peer_pack([peer.tokenize(texts)], vocabulary, 48)
    assert_same(model(tf.constant(texts)), expected)


@pytest.mark.parametrize("length", [5, 8, 9, 48, 100])
def test_two_segments_are_packed_as_the_peer_does(
    model, peer, vocabulary, length
):
    first = PLAIN
    second = [*PLAIN[2:], "the bus was walking the walk", ""]
    words = [model.tokenize(tf.constant(texts)) for texts in (first, second)]
    expected = peer_pack(
        [peer.tokenize(texts) for texts in (first, second)], vocabulary, length
    )
    assert_same(model.bert_pack_inputs(words, seq_length=length), expected)
    as_tensor = tf.constant(length)
    assert_same(model.bert_pack_inputs(words, seq_length=as_tensor), expected)
    flat = [rows.merge_dims(1, 2) for rows in words]
    assert_same(model.bert_pack_inputs(flat, seq_length=length), expected)


@pytest.mark.parametrize("length", [3, 6, 48, 100])
def test_one_segment_is_packed_as_the_peer_does(
    model, peer, vocabulary, length
):
    words = model.tokenize(tf.constant(PLAIN))
    expected = peer_pack([peer.tokenize(PLAIN)], vocabulary, length)
    assert_same(model.bert_pack_inputs([words], seq_length=length), expected)


def test_special_tokens(model, vocabulary):
    found = model.tokenize.get_special_tokens_dict()
    assert {key: int(value) for key, value in found.items()} == {
        "vocab_size": len(vocabulary),
        "padding_id": 0,
        "start_of_sequence_id": 3,
        "end_of_segment_id": 4,
        "mask_id": 5,
    }


def test_two_segments_in_a_functional_model(exported):
    preprocessor = hub.load(str(exported / "preprocess"))
    texts = [tf_keras.Input((), dtype=tf.string) for _ in range(2)]
    tokenize = hub.KerasLayer(preprocessor.tokenize)
    pack = hub.KerasLayer(
        preprocessor.bert_pack_inputs, arguments={"seq_length": 10}
    )
    model = tf_keras.Model(texts, pack([tokenize(text) for text in texts]))
    found = model([tf.constant(["the bus"]), tf.constant(["was"])])
    # the 6, bus 7, was 8: the lines of the vocabulary from 0.
    ids = [3, 6, 7, 4, 8, 4, 0, 0, 0, 0]
    assert found["input_word_ids"].numpy().tolist() == [ids]
    types = [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert found["input_type_ids"].numpy().tolist() == [types]
    assert found["input_mask"].numpy().tolist() == [[1] * 6 + [0] * 4]


@pytest.mark.parametrize("in_list", [True, False])
def test_one_segment_in_a_functional_model_and_saved(
    exported, tmp_path, in_list
):
    preprocessor = hub.load(str(exported / "preprocess"))
    text = tf_keras.Input((), dtype=tf.string)
    words = hub.KerasLayer(preprocessor.tokenize)(text)
    pack = hub.KerasLayer(
        preprocessor.bert_pack_inputs, arguments={"seq_length": 8}
    )
    model = tf_keras.Model(text, pack([words] if in_list else words))
    model.save(tmp_path / "saved")
    packers = [model, tf.saved_model.load(tmp_path / "saved")]
    if not in_list:
        # Keras forgets a list of one when it builds the model again, and then
        # calls its own trace of the layer, not ours, without it.
        packers.append(tf_keras.models.load_model(tmp_path / "saved"))
    for packer in packers:
        found = packer(tf.constant(["the bus", "was"]))
        # [CLS] 3, the 6, bus 7, was 8, [SEP] 4
        assert found["input_word_ids"].numpy().tolist() == [
            [3, 6, 7, 4, 0, 0, 0, 0],
            [3, 8, 4, 0, 0, 0, 0, 0],
        ]


@pytest.mark.parametrize("ragged_rank", [1, 2])
def test_one_segment_needs_no_list(model, vocabulary, peer, ragged_rank):
    words = model.tokenize(tf.constant(PLAIN))
    if ragged_rank == 1:
        words = words.merge_dims(1, 2)
    expected = peer_pack([peer.tokenize(PLAIN)], vocabulary, 9)
    assert_same(model.bert_pack_inputs(words, seq_length=9), expected)
    assert_same(model.bert_pack_inputs([words], seq_length=9), expected)


def test_in_tf_data(exported):
    preprocessor = hub.KerasLayer(str(exported / "preprocess"))
    batches = tf.data.Dataset.from_tensor_slices(PLAIN).batch(4)
    shapes = [
        inputs["input_word_ids"].shape.as_list()
        for inputs in batches.map(preprocessor)
    ]
    assert shapes == [[4, 48], [3, 48]]


def test_vocabulary_asset_survives_saving_again(model, tmp_path):
    root = tf.train.Checkpoint(inner=model)
    root.__call__ = tf.function(
        lambda texts: model(texts)["input_word_ids"],
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    tf.saved_model.save(root, str(tmp_path))
    again = hub.load(str(tmp_path))
    assert (tmp_path / "assets" / "cased_vocab.txt").is_file()
    texts = tf.constant(PLAIN)
    np.testing.assert_array_equal(again(texts), model(texts)["input_word_ids"])
