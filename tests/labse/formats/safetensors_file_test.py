"""Our reader and writer against the official library, and against bad files."""

import json
import random
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy as peer

from labse.errors import InputError
from labse.formats import safetensors_file
from labse.formats.stored_tensor import StoredTensor

TYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "?"]


class Blocks:
    """A tensor as blocks of rows."""

    def __init__(self, values, rows=2, shape=None):
        self.values = np.asarray(values)
        self.shape = self.values.shape if shape is None else shape
        self.rows = rows

    def row_blocks(self):
        values = np.atleast_1d(self.values)
        for start in range(0, len(values), self.rows):
            yield values[start : start + self.rows]


def write_file(path, header, data=b""):
    """A file of any header, a dict or bytes, and any data."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_reads_what_the_library_writes(tmp_path):
    generator = np.random.default_rng(0)
    tensors = {
        f"{dtype}.{place}": generator.normal(size=shape).astype(dtype)
        for dtype in TYPES
        for place, shape in enumerate([(3, 5), (7,), (), (0, 4), (2, 1, 3)])
    }
    path = tmp_path / "peer.safetensors"
    peer.save_file(tensors, path, metadata={"format": "pt"})
    found = safetensors_file.read_header(path)
    assert found.keys() == tensors.keys()
    for name, expected in tensors.items():
        assert found[name].dtype == expected.dtype
        assert found[name].shape == expected.shape
        assert found[name].read().tobytes() == expected.tobytes()
        assert found[name].map().tobytes() == expected.tobytes()


def test_reads_bfloat16_of_pytorch(tmp_path, torch):
    from safetensors.torch import save_file

    values = torch.tensor([[1.5, -2.0], [3e38, 1e-40]]).bfloat16()
    save_file({"b": values}, tmp_path / "b.safetensors")
    found = safetensors_file.read_header(tmp_path / "b.safetensors")["b"]
    assert found.dtype == ml_dtypes.bfloat16
    assert np.array_equal(found.read().astype("f4"), values.float().numpy())


def test_the_library_reads_what_we_write(tmp_path):
    generator = np.random.default_rng(1)
    tensors = {
        "z.weight": generator.normal(size=(5, 3)).astype("f4"),
        "a": generator.normal(size=(7,)).astype("f4"),
        "scalar": np.float32(2.5),
        "empty": np.zeros((0, 4), "f4"),
        "name with ü": np.array([np.nan, np.inf, -0.0, 1e-45], "f4"),
    }
    path = tmp_path / "ours.safetensors"
    safetensors_file.write_tensors(
        path, {n: Blocks(v) for n, v in tensors.items()}
    )
    found = peer.load_file(path)
    assert found.keys() == tensors.keys()
    for name, expected in tensors.items():
        assert found[name].dtype == np.float32
        assert found[name].shape == expected.shape
        assert found[name].tobytes() == expected.tobytes()
    with safetensors.safe_open(path, "numpy") as file:
        assert file.metadata() == {"format": "pt"}
    content = path.read_bytes()
    assert int.from_bytes(content[:8], "little") % 8 == 0
    ours = safetensors_file.read_header(path)
    assert all(tensor.offset % 4 == 0 for tensor in ours.values())
    assert list(tmp_path.iterdir()) == [path]


def test_a_stored_tensor_can_be_written_on(tmp_path):
    values = np.arange(12, dtype="f2").reshape(4, 3)
    peer.save_file({"w": values}, tmp_path / "half.safetensors")
    half = safetensors_file.read_header(tmp_path / "half.safetensors")
    assert isinstance(half["w"], StoredTensor)
    safetensors_file.write_tensors(tmp_path / "single.safetensors", half)
    found = peer.load_file(tmp_path / "single.safetensors")["w"]
    assert found.dtype == np.float32
    assert np.array_equal(found, values.astype("f4"))


def test_writes_a_block_at_a_time(tmp_path):
    class Large:
        shape = (64, 2**16)

        def row_blocks(self):
            for row in range(64):
                yield np.full((1, 2**16), row, "f4")

    tracemalloc.start()
    safetensors_file.write_tensors(tmp_path / "large", {"w": Large()})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**21  # The tensor has 2**24 bytes, a block 2**18.
    assert np.array_equal(
        peer.load_file(tmp_path / "large")["w"][:, 7], np.arange(64)
    )


@pytest.mark.parametrize(
    ("values", "shape", "message"),
    [
        (np.zeros((3, 2), "f4"), (4, 2), r"\(4, 2\). Received 3 rows"),
        (np.zeros((5, 2), "f4"), (4, 2), r"Received a block \(1, 2\)"),
        (np.zeros((4, 3), "f4"), (4, 2), r"Received a block \(2, 3\)"),
        (np.zeros((4, 2), "f8"), (4, 2), "blocks of float64, which float32"),
        (np.zeros((4, 2), "i8"), (4, 2), "blocks of int64, which float32"),
    ],
)
def test_blocks_must_add_up(tmp_path, values, shape, message):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"what was there before")
    with pytest.raises(ValueError, match=message):
        safetensors_file.write_tensors(path, {"w": Blocks(values, shape=shape)})
    assert path.read_bytes() == b"what was there before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_nothing(tmp_path):
    class Interrupted:
        shape = (2, 2)

        def row_blocks(self):
            yield np.zeros((1, 2), "f4")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        safetensors_file.write_tensors(tmp_path / "w", {"w": Interrupted()})
    assert not list(tmp_path.iterdir())


def test_no_tensor_takes_the_name_of_the_metadata(tmp_path):
    with pytest.raises(ValueError, match="__metadata__"):
        safetensors_file.write_tensors(
            tmp_path / "w", {"__metadata__": Blocks([1.0])}
        )


# Name of the case -> header, data, part of the message.
FAULTS = {
    "no brace": (b"[1]", b"", "invalid JSON.*expected struct HashMetadata"),
    "no JSON": (
        b"{'a': 1}",
        b"",
        "invalid JSON in header|invalid UTF-8 in header",
    ),
    "no UTF-8": (
        b'{"\xff": 1}',
        b"",
        "invalid JSON in header|invalid UTF-8 in header",
    ),
    "endless nesting": (b'{"a":' + b"[" * 200_000, b"", "recursion limit"),
    "long number": (b'{"a":' + b"9" * 5000 + b"}", b"", "number out of range"),
    "entry": ({"w": 3}, b"", "integer `3`, expected struct TensorInfo"),
    "metadata": ({"__metadata__": {"a": 1}}, b"", "expected a string"),
    "metadata list": ({"__metadata__": ["a"]}, b"", "expected a map"),
    "type": ({"w": entry(0, 4, [1], "F5")}, b"1234", "unknown variant `F5`"),
    "no type": (
        {"w": entry(0, 4, [1], None)},
        b"1234",
        "null, expected string",
    ),
    "negative": ({"w": entry(0, 4, [-1])}, b"1234", "`-1`, expected usize"),
    "float": ({"w": entry(0, 4, [1.0])}, b"1234", "`1.0`, expected usize"),
    "true": ({"w": entry(0, 4, [True])}, b"1234", "`true`, expected usize"),
    "no shape": (
        {"w": entry(0, 4, None)},
        b"1234",
        "null, expected a sequence",
    ),
    "huge": ({"w": entry(0, 4, [2**31] * 3)}, b"1234", "overflow computing"),
    "huge empty": (
        {"w": entry(0, 0, [0, *[2**31] * 3])},
        b"",
        r"shape of 'w' is \[0, .*, too large",
    ),
    "offsets": (
        {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0]}},
        b"1234",
        "expected a tuple of size 2",
    ),
    "negative offset": (
        {"w": entry(-4, 0, [1])},
        b"1234",
        "`-4`, expected usize",
    ),
    "backwards": (
        {"w": entry(4, 0, [1])},
        b"1234",
        "invalid offset for tensor `w`",
    ),
    "too short": (
        {"w": entry(0, 4, [2])},
        b"1234",
        "invalid shape, data type, or offset",
    ),
    "outside": ({"w": entry(0, 8, [2])}, b"1234", "file not fully covered"),
    "gap": (
        {"v": entry(0, 4, [1]), "w": entry(8, 12, [1])},
        bytes(12),
        "invalid offset for tensor `w`",
    ),
    "gap at the start": (
        {"w": entry(4, 8, [1])},
        bytes(8),
        "offset for tensor `w`",
    ),
    "overlap": (
        {"v": entry(0, 8, [2]), "w": entry(4, 12, [2])},
        bytes(12),
        "invalid offset for tensor `w`",
    ),
    "rest": ({"w": entry(0, 4, [1])}, bytes(5), "file not fully covered"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_refuses_what_the_library_refuses(tmp_path, fault):
    header, data, message = FAULTS[fault]
    path = write_file(tmp_path / "bad.safetensors", header, data)
    with pytest.raises(InputError, match=message) as caught:
        safetensors_file.read_header(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600
    if fault != "huge empty":  # The library reads it, NumPy could not.
        with pytest.raises(safetensors.SafetensorError):
            safetensors.safe_open(path, "numpy")


def test_the_control_is_read(tmp_path):
    header = {"v": entry(0, 4, [1]), "w": entry(4, 12, [2])}
    path = write_file(tmp_path / "good.safetensors", header, bytes(12))
    assert safetensors_file.read_header(path).keys() == {"v", "w"}


def test_a_type_that_cannot_be_read_is_named(tmp_path):
    path = write_file(
        tmp_path / "w", {"w": entry(0, 16, [2], "C64")}, bytes(16)
    )
    with pytest.raises(
        InputError, match="'w' has the type 'C64'. Known are F64"
    ):
        safetensors_file.read_header(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1234567", "header too small"),
        (b"", "header too small"),
        ((101).to_bytes(8, "little") + b"{}", "invalid header length"),
        (b"\xff" * 8 + b"{}", "header too large"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "is a Git LFS pointer.*`git lfs pull`",
        ),
        (b"\n<!DOCTYPE html><html>", "is a web page, not weights"),
    ],
)
def test_other_content_is_named(tmp_path, content, message):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        safetensors_file.read_header(path)


def test_a_header_above_the_limit_is_not_read(tmp_path):
    path = tmp_path / "model.safetensors"
    with open(path, "wb") as file:
        file.write((100_000_001).to_bytes(8, "little"))
        file.truncate(200_000_000)  # Takes no room on the disk.
    with pytest.raises(InputError, match="header too large"):
        safetensors_file.read_header(path)


def test_a_name_may_not_occur_twice(tmp_path):
    one = b'"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    path = write_file(tmp_path / "w", b"{" + one + b"," + one + b"}", b"1234")
    with pytest.raises(InputError, match="a name occurs twice"):
        safetensors_file.read_header(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="There is no file .*model"):
        safetensors_file.read_header(tmp_path / "model.safetensors")


def test_names_are_quoted_and_cut(tmp_path):
    name = "\x1b[2J" + "x" * 10_000
    path = write_file(tmp_path / "w", {name: 3})
    with pytest.raises(InputError) as caught:
        safetensors_file.read_header(path)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_damage_is_always_an_input_error(tmp_path):
    generator = random.Random(0)
    path = tmp_path / "damaged.safetensors"
    tensors = {"a.weight": np.ones((3, 4), "f4"), "b": np.ones(5, "i8")}
    peer.save_file(tensors, path, metadata={"format": "pt"})
    sound = path.read_bytes()
    refused = 0
    for trial in range(3000):
        content = bytearray(sound)
        if trial % 3 == 0:
            del content[generator.randrange(len(content)) :]
        for _ in range(trial % 3):
            place = generator.randrange(len(sound) - 88)  # The header.
            content[place] = generator.randrange(256)
        path.write_bytes(content)
        try:
            for tensor in safetensors_file.read_header(path).values():
                tensor.read()
        except InputError:
            refused += 1
    assert refused > 2000


def write_shards(folder, shards, weight_map=None):
    for shard, tensors in shards.items():
        peer.save_file(tensors, folder / shard)
    if weight_map is None:
        weight_map = {
            name: shard for shard, tensors in shards.items() for name in tensors
        }
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": 0}, "weight_map": weight_map})
    )


def test_reads_shards(tmp_path):
    a, b = np.arange(3, dtype="f4"), np.arange(4, dtype="f4")
    write_shards(tmp_path, {"one": {"a": a, "c": a}, "two": {"b": b}})
    found = safetensors_file.read_sharded_header(tmp_path)
    assert found.keys() == {"a", "b", "c"}
    assert np.array_equal(found["b"].read(), b)
    assert found["a"].path == tmp_path / "one"


def test_one_file_goes_before_shards(tmp_path):
    write_shards(tmp_path, {"one": {"a": np.zeros(3, "f4")}})
    peer.save_file({"b": np.ones(2)}, tmp_path / "model.safetensors")
    assert safetensors_file.read_sharded_header(tmp_path).keys() == {"b"}


@pytest.mark.parametrize(
    "shard",
    ["../one", "/one", "a/one", "..", "", ".", "a\\one", "C:one", "one\0", 7],
)
def test_a_shard_stays_in_its_folder(tmp_path, shard):
    folder = tmp_path / "model"
    folder.mkdir()
    peer.save_file({"a": np.zeros(3, "f4")}, tmp_path / "one")
    write_shards(folder, {}, {"a": shard})
    with pytest.raises(InputError, match="without a path. Do not use this"):
        safetensors_file.read_sharded_header(folder)


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"a": "one"}, "only the shard has the tensor 'b'"),
        ({"a": "one", "b": "one", "c": "one"}, "only the index has .* 'c'"),
        ({"a": "one", "b": "two"}, "only the shard has the tensor 'b'"),
        ({"a": "two"}, "There is no file .*two"),
        ({}, "must have a weight_map"),
        ([], "must have a weight_map"),
    ],
)
def test_index_and_shards_must_agree(tmp_path, weight_map, message):
    tensors = {"a": np.zeros(3, "f4"), "b": np.zeros(3, "f4")}
    write_shards(tmp_path, {"one": tensors}, weight_map)
    with pytest.raises(InputError, match=message):
        safetensors_file.read_sharded_header(tmp_path)


@pytest.mark.parametrize("content", ["[", "[" * 200_000, "\xff", "[]", "3"])
def test_an_index_must_be_json(tmp_path, content):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(content, "latin-1")
    with pytest.raises(InputError, match="is not JSON|must have a weight_map"):
        safetensors_file.read_sharded_header(tmp_path)


def test_a_folder_without_weights_is_named(tmp_path):
    with pytest.raises(InputError, match="has neither model.safetensors nor"):
        safetensors_file.read_sharded_header(tmp_path)
