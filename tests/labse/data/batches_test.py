import json

import numpy as np
import pytest
import tensorflow as tf

from labse.data.batches import batches
from labse.data.example_order import ExampleOrder
from labse.data.pair_store import PairStore
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
    """Step s takes pairs 2 s and 2 s + 1, round and round."""

    def batch(self, step):
        return np.array([2 * step, 2 * step + 1]) % len(PAIRS)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    lines = ["source\ttarget", *("\t".join(pair) for pair in PAIRS)]
    (folder / "p.tsv").write_text("\n".join(lines) + "\n")
    return PairStore([str(folder / "p.tsv")], folder / "cache")


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer(Vocabulary(PIECES))


def as_list(dataset):
    return list(dataset.as_numpy_iterator())


def assert_same(ones, others):
    assert len(ones) == len(others)
    for one, other in zip(ones, others, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_ids_by_hand(store, tokenizer):
    result = as_list(
        batches(store, InOrder(), tokenizer, 5, range(2), replica_batch_size=2)
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


def test_either_side_that_is_cut_counts(store, tokenizer):
    dataset = batches(store, InOrder(), tokenizer, 4, range(2), 2)
    flags = [batch["truncated"].tolist() for batch in as_list(dataset)]
    # With two pieces: "cats" and "Katzen" just fit; four dogs and three
    # dogs in the target do not.
    assert flags == [[0, 0], [1, 1]]


def test_shapes_are_static(store, tokenizer):
    spec = batches(store, InOrder(), tokenizer, 5, range(2), 2).element_spec
    for side in ("source", "target"):
        for name in MODEL_INPUTS:
            assert spec[side][name] == tf.TensorSpec([2, 5], tf.int32)
    assert spec["truncated"] == tf.TensorSpec([2], tf.int32)


def test_started_later_it_gives_the_tail(store, tokenizer):
    order = ExampleOrder(store.languages, 4, 0)

    def run(steps):
        return as_list(batches(store, order, tokenizer, 5, steps, 4))

    whole = run(range(12))
    assert_same(run(range(7, 12)), whole[7:])
    assert_same(run(range(11, 12)), whole[11:])
    assert run(range(12, 12)) == []
    # The control: steps differ.
    first, second = (each["source"]["input_word_ids"] for each in whole[:2])
    assert np.any(first != second)


def test_replicas_take_their_slices_of_the_global_batch(store, tokenizer):
    order = ExampleOrder(store.languages, 8, 3)
    steps = range(2, 5)
    whole = as_list(batches(store, order, tokenizer, 5, steps, 8))

    def run(replicas):
        return as_list(batches(store, order, tokenizer, 5, steps, 2, replicas))

    parts = [
        tf.nest.map_structure(
            lambda rows, place=place: rows[2 * place : 2 * place + 2], batch
        )
        for batch in whole
        for place in range(4)
    ]
    assert len(parts) == 12
    assert_same(run(range(4)), parts)
    # A second worker with replicas 2 and 3.
    second = [part for n, part in enumerate(parts) if n % 4 >= 2]
    assert_same(run(range(2, 4)), second)


NEGATIVES = [["Hund"], [], ["Katze", "Katzen", "Hund"], ["Katzen", "Katze"]]
# Two for each pair: the first ones, and nothing where there are fewer.
NEGATIVE_IDS = [
    [[2, 10, 3, 0, 0], [0, 0, 0, 0, 0]],
    [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
    [[2, 8, 3, 0, 0], [2, 8, 9, 3, 0]],
    [[2, 8, 9, 3, 0], [2, 8, 3, 0, 0]],
]


@pytest.fixture(scope="module")
def store_with_negatives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("negatives")
    lines = ["source\ttarget\thard_negatives"]
    for pair, negatives in zip(PAIRS, NEGATIVES, strict=True):
        lines.append("\t".join([*pair, json.dumps(negatives)]))
    (folder / "p.tsv").write_text("\n".join(lines) + "\n")
    return PairStore([str(folder / "p.tsv")], folder / "cache")


def with_negatives(store, tokenizer, steps, *arguments):
    return batches(
        store, InOrder(), tokenizer, 5, steps, *arguments, hard_negatives=2
    )


def test_hard_negatives_by_hand(store_with_negatives, store, tokenizer):
    dataset = with_negatives(store_with_negatives, tokenizer, range(2), 2)
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
    plain = batches(store, InOrder(), tokenizer, 5, range(2), 2)
    assert_same(found, as_list(plain))


def test_hard_negatives_that_are_not_asked_for_are_left_out(
    store_with_negatives, store, tokenizer
):
    one, other = (
        as_list(batches(each, InOrder(), tokenizer, 5, range(2), 2))
        for each in (store_with_negatives, store)
    )
    assert_same(one, other)


def test_hard_negatives_follow_their_pairs(store_with_negatives, tokenizer):
    """Started later, and spread over replicas."""
    whole = as_list(
        with_negatives(store_with_negatives, tokenizer, range(4), 2)
    )
    later = with_negatives(store_with_negatives, tokenizer, range(1, 4), 2)
    assert_same(as_list(later), whole[1:])
    spread = with_negatives(
        store_with_negatives, tokenizer, range(4), 1, range(2)
    )
    parts = [
        tf.nest.map_structure(
            lambda rows, place=place: rows[place : place + 1], batch
        )
        for batch in whole
        for place in range(2)
    ]
    assert_same(as_list(spread), parts)
