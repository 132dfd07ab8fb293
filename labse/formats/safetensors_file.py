"""Reads and writes safetensors files.

The format (https://github.com/huggingface/safetensors): eight bytes with the
length of the header, little-endian; the header, JSON, which gives each
tensor's type, shape and place; the tensors, one after the other without gaps.
The reader is our own because the library's says nothing about places, and
the writer because the library's wants all tensors in memory.
"""

import contextlib
import json
import math
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Protocol

import ml_dtypes
import numpy as np

from labse.errors import InputError
from labse.formats import json_file, model_file, weight_file
from labse.formats.stored_tensor import StoredTensor
from labse.formats.weight_file import shown

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
# The reference's limit.
MAX_HEADER_BYTES = 100_000_000
_LENGTH_BYTES = 8
_ALIGNMENT = 8
_METADATA = "__metadata__"


class RowBlocks(Protocol):
    """What `write` takes; `StoredTensor` is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's dimensions."""

    def row_blocks(self) -> Iterator[np.ndarray]:
        """Its rows in order, [rows, *shape[1:]]; a scalar as one block [1]."""


def read_header(path: str | os.PathLike) -> dict[str, StoredTensor]:
    """Where each tensor of the file lies; no tensor is read.

    Raises:
      InputError: the file is no sound safetensors file.
    """
    path = pathlib.Path(path)
    size, head = model_file.head(path)
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    if size < _LENGTH_BYTES:
        raise _unsound(
            path, f"it has {size} bytes, its header's length alone 8"
        )
    if length > min(MAX_HEADER_BYTES, size - _LENGTH_BYTES):
        raise _unsound(
            path,
            f"its header should have {length:,} bytes, the file has {size:,}, "
            f"and the format allows {MAX_HEADER_BYTES:,}",
        )
    with model_file.opened(path) as file:
        file.seek(_LENGTH_BYTES)
        entries = _parse(path, file.read(length))
    start = _LENGTH_BYTES + length
    tensors = {
        name: _stored_tensor(path, name, entry, start)
        for name, entry in entries.items()
    }
    _check_places(path, tensors, start, size)
    return tensors


def read_sharded_header(folder: str | os.PathLike) -> dict[str, StoredTensor]:
    """Where each tensor of a model folder lies.

    Args:
      folder: with `model.safetensors`, or with `model.safetensors.index.json`
        and the shards it names.

    Raises:
      InputError: neither is there, a file is unsound, or index and shards
        disagree.
    """
    folder = pathlib.Path(folder)
    if model_file.is_there(folder / SINGLE):
        return read_header(folder / SINGLE)
    index = folder / INDEX
    if not model_file.is_there(index):
        raise InputError(
            f"{folder} has neither {SINGLE} nor {INDEX}. Give a folder that "
            "has the weights in safetensors format."
        )
    shard_of = _read_index(index)
    tensors = {}
    for shard in sorted(set(shard_of.values())):
        found = read_header(folder / shard)
        named = {name for name, where in shard_of.items() if where == shard}
        for name in sorted(named ^ found.keys()):
            raise model_file.damaged(
                index,
                f"and {folder / shard} disagree: only "
                f"{'the index' if name in named else 'the shard'} has the "
                f"tensor {shown(name)}. Both must be of one model",
            )
        tensors.update(found)
    return tensors


def write(path: str | os.PathLike, tensors: Mapping[str, RowBlocks]) -> None:
    """Writes tensors as float32, a block of rows at a time.

    The file appears under its name when it is complete.

    Args:
      path: of the new file; one that is there is replaced.
      tensors: name -> tensor; its blocks are float32 or of a type that
        float32 holds exactly (float16, bfloat16).

    Raises:
      ValueError: a tensor's blocks do not add up to its shape.
    """
    path = pathlib.Path(path)
    if _METADATA in tensors:
        raise ValueError(f"No tensor may be called {_METADATA}.")
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(_header(tensors))
            for name in sorted(tensors):
                _write_tensor(file, name, tensors[name])
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def _unsound(path: pathlib.Path, reason: str) -> InputError:
    return model_file.damaged(
        path, f"is not a sound safetensors file: {reason}"
    )


