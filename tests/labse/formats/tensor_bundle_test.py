"""Against TensorFlow's own reader and writer of checkpoints."""

import pathlib
import random

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from labse.errors import InputError
from labse.formats import tensor_bundle
from labse.formats.stored_tensor import StoredTensor


def save(prefix, tensors):
    """Writes tensors by name, as TensorFlow does."""
    names = list(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tensors[name] for name in names],
    )
    return str(prefix)


class Rows:
    """A tensor to write, in blocks of three rows."""

    def __init__(self, array):
        self.array = array
        self.shape = array.shape

    def row_blocks(self):
        for start in range(0, max(1, len(self.array)), 3):
            yield self.array[start : start + 3]


@pytest.fixture
def tensors():
    generator = np.random.default_rng(0)
    array = generator.normal(size=[5, 4]).astype(np.float32)
    return {
        "a/float32": array,
        "a/float16": array.astype(np.float16),
        "a/bfloat16": array.astype(ml_dtypes.bfloat16),
        "a/float64": array.astype(np.float64),
        "b/int64": np.arange(-3, 3),
        "b/bool": np.array([True, False, True]),
        "scalar": np.float32(1.5),
        "empty": np.zeros([0, 3], np.float32),
        "text": np.array([b"one", b"two"], object),
    }


def test_every_tensor_is_found(tmp_path, tensors):
    header = tensor_bundle.read_header(save(tmp_path / "ckpt", tensors))
    assert header.keys() == tensors.keys() - {"text"}
    for name, tensor in header.items():
        expected = np.asarray(tensors[name])
        assert tensor.dtype == expected.dtype, name
        assert tensor.shape == expected.shape, name
        np.testing.assert_array_equal(tensor.read(), expected, name)
        np.testing.assert_array_equal(tensor.map(), expected, name)


def test_an_index_of_many_blocks(tmp_path):
    # Keys that share beginnings, in several blocks of the index.
    tensors = {
        f"model/layer_{i}/kernel": np.float32([i, -i]) for i in range(3000)
    }
    header = tensor_bundle.read_header(save(tmp_path / "ckpt", tensors))
    assert header.keys() == tensors.keys()
    for name in random.Random(0).sample(sorted(header), 50):
        np.testing.assert_array_equal(header[name].read(), tensors[name])


def test_several_files_of_data(tmp_path):
    parts = [{"a": np.float32([1, 2])}, {"b": np.float32([[3], [4]])}]
    prefixes = [
        save(tmp_path / f"part{i}", part) for i, part in enumerate(parts)
    ]
    merged = str(tmp_path / "whole")
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=prefixes, destination_prefix=merged
    )
    header = tensor_bundle.read_header(merged)
    assert header["a"].path.name == "whole.data-00000-of-00002"
    assert header["b"].path.name == "whole.data-00001-of-00002"
    np.testing.assert_array_equal(header["b"].read(), [[3], [4]])
    header["b"].path.unlink()
    with pytest.raises(InputError, match="lacks its file .*00001-of-00002"):
        tensor_bundle.read_header(merged)


def test_rows_come_in_blocks(tmp_path, monkeypatch):
    array = np.arange(40, dtype=np.float32).reshape(10, 4)
    prefix = save(tmp_path / "ckpt", {"a": array})
    monkeypatch.setattr("labse.formats.stored_tensor.BLOCK_BYTES", 48)
    blocks = list(tensor_bundle.read_header(prefix)["a"].row_blocks())
    assert [len(block) for block in blocks] == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), array)


def test_what_is_written_tensorflow_reads(tmp_path, tensors):
    template = save(tmp_path / "template", tensors)
    generator = np.random.default_rng(1)
    new = {
        "a/float32": generator.normal(size=[8, 2, 3]).astype(np.float32),
        "scalar": np.float32([7, 8]),
        "empty": np.zeros([0, 3], np.float32),
    }
    prefix = tmp_path / "new"
    tensor_bundle.write_checkpoint(
        prefix, {k: Rows(v) for k, v in new.items()}, template
    )
    reader = tf.train.load_checkpoint(str(prefix))
    assert reader.get_variable_to_shape_map().keys() == tensors.keys()
    for name, expected in {**tensors, **new}.items():
        # TensorFlow checks the checksum of what it reads.
        np.testing.assert_array_equal(reader.get_tensor(name), expected, name)
    header = tensor_bundle.read_header(prefix)
    np.testing.assert_array_equal(header["a/float32"].map(), new["a/float32"])
    assert all(tensor.offset % 64 == 0 for tensor in header.values())
    assert sorted(path.name for path in tmp_path.glob("new*")) == [
        "new.data-00000-of-00001",
        "new.index",
    ]


def test_a_name_that_the_template_lacks(tmp_path, tensors):
    template = save(tmp_path / "template", tensors)
    with pytest.raises(ValueError, match="Not in the template: .'other'"):
        tensor_bundle.write_checkpoint(
            tmp_path / "new", {"other": Rows(np.float32([1]))}, template
        )
    assert not (tmp_path / "new.index").exists()


