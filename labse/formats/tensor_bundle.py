"""TensorFlow's checkpoint files, read and written without holding tensors.

TensorFlow reads and writes whole tensors; LaBSE's table of word embeddings
alone is 1.5 GB. Here a tensor is located in the file, and written block by
block.

The format: PREFIX.index is a sorted string table (LevelDB's, not compressed)
from names to `BundleEntryProto`; PREFIX.data-00000-of-0000N hold the bytes.
https://github.com/tensorflow/tensorflow/blob/v2.20.0/tensorflow/core/util/tensor_bundle/tensor_bundle.h
https://github.com/google/leveldb/blob/main/doc/table_format.md
"""

import pathlib
import re
import struct
from collections.abc import Iterator, Mapping

import google_crc32c
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import (
    tensor_bundle_pb2,
    trackable_object_graph_pb2,
)

from labse.errors import InputError
from labse.files import atomic_write
from labse.files.formats.tfrecord import mask_checksum
from labse.formats import model_file
from labse.formats.stored_tensor import StoredTensor

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_BLOCK_TRAILER_BYTES = 5  # One of compression, four of the checksum.
_MAX_INDEX_BYTES = 2**28
_MAX_SHARDS = 2**16
_MAX_KEY_BYTES = 2**12
_MAX_KEYS_BYTES = 2**28
_MAX_VARINT_BYTES = 10
_ALIGNMENT = 64
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_OPTIMIZER = re.compile(r"(^|/)_?optimizer/|\.OPTIMIZER_SLOT/")
# What may precede the names of `weights.py` and `head_weights.py`.
_OUTER_NAMES = re.compile(
    r"^.*/(?=(word_embeddings|position_embedding|type_embeddings)/embeddings$"
    r"|embeddings/layer_norm/|transformer/layer_\d+/|pooler_transform/"
    r"|cls/predictions/(transform|output_bias)/)"
)


def read_header(prefix: str | pathlib.Path) -> dict[str, StoredTensor]:
    """Where each numeric tensor of a checkpoint lies.

    Raises:
      InputError: there is no such checkpoint, it is damaged or truncated, or
        it holds a variable in several parts.
    """
    entries = dict(_read_index(prefix))
    shards = _shards(prefix, entries.pop("", b""))
    sizes = [model_file.read_head(shard)[0] for shard in shards]
    tensors = {}
    for name, value in entries.items():
        entry = _entry(prefix, name, value)
        dtype = tf.as_dtype(entry.dtype)
        is_numeric = dtype.is_floating or dtype.is_integer or dtype.is_bool
        if entry.shard_id not in range(len(shards)):
            raise _damaged_index(prefix, name)
        tensor = StoredTensor(
            shards[entry.shard_id],
            entry.offset,
            np.dtype(dtype.as_numpy_dtype if is_numeric else np.uint8),
            tuple(dim.size for dim in entry.shape.dim)
            if is_numeric
            else (entry.size,),
            _unmask(entry.crc32c),
        )
        tensor.check_in_file(name, sizes[entry.shard_id])
        if tensor.num_bytes != entry.size:
            raise _damaged_index(prefix, name)
        if is_numeric:
            tensors[name] = tensor
    return tensors


def _shards(prefix, header: bytes) -> list[pathlib.Path]:
    """The files with the bytes, as the index's header counts them."""
    try:
        proto = tensor_bundle_pb2.BundleHeaderProto.FromString(header)
    except DecodeError as error:
        raise _damaged_index(prefix, "its beginning") from error
    if proto.endianness != tensor_bundle_pb2.BundleHeaderProto.LITTLE:
        raise InputError(f"{prefix} is big-endian, which is not supported.")
    if proto.num_shards not in range(1, _MAX_SHARDS):
        raise model_file.damaged(
            f"{prefix}.index", "is damaged: it names no data files"
        )
    shards = [
        pathlib.Path(f"{prefix}.data-{i:05}-of-{proto.num_shards:05}")
        for i in range(proto.num_shards)
    ]
    for shard in shards:
        if not model_file.exists(shard):
            raise InputError(
                f"The checkpoint {prefix} lacks its file {shard}. Copy every "
                "file whose name begins with the checkpoint's. "
                f"{model_file.refetch_hint(shard)}".rstrip()
            )
    return shards


def _damaged_index(prefix, where: str) -> InputError:
    return model_file.damaged(f"{prefix}.index", f"is damaged at {where}")


