"""Compressed files: .gz, .bz2, .xz and .zst, read and written as streams.

Several compressed files in one are one file. A damaged or truncated one is
refused, and what is written has no name and no time inside: the same content
gives the same bytes.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from labse.errors import InputError

# Of compressed data. A block of 4 bytes can hold 128 KiB of zeros, so this
# much unpacks to at most 128 MiB.
_ZSTD_BYTES = 2**12


class Compression(NamedTuple):
    """How compressed files look, and how they are read and written."""

    words: str
    magic: bytes
    open: Callable[..., BinaryIO]
    pack: Callable[[BinaryIO], BinaryIO]


def compression_of(path: str) -> str:
    """One of `COMPRESSIONS` by the file's ending, or empty."""
    stem, _, ending = os.path.basename(path).lower().rpartition(".")
    return ending if stem and ending in COMPRESSIONS else ""


def check_exists(path: str) -> None:
    """Raises `InputError` unless a file is there."""
    if os.path.isdir(path):
        raise InputError(f"{path}: this is a folder. Name the files in it.")
    if not os.path.exists(path):
        raise InputError(f"{path}: there is no such file.")


def check_library(path: str, compression: str) -> None:
    """Raises `InputError` where a compression needs a package to install."""
    if compression != "zst":
        return
    try:
        import zstandard  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"{path}: .zst needs the package zstandard, which cannot be "
            f"imported ({error}). Install it: pip install zstandard."
        ) from error


@contextlib.contextmanager
def open_unpacked(
    path: str, compression: str | None = None
) -> Iterator[BinaryIO]:
    """Opens a file to read, decompressed; by default as its ending says.

    Raises:
      InputError: there is no such file; or, in the block, it is damaged.
    """
    check_exists(path)
    if compression is None:
        compression = compression_of(path)
    check_library(path, compression)
    opener = COMPRESSIONS[compression].open if compression else open
    with opener(path, "rb") as file, refuse_damage(path):
        yield file


@contextlib.contextmanager
def unpacked_path(path: str) -> Iterator[str]:
    """The path of a file's decompressed content, for libraries that open it.

    That of a compressed file is a temporary one.
    """
    if not compression_of(path):
        check_exists(path)
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="labse-") as copy:
        with open_unpacked(path) as packed:
            shutil.copyfileobj(packed, copy, 2**20)
        copy.flush()
        yield copy.name


@contextlib.contextmanager
def refuse_damage(path: str) -> Iterator[None]:
    """Raises `InputError` where a decompressor finds damage in the block."""
    try:
        yield
    except (
        *(EOFError, zlib.error, lzma.LZMAError, OSError),
        zipfile.BadZipFile,
    ) as error:
        # Of OSError, the decompressors' own: the system's have a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(
            f"{path}: the compressed file is damaged or truncated ({error}). "
            "Make or fetch it again."
        ) from error


def read_start(path: str, compression: str, size: int) -> bytes:
    """The first bytes, decompressed; none where they are damaged."""
    try:
        with open_unpacked(path, compression) as file:
            return file.read(size)
    except InputError:
        # What is damaged is said by whoever reads the file.
        check_library(path, compression)
        check_exists(path)
        return b""


def packing(file: BinaryIO, compression: str):
    """What is written in the `with` block arrives in `file` compressed."""
    if not compression:
        return contextlib.nullcontext(file)
    return COMPRESSIONS[compression].pack(file)


class _ZstdFile(io.RawIOBase):
    """Frames one after the other; the library's reader ignores truncation."""

    def __init__(self, path: str):
        self._file = open(path, "rb")  # noqa: SIM115 - `close`
        self._parts = _unpack_zstd(self._file)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while not self._left:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._left = memoryview(part)
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


def _unpack_zstd(file: BinaryIO) -> Iterator[bytes]:
    import zstandard

    frame = None
    while packed := file.read(_ZSTD_BYTES):
        while packed:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            try:
                yield frame.decompress(packed)
            except zstandard.ZstdError as error:
                raise EOFError(str(error)) from error
            packed = frame.unused_data
            if frame.eof:
                frame = None
    if frame:
        raise EOFError("the file ends inside a frame")


def _open_zstd(path: str, mode: str) -> BinaryIO:
    return io.BufferedReader(_ZstdFile(path), 2**16)


def _pack_zstd(file: BinaryIO) -> BinaryIO:
    import zstandard

    compressor = zstandard.ZstdCompressor(write_checksum=True)
    return compressor.stream_writer(file, closefd=False)


COMPRESSIONS = {
    "gz": Compression(
        *("a gzip file", b"\x1f\x8b", gzip.open),
        lambda file: gzip.GzipFile("", "wb", 6, file, mtime=0),
    ),
    "bz2": Compression(
        *("a bzip2 file", b"BZh", bz2.open),
        lambda file: bz2.BZ2File(file, "wb"),
    ),
    "xz": Compression(
        *("an xz file", b"\xfd7zXZ\0", lzma.open),
        lambda file: lzma.LZMAFile(file, "wb"),  # noqa: SIM115
    ),
    "zst": Compression(
        "a zstd file", b"\x28\xb5\x2f\xfd", _open_zstd, _pack_zstd
    ),
}
