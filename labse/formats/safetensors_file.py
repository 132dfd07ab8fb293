"""Finds tensors in safetensors files, and writes such files.

The format (https://github.com/huggingface/safetensors): eight bytes with the
length of the header, little-endian; the header, JSON, which gives each
tensor's type, shape and place; the tensors, one after the other without gaps.
The official library validates files. Writing is our own, a block of rows at a
time: for a table of 1.5 GB the library holds 1.59 GB, this 0.09.
"""

import json
import math
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Protocol

import ml_dtypes
import numpy as np
import safetensors

from labse.errors import InputError
from labse.files.atomic_write import atomic_file
from labse.formats import model_file, shards
from labse.formats.model_file import shown
from labse.formats.stored_tensor import StoredTensor

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"

DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_LENGTH_BYTES = 8
_ALIGNMENT = 8
_METADATA = "__metadata__"


class RowBlocks(Protocol):
    """A tensor to write; `StoredTensor` is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's dimensions."""

    def row_blocks(self) -> Iterator[np.ndarray]:
        """Its rows in order, [rows, *shape[1:]]; a scalar as one block [1]."""


def read_header(path: str | os.PathLike) -> dict[str, StoredTensor]:
    """Where each tensor of the file lies; no tensor is read.

    Raises:
      InputError: the file is not a valid safetensors file.
    """
    path = pathlib.Path(path)
    model_file.read_head(path)
    try:
        with safetensors.safe_open(path, "numpy") as file:
            # In the order of their places, and without gaps.
            slices = {key: file.get_slice(key) for key in file.offset_keys()}
            entries = {
                name: (part.get_dtype(), tuple(part.get_shape()))
                for name, part in slices.items()
            }
    except safetensors.SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise _invalid(path, shown(reason, 200)) from error
    offset = _end_of_header(path)
    tensors = {}
    for name, (dtype, shape) in entries.items():
        if dtype not in DTYPES:
            raise InputError(
                f"{path}: the tensor {shown(name)} has the type "
                f"{shown(dtype)}. Known are {', '.join(DTYPES)}. Convert it."
            )
        if not model_file.is_shape(shape):
            raise _invalid(
                path, f"the shape of {shown(name)} is {shown(shape)}, too large"
            )
        tensors[name] = StoredTensor(path, offset, DTYPES[dtype], shape)
        offset += tensors[name].num_bytes
    return tensors


def _invalid(path: pathlib.Path, reason: str) -> InputError:
    return model_file.damaged(
        path, f"is not a valid safetensors file: {reason}"
    )


def _end_of_header(path: pathlib.Path) -> int:
    """Where the tensors begin, in a file that the library accepts.

    The library does not see that a name occurs twice; that is an error here.
    """

    def without_duplicates(pairs: list[tuple[str, object]]) -> dict:
        if len(dict(pairs)) < len(pairs):
            raise _invalid(path, "a name occurs twice in its header")
        return dict(pairs)

    with model_file.open_binary(path) as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        json.loads(file.read(length), object_pairs_hook=without_duplicates)
    return _LENGTH_BYTES + length


def read_sharded_header(folder: str | os.PathLike) -> dict[str, StoredTensor]:
    """Where each tensor of a model folder lies.

    Args:
      folder: with `model.safetensors`, or with `model.safetensors.index.json`
        and the shards it names.

    Raises:
      InputError: neither exists, a file is invalid, or index and shards
        disagree.
    """
    folder = pathlib.Path(folder)
    if model_file.exists(folder / SINGLE):
        return read_header(folder / SINGLE)
    index = folder / INDEX
    if not model_file.exists(index):
        raise InputError(
            f"{folder} has neither {SINGLE} nor {INDEX}. Give a folder that "
            "has the weights in safetensors format."
        )
    return shards.read_shards(index, read_header)


def write_tensors(
    path: str | os.PathLike, tensors: Mapping[str, RowBlocks]
) -> None:
    """Writes tensors as float32, a block of rows at a time, atomically.

    Args:
      path: of the file; an existing one is replaced.
      tensors: name -> tensor; its blocks are float32 or of a type that
        float32 holds exactly (float16, bfloat16).

    Raises:
      ValueError: a tensor's blocks do not add up to its shape.
    """
    if _METADATA in tensors:
        raise ValueError(f"No tensor may be called {_METADATA}.")
    with atomic_file(path, "wb") as file:
        file.write(_header(tensors))
        for name in sorted(tensors):
            _write_tensor(file, name, tensors[name])


def _header(tensors: Mapping[str, RowBlocks]) -> bytes:
    """Length and header; the tensors' order is that of their names."""
    entries: dict[str, object] = {_METADATA: {"format": "pt"}}
    end = 0
    for name in sorted(tensors):
        shape = [int(size) for size in tensors[name].shape]
        begin, end = end, end + 4 * math.prod(shape)
        entries[name] = {
            "dtype": "F32",
            "shape": shape,
            "data_offsets": [begin, end],
        }
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False)
    content = header.encode("utf-8")
    content += b" " * (-len(content) % _ALIGNMENT)
    return len(content).to_bytes(_LENGTH_BYTES, "little") + content


def _write_tensor(file: BinaryIO, name: str, tensor: RowBlocks) -> None:
    """Appends the blocks of one tensor."""
    rows, *rest = tuple(tensor.shape) or (1,)
    written = 0
    for block in tensor.row_blocks():
        if not np.can_cast(block.dtype, np.float32):
            raise ValueError(
                f"{name} has blocks of {block.dtype}, which float32 cannot "
                "hold exactly."
            )
        written += len(block)
        if list(block.shape[1:]) != rest or written > rows:
            raise _uneven(name, tensor, f"a block {block.shape}")
        file.write(np.ascontiguousarray(block, "<f4").data)
    if written != rows:
        raise _uneven(name, tensor, f"{written} rows")


def _uneven(name: str, tensor: RowBlocks, received: str) -> ValueError:
    return ValueError(
        f"The blocks of {name} must add up to its shape "
        f"{tuple(tensor.shape)}. Received {received}."
    )
