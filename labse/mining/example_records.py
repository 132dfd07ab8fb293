"""TFRecords of tf.train.Example, read without TensorFlow.

The file is a row of records: uint64 length, masked CRC-32C of it, the bytes,
masked CRC-32C of them (all little-endian):
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import functools
import gzip
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from labse.errors import InputError

# Protocol buffers are smaller than 2 GiB.
_MAX_RECORD_BYTES = 2**31
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")

# The wire format of tensorflow/core/example/{example,feature}.proto, a map
# being a repeated message of key and value. Packages are of our own, so that
# it does not meet TensorFlow's where both are loaded.
_SCHEMA = """
name: "labse/mining/example_records.proto"
package: "labse.mining"
syntax: "proto3"
message_type { name: "Bytes" field {
  name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "Floats" field {
  name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT } }
message_type { name: "Integers" field {
  name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type { name: "Feature"
  oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 label: LABEL_OPTIONAL oneof_index: 0
    type: TYPE_MESSAGE type_name: ".labse.mining.Bytes" }
  field { name: "float_list" number: 2 label: LABEL_OPTIONAL oneof_index: 0
    type: TYPE_MESSAGE type_name: ".labse.mining.Floats" }
  field { name: "int64_list" number: 3 label: LABEL_OPTIONAL oneof_index: 0
    type: TYPE_MESSAGE type_name: ".labse.mining.Integers" } }
message_type { name: "Entry"
  field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "value" number: 2 label: LABEL_OPTIONAL
    type: TYPE_MESSAGE type_name: ".labse.mining.Feature" } }
message_type { name: "Features" field {
  name: "feature" number: 1 label: LABEL_REPEATED
  type: TYPE_MESSAGE type_name: ".labse.mining.Entry" } }
message_type { name: "Example" field {
  name: "features" number: 1 label: LABEL_OPTIONAL
  type: TYPE_MESSAGE type_name: ".labse.mining.Features" } }
"""


def read_examples(path: str) -> Iterator[tuple[int, dict[str, object]]]:
    """Yields (record number from 1, features) of a file.

    Args:
      path: the file; one whose name ends in `.gz` is unpacked.

    Returns:
      from a feature's name to its value, or list of values where they are
      several; a feature without values is left out. Values are str, float or
      int.

    Raises:
      InputError: the file is not whole, a record is no tf.train.Example, or
        bytes in it are not UTF-8.
    """
    from google.protobuf.message import DecodeError

    example = _example_class()()
    for number, record in _read_records(path):
        try:
            example.ParseFromString(record)
        except DecodeError as error:
            raise InputError(
                f"{path}:{number}: a record is a tf.train.Example. Received "
                f"{len(record)} bytes that are none ({error}). Write the "
                "records again."
            ) from error
        yield number, _values(example, f"{path}:{number}")


def _read_records(path: str) -> Iterator[tuple[int, bytes]]:
    opener = gzip.open if path.endswith(".gz") else open
    number = 0
    try:
        with opener(path, "rb") as file:
            while header := file.read(_HEADER.size):
                number += 1
                yield number, _read_record(file, header)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}:{max(number, 1)}: a file whose name does not end in "
            ".txt, .tsv or .jsonl (.gz may follow), or in .parquet, is a whole "
            f"TFRecord file. This record cannot be read: {error}. Rename the "
            "file to what it is, or make or fetch it again."
        ) from error


def _read_record(file: BinaryIO, header: bytes) -> bytes:
    """The bytes after a header; EOFError where they are not sound."""
    from google_crc32c import value as crc32c

    if len(header) < _HEADER.size:
        raise EOFError("the file ends inside a record")
    length, checksum = _HEADER.unpack(header)
    if checksum != _mask(crc32c(header[:8])) or length > _MAX_RECORD_BYTES:
        raise EOFError("the checksum of its length is wrong")
    record = file.read(length)
    footer = file.read(_FOOTER.size)
    if len(record) < length or len(footer) < _FOOTER.size:
        raise EOFError("the file ends inside a record")
    if _FOOTER.unpack(footer)[0] != _mask(crc32c(record)):
        raise EOFError("its checksum is wrong")
    return record


def _mask(checksum: int) -> int:
    """As the format stores it: rotated, plus a constant."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


@functools.cache
def _example_class() -> type:
    from google.protobuf import (
        descriptor_pb2,
        descriptor_pool,
        message_factory,
        text_format,
    )

    file = text_format.Parse(_SCHEMA, descriptor_pb2.FileDescriptorProto())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("labse.mining.Example")
    )


def _values(example, where: str) -> dict[str, object]:
    found = {}
    for entry in example.features.feature:
        kind = entry.value.WhichOneof("kind")
        values = list(getattr(entry.value, kind).value) if kind else []
        if kind == "bytes_list":
            values = [_decode(value, entry.key, where) for value in values]
        if values:
            found[entry.key] = values if len(values) > 1 else values[0]
    return found


def _decode(value: bytes, name: str, where: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}: text is UTF-8. Received in the feature {name!r} the "
            f"byte 0x{value[error.start]:02x}, which is not ({error.reason}). "
            "Convert the text to UTF-8, or leave the feature out."
        ) from error
