import numpy as np
import pytest
import tensorflow as tf

from export.models.padding import mask_padding
from labse.preprocessing.vocabulary import Vocabulary

PAD, UNK, CLS, SEP, MASK, A, B = range(7)


@pytest.fixture
def vocabulary():
    return Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"])


@pytest.mark.parametrize(
    ("ids", "given", "expected"),
    [
        # A right mask stays as it is.
        ([CLS, A, SEP, PAD, PAD], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0]),
        ([CLS, A, SEP, B, SEP], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]),
        ([CLS, A, SEP, SEP, PAD], [1, 1, 1, 1, 0], [1, 1, 1, 1, 0]),
        ([A, A, A, A, A], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]),
        ([CLS, A, CLS, SEP, PAD], [1, 1, 1, 1, 0], [1, 1, 1, 1, 0]),
        ([CLS, A, B, SEP, B], [1, 0, 1, 1, 0], [1, 0, 1, 1, 0]),
        ([PAD, PAD, CLS, A, SEP], [0, 0, 1, 1, 1], [0, 0, 1, 1, 1]),
        ([CLS, CLS, CLS, CLS, CLS], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
        # Padded with the first element of ids and mask.
        ([CLS, A, SEP, CLS, CLS], [1, 1, 1, 1, 1], [1, 1, 1, 0, 0]),
        ([CLS, A, SEP, PAD, CLS], [1, 1, 1, 0, 1], [1, 1, 1, 0, 0]),
        ([CLS, A, B, CLS, CLS], [1, 1, 1, 1, 1], [1, 1, 1, 0, 0]),
        ([CLS, CLS, CLS, CLS, CLS], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]),
        # Padded with zeros, the mask with ones.
        ([CLS, A, SEP, PAD, PAD], [1, 1, 1, 1, 1], [1, 1, 1, 0, 0]),
        ([PAD, PAD, CLS, A, SEP], [1, 1, 1, 1, 1], [0, 0, 1, 1, 1]),
        ([PAD, PAD, PAD, PAD, PAD], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]),
    ],
)
def test_padding_is_masked_and_nothing_else(vocabulary, ids, given, expected):
    found = mask_padding(tf.constant([ids]), tf.constant([given]), vocabulary)
    assert found.dtype == tf.int32
    assert found.numpy().tolist() == [expected]


def test_rows_do_not_depend_on_each_other_and_may_be_empty(vocabulary):
    ids = tf.constant([[CLS, A, SEP, CLS], [CLS, A, B, SEP]])
    found = mask_padding(ids, tf.ones_like(ids), vocabulary)
    assert found.numpy().tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    for shape in ([0, 3], [2, 0]):
        nothing = np.zeros(shape, np.int32)
        assert mask_padding(nothing, nothing, vocabulary).shape == shape
