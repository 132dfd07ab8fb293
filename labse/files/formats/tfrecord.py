"""TFRecords of tf.train.Example; TensorFlow's reader reads them.

A record is its length (8 bytes), that one's checksum (4), the bytes, and their
checksum (4):
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import functools
import os
import re
import struct
from collections.abc import Iterator

from google_crc32c import value as crc32c

from labse.errors import InputError
from labse.files.compression import unpacked_path
from labse.files.formats.pair_values import to_json, to_typed
from labse.files.formats.row_format import (
    Format,
    Record,
    RecordReader,
    RowWriter,
)
from labse.files.reading import Fields, MalformedRow, decode_if_utf_8

_SHARD_OF_RECORDS = re.compile(r"shard-\d{5,}-of-(\d{5,})\.tfrecord")
_BATCH_RECORDS = 1024  # read at once
_UINT32 = struct.Struct("<I")
_BYTES_BEFORE, _BYTES_AFTER = 12, 4
_KINDS = {
    **{str: "bytes_list", bytes: "bytes_list"},
    **{float: "float_list", int: "int64_list"},
}


class TfrecordReader(RecordReader):
    """Rows each with the features of its tf.train.Example."""

    def records(self) -> Iterator[Record]:
        """The records; raises `InputError` where the file is damaged."""
        import tensorflow as tf

        number = end = 0
        with unpacked_path(self.path) as path:
            try:
                for record in _read(tf, path):
                    number += 1
                    begin = end + _BYTES_BEFORE
                    end = begin + len(record) + _BYTES_AFTER
                    yield number, begin, record
                # The reader takes a truncated length for the end of the file.
                if end < os.path.getsize(path):
                    raise self._damaged(number + 1, "truncated record")
            except tf.errors.DataLossError as error:
                # Without the node that TensorFlow's message names.
                what = error.message.rpartition("}} ")[2].partition(" [Op:")[0]
                raise self._damaged(number + 1, what) from error

    def _damaged(self, number: int, what: str) -> InputError:
        return InputError(
            f"{self.shown_as}:{number}: the record is damaged or truncated "
            f"({what}). Make or fetch the file again."
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
            if kind is None or (
                kind == "int64_list" and not all(map(_is_int64, values))
            ):
                kind, values = "bytes_list", [to_json(value, where)]
            if kind == "bytes_list":
                values = [v if type(v) is bytes else v.encode() for v in values]
            feature = example.features.feature[column]
            getattr(feature, kind).value.extend(values)
        return frame(example.SerializeToString(deterministic=True))


def _read(tf, path: str) -> Iterator[bytes]:
    dataset = tf.data.TFRecordDataset(path)
    count = 0
    try:
        for batch in dataset.batch(_BATCH_RECORDS).as_numpy_iterator():
            count += len(batch)
            yield from batch
    except tf.errors.DataLossError:
        # The batch's records before the damaged one, so that it is counted.
        yield from dataset.skip(count).as_numpy_iterator()


def _is_int64(value: int) -> bool:
    return -(2**63) <= value < 2**63


def frame(record: bytes) -> bytes:
    """A record as it stands in a file, with its length and checksums."""
    head = _frame_head(len(record))
    return b"".join((head, record, checksum(record)))


@functools.lru_cache(2**14)
def _frame_head(size: int) -> bytes:
    length = struct.pack("<Q", size)
    return length + checksum(length)


def checksum(content: bytes) -> bytes:
    """The checksum of a part of a record."""
    return _UINT32.pack(mask_checksum(crc32c(content)))


def is_shard_of_records(name: str) -> bool:
    """Whether a file's name is that of a shard of a folder of records.

    `labse.data.records` writes them; their number is a multiple of 64.
    """
    found = _SHARD_OF_RECORDS.fullmatch(name)
    return bool(found) and not int(found[1]) % 64


def mask_checksum(checksum: int) -> int:
    """A CRC-32C as TensorFlow stores it, in records and in checkpoints."""
    rotated = (checksum >> 15 | checksum << 17) & 0xFFFFFFFF
    return (rotated + 0xA282EAD8) & 0xFFFFFFFF


TFRECORD = Format(
    *("record", "a TFRecord file", (".tfrecord", ".tfrecords", ".record")),
    *(TfrecordReader, TfrecordWriter),
)