def _parse(path: pathlib.Path, header: bytes) -> dict[str, object]:
    """Name -> entry, as the header has them."""

    def without_duplicates(pairs: list[tuple[str, object]]) -> dict:
        result = dict(pairs)
        if len(result) < len(pairs):
            raise ValueError("a name occurs twice")
        return result

    if not header.startswith(b"{"):
        raise _unsound(path, "its header does not begin with '{'")
    try:
        entries = json.loads(
            header.decode("utf-8"), object_pairs_hook=without_duplicates
        )
    except (ValueError, RecursionError) as error:
        raise _unsound(path, f"its header is not JSON ({error})") from error
    metadata = entries.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise _unsound(path, f"{_METADATA} must map strings to strings")
    return entries


def _stored_tensor(
    path: pathlib.Path, name: str, entry: object, start: int
) -> StoredTensor:
    """Checks one entry of the header by itself."""
    if not isinstance(entry, dict):
        raise _unsound(path, f"the entry of {shown(name)} is not an object")
    dtype, shape = entry.get("dtype"), entry.get("shape")
    offsets = entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise InputError(
            f"{path}: the tensor {shown(name)} has the type "
            f"{shown(dtype)}. Known are {', '.join(DTYPES)}. Convert it."
        )
    if not isinstance(shape, list) or not weight_file.is_shape(shape):
        raise _unsound(
            path,
            f"the shape of {shown(name)} is {shown(shape)}, not a list of "
            "whole numbers of a size that can be",
        )
    if (
        not isinstance(offsets, list)
        or len(offsets) != 2
        or not all(type(offset) is int and offset >= 0 for offset in offsets)
    ):
        raise _unsound(
            path,
            f"data_offsets of {shown(name)} are {shown(offsets)}, not two "
            "whole numbers",
        )
    tensor = StoredTensor(path, start + offsets[0], DTYPES[dtype], tuple(shape))
    if offsets[1] - offsets[0] != tensor.num_bytes:
        raise _unsound(
            path,
            f"{shown(name)}, {dtype} {tensor.shape}, takes "
            f"{tensor.num_bytes:,} bytes, its data_offsets say otherwise",
        )
    return tensor


def _check_places(
    path: pathlib.Path, tensors: dict[str, StoredTensor], start: int, size: int
) -> None:
    """Tensors must fill the file from `start` to its end, one by one."""
    in_order = sorted(
        tensors.items(), key=lambda item: (item[1].offset, item[1].num_bytes)
    )
    for name, tensor in in_order:
        tensor.check_in_file(shown(name), size)
        if tensor.offset != start:
            raise _unsound(
                path,
                f"there is {'a gap before' if tensor.offset > start else ''}"
                f"{'another tensor in' if tensor.offset < start else ''} "
                f"the bytes of {shown(name)}",
            )
        start = tensor.offset + tensor.num_bytes
    if start != size:
        raise _unsound(
            path,
            f"it has {size:,} bytes, its header describes {start:,}",
        )


def _read_index(path: pathlib.Path) -> dict[str, str]:
    """Tensor -> shard."""
    index = json_file.read_value(path, MAX_HEADER_BYTES)
    shard_of = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shard_of, dict) or not shard_of:
        raise model_file.damaged(
            path, "must have a weight_map of tensors to files"
        )
    for name, shard in shard_of.items():
        if not isinstance(shard, str) or not _is_plain_name(shard):
            raise InputError(
                f"{path}: the tensor {shown(name)} lies in "
                f"{shown(shard)}. A shard must be a file of the same "
                "folder, named without a path. Do not use this model."
            )
    return shard_of


def _is_plain_name(name: str) -> bool:
    """Whether the name stays in its folder, on every system."""
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0")


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