def read_variables(
    prefix: str | pathlib.Path,
) -> dict[str, tuple[str, StoredTensor]]:
    """The variables of an object-based checkpoint, except optimizers'.

    Returns:
      variable's name, without those of the models around it -> its key in the
      checkpoint and where it lies.

    Raises:
      InputError: see `read_header`; the checkpoint is not object-based; or
        two variables have one name.
    """
    tensors = read_header(prefix)
    variables = {}
    for node in _object_graph(prefix).nodes:
        for attribute in node.attributes:
            key = attribute.checkpoint_key
            if key not in tensors or _OPTIMIZER.search(key):
                continue
            name = inner_name(attribute.full_name)
            if variables.get(name, (key,))[0] != key:
                if name != attribute.full_name or _OUTER_NAMES.match(
                    "/" + name
                ):
                    raise InputError(
                        f"{prefix} holds two encoders: {name} is both {key} "
                        f"and {variables[name][0]}. Save one of them alone."
                    )
                name = key  # A name such as "Variable" says nothing.
            variables[name] = (key, tensors[key])
    return variables


def inner_name(name: str) -> str:
    """A variable's name without those of the models around the encoder."""
    return _OUTER_NAMES.sub("", name)


def _object_graph(prefix):
    """TensorFlow's graph of the objects that own the variables."""
    reader = tf.train.load_checkpoint(str(prefix))
    if not reader.has_tensor(_OBJECT_GRAPH):
        raise InputError(
            f"{prefix} holds no graph of objects, so it is not a checkpoint of "
            "TensorFlow 2."
        )
    try:
        return trackable_object_graph_pb2.TrackableObjectGraph.FromString(
            reader.get_tensor(_OBJECT_GRAPH)
        )
    except (tf.errors.OpError, DecodeError) as error:
        raise model_file.damaged(
            f"{prefix}.data-00000-of-00001",
            f"is damaged: its graph of objects cannot be read ({error})",
        ) from error


def _entry(prefix, name: str, value: bytes):
    try:
        entry = tensor_bundle_pb2.BundleEntryProto.FromString(value)
        tf.as_dtype(entry.dtype)
    except (DecodeError, TypeError) as error:
        raise _damaged_index(prefix, name) from error
    if entry.slices:
        raise InputError(
            f"{prefix} holds {name} in {len(entry.slices)} parts (a "
            "partitioned variable), which is not supported. Save it as one."
        )
    return entry


def _read_index(prefix) -> Iterator[tuple[str, bytes]]:
    """Names and values of the sorted string table."""
    path = pathlib.Path(f"{prefix}.index")
    if not model_file.exists(path):
        raise InputError(
            f"There is no checkpoint {prefix}: its file {path} is missing. "
            "Copy every file whose name begins with the checkpoint's. "
            f"{model_file.refetch_hint(path)}".rstrip()
        )
    content = model_file.read_bytes(path, _MAX_INDEX_BYTES)
    try:
        yield from _table_entries(content)
    except (IndexError, ValueError, struct.error) as error:
        raise model_file.damaged(
            path,
            f"is damaged or not the index of a TensorFlow checkpoint: {error}",
        ) from error


