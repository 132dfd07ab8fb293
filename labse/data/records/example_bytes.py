"""Serialised tf.train.Examples, several times as fast as protobuf's objects.

A feature is an entry of a map, in which every message is preceded by its
length:
https://github.com/tensorflow/tensorflow/blob/v2.20.0/tensorflow/core/example/feature.proto
"""

import functools
from collections.abc import Iterable, Sequence

import numpy as np

# Tags of length-delimited fields: the number of the field, and 2.
_FIRST, _SECOND, _THIRD = b"\x0a", b"\x12", b"\x1a"
_BYTES_LIST, _INT64_LIST = _FIRST, _THIRD  # of a Feature


def example(*features: bytes) -> bytes:
    """An Example of features, in any order."""
    body = b"".join(features)
    return _example_head(len(body)) + body


def replace_start(
    records: Iterable[bytes], old: bytes, new: bytes
) -> list[bytes]:
    """Examples of the same features but the first ones: new, not old."""
    found = []
    for record in records:
        start = 1
        while record[start] > 127:  # Its length goes on.
            start += 1
        body = new + record[start + 1 + len(old) :]
        found.append(_example_head(len(body)) + body)
    return found


def bytes_feature(name: str, values: Sequence[bytes]) -> bytes:
    """A feature of several strings."""
    items = [_FIRST + _varint(len(value)) + value for value in values]
    return _feature(name, _BYTES_LIST, b"".join(items))


def int64_feature(name: str, values: Sequence[int]) -> bytes:
    """A feature of several whole numbers that are not negative."""
    packed = b"".join(map(_varint, values))
    return ids_head(name, len(packed)) + packed


@functools.lru_cache(2**14)
def text_head(name: str, size: int) -> bytes:
    """What stands before the only string, of `size` bytes, of a feature."""
    value_head = _FIRST + _varint(size)
    return _feature_head(name, _BYTES_LIST, len(value_head) + size) + value_head


@functools.lru_cache(2**14)
def ids_head(name: str, size: int) -> bytes:
    """What stands before packed ids, of `size` bytes, of a feature."""
    if not size:
        return _feature(name, _INT64_LIST, b"")
    value_head = _FIRST + _varint(size)
    return _feature_head(name, _INT64_LIST, len(value_head) + size) + value_head


def pack_ids(ids: np.ndarray, splits: np.ndarray) -> list[bytes]:
    """Rows of ids, as they are packed in a feature.

    Args:
      ids: int [total], each from 0 to 2**28 - 1.
      splits: int [rows + 1], where each row begins, and the end.
    """
    ids = ids.astype(np.int64)
    # A byte has 7 bits of the id, the lowest first; 128 is added to all but
    # the last.
    sizes = 1 + (ids >= 2**7) + (ids >= 2**14) + (ids >= 2**21)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    packed = np.zeros(ends[-1], np.uint8)
    for place in range(4):
        has = sizes > place
        more = np.where(sizes[has] > place + 1, 128, 0)
        byte = (ids[has] >> (7 * place) & 127) | more
        packed[ends[:-1][has] + place] = byte
    content, places = packed.tobytes(), ends[splits].tolist()
    return [
        content[start:stop]
        for start, stop in zip(places[:-1], places[1:], strict=True)
    ]


@functools.lru_cache(2**14)
def _example_head(size: int) -> bytes:
    return _FIRST + _varint(size)


def _feature(name: str, kind: bytes, values: bytes) -> bytes:
    return _feature_head(name, kind, len(values)) + values


def _feature_head(name: str, kind: bytes, size: int) -> bytes:
    """What stands before the values, of `size` bytes, of a feature."""
    kind_head = kind + _varint(size)
    size += len(kind_head)
    key = name.encode()
    key_head = _FIRST + _varint(len(key)) + key + _SECOND + _varint(size)
    return _FIRST + _varint(len(key_head) + size) + key_head + kind_head


def _varint(value: int) -> bytes:
    """A whole number, 7 bits a byte, the lowest first."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
