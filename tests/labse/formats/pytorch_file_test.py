"""The reader of PyTorch files against PyTorch, and against hostile files."""

import collections
import io
import os
import pickle
import random
import tarfile
import zipfile

import numpy as np
import pytest

from labse.errors import InputError
from labse.formats import pytorch_file

# Some bytes of random damage make pickletools read an old kind of text.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")

DICT = b"ccollections\nOrderedDict\n)R"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"(" + b"".join(
    [
        b"X\x07\0\0\0storage",
        b"ctorch\nFloatStorage\n",
        b"X\x01\0\0\0000",
        b"X\x03\0\0\0cpu",
        b"K\x04",
        b"tQ",
    ]
)


def write_archive(path, pickled, entries=None, compression=zipfile.ZIP_STORED):
    """An archive as `torch.save` makes it, with any pickle."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, content in (entries or {"data/0": bytes(16)}).items():
            archive.writestr(f"archive/{name}", content)
    return path


def one_tensor(shape=b"K\x04\x85", strides=b"K\x01\x85", offset=b"K\0"):
    """The pickle of a state dict with the tensor "w", by hand."""
    arguments = (
        b"(" + STORAGE + offset + shape + strides + b"\x89" + DICT + b"t"
    )
    return b"\x80\x02" + DICT + text("w") + TENSOR + arguments + b"Rs."


def text(value):
    content = value.encode()
    return b"X" + len(content).to_bytes(4, "little") + content


def assert_equal(found, expected, torch):
    """Same names, types, shapes and bits."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        tensor = tensor.detach().contiguous()
        assert found[name].shape == tuple(tensor.shape)
        assert str(found[name].dtype) == str(tensor.dtype).removeprefix(
            "torch."
        )
        bits = tensor.flatten().view(torch.uint8).numpy().tobytes()
        assert found[name].read().tobytes() == bits


def test_reads_a_module_with_its_metadata(tmp_path, torch):
    module = torch.nn.Sequential(
        torch.nn.Embedding(5, 3), torch.nn.Linear(3, 4), torch.nn.LayerNorm(4)
    )
    state = module.state_dict()
    assert state._metadata
    torch.save(state, tmp_path / "pytorch_model.bin")
    found = pytorch_file.read_header(tmp_path / "pytorch_model.bin")
    assert_equal(found, state, torch)
    assert list(found) == list(state)


@pytest.mark.parametrize("kind", [dict, collections.OrderedDict])
def test_reads_all_types(tmp_path, torch, kind):
    values = torch.tensor([[0.0, 1.5, -2.0], [200.0, 3e-5, 1e4]])
    state = kind(
        (f"{dtype}".removeprefix("torch."), values.abs().to(dtype))
        for dtype in (
            torch.float64,
            torch.float32,
            torch.float16,
            torch.bfloat16,
            torch.int64,
            torch.int32,
            torch.int16,
            torch.int8,
            torch.uint8,
            torch.bool,
        )
    )
    torch.save(state, tmp_path / "weights.bin")
    found = pytorch_file.read_header(tmp_path / "weights.bin")
    assert_equal(found, state, torch)


def test_reads_tied_cut_out_and_odd_shapes(tmp_path, torch):
    whole = torch.randn(6, 3)
    state = {
        "embeddings": whole,
        "tied": whole,
        "rows": whole[2:5],
        "row": whole[4],
        "one row": whole.t()[:, :1].t(),  # Strides (1, 3), one row.
        "column of one": torch.randn(4, 1).t(),
        "scalar": torch.tensor(3.0),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
        "deep": torch.randn(2, 1, 3, 1),
        "name with ü": torch.ones(1),
    }
    del state["one row"]
    torch.save(state, tmp_path / "weights.bin")
    found = pytorch_file.read_header(tmp_path / "weights.bin")
    assert_equal(found, state, torch)
    assert found["tied"].offset == found["embeddings"].offset
    assert found["rows"].offset == found["embeddings"].offset + 2 * 3 * 4


def test_reads_many_tensors(tmp_path, torch):
    """More than a batch of SETITEMS and more than 256 places in the memo."""
    state = {f"tensor.{n}": torch.full((2,), float(n)) for n in range(2500)}
    torch.save(state, tmp_path / "weights.bin")
    found = pytorch_file.read_header(tmp_path / "weights.bin")
    assert_equal(found, state, torch)


def test_a_view_that_is_not_row_major_is_refused(tmp_path, torch):
    torch.save({"w": torch.randn(3, 4).t()}, tmp_path / "weights.bin")
    with pytest.raises(
        InputError, match=r"'w' \(4, 3\) is not stored row by row .*\[1, 4\]"
    ):
        pytorch_file.read_header(tmp_path / "weights.bin")
    torch.save({"w": torch.ones(1).expand(5)}, tmp_path / "weights.bin")
    with pytest.raises(InputError, match=r"strides \[0\]"):
        pytorch_file.read_header(tmp_path / "weights.bin")


