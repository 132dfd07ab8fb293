"""TFRecords of tf.train.Example.

A record is its length (8 bytes), that one's checksum (4), the bytes, and their
checksum (4):
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import struct
from collections.abc import Iterator

from labse.errors import InputError
from labse.files.compression import open_unpacked
from labse.files.formats.pair_values import to_json, to_typed
from labse.files.formats.row_format import (
    Format,
    Record,
    RecordReader,
    RowWriter,
)
from labse.files.reading import Fields, MalformedRow, decode_if_utf_8

_KINDS = {
    **{str: "bytes_list", bytes: "bytes_list"},
    **{float: "float_list", int: "int64_list"},
}


class TfrecordReader(RecordReader):
    """Rows each with the features of its tf.train.Example."""

    def records(self) -> Iterator[Record]:
        """The records; raises `InputError` where the file is damaged."""
        number = end = 0
        with open_unpacked(self.path) as file:
            while head := file.read(12):
                number += 1
                self._check(number, head[:8], head[8:])
                (length,) = struct.unpack("<Q", head[:8])
                record = file.read(length)
                self._check(number, record, file.read(4))
                begin, end = end + 12, end + 16 + length
                yield number, begin, record

    def _check(self, number: int, content: bytes, found: bytes) -> None:
        if checksum(content) != found:
            what = "truncated" if len(found) < 4 else "corrupted"
            raise InputError(
                f"{self.shown_as}:{number}: the record is damaged or truncated "
                f"({what} record). Make or fetch the file again."
            )

    @staticmethod
    def decode(record: bytes, columns: tuple[str, ...] | None) -> Fields | None:
        """From a feature's name to its value, or to a list of several.

        A feature without values is left out. Values are str, float or int;
        bytes where they are not UTF-8.
        """
        import tensorflow as tf
        from google.protobuf.message import DecodeError

        try:
            example = tf.train.Example.FromString(record)
        except DecodeError as error:
            raise MalformedRow(
                "not a tf.train.Example",
                f"a record is a tf.train.Example. Received {len(record)} bytes "
                f"that are not ({error})",
            ) from error
        fields = {}
        for name, feature in example.features.feature.items():
            kind = feature.WhichOneof("kind")
            values = list(getattr(feature, kind).value) if kind else []
            if values:
                values = decode_if_utf_8(values)
                fields[name] = values if len(values) > 1 else values[0]
        return fields


class TfrecordWriter(RowWriter):
    """Writes an example a pair; floats are float32, as TensorFlow has them."""

    def format_row(self, row: Fields, where: str) -> bytes:
        """A record with a serialised tf.train.Example."""
        import tensorflow as tf

        example = tf.train.Example()
        for column in self.columns:
            value = to_typed(row.get(column), column, where)
            if value is None:
                continue
            values = value if isinstance(value, list) else [value]
            types = set(map(type, values)) or {str}
            kind = _KINDS.get(*types) if len(types) == 1 else None
            if kind is None:
                kind, values = "bytes_list", [to_json(value, where)]
            if kind == "bytes_list":
                values = [v if type(v) is bytes else v.encode() for v in values]
            feature = example.features.feature[column]
            getattr(feature, kind).value.extend(values)
        record = example.SerializeToString(deterministic=True)
        length = struct.pack("<Q", len(record))
        return length + checksum(length) + record + checksum(record)


def checksum(content: bytes) -> bytes:
    """The checksum of a part of a record."""
    from google_crc32c import value

    crc = value(content)
    masked = (crc >> 15 | crc << 17) + 0xA282EAD8
    return struct.pack("<I", masked & 0xFFFFFFFF)


TFRECORD = Format(
    *("record", "a TFRecord file", (".tfrecord", ".tfrecords", ".record")),
    *(TfrecordReader, TfrecordWriter),
)
