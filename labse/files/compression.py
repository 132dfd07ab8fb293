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
from collections.abc import Iterator
from typing import BinaryIO

from labse.errors import InputError

COMPRESSIONS = ("gz", "bz2", "xz", "zst")
_GZIP_LEVEL = 6
# Of compressed data. A block of 4 bytes can hold 128 KiB of zeros, so this
# much unpacks to at most 128 MiB.
_ZSTD_BYTES = 2**12


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
    if compression == "zst":
        _import_zstandard(path)


@contextlib.contextmanager
def open_unpacked(
    path: str, compression: str | None = None
) -> Iterator[BinaryIO]:
    """Opens a file to read, decompressed.

    Args:
      path: the file.
      compression: one of `COMPRESSIONS`, or empty; by default by the ending.

    Raises:
      InputError: there is no such file; or, in the block, it is damaged.
    """
    check_exists(path)
    if compression is None:
        compression = compression_of(path)
    with _open(path, compression) as file, refuse_damage(path):
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


@contextlib.contextmanager
def packing(file: BinaryIO, compression: str) -> Iterator[BinaryIO]:
    """What is written to the file yielded arrives in `file` compressed."""
    if not compression:
        yield file
        return
    if compression == "gz":
        packed = gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0)
    elif compression == "bz2":
        packed = bz2.BZ2File(file, "wb")
    elif compression == "xz":
        packed = lzma.LZMAFile(file, "wb")  # noqa: SIM115 - closed below
    else:
        zstandard = _import_zstandard(getattr(file, "name", ".zst"))
        compressor = zstandard.ZstdCompressor(write_checksum=True)
        packed = compressor.stream_writer(file, closefd=False)
    with packed:
        yield packed


def _open(path: str, compression: str) -> BinaryIO:
    if compression == "zst":
        return io.BufferedReader(_ZstdFile(path), 2**16)
    openers = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    return openers.get(compression, open)(path, "rb")


def _import_zstandard(path: str):
    try:
        import zstandard
    except ImportError as error:
        raise InputError(
            f"{path}: .zst needs the package zstandard, which cannot be "
            f"imported ({error}). Install it: pip install zstandard."
        ) from error
    return zstandard


class _ZstdFile(io.RawIOBase):
    """Frames one after the other; the library's reader ignores truncation."""

    def __init__(self, path: str):
        self._zstandard = _import_zstandard(path)
        self._file = open(path, "rb")  # noqa: SIM115 - `close`
        self._frame = None
        self._packed = self._unpacked = b""

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer) -> int:
        """Fills a buffer; returns how many bytes there were."""
        while not self._unpacked:
            packed = self._packed or self._file.read(_ZSTD_BYTES)
            self._packed = b""
            if not packed:
                if self._frame is not None:
                    raise EOFError("the file ends inside a frame")
                return 0
            self._unpack(packed)
        size = min(len(buffer), len(self._unpacked))
        buffer[:size] = self._unpacked[:size]
        self._unpacked = self._unpacked[size:]
        return size

    def _unpack(self, packed: bytes) -> None:
        if self._frame is None:
            self._frame = self._zstandard.ZstdDecompressor().decompressobj()
        try:
            self._unpacked = memoryview(self._frame.decompress(packed))
        except self._zstandard.ZstdError as error:
            raise EOFError(str(error)) from error
        if self._frame.eof:
            self._packed = self._frame.unused_data
            self._frame = None

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()
