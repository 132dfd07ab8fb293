"""Examples as bytes equal protobuf's."""

import numpy as np
import pytest
import tensorflow as tf

from labse.data.records import example_bytes


def of_protobuf(**features):
    example = tf.train.Example()
    for name, values in features.items():
        if values and isinstance(values[0], bytes):
            example.features.feature[name].bytes_list.value.extend(values)
        else:
            example.features.feature[name].int64_list.value.extend(values)
            example.features.feature[name].int64_list.SetInParent()
    return example.SerializeToString(deterministic=True)


# Lengths around those at which a length takes a byte more.
SIZES = [0, 1, 100, *range(110, 130), *range(16360, 16390), 2**21 + 1]


@pytest.mark.parametrize("size", SIZES)
def test_a_text_of_any_length(size):
    text = b"x" * size
    found = example_bytes.example(example_bytes.text_head("source", size), text)
    assert found == of_protobuf(source=[text])


def test_several_features_in_the_order_of_their_names():
    found = example_bytes.example(
        example_bytes.int64_feature("group", [300]),
        example_bytes.bytes_feature("hard_negatives", [b"a", b"", b"b" * 200]),
        example_bytes.text_head("source", 2),
        b"ab",
    )
    assert found == of_protobuf(
        group=[300], hard_negatives=[b"a", b"", b"b" * 200], source=[b"ab"]
    )


@pytest.mark.parametrize("values", [[], [0], [127, 128, 0, 2**40]])
def test_whole_numbers(values):
    found = example_bytes.example(example_bytes.int64_feature("n", values))
    assert found == of_protobuf(n=values)


def test_ids_of_many_rows():
    rows = [
        [],
        [0, 127, 128],
        [2**14 - 1, 2**14, 2**21 - 1, 2**21, 2**28 - 1],
        [],
        [501_152] * 100,
    ]
    splits = np.cumsum([0, *map(len, rows)])
    packed = example_bytes.pack_ids(np.concatenate(rows).astype(int), splits)
    assert len(packed) == len(rows)
    for row, content in zip(rows, packed, strict=True):
        head = example_bytes.ids_head("source_ids", len(content))
        found = example_bytes.example(head, content)
        assert found == of_protobuf(source_ids=row)


def test_no_rows():
    assert example_bytes.pack_ids(np.zeros(0, int), np.zeros(1, int)) == []
