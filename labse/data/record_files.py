"""Files of a records folder: local, or on a file system of TensorFlow.

A path with a scheme, such as gs://bucket/records, goes through `tf.io.gfile`.
"""

import os
from collections.abc import Iterable
from concurrent import futures

import tensorflow as tf

from labse.files.atomic_write import write_bytes

# A request to an object store takes tens of milliseconds.
_REQUESTS = 32


def is_remote(path: str | os.PathLike) -> bool:
    """Whether a path has a scheme, such as gs://."""
    return "://" in os.fspath(path)


def join(folder: str | os.PathLike, name: str) -> str:
    """The path of a file in a folder."""
    return os.path.join(os.fspath(folder), name)


def exists(path: str) -> bool:
    """Whether there is such a file or folder."""
    return tf.io.gfile.exists(path)


def read(path: str) -> bytes:
    """All of a file."""
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read()


def write(path: str, content: bytes) -> None:
    """Writes a file that is whole or not there."""
    if is_remote(path):
        # An object of a store is there when it is complete.
        with tf.io.gfile.GFile(path, "wb") as file:
            file.write(content)
    else:
        write_bytes(path, content)


def sizes(paths: Iterable[str]) -> list[int | None]:
    """The bytes of each file; None where there is none."""
    with futures.ThreadPoolExecutor(_REQUESTS) as pool:
        return list(pool.map(_size, paths))


def _size(path: str) -> int | None:
    try:
        return tf.io.gfile.stat(path).length
    except tf.errors.NotFoundError:
        return None