def _table_entries(content: bytes) -> Iterator[tuple[str, bytes]]:
    footer = content[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or footer[-8:] != struct.pack("<Q", _MAGIC):
        raise ValueError("its footer is not a table's")
    position = 0
    handle = []  # Offset and size: of the meta index, then of the index.
    for _ in range(4):
        number, position = _read_varint(footer, position)
        handle.append(number)
    for _, value in _block_entries(_block(content, *handle[2:])):
        offset, position = _read_varint(value, 0)
        size, _ = _read_varint(value, position)
        for key, entry in _block_entries(_block(content, offset, size)):
            yield key.decode(errors="backslashreplace"), entry


def _block(content: bytes, offset: int, size: int) -> bytes:
    block = content[offset : offset + size + 1]
    trailer = content[offset + size : offset + size + _BLOCK_TRAILER_BYTES]
    if len(trailer) < _BLOCK_TRAILER_BYTES:
        raise ValueError("it is truncated")
    if struct.unpack("<I", trailer[1:])[0] != mask_checksum(
        google_crc32c.value(block)
    ):
        raise ValueError("a checksum does not match")
    if trailer[0]:
        raise ValueError("it is compressed, which TensorFlow's are not")
    return block[:-1]


def _block_entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values; what a key shares with the last one is not stored."""
    num_restarts = struct.unpack("<I", block[-4:])[0]
    end = len(block) - 4 * (num_restarts + 1)
    position, key, total = 0, b"", 0
    while position < end:
        shared, position = _read_varint(block, position)
        unshared, position = _read_varint(block, position)
        size, position = _read_varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        total += len(key)
        if len(key) > _MAX_KEY_BYTES or total > _MAX_KEYS_BYTES:
            raise ValueError("its names are too long")
        yield key, block[position : position + size]
        position += size


def _read_varint(content: bytes, position: int) -> tuple[int, int]:
    number = 0
    for index, byte in enumerate(
        content[position : position + _MAX_VARINT_BYTES]
    ):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return number, position + index + 1
    raise ValueError("a number in it has no end")


def write_checkpoint(
    prefix: str | pathlib.Path, tensors: Mapping, template: str | pathlib.Path
) -> None:
    """Writes a checkpoint, a block of rows at a time.

    Args:
      prefix: of the new files; the index, without which there is no
        checkpoint, is written last and atomically.
      tensors: name -> object with `shape` and `row_blocks()`, which yields
        float32 arrays.
      template: prefix of a checkpoint with the same names (shapes may
        differ), from which the rest is copied: TensorFlow's graph of objects
        and the save counter.
    """
    entries = dict(_read_index(template))
    values = {"": _header()}
    data_path = pathlib.Path(f"{prefix}.data-00000-of-00001")
    with open(data_path, "wb") as data:
        for name in sorted(entries.keys() - {""}):
            data.write(bytes(-data.tell() % _ALIGNMENT))
            entry = _entry(template, name, entries[name])
            if name in tensors:
                values[name] = _write_tensor(data, name, tensors[name])
            else:
                values[name] = _copy_tensor(data, entry, template)
    missing = tensors.keys() - values.keys()
    if missing:
        raise ValueError(f"Not in the template: {sorted(missing)}.")
    atomic_write.write_bytes(f"{prefix}.index", _table(values))


def _header() -> bytes:
    header = tensor_bundle_pb2.BundleHeaderProto(num_shards=1)
    header.version.producer = 1
    return header.SerializeToString()


def _write_tensor(data, name: str, tensor) -> bytes:
    entry = tensor_bundle_pb2.BundleEntryProto(
        dtype=tf.float32.as_datatype_enum, offset=data.tell()
    )
    for size in tensor.shape:
        entry.shape.dim.add(size=size)
    checksum = 0
    for block in tensor.row_blocks():
        content = np.ascontiguousarray(block, "<f4").tobytes()
        checksum = google_crc32c.extend(checksum, content)
        data.write(content)
    entry.size = data.tell() - entry.offset
    if entry.size != 4 * int(np.prod(tensor.shape, dtype=np.int64)):
        raise ValueError(f"{name} {tensor.shape}: {entry.size} bytes came.")
    entry.crc32c = mask_checksum(checksum)
    return entry.SerializeToString()


def _copy_tensor(data, entry, template) -> bytes:
    path = f"{template}.data-{entry.shard_id:05}-of-00001"
    with open(path, "rb") as file:
        file.seek(entry.offset)
        entry.offset, entry.shard_id = data.tell(), 0
        data.write(file.read(entry.size))
    return entry.SerializeToString()


def _table(values: dict[str, bytes]) -> bytes:
    """A sorted string table with one block of data."""
    keys = sorted(key.encode() for key in values)
    data = _make_block([(key, values[key.decode()]) for key in keys])
    meta = _make_block([])
    handle = _varint(0) + _varint(len(data) - _BLOCK_TRAILER_BYTES)
    index = _make_block([(keys[-1], handle)])
    footer = (
        _varint(len(data))
        + _varint(len(meta) - _BLOCK_TRAILER_BYTES)
        + _varint(len(data) + len(meta))
        + _varint(len(index) - _BLOCK_TRAILER_BYTES)
    )
    footer = footer.ljust(_FOOTER_BYTES - 8, b"\0") + struct.pack("<Q", _MAGIC)
    return data + meta + index + footer


def _make_block(entries: list[tuple[bytes, bytes]]) -> bytes:
    block, restarts = b"", []
    for key, value in entries:
        restarts.append(len(block))
        block += b"\0" + _varint(len(key)) + _varint(len(value)) + key + value
    restarts = restarts or [0]
    block += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    block += b"\0"  # Not compressed.
    return block + struct.pack("<I", mask_checksum(google_crc32c.value(block)))


def _varint(number: int) -> bytes:
    content = b""
    while number >= 0x80:
        content += bytes([number & 0x7F | 0x80])
        number >>= 7
    return content + bytes([number])


def _unmask(stored: int) -> int:
    rotated = (stored - 0xA282EAD8) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF
