import json
import types

import numpy as np
import pytest
import tensorflow as tf

from labse.data.batches import batches
from labse.data.record_reader import RecordReader
from labse.data.records.groups import PAIRS as OF_PAIRS
from labse.data.records.manifest import Manifest
from labse.data.records.tokens import TokenIds
from labse.data.records.writer import write_records
from labse.features import MODEL_INPUTS
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary

#          0        1        2        3        4         5
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat"]
PIECES += ["dog", "##s", "Katze", "##n", "Hund"]  # 6 to 10
PAIRS = [
    ("cat", "Katze"),
    ("cats", "Katzen"),
    ("dog dog dog dog", "Hund"),
    ("bird", "Hund Hund Hund"),
]
# [CLS] pieces [SEP], cut to 5.
SOURCE_IDS = [
    [2, 5, 3, 0, 0],
    [2, 5, 7, 3, 0],
    [2, 6, 6, 6, 3],
    [2, 1, 3, 0, 0],
]
TARGET_IDS = [
    [2, 8, 3, 0, 0],
    [2, 8, 9, 3, 0],
    [2, 10, 3, 0, 0],
    [2, 10, 10, 10, 3],
]
TRUNCATED = [0, 0, 1, 0]


class InOrder:
    """A reader: the rows go round and round over the pairs in their order."""

    manifest = types.SimpleNamespace(tokens=None)

    def __init__(self, negatives=None):
        self._records = [
            record(*pair, texts)
            for pair, texts in zip(PAIRS, negatives or [[]] * 4, strict=True)
        ]

    def records(self, steps, size, replicas):
        # All replicas of the job are those.
        rows = np.array(self._records, object)
        count = replicas.stop
        numbers = [
            (step * count + replica) * size + np.arange(size)
            for step in steps
            for replica in replicas
        ]
        return tf.data.Dataset.from_tensor_slices(
            [rows[number % len(PAIRS)].tolist() for number in numbers]
        )


def record(source, target, negatives):
    example = tf.train.Example()
    for name, texts in (
        ("source", [source]),
        ("target", [target]),
        ("hard_negatives", negatives),
    ):
        if texts:
            feature = example.features.feature[name].bytes_list
            feature.value.extend(text.encode() for text in texts)
    return example.SerializeToString()


@pytest.fixture(scope="module")
def reader():
    return InOrder()


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer(Vocabulary(PIECES))


def as_list(dataset):
    return list(dataset.as_numpy_iterator())