def test_a_file_before_1_6_is_refused(tmp_path, torch):
    torch.save(
        {"w": torch.ones(3)},
        tmp_path / "weights.bin",
        _use_new_zipfile_serialization=False,
    )
    with pytest.raises(InputError, match="before 1.6.*safetensors.torch"):
        pytorch_file.read_header(tmp_path / "weights.bin")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"state_dict": {}}, r"a dictionary under 'state_dict'.*\)\['state_d"),
        ({"epoch": 3}, "holds a int under 'epoch'"),
        ({"name": "x"}, "holds a str under 'name'"),
        ({"list": [1, 2, 3]}, "holds a list under 'list'"),
        ({"none": None, "float": 1.5}, "holds a NoneType under 'none'"),
        ([1, 2], "mapping of names to tensors. It holds a list"),
        (3, "It holds a int"),
        ({3: {"exp_avg": True}}, "a dictionary under 3"),
        ({(1, 2): 3}, "its pickle makes no sense"),
        ({"s": {1, 2}}, r"asks for '__builtin__ set'.*Nothing .* was run"),
    ],
)
def test_other_contents_are_refused(tmp_path, torch, value, message):
    torch.save(value, tmp_path / "weights.bin")
    with pytest.raises(InputError, match=message):
        pytorch_file.read_header(tmp_path / "weights.bin")


def test_a_whole_model_is_refused(tmp_path, torch):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "weights.bin")
    with pytest.raises(InputError, match=r"'torch.nn.modules.linear Linear'"):
        pytorch_file.read_header(tmp_path / "weights.bin")


def test_another_protocol_is_refused(tmp_path, torch):
    torch.save(
        {"w": torch.ones(1)}, tmp_path / "weights.bin", pickle_protocol=4
    )
    with pytest.raises(InputError, match="instruction FRAME.*safetensors"):
        pytorch_file.read_header(tmp_path / "weights.bin")


def test_the_control_is_read(tmp_path):
    path = write_archive(
        tmp_path / "w",
        one_tensor(),
        {"data/0": np.arange(4.0, dtype="f4").data},
    )
    found = pytorch_file.read_header(path)
    assert found["w"].read().tolist() == [0, 1, 2, 3]


