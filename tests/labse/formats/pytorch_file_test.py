"""The reader of PyTorch files against PyTorch, and against hostile files."""

import collections
import io
import os
import pathlib
import pickle
import random
import re
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest

from labse.errors import InputError
from labse.formats import pytorch_file, safetensors_file

torch = pytest.importorskip("torch")
# Of the files made here, and of random damage.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Detected pickle protocol"),
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated"),
    pytest.mark.filterwarnings("ignore:The given NumPy array"),
]

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
        archive.writestr("archive/version", b"3\n")
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
    found = pytorch_file.load_state_dict(tmp_path / "pytorch_model.bin")
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
    found = pytorch_file.load_state_dict(tmp_path / "weights.bin")
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
    found = pytorch_file.load_state_dict(tmp_path / "weights.bin")
    assert_equal(found, state, torch)
    assert np.shares_memory(found["tied"].map(), found["embeddings"].map())
    assert np.shares_memory(found["rows"].map(), found["embeddings"].map())


def test_reads_many_tensors(tmp_path, torch):
    """More than a batch of SETITEMS and more than 256 places in the memo."""
    state = {f"tensor.{n}": torch.full((2,), float(n)) for n in range(2500)}
    torch.save(state, tmp_path / "weights.bin")
    found = pytorch_file.load_state_dict(tmp_path / "weights.bin")
    assert_equal(found, state, torch)


def test_reads_views_that_are_not_row_major(tmp_path, torch):
    state = {"w": torch.randn(3, 4).t(), "ones": torch.ones(1).expand(5)}
    torch.save(state, tmp_path / "weights.bin")
    found = pytorch_file.load_state_dict(tmp_path / "weights.bin")
    assert_equal(found, state, torch)


def test_reads_a_file_before_1_6(tmp_path, torch):
    state = {"w": torch.randn(3, 4), "b": torch.arange(5).bfloat16()}
    torch.save(
        state, tmp_path / "weights.bin", _use_new_zipfile_serialization=False
    )
    found = pytorch_file.load_state_dict(tmp_path / "weights.bin")
    assert_equal(found, state, torch)


def test_a_table_is_mapped_and_not_copied(tmp_path, torch):
    torch.save({"w": torch.zeros(2**21, 8)}, tmp_path / "weights.bin")
    tensor = pytorch_file.load_state_dict(tmp_path / "weights.bin")["w"]
    tracemalloc.start()
    blocks = list(tensor.row_blocks())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(blocks) == 4  # 2**26 bytes in blocks of 2**24.
    assert all(np.shares_memory(block, tensor.map()) for block in blocks)
    assert np.shares_memory(tensor.read(), tensor.map())
    assert peak < 2**16
    with pytest.raises(ValueError, match="read-only"):
        tensor.map()[0] = 1
    maps = pathlib.Path("/proc/self/maps")
    if maps.exists():
        assert str(tmp_path / "weights.bin") in maps.read_text()


def test_the_command_that_makes_safetensors(tmp_path, torch):
    tied = torch.randn(2, 3)
    state = {"w": tied, "tied": tied, "t": tied.t()}
    torch.save(state, tmp_path / "pytorch_model.bin")
    command = re.fullmatch('python -c "(.+)"', pytorch_file.TO_SAFETENSORS)[1]
    subprocess.run([sys.executable, "-c", command], cwd=tmp_path, check=True)
    found = safetensors_file.read_header(tmp_path / "model.safetensors")
    assert_equal(found, state, torch)


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
        ({(1, 2): 3}, r"holds a int under \[1, 2\]"),
        ({"s": {1, 2}}, "holds a set under 's'"),
        ({"d": torch.device("cpu")}, "holds a device under 'd'"),
        ({"w": torch.eye(2).to_sparse()}, "'w' is torch.sparse_coo of"),
        ({"w": torch.ones(2).to(torch.float8_e5m2)}, "of torch.float8_e5m2"),
    ],
)
def test_other_contents_are_refused(tmp_path, torch, value, message):
    torch.save(value, tmp_path / "weights.bin")
    with pytest.raises(InputError, match=message):
        pytorch_file.load_state_dict(tmp_path / "weights.bin")