def assert_same(ones, others):
    assert len(ones) == len(others)
    for one, other in zip(ones, others, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_ids_by_hand(reader, tokenizer):
    result = as_list(
        batches(reader, tokenizer, 5, range(2), replica_batch_size=2)
    )
    assert len(result) == 2
    for step, batch in enumerate(result):
        rows = slice(2 * step, 2 * step + 2)
        for side, ids in (("source", SOURCE_IDS), ("target", TARGET_IDS)):
            expected = np.array(ids[rows])
            inputs = batch[side]
            assert inputs.keys() == set(MODEL_INPUTS)
            np.testing.assert_array_equal(inputs["input_word_ids"], expected)
            np.testing.assert_array_equal(inputs["input_mask"], expected != 0)
            np.testing.assert_array_equal(
                inputs["input_type_ids"], 0 * expected
            )
            assert {each.dtype for each in inputs.values()} == {np.dtype("i4")}
        np.testing.assert_array_equal(batch["truncated"], TRUNCATED[rows])


def test_either_side_that_is_cut_counts(reader, tokenizer):
    dataset = batches(reader, tokenizer, 4, range(2), 2)
    flags = [batch["truncated"].tolist() for batch in as_list(dataset)]
    # With two pieces: "cats" and "Katzen" just fit; four dogs and three
    # dogs in the target do not.
    assert flags == [[0, 0], [1, 1]]


def test_shapes_are_static(reader, tokenizer):
    spec = batches(reader, tokenizer, 5, range(2), 2).element_spec
    for side in ("source", "target"):
        for name in MODEL_INPUTS:
            assert spec[side][name] == tf.TensorSpec([2, 5], tf.int32)
    assert spec["truncated"] == tf.TensorSpec([2], tf.int32)


def test_replicas_take_their_slices_of_the_global_batch(reader, tokenizer):
    steps = range(2, 5)
    whole = as_list(batches(reader, tokenizer, 5, steps, 4))
    halves = as_list(batches(reader, tokenizer, 5, steps, 2, range(2)))
    parts = [
        tf.nest.map_structure(
            lambda rows, place=place: rows[2 * place : 2 * place + 2], batch
        )
        for batch in whole
        for place in range(2)
    ]
    assert_same(halves, parts)


NEGATIVES = [["Hund"], [], ["Katze", "Katzen", "Hund"], ["Katzen", "Katze"]]
# Two for each pair: the first ones, and nothing where there are fewer.
NEGATIVE_IDS = [
    [[2, 10, 3, 0, 0], [0, 0, 0, 0, 0]],
    [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
    [[2, 8, 3, 0, 0], [2, 8, 9, 3, 0]],
    [[2, 8, 9, 3, 0], [2, 8, 3, 0, 0]],
]


@pytest.fixture(scope="module")
def reader_with_negatives():
    return InOrder(NEGATIVES)


def test_hard_negatives_by_hand(reader_with_negatives, reader, tokenizer):
    dataset = batches(
        *(reader_with_negatives, tokenizer, 5, range(2), 2), hard_negatives=2
    )
    for name in MODEL_INPUTS:
        spec = dataset.element_spec["hard_negatives"][name]
        assert spec == tf.TensorSpec([2, 2, 5], tf.int32)
    found = as_list(dataset)
    for step, batch in enumerate(found):
        expected = np.array(NEGATIVE_IDS[2 * step : 2 * step + 2])
        inputs = batch.pop("hard_negatives")
        assert inputs.keys() == set(MODEL_INPUTS)
        np.testing.assert_array_equal(inputs["input_word_ids"], expected)
        np.testing.assert_array_equal(inputs["input_mask"], expected != 0)
        np.testing.assert_array_equal(inputs["input_type_ids"], 0 * expected)
    # All else is as it is without.
    plain = batches(reader, tokenizer, 5, range(2), 2)
    assert_same(found, as_list(plain))


def test_hard_negatives_that_are_not_wanted_are_left_out(
    reader_with_negatives, reader, tokenizer
):
    one, other = (
        as_list(batches(each, tokenizer, 5, range(2), 2))
        for each in (reader_with_negatives, reader)
    )
    assert_same(one, other)


@pytest.fixture(scope="module")
def readers(tmp_path_factory, tokenizer):
    """The same pairs as records of texts and of ids."""
    folder = tmp_path_factory.mktemp("records")
    lines = ["source\ttarget\thard_negatives"]
    for number in range(60):
        pair, negatives = PAIRS[number % 4], NEGATIVES[number % 3]
        source = " ".join([pair[0]] * (1 + number // 9))
        lines.append("\t".join([source, pair[1], json.dumps(negatives)]))
    (folder / "p.tsv").write_text("\n".join(lines) + "\n")
    found = []
    for name, ids in (("texts", None), ("ids", TokenIds(tokenizer, 8))):
        out = folder / name
        write_records([folder / "p.tsv"], out, token_ids=ids)
        manifest = Manifest.open(out, OF_PAIRS, tokenizer, 8)
        found.append(RecordReader(out, manifest, 12, seed=5))
    return found


@pytest.mark.parametrize("negatives", [0, 1, 2, 4])
@pytest.mark.parametrize("max_length", [8, 6])
def test_ids_give_the_batches_of_texts(
    readers, tokenizer, negatives, max_length
):
    texts, ids = (
        as_list(
            batches(
                *(reader, tokenizer, max_length, range(3, 9), 6, range(2)),
                hard_negatives=negatives,
            )
        )
        for reader in readers
    )
    assert len(texts) == 12
    assert_same(texts, ids)
    if negatives:
        # Of 0, 1, 2 and 3 there are.
        masks = [each["hard_negatives"]["input_mask"] for each in ids]
        present = np.concatenate(masks)[:, :, 0].sum(axis=1)
        assert set(present) == set(np.minimum([0, 1, 3], negatives))
    assert 0 < np.mean([each["truncated"] for each in ids]) < 1


def test_started_later_it_gives_the_tail(readers, tokenizer):
    def run(steps):
        return as_list(
            batches(readers[0], tokenizer, 5, steps, 12, hard_negatives=2)
        )

    whole = run(range(12))
    assert_same(run(range(7, 12)), whole[7:])
    assert run(range(12, 12)) == []
    # The control: steps differ.
    first, second = (each["source"]["input_word_ids"] for each in whole[:2])
    assert np.any(first != second)


@pytest.mark.parametrize("which", [0, 1])
def test_the_graph_has_no_state(readers, tokenizer, which):
    dataset = batches(
        readers[which], tokenizer, 5, range(3), 12, hard_negatives=1
    )
    dataset._as_serialized_graph(
        external_state_policy=tf.data.experimental.ExternalStatePolicy.FAIL
    )