def test_rows_that_do_not_add_up(tmp_path, tensors):
    template = save(tmp_path / "template", tensors)
    rows = Rows(np.zeros([4, 2], np.float32))
    rows.shape = (5, 2)
    with pytest.raises(ValueError, match="a/float32 .5, 2.: 32 bytes came"):
        tensor_bundle.write_checkpoint(
            tmp_path / "new", {"a/float32": rows}, template
        )
    assert not (tmp_path / "new.index").exists()


def test_variables_by_their_names(tmp_path):
    root = tf.train.Checkpoint(
        one=tf.Variable([1.0, 2.0], name="model/pooler_transform/kernel"),
        two=tf.Variable([3.0], name="head/kernel"),
    )
    prefix = root.save(str(tmp_path / "ckpt"))
    variables = tensor_bundle.read_variables(prefix)
    key, tensor = variables["pooler_transform/kernel"]
    assert key == "one/.ATTRIBUTES/VARIABLE_VALUE"
    np.testing.assert_array_equal(tensor.read(), [1, 2])
    assert variables.keys() == {
        "pooler_transform/kernel",
        "head/kernel",
        "save_counter",
    }


def test_two_encoders_in_one_checkpoint(tmp_path):
    names = ("a/word_embeddings/embeddings", "b/word_embeddings/embeddings")
    variables = [tf.Variable([1.0], name=name) for name in names]
    root = tf.train.Checkpoint(one=variables[0], two=variables[1])
    prefix = root.save(str(tmp_path / "ckpt"))
    with pytest.raises(InputError, match="holds two encoders: word_embedd"):
        tensor_bundle.read_variables(prefix)


def test_a_checkpoint_by_names_has_no_objects(tmp_path, tensors):
    prefix = save(tmp_path / "ckpt", tensors)
    with pytest.raises(InputError, match="holds no graph of objects"):
        tensor_bundle.read_variables(prefix)


def test_a_variable_in_parts(tmp_path):
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "ckpt"),
        tensor_names=["a", "a"],
        shape_and_slices=["4 2 0,2:0,2", "4 2 2,2:0,2"],
        tensors=[tf.zeros([2, 2]), tf.ones([2, 2])],
    )
    with pytest.raises(InputError, match="holds a in 2 parts"):
        tensor_bundle.read_header(tmp_path / "ckpt")


def test_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match="There is no checkpoint"):
        tensor_bundle.read_header(tmp_path / "absent")


def test_data_that_was_cut_off(tmp_path, tensors):
    prefix = save(tmp_path / "ckpt", tensors)
    path = pathlib.Path(f"{prefix}.data-00000-of-00001")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="is damaged or truncated: "):
        tensor_bundle.read_header(prefix)


def test_an_index_with_any_damage_is_refused(tmp_path, tensors):
    prefix = save(tmp_path / "ckpt", tensors)
    path = pathlib.Path(f"{prefix}.index")
    content = path.read_bytes()
    generator = random.Random(0)
    damaged = [content[:size] for size in range(0, len(content), 7)]
    for _ in range(300):
        place = generator.randrange(len(content))
        flipped = content[place] ^ (1 << generator.randrange(8))
        damaged.append(
            content[:place] + bytes([flipped]) + content[place + 1 :]
        )
    refused = 0
    for each in damaged:
        path.write_bytes(each)
        try:
            tensor_bundle.read_header(prefix)
        except InputError as error:
            refused += 1
            assert str(path) in str(error) or prefix in str(error)
    # The footer's padding and the empty meta index are not looked at.
    assert refused > 0.85 * len(damaged)


def test_sizes_are_checked_before_memory_is_taken(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    for shape in ((2**40, 2**20), (-1, 4)):
        tensor = StoredTensor(path, 0, np.dtype(np.float32), shape)
        with pytest.raises(InputError, match="table .* needs the bytes"):
            tensor.check_in_file("table", 100)


def test_names_that_grow_without_bound():
    # Each key repeats the whole one before it: a few bytes become many.
    varint = tensor_bundle._varint
    entry = b""
    length = 0
    for _ in range(100):
        entry += varint(length) + varint(100) + varint(0) + b"a" * 100
        length += 100
    block = entry + (0).to_bytes(4, "little") * 1 + (1).to_bytes(4, "little")
    with pytest.raises(ValueError, match="names are too long"):
        list(tensor_bundle._block_entries(block))


def test_a_number_without_an_end():
    with pytest.raises(ValueError, match="has no end"):
        tensor_bundle._read_varint(b"\xff" * 100, 0)


def test_a_flipped_bit_of_data(tmp_path, tensors):
    prefix = save(tmp_path / "ckpt", tensors)
    tensor = tensor_bundle.read_header(prefix)["a/float32"]
    content = bytearray(tensor.path.read_bytes())
    content[tensor.offset + 5] ^= 1
    tensor.path.write_bytes(content)
    with pytest.raises(InputError, match="the checksum of the bytes"):
        tensor.read()
