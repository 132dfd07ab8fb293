import pytest
import tensorflow as tf

from labse.preprocessing import sentence_tokens
from labse.preprocessing.vocabulary import Vocabulary

#          0        1        2        3        4
PIECES = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghij"]
VOCABULARY = Vocabulary(PIECES)


def ragged(rows):
    return tf.ragged.constant(rows, tf.int32, ragged_rank=1)


def test_texts_by_hand():
    """[CLS] pieces [SEP], at most five tokens."""
    found = sentence_tokens.of_texts(
        ragged([[5], [5, 6, 7], [5, 6, 7, 8], []]), VOCABULARY, 5
    )
    assert found.ids.to_list() == [
        [2, 5, 3],
        [2, 5, 6, 7, 3],
        [2, 5, 6, 7, 3],
        [2, 3],
    ]
    assert found.first_length.numpy().tolist() == [3, 5, 5, 2]


def test_pairs_by_hand():
    found = sentence_tokens.of_pairs(
        ragged([[5, 6], [5], []]), ragged([[7], [8, 9, 10], [7]]), VOCABULARY, 9
    )
    assert found.ids.to_list() == [
        [2, 5, 6, 3, 7, 3],
        [2, 5, 3, 8, 9, 10, 3],
        [2, 3, 7, 3],
    ]
    assert found.first_length.numpy().tolist() == [4, 3, 2]


def truncate_seq_pair(source, target, most):
    """As in BERT's create_pretraining_data.py, at the end only."""
    source, target = list(source), list(target)
    while len(source) + len(target) > most:
        longer = source if len(source) > len(target) else target
        longer.pop()
    return source, target


@pytest.mark.parametrize("max_length", [5, 6, 12, 13])
def test_long_pairs_lose_tokens_of_the_longer_side(max_length):
    sides = [(n, m) for n in range(14) for m in range(14)]
    source = [[5] * n for n, _ in sides]
    target = [[6] * m for _, m in sides]
    found = sentence_tokens.of_pairs(
        ragged(source), ragged(target), VOCABULARY, max_length
    )
    expected = [
        truncate_seq_pair(*pair, max_length - 3)
        for pair in zip(source, target, strict=True)
    ]
    assert found.ids.to_list() == [[2, *s, 3, *t, 3] for s, t in expected]


def test_the_graph_asserts_nothing():
    """Grappler warns of assertions on standard error: see `_join`."""
    spec = tf.RaggedTensorSpec([None, None], tf.int32, ragged_rank=1)

    @tf.function(input_signature=[spec, spec], autograph=False)
    def make(source, target):
        text = sentence_tokens.of_texts(source, VOCABULARY, 5)
        pair = sentence_tokens.of_pairs(source, target, VOCABULARY, 9)
        return text.ids, pair.ids

    assert "Assert" not in str(
        make.get_concrete_function().graph.as_graph_def()
    )
