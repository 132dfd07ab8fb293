"""Reads the pickle of a PyTorch state dict without unpickling it.

A pickle is a program for a small stack machine, and one of its instructions
calls any Python function by name. This interpreter has only the instructions
that a state dict is written with (pickle protocol 2, what `torch.save` uses)
and looks nothing up: the few names it knows stand for themselves, everything
else ends the reading. No function that a file names is ever called.

The instructions: CPython's `pickletools`. The names and arguments:
https://github.com/pytorch/pytorch/blob/v2.13.0/torch/_utils.py and
`torch/serialization.py` there.
"""

import dataclasses
import pathlib
import pickletools

import ml_dtypes
import numpy as np

from labse.errors import InputError
from labse.formats import model_file
from labse.formats.weight_file import shown

# Room for 5,000 tensors; BERT Base has 199 in 37 kB. It bounds the number of
# instructions, and so time and memory.
MAX_BYTES = 2**20

_ORDERED_DICT = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"
_PARAMETER = "torch._utils _rebuild_parameter"
STORAGES = {
    "torch DoubleStorage": np.dtype("<f8"),
    "torch FloatStorage": np.dtype("<f4"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "torch LongStorage": np.dtype("<i8"),
    "torch IntStorage": np.dtype("<i4"),
    "torch ShortStorage": np.dtype("<i2"),
    "torch CharStorage": np.dtype("i1"),
    "torch ByteStorage": np.dtype("u1"),
    "torch BoolStorage": np.dtype("?"),
}
_KNOWN = {_ORDERED_DICT, _TENSOR, _PARAMETER, *STORAGES}

_CONVERT = (
    "Nothing in the file was run. If you trust where it comes from, convert "
    "it to safetensors in PyTorch: safetensors.torch.save_file(torch.load("
    "path, weights_only=True), 'model.safetensors')."
)


@dataclasses.dataclass(frozen=True)
class Storage:
    """A run of numbers, an entry of the archive.

    Attributes:
      key: its name under `data/`.
      dtype: of the numbers.
      length: how many.
    """

    key: str
    dtype: np.dtype
    length: int


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A view of a storage; what its fields hold is not checked.

    Attributes:
      storage: whose numbers it shows.
      offset: of its first number, in numbers.
      shape: its dimensions.
      strides: numbers from one index to the next, for each dimension.
    """

    storage: Storage
    offset: object
    shape: object
    strides: object


@dataclasses.dataclass(frozen=True)
class _Name:
    """A global: only its name."""

    name: str


_MARK = _Name("(mark)")


def read(path: pathlib.Path, content: bytes) -> dict[str, Tensor]:
    """The tensors by name.

    Args:
      path: for messages.
      content: the pickle, at most `MAX_BYTES` by the caller's care.

    Raises:
      InputError: the pickle holds anything but a flat state dict.
    """
    machine = _Machine(path)
    try:
        for opcode, argument, _ in pickletools.genops(content):
            machine.step(opcode.name, argument)
    except InputError:
        raise
    # What pickletools raises for instructions cut short, and what the machine
    # does where the stack or the memo lacks what an instruction needs.
    except (ValueError, OverflowError, IndexError, KeyError) as error:
        raise model_file.damaged(
            path,
            f"is damaged: its pickle makes no sense ({type(error).__name__})",
        ) from error
    return _flat(path, machine.result)


def _flat(path: pathlib.Path, result: object) -> dict[str, Tensor]:
    """Checks that `result` is name -> tensor."""
    if not isinstance(result, dict):
        raise InputError(
            f"{path} must hold a state dict, a mapping of names to tensors. "
            f"It holds a {_kind(result)}. Save model.state_dict() instead."
        )
    for name, value in result.items():
        if isinstance(value, dict):
            raise InputError(
                f"{path} must hold a flat state dict. It holds a dictionary "
                f"under {shown(name)}. If that is the model's, save it alone "
                f"in PyTorch: torch.save(torch.load(path)[{shown(name)}], "
                "'pytorch_model.bin')."
            )
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise InputError(
                f"{path} must hold a flat state dict, names and tensors only. "
                f"It holds a {_kind(value)} under {shown(name)}. Save "
                "model.state_dict() alone."
            )
    return result


def _kind(value: object) -> str:
    """The type in the reader's words; never the value, it may be endless."""
    if isinstance(value, Tensor | Storage):
        return type(value).__name__.lower()
    return (
        shown(value.name) if isinstance(value, _Name) else type(value).__name__
    )


class _Machine:
    """The stack machine. `result` is what the program leaves."""

    def __init__(self, path: pathlib.Path):
        self._path = path
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}
        self.result: object = None

    def step(self, name: str, argument: object) -> None:
        """One instruction."""
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _NUMBERS_AND_TEXT:
            self._stack.append(argument)
        elif name in _TUPLES:
            size = _TUPLES[name]
            self._stack.append(tuple(self._pop_many(size)))
        elif name in _PUTS:
            self._memo[argument] = self._stack[-1]
        elif name in _GETS:
            self._stack.append(self._memo[argument])
        elif name in _STEPS:
            _STEPS[name](self)
        elif name == "GLOBAL":
            self._push_global(argument)
        elif name != "PROTO":
            raise InputError(
                f"{self._path}: its pickle has the instruction {name}, which "
                f"torch.save writes for no state dict. {_CONVERT}"
            )

    def _pop_many(self, size: int) -> list[object]:
        if size > len(self._stack):
            raise IndexError
        popped = self._stack[len(self._stack) - size :]
        del self._stack[len(self._stack) - size :]
        return popped

    def _pop_to_mark(self) -> list[object]:
        position = len(self._stack) - 1
        while self._stack[position] is not _MARK:
            position -= 1
            if position < 0:
                raise IndexError
        items = self._stack[position + 1 :]
        del self._stack[position:]
        return items

    def _push_global(self, name: str) -> None:
        if name not in _KNOWN:
            raise InputError(
                f"{self._path}: its pickle asks for {shown(name)} (module and "
                f"name), which no state dict needs. {_CONVERT}"
            )
        self._stack.append(_Name(name))

    def _push_dict(self) -> None:
        self._stack.append({})

    def _push_list(self) -> None:
        self._stack.append([])

    def _make_tuple(self) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def _append(self) -> None:
        self._extend(self._pop_many(1))

    def _appends(self) -> None:
        self._extend(self._pop_to_mark())

    def _extend(self, items: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise ValueError
        target.extend(items)

    def _set_item(self) -> None:
        self._set(self._pop_many(2))

    def _set_items(self) -> None:
        self._set(self._pop_to_mark())

    def _set(self, items: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise ValueError
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Others could be nested without end, and hashing follows.
            if type(key) not in (str, int):
                raise ValueError
            target[key] = value

    def _reduce(self) -> None:
        """A "call" of one of the known names."""
        function, arguments = self._pop_many(2)
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise ValueError
        if function.name == _ORDERED_DICT and arguments == ():
            self._stack.append({})
        elif function.name == _TENSOR and 6 <= len(arguments) <= 7:
            storage, offset, shape, strides = arguments[:4]
            if not isinstance(storage, Storage):
                raise ValueError
            self._stack.append(Tensor(storage, offset, shape, strides))
        elif function.name == _PARAMETER and len(arguments) == 3:
            if not isinstance(arguments[0], Tensor):
                raise ValueError
            self._stack.append(arguments[0])
        else:
            raise InputError(
                f"{self._path}: its pickle calls {shown(function.name)} with "
                f"{len(arguments)} arguments, as no state dict does. "
                f"{_CONVERT}"
            )

    def _build(self) -> None:
        """Attributes: a state dict's `_metadata` (versions), not needed."""
        target, _ = self._pop_many(2)
        if not isinstance(target, dict):
            raise InputError(
                f"{self._path}: its pickle sets the state of a "
                f"{_kind(target)}, as no state dict does. {_CONVERT}"
            )
        self._stack.append(target)

    def _push_storage(self) -> None:
        """("storage", type, key, device, numbers) is an entry's name."""
        (identity,) = self._pop_many(1)
        if not isinstance(identity, tuple) or len(identity) != 5:
            raise ValueError
        word, kind, key, _, length = identity
        if (
            not (isinstance(word, str) and word == "storage")
            or not (isinstance(kind, _Name) and kind.name in STORAGES)
            or not isinstance(key, str)
            or not (type(length) is int and length >= 0)
        ):
            raise ValueError
        self._stack.append(Storage(key, STORAGES[kind.name], length))

    def _push_mark(self) -> None:
        self._stack.append(_MARK)

    def _stop(self) -> None:
        (self.result,) = self._pop_many(1)


_CONSTANTS = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "EMPTY_TUPLE": (),
}
_NUMBERS_AND_TEXT = {
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "BINFLOAT",
    "BINUNICODE",
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = {"BINPUT", "LONG_BINPUT"}
_GETS = {"BINGET", "LONG_BINGET"}
_STEPS = {
    "MARK": _Machine._push_mark,
    "EMPTY_DICT": _Machine._push_dict,
    "EMPTY_LIST": _Machine._push_list,
    "TUPLE": _Machine._make_tuple,
    "APPEND": _Machine._append,
    "APPENDS": _Machine._appends,
    "SETITEM": _Machine._set_item,
    "SETITEMS": _Machine._set_items,
    "REDUCE": _Machine._reduce,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._push_storage,
    "STOP": _Machine._stop,
}