class Run:
    """Runs a shell command where it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("place", ["root", "value", "state", "argument"])
def test_nothing_is_run(tmp_path, place):
    trap = tmp_path / "ran"
    call = pickle.dumps(Run(f"touch {trap}"), protocol=2)[2:-1]
    pickled = {
        "root": b"\x80\x02" + call + b".",
        "value": b"\x80\x02" + DICT + text("w") + call + b"s.",
        "state": b"\x80\x02" + DICT + call + b"b.",
        "argument": b"\x80\x02" + TENSOR + b"(" + call + b"tR.",
    }[place]
    path = write_archive(tmp_path / "weights.bin", pickled)
    with pytest.raises(
        InputError,
        match="weights.bin: .*asks for '(posix|nt) system'.*Nothing .* was run",
    ):
        pytorch_file.read_header(path)
    assert not trap.exists()
    if place == "root":  # The control: the trap does work.
        pickle.loads(pickled)
        assert trap.exists()


BUILTIN = b"c__builtin__\neval\n"
CALL = text("1+1") + b"\x85R"
PATH = b"X\x04\0\0\0PATH"
# Name of the case -> pickle, part of the message.
HOSTILE = {
    "eval": (BUILTIN + CALL + b".", "'__builtin__ eval'"),
    "getattr": (b"c__builtin__\ngetattr\n.", "'__builtin__ getattr'"),
    "import": (b"c__builtin__\n__import__\n.", "'__builtin__ __import__'"),
    "below a name": (
        b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n.",
        "_rebuild_tensor_v2.__globals__'",
    ),
    "below a class": (
        b"ctorch\nFloatStorage.__class__\n.",
        "'torch FloatStorage.__class__'",
    ),
    "module with a dot": (b"ctorch._utils._rebuild\nx\n.", "'torch._utils._re"),
    "torch's loader": (b"ctorch\nload\n.", "'torch load'"),
    "INST": (b"(" + text("1+1") + b"i__builtin__\neval\n.", "instruction INST"),
    "OBJ": (b"(ccollections\nOrderedDict\no.", "instruction OBJ"),
    "NEWOBJ": (b"ccollections\nOrderedDict\n)\x81.", "instruction NEWOBJ"),
    "NEWOBJ_EX": (
        b"ccollections\nOrderedDict\n)}\x92.",
        "instruction NEWOBJ_EX",
    ),
    "STACK_GLOBAL": (
        text("builtins") + text("eval") + b"\x93.",
        "instruction STACK_GLOBAL",
    ),
    "EXT1": (b"\x82\x01.", "instruction EXT1"),
    "EXT2": (b"\x83\x01\0.", "instruction EXT2"),
    "EXT4": (b"\x84\x01\0\0\0.", "instruction EXT4"),
    "PERSID": (b"P0\n.", "instruction PERSID"),
    "BYTEARRAY8": (b"\x96" + bytes(8) + b".", "instruction BYTEARRAY8"),
    "state of a class": (
        b"ccollections\nOrderedDict\n}" + PATH + b"K\1sb.",
        "state of a 'collections OrderedDict'",
    ),
    "state of a list": (b"]}b.", "state of a list"),
    "call of a class": (
        b"ctorch\nFloatStorage\n)R.",
        "calls 'torch FloatStorage' with 0 arguments",
    ),
    "call with values": (
        b"ccollections\nOrderedDict\n]\x85R.",
        "calls 'collections OrderedDict' with 1 arguments",
    ),
    "call of a text": (text("eval") + CALL + b".", "makes no sense"),
    "call of a tensor": (one_tensor()[:-1] + b")R.", "makes no sense"),
    "storage of a text": (
        STORAGE.replace(b"ctorch\nFloatStorage\n", text("os")) + b".",
        "makes no sense",
    ),
    "storage of a name": (
        STORAGE.replace(b"ctorch\nFloatStorage\n", DICT[:-2]) + b".",
        "makes no sense",
    ),
    "nothing": (b".", "makes no sense"),
    "empty": (b"", "makes no sense"),
    "no STOP": (b"}", "makes no sense"),
    "no mark": (b"}t.", "makes no sense"),
    "odd items": (b"}(" + PATH + b"u.", "makes no sense"),
    "items of a list": (b"]" + PATH + b"K\1s.", "makes no sense"),
    "key of a tuple": (b"})K\1s.", "makes no sense"),
    "unknown memo": (b"h\x05.", "makes no sense"),
    "unknown instruction": (b"\xff.", "makes no sense"),
    "wrong text": (b"X\x01\0\0\0\xff.", "makes no sense"),
    # Counts far beyond the file.
    "long text": (b"X\xff\xff\xff\xffabc.", "makes no sense"),
    "longer text": (b"\x8d" + b"\xff" * 8 + b"abc.", "makes no sense"),
    "long number": (b"\x8b\xff\xff\xff\x7fabc.", "makes no sense"),
    "long bytes": (b"\x8e" + b"\xff" * 8 + b"abc.", "makes no sense"),
    "digits": (b"I" + b"9" * 5000 + b"\n.", "makes no sense"),
    "far memo": (b"}r\xff\xff\xff\xffh\0.", "makes no sense"),
    # Structures without end, or that double with each step.
    "nested tuples": (b")" + b"\x85" * 300_000 + b".", "holds a tuple"),
    "nested lists": (b"]" * 9 + b"]" * 300_000 + b"a" * 300_000 + b".", "list"),
    "doubling": (b")" + b"q\0h\0\x86" * 50_000 + b".", "holds a tuple"),
    "itself": (b"}q\0" + PATH + b"h\0s.", "a dictionary under 'PATH'"),
    "many marks": (b"(" * 1_000_000 + b".", "It holds a"),
    "doubling shape": (
        one_tensor(shape=b")" + b"q\0h\0\x86" * 50_000),
        "the shape of 'w' is a list of 2",
    ),
    "doubling offset": (
        one_tensor(offset=b")" + b"q\0h\0\x86" * 50_000),
        "'w' begins at number a list of 2",
    ),
    "long pickle": (b"}" + b"0}" * 2**21 + b".", "a state dict's at most"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickles_are_refused(tmp_path, case):
    pickled, message = HOSTILE[case]
    path = write_archive(tmp_path / "weights.bin", pickled)
    with pytest.raises(InputError, match=message) as caught:
        pytorch_file.read_header(path)
    assert len(str(caught.value)) < 600


# Name of the case -> changes of the sound pickle, part of the message.
WRONG_TENSORS = {
    "too long": ({"shape": b"K\x05\x85"}, "does not fit its storage of 4"),
    "too far": ({"offset": b"K\x01"}, "does not fit its storage"),
    "before": ({"offset": b"J\xff\xff\xff\xff"}, "begins at number -1"),
    "negative": ({"shape": b"J\xff\xff\xff\xff\x85"}, r"'w' is \[-1\]"),
    "no number": ({"shape": b"N\x85"}, r"shape of 'w' is \[None\]"),
    "no tuple": ({"shape": b"K\x04"}, "shape of 'w' is 4"),
    "strides": ({"strides": b")"}, r"'w' has strides \[\]"),
    "no strides": ({"strides": b"N"}, "'w' has strides None"),
    "odd strides": ({"strides": b"N\x85"}, r"strides \[None\]"),
    "huge": (
        {
            "shape": b"J\xff\xff\xff\x7f" * 3 + b"\x87",
            "strides": b"K\1" * 3 + b"\x87",
        },
        "the shape of 'w' is",
    ),
}


@pytest.mark.parametrize("case", WRONG_TENSORS)
def test_tensors_must_fit_their_storage(tmp_path, case):
    changes, message = WRONG_TENSORS[case]
    path = write_archive(tmp_path / "weights.bin", one_tensor(**changes))
    with pytest.raises(InputError, match=message):
        pytorch_file.read_header(path)


def test_the_archive_must_fit_the_pickle(tmp_path):
    path = tmp_path / "weights.bin"
    write_archive(path, one_tensor(), {"data/1": bytes(16)})
    with pytest.raises(InputError, match="entry 'data/0' is missing"):
        pytorch_file.read_header(path)
    write_archive(path, one_tensor(), {"data/0": bytes(15)})
    with pytest.raises(InputError, match="has 15 bytes, its pickle says 4 of"):
        pytorch_file.read_header(path)
    write_archive(path, one_tensor(), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="'data.pkl' is compressed"):
        pytorch_file.read_header(path)
    write_archive(
        path, one_tensor(), {"data/0": bytes(16), "byteorder": b"big"}
    )
    with pytest.raises(InputError, match="on a big-endian machine"):
        pytorch_file.read_header(path)


def test_one_pickle_must_be_found(tmp_path):
    path = tmp_path / "weights.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/version", b"3\n")
    with pytest.raises(InputError, match="with 0 entries NAME/data.pkl"):
        pytorch_file.read_header(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", one_tensor())
        archive.writestr("b/data.pkl", one_tensor())
    with pytest.raises(InputError, match="with 2 entries NAME/data.pkl"):
        pytorch_file.read_header(path)
    with (
        zipfile.ZipFile(path, "w") as archive,
        pytest.warns(UserWarning, match="Duplicate"),
    ):
        archive.writestr("a/data.pkl", one_tensor())
        archive.writestr("a/data.pkl", one_tensor())
    with pytest.raises(InputError, match="two entries have one name"):
        pytorch_file.read_header(path)


def test_a_long_list_of_entries_is_not_read(tmp_path):
    path = write_archive(tmp_path / "weights.bin", one_tensor())
    content = bytearray(path.read_bytes())
    end = content.rindex(b"PK\5\6")
    # The list's size and place in the archive's last record.
    content[end + 12 : end + 20] = (2**23).to_bytes(4, "little") + bytes(4)
    content[end:end] = bytes(2**23)
    path.write_bytes(content)
    with pytest.raises(InputError, match="its list of entries is cut off"):
        pytorch_file.read_header(path)


def tar_archive():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "is a Git LFS pointer.*`git lfs pull`",
        ),
        (b"<html><body>Not found", "is a web page, not weights"),
        (tar_archive(), "is a tar archive"),
        (pickle.dumps({}, 2), "is a bare pickle"),
        (b"", "is not a PyTorch file"),
        (b"PK\x03\x04", "it is shorter than it says"),
        (b"PK\x03\x04" * 99, "not a zip file.; maybe it was cut off"),
    ],
)
def test_other_content_is_named(tmp_path, content, message):
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        pytorch_file.read_header(path)


def test_damage_is_always_an_input_error(tmp_path, torch):
    generator = random.Random(0)
    path = tmp_path / "damaged.bin"
    torch.save({"a.weight": torch.ones(3, 4), "b": torch.arange(5)}, path)
    sound = path.read_bytes()
    # All but the zeros and the filling between entries.
    places = [n for n, byte in enumerate(sound) if byte not in b"\0Z"]
    refused = 0
    for trial in range(4000):
        content = bytearray(sound)
        if trial % 4 == 0:
            del content[generator.randrange(len(content)) :]
        for _ in range(trial % 4):
            content[generator.choice(places)] = generator.randrange(256)
        path.write_bytes(content)
        try:
            for tensor in pytorch_file.read_header(path).values():
                tensor.read()
        except InputError:
            refused += 1
    assert refused > 2000


def test_a_damaged_pickle_is_always_an_input_error(tmp_path):
    generator = random.Random(1)
    sound = one_tensor()
    path = tmp_path / "weights.bin"
    for _ in range(3000):
        content = bytearray(sound)
        for _ in range(generator.randrange(1, 4)):
            content[generator.randrange(len(content))] = generator.randrange(
                256
            )
        write_archive(path, bytes(content))
        try:
            pytorch_file.read_header(path)["w"].read()
        except InputError:
            pass
        except KeyError:  # Another name.
            assert b"X\x01\0\0\0w" not in content