def test_a_whole_model_is_refused(tmp_path, torch):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "weights.bin")
    with pytest.raises(
        InputError,
        match=r"'torch.nn.modules.linear.Linear'.*Nothing .* was run",
    ):
        pytorch_file.load_state_dict(tmp_path / "weights.bin")


def test_another_protocol_is_refused(tmp_path, torch):
    torch.save(
        {"w": torch.ones(1)}, tmp_path / "weights.bin", pickle_protocol=4
    )
    with pytest.raises(InputError, match="raised UnpicklingError. Fetch"):
        pytorch_file.load_state_dict(tmp_path / "weights.bin")


def test_the_control_is_read(tmp_path):
    path = write_archive(
        tmp_path / "w",
        one_tensor(),
        {"data/0": np.arange(4.0, dtype="f4").data},
    )
    found = pytorch_file.load_state_dict(path)
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
        match="weights.bin refers to '(posix|nt).system'.*Nothing .* was run",
    ):
        pytorch_file.load_state_dict(path)
    assert not trap.exists()
    if place == "root":  # The control: the trap does work.
        pickle.loads(pickled)
        assert trap.exists()


BUILTIN = b"c__builtin__\neval\n"
CALL = text("1+1") + b"\x85R"
PATH = b"X\x04\0\0\0PATH"
UNPICKLING = "raised UnpicklingError"
SENSELESS = "is not a valid PyTorch file: PyTorch raised"
# Name of the case -> pickle, part of the message.
HOSTILE = {
    "eval": (BUILTIN + CALL + b".", "refers to 'eval'"),
    "getattr": (b"c__builtin__\ngetattr\n.", "refers to 'getattr'"),
    "import": (b"c__builtin__\n__import__\n.", "refers to '__import__'"),
    "below a name": (
        b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n.",
        "_rebuild_tensor_v2.__globals__'",
    ),
    "below a class": (
        b"ctorch\nFloatStorage.__class__\n.",
        "'torch.FloatStorage.__class__'",
    ),
    "module with a dot": (b"ctorch._utils._rebuild\nx\n.", "'torch._utils._re"),
    "torch's loader": (b"ctorch\nload\n.", "'torch.load'"),
    "INST": (b"(" + text("1+1") + b"i__builtin__\neval\n.", UNPICKLING),
    "OBJ": (b"(ccollections\nOrderedDict\no.", UNPICKLING),
    "NEWOBJ": (b"ctorch\nFloatStorage\n)\x81.", "raised TypeError"),
    "NEWOBJ_EX": (
        b"ccollections\nOrderedDict\n)}\x92.",
        UNPICKLING,
    ),
    "STACK_GLOBAL": (
        text("builtins") + text("eval") + b"\x93.",
        UNPICKLING,
    ),
    "EXT1": (b"\x82\x01.", UNPICKLING),
    "EXT2": (b"\x83\x01\0.", UNPICKLING),
    "EXT4": (b"\x84\x01\0\0\0.", UNPICKLING),
    "PERSID": (b"P0\n.", UNPICKLING),
    "BYTEARRAY8": (b"\x96" + bytes(8) + b".", UNPICKLING),
    "state of a class": (
        b"ccollections\nOrderedDict\n}" + PATH + b"K\1sb.",
        UNPICKLING,
    ),
    UNPICKLING: (b"]}b.", UNPICKLING),
    "call of a class": (
        b"ctorch\nFloatStorage\n)R.",
        "raised TypeError",
    ),
    "call with values": (
        b"ccollections\nOrderedDict\nK\1\x85R.",
        "raised TypeError",
    ),
    "call of a text": (text("eval") + CALL + b".", SENSELESS),
    "call of a tensor": (one_tensor()[:-1] + b")R.", SENSELESS),
    "storage of a text": (
        STORAGE.replace(b"ctorch\nFloatStorage\n", text("os")) + b".",
        SENSELESS,
    ),
    "storage of a name": (
        STORAGE.replace(b"ctorch\nFloatStorage\n", DICT[:-2]) + b".",
        SENSELESS,
    ),
    "nothing": (b".", SENSELESS),
    "empty": (b"", SENSELESS),
    "no STOP": (b"}", SENSELESS),
    "no mark": (b"}t.", SENSELESS),
    "odd items": (b"}(" + PATH + b"u.", SENSELESS),
    "items of a list": (b"]" + PATH + b"K\1s.", SENSELESS),
    "key of a tuple": (b"})K\1s.", r"holds a int under \[\]"),
    "unknown memo": (b"h\x05.", SENSELESS),
    "unknown instruction": (b"\xff.", SENSELESS),
    "wrong text": (b"X\x01\0\0\0\xff.", SENSELESS),
    # Counts far beyond the file.
    "long text": (b"X\xff\xff\xff\xffabc.", SENSELESS),
    "longer text": (b"\x8d" + b"\xff" * 8 + b"abc.", SENSELESS),
    "long number": (b"\x8b\xff\xff\xff\x7fabc.", SENSELESS),
    "long bytes": (b"\x8e" + b"\xff" * 8 + b"abc.", SENSELESS),
    "digits": (b"I" + b"9" * 5000 + b"\n.", SENSELESS),
    "far memo": (b"}r\xff\xff\xff\xffh\0.", SENSELESS),
    # Structures without end, or that double with each step.
    "nested tuples": (b")" + b"\x85" * 300_000 + b".", "holds a tuple"),
    "nested lists": (b"]" * 9 + b"]" * 300_000 + b"a" * 300_000 + b".", "list"),
    "doubling": (b")" + b"q\0h\0\x86" * 50_000 + b".", "holds a tuple"),
    "itself": (b"}q\0" + PATH + b"h\0s.", "a dictionary under 'PATH'"),
    "many marks": (b"(" * 1_000_000 + b".", SENSELESS),
    "doubling shape": (
        one_tensor(shape=b")" + b"q\0h\0\x86" * 50_000),
        "raised TypeError",
    ),
    "doubling offset": (
        one_tensor(offset=b")" + b"q\0h\0\x86" * 50_000),
        "raised TypeError",
    ),
    "long pickle": (b"}" + b"0}" * 2**21 + b".", UNPICKLING),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickles_are_refused(tmp_path, case):
    pickled, message = HOSTILE[case]
    path = write_archive(tmp_path / "weights.bin", pickled)
    with pytest.raises(InputError, match=message) as caught:
        pytorch_file.load_state_dict(path)
    assert len(str(caught.value)) < 600


# Name of the case -> changes of the sound pickle, part of the message.
WRONG_TENSORS = {
    "too long": ({"shape": b"K\x05\x85"}, "raised RuntimeError"),
    "too far": ({"offset": b"K\x01"}, "raised RuntimeError"),
    "before": ({"offset": b"J\xff\xff\xff\xff"}, "raised RuntimeError"),
    "negative": ({"shape": b"J\xff\xff\xff\xff\x85"}, "raised RuntimeError"),
    "no number": ({"shape": b"N\x85"}, "raised TypeError"),
    "no tuple": ({"shape": b"K\x04"}, "raised TypeError"),
    "odd strides": ({"strides": b"N\x85"}, "raised TypeError"),
    "long strides": ({"strides": b"K\x02\x85"}, "raised RuntimeError"),
    "many strides": ({"strides": b"K\x01K\x01\x86"}, "raised RuntimeError"),
    "huge": (
        {
            "shape": b"J\xff\xff\xff\x7f" * 3 + b"\x87",
            "strides": b"K\1" * 3 + b"\x87",
        },
        "raised RuntimeError",
    ),
}


@pytest.mark.parametrize("case", WRONG_TENSORS)
def test_tensors_must_fit_their_storage(tmp_path, case):
    changes, message = WRONG_TENSORS[case]
    path = write_archive(tmp_path / "weights.bin", one_tensor(**changes))
    with pytest.raises(InputError, match=message):
        pytorch_file.load_state_dict(path)


def test_the_archive_must_fit_the_pickle(tmp_path):
    path = tmp_path / "weights.bin"
    write_archive(path, one_tensor(), {"data/1": bytes(16)})
    with pytest.raises(InputError, match="raised RuntimeError"):
        pytorch_file.load_state_dict(path)
    # PyTorch alone would read on into what comes after the entry.
    write_archive(path, one_tensor(), {"data/0": bytes(15)})
    with pytest.raises(InputError, match="no entry has the 16 bytes"):
        pytorch_file.load_state_dict(path)
    write_archive(path, one_tensor(), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="'archive/data.pkl' is compressed"):
        pytorch_file.load_state_dict(path)


def test_reads_what_a_big_endian_machine_wrote(tmp_path):
    values = np.arange(4, dtype=">f4").tobytes()
    entries = {"data/0": values, "byteorder": b"big"}
    path = write_archive(tmp_path / "weights.bin", one_tensor(), entries)
    found = pytorch_file.load_state_dict(path)["w"]
    assert found.read().tolist() == [0, 1, 2, 3]


def test_a_flipped_bit_of_data(tmp_path, torch):
    path = tmp_path / "weights.bin"
    torch.save({"w": torch.full((100,), 1.5)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(1.5).tobytes()) + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged or truncated .*Bad CRC-32"):
        pytorch_file.load_state_dict(path)


def test_one_pickle_must_be_found(tmp_path):
    path = tmp_path / "weights.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/version", b"3\n")
    with pytest.raises(InputError, match="raised RuntimeError"):
        pytorch_file.load_state_dict(path)
    with (
        zipfile.ZipFile(path, "w") as archive,
        pytest.warns(UserWarning, match="Duplicate"),
    ):
        archive.writestr("a/version", b"3\n")
        archive.writestr("a/data.pkl", one_tensor())
        archive.writestr("a/data.pkl", one_tensor())
    with pytest.raises(InputError, match="two entries have one name"):
        pytorch_file.load_state_dict(path)


def test_a_long_list_of_entries_is_refused(tmp_path):
    path = write_archive(tmp_path / "weights.bin", one_tensor())
    content = bytearray(path.read_bytes())
    end = content.rindex(b"PK\5\6")
    # The list's size and place in the archive's last record.
    content[end + 12 : end + 20] = (2**23).to_bytes(4, "little") + bytes(4)
    content[end:end] = bytes(2**23)
    path.write_bytes(content)
    with pytest.raises(InputError, match="zip archive is damaged or truncated"):
        pytorch_file.load_state_dict(path)


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
        (tar_archive(), "is not a valid PyTorch file: PyTorch raised"),
        (pickle.dumps({}, 2), "is not a valid PyTorch file: PyTorch raised"),
        (b"", "is not a valid PyTorch file: PyTorch raised"),
        (b"PK\x03\x04", "zip archive is damaged or truncated"),
        (b"PK\x03\x04" * 99, "zip archive is damaged or truncated .*not a zip"),
    ],
)
def test_other_content_is_named(tmp_path, content, message):
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        pytorch_file.load_state_dict(path)


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
            for tensor in pytorch_file.load_state_dict(path).values():
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
            pytorch_file.load_state_dict(path)["w"].read()
        except InputError:
            pass
        except KeyError:  # Another name.
            assert b"X\x01\0\0\0w" not in content
