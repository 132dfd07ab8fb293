"""TFRecords of tf.train.Example, read without TensorFlow.

The file is a row of records: uint64 length, masked CRC-32C of it, the bytes,
masked CRC-32C of them (all little-endian):
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import functools
import struct
from collections.abc import Iterator
from typing import BinaryIO

from labse.errors import InputError
from labse.files.lines import open_unpacked
from labse.files.reading import MalformedRow

# Protocol buffers are smaller than 2 GiB.
_MAX_RECORD_BYTES = 2**31
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")

# The wire format of tensorflow/core/example/{example,feature}.proto, a map
# being a repeated message of key and value. Packages are of our own, so that
# it does not meet TensorFlow's where both are loaded.
_SCHEMA = """
name: "labse/files/example_records.proto"
package: "labse.files"
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
    type: TYPE_MESSAGE type_name: ".labse.files.Bytes" }
  field { name: "float_list" number: 2 label: LABEL_OPTIONAL oneof_index: 0
    type: TYPE_MESSAGE type_name: ".labse.files.Floats" }
  field { name: "int64_list" number: 3 label: LABEL_OPTIONAL oneof_index: 0
    type: TYPE_MESSAGE type_name: ".labse.files.Integers" } }
message_type { name: "Entry"
  field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "value" number: 2 label: LABEL_OPTIONAL
    type: TYPE_MESSAGE type_name: ".labse.files.Feature" } }
message_type { name: "Features" field {
  name: "feature" number: 1 label: LABEL_REPEATED
  type: TYPE_MESSAGE type_name: ".labse.files.Entry" } }
message_type { name: "Example" field {
  name: "features" number: 1 label: LABEL_OPTIONAL
  type: TYPE_MESSAGE type_name: ".labse.files.Features" } }
"""


def parse_example(record: bytes) -> dict[str, object]:
    """The features of a record.

    Returns:
      from a feature's name to its value, or list of values where they are
      several; a feature without values is left out. Values are str, float or
      int; bytes where they are not UTF-8.

    Raises:
      MalformedRow: it is no tf.train.Example.
    """
    try:
        example = _example_class().FromString(record)
    except _decode_error() as error:
        raise MalformedRow(
            "not a tf.train.Example",
            f"a record is a tf.train.Example. Received {len(record)} bytes "
            f"that are none ({error})",
        ) from error
    found = {}
    for entry in example.features.feature:
        feature = entry.value
        kind = feature.WhichOneof("kind")
        if kind == "bytes_list":
            values = [_decode(value) for value in feature.bytes_list.value]
        else:
            values = list(getattr(feature, kind).value) if kind else ()
        if values:
            found[entry.key] = values if len(values) > 1 else values[0]
    return found


def read_records(path: str, shown_as: str) -> Iterator[tuple[int, int, bytes]]:
    """Yields (number from 1, where its bytes begin, bytes) of each record.

    Args:
      path: the file; one whose name ends in .gz, .bz2 or .xz is unpacked.
      shown_as: its name in messages.

    Raises:
      InputError: the file is not whole.
    """
    number = offset = 0
    with open_unpacked(path) as file:
        while header := file.read(_HEADER.size):
            number += 1
            try:
                record = _read_record(file, header)
            except _DamagedRecordError as error:
                raise InputError(
                    f"{shown_as}:{number}: a TFRecord file is whole. This "
                    f"record cannot be read: {error}. Make or fetch it again."
                ) from error
            yield number, offset + _HEADER.size, record
            offset += _HEADER.size + len(record) + _FOOTER.size


class _DamagedRecordError(Exception):
    """What is wrong with a record."""


def _read_record(file: BinaryIO, header: bytes) -> bytes:
    """The bytes after a header; raises where they are not sound."""
    from google_crc32c import value as crc32c

    if len(header) < _HEADER.size:
        raise _DamagedRecordError("the file ends inside a record")
    length, checksum = _HEADER.unpack(header)
    if checksum != _mask(crc32c(header[:8])) or length > _MAX_RECORD_BYTES:
        raise _DamagedRecordError("the checksum of its length is wrong")
    record = file.read(length)
    footer = file.read(_FOOTER.size)
    if len(record) < length or len(footer) < _FOOTER.size:
        raise _DamagedRecordError("the file ends inside a record")
    if _FOOTER.unpack(footer)[0] != _mask(crc32c(record)):
        raise _DamagedRecordError("its checksum is wrong")
    return record


def _mask(checksum: int) -> int:
    """As the format stores it: rotated, plus a constant."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


@functools.cache
def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    return DecodeError


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
        pool.FindMessageTypeByName("labse.files.Example")
    )


def _decode(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
