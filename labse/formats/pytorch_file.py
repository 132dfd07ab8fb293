"""Finds the tensors in a PyTorch file (`pytorch_model.bin`), running nothing.

Since PyTorch 1.6 `torch.save` writes a zip archive of uncompressed entries:
`NAME/data.pkl`, a pickle that says what there is; `NAME/data/KEY`, the numbers
of one storage each; `NAME/byteorder`. `NAME` is any word.
"""

import dataclasses
import os
import pathlib
import struct
import zipfile
import zlib
from typing import BinaryIO

from labse.errors import InputError
from labse.formats import model_file, pickled_state_dict, weight_file
from labse.formats.pickled_state_dict import Storage, Tensor
from labse.formats.stored_tensor import StoredTensor
from labse.formats.weight_file import shown

_ZIP = b"PK\x03\x04"
# A pickled number that begins PyTorch's format before 1.6.
_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
_CONVERT = (
    "Convert it in PyTorch: safetensors.torch.save_file(torch.load(path, "
    "weights_only=True), 'model.safetensors')."
)
# The list of entries; 64 bytes each, and a name.
_MAX_DIRECTORY_BYTES = 2**22
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_ENCRYPTED = 0x1
# What zipfile raises for an archive that is damaged or of a kind it lacks.
_UNREADABLE = (
    zipfile.BadZipFile,
    struct.error,
    ValueError,
    OverflowError,
    IndexError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


def read_header(path: str | os.PathLike) -> dict[str, StoredTensor]:
    """Where each tensor of a state dict lies; no tensor is read.

    Raises:
      InputError: the file is damaged, of another format, or holds anything but
        a flat state dict of contiguous tensors.
    """
    path = pathlib.Path(path)
    size, head = model_file.head(path)
    _check_format(path, head)
    with model_file.opened(path) as file:
        archive = _Archive(path, file, size)
        tensors = pickled_state_dict.read(path, archive.read("data.pkl"))
        archive.check_byte_order()
        return {
            name: _stored_tensor(path, archive, name, tensor)
            for name, tensor in tensors.items()
        }


def _check_format(path: pathlib.Path, head: bytes) -> None:
    if head.startswith(_ZIP):
        return
    if head.startswith(_LEGACY):
        raise InputError(
            f"{path} is in PyTorch's format before 1.6, which is not read. "
            f"{_CONVERT}"
        )
    what = "is not a PyTorch file"
    if head.startswith(b"\x80"):
        what = "is a bare pickle, which is not read"
    elif head[257:262] == b"ustar":
        what = "is a tar archive, not a PyTorch file"
    raise InputError(
        f"{path} {what}: torch.save writes zip archives since PyTorch 1.6. "
        f"Fetch it again, or, if it can be trusted: {_CONVERT}"
    )


def _damaged(path: pathlib.Path, reason: str) -> InputError:
    return model_file.damaged(path, f"is not a sound PyTorch file: {reason}")


class _Guarded:
    """The file as `zipfile` sees it: its claims lead to no large read."""

    def __init__(self, path: pathlib.Path, file: BinaryIO, size: int):
        self._path = path
        self._file = file
        self._size = size
        self.tell = file.tell

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = self._size if whence == os.SEEK_END else 0
        if start + offset < 0:
            raise _damaged(self._path, "it is shorter than it says")
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        limit = _MAX_DIRECTORY_BYTES
        content = self._file.read(min(size, limit) if size >= 0 else limit)
        if size > len(content) or len(content) == limit:
            raise _damaged(self._path, "its list of entries is cut off")
        return content


class _Archive:
    """The entries of the zip archive and where their bytes lie."""

    def __init__(self, path: pathlib.Path, file: BinaryIO, size: int):
        self._path = path
        self._file = file
        self._size = size
        try:
            infos = zipfile.ZipFile(_Guarded(path, file, size)).infolist()
        except InputError:
            raise
        except _UNREADABLE as error:
            raise _damaged(
                path,
                f"the list of its entries, at its end, is missing or damaged "
                f"({error}); maybe it was cut off",
            ) from error
        self._infos = {info.filename: info for info in infos}
        if len(self._infos) < len(infos):
            raise _damaged(path, "two entries have one name")
        roots = [
            name.removesuffix("/data.pkl")
            for name in self._infos
            if name.endswith("/data.pkl") and name.count("/") == 1
        ]
        if len(roots) != 1:
            raise InputError(
                f"{path} is a zip archive with {len(roots)} entries "
                "NAME/data.pkl; torch.save writes one. Give the file that "
                "torch.save wrote."
            )
        self._root = roots[0]

    def has(self, name: str) -> bool:
        """Whether there is an entry of the name."""
        return f"{self._root}/{name}" in self._infos

    def place(self, name: str) -> tuple[int, int]:
        """Offset and number of bytes of an entry."""
        if not self.has(name):
            raise _damaged(self._path, f"the entry {shown(name)} is missing")
        info = self._infos[f"{self._root}/{name}"]
        if (
            info.compress_type != zipfile.ZIP_STORED
            or info.flag_bits & _ENCRYPTED
            or info.compress_size != info.file_size
        ):
            raise InputError(
                f"{self._path}: the entry {shown(name)} is compressed or "
                "encrypted, which torch.save does not do. Give the file as "
                "torch.save wrote it."
            )
        # Behind the entry's own header, whose last part has its own length.
        if 0 <= info.header_offset <= self._size - _LOCAL_HEADER.size:
            self._file.seek(info.header_offset)
            header = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
            offset = info.header_offset + _LOCAL_HEADER.size + sum(header[-2:])
            if header[0] == _ZIP and offset + info.file_size <= self._size:
                return offset, info.file_size
        raise _damaged(self._path, f"it ends before its entry {shown(name)}")

    def read(self, name: str) -> bytes:
        """A small entry."""
        offset, size = self.place(name)
        if size > pickled_state_dict.MAX_BYTES:
            raise InputError(
                f"{self._path}: the entry {name} has {size:,} bytes, a state "
                f"dict's at most {pickled_state_dict.MAX_BYTES:,}. Give a file "
                "of weights."
            )
        self._file.seek(offset)
        content = self._file.read(size)
        if self.checksum(name) not in (None, zlib.crc32(content)):
            raise _damaged(
                self._path, f"the checksum of its entry {name} does not fit"
            )
        return content

    def checksum(self, name: str) -> int | None:
        """The CRC-32 of an entry, where `torch.save` computed it."""
        return self._infos[f"{self._root}/{name}"].CRC or None

    def check_byte_order(self) -> None:
        """Files of PyTorch before 2.1 do not say it; little is meant."""
        if self.has("byteorder") and self.read("byteorder") != b"little":
            raise InputError(
                f"{self._path} was written on a big-endian machine, which is "
                f"not read. {_CONVERT}"
            )


def _stored_tensor(
    path: pathlib.Path, archive: _Archive, name: str, tensor: Tensor
) -> StoredTensor:
    """Checks a tensor against the archive."""
    shape = tensor.shape
    if not isinstance(shape, tuple) or not weight_file.is_shape(shape):
        raise _damaged(path, f"the shape of {shown(name)} is {shown(shape)}")
    _check_row_major(path, name, tensor)
    begin = _storage_offset(path, archive, tensor.storage)
    itemsize = tensor.storage.dtype.itemsize
    if type(tensor.offset) is not int or tensor.offset < 0:
        raise _damaged(
            path, f"{shown(name)} begins at number {shown(tensor.offset)}"
        )
    stored = StoredTensor(
        path, begin + tensor.offset * itemsize, tensor.storage.dtype, shape
    )
    if stored.num_bytes == tensor.storage.length * itemsize:
        checksum = archive.checksum(f"data/{tensor.storage.key}")
        stored = dataclasses.replace(stored, crc32=checksum)
    end = stored.offset + stored.num_bytes
    if end > begin + tensor.storage.length * itemsize:
        raise _damaged(
            path,
            f"{shown(name)}, {shape} from number {shown(tensor.offset)} on, "
            f"does not fit its storage of {tensor.storage.length:,} numbers",
        )
    return stored


def _check_row_major(path: pathlib.Path, name: str, tensor: Tensor) -> None:
    strides = tensor.strides
    if not isinstance(strides, tuple) or len(strides) != len(tensor.shape):
        raise _damaged(path, f"{shown(name)} has strides {shown(strides)}")
    expected = 1
    for size, stride in zip(
        reversed(tensor.shape), reversed(strides), strict=True
    ):
        # Where there is one index only, the stride is never used.
        if size > 1 and 0 not in tensor.shape and stride != expected:
            raise InputError(
                f"{path}: the tensor {shown(name)} {tensor.shape} is not "
                f"stored row by row (strides {shown(strides)}). Save "
                "tensor.contiguous() under this name instead."
            )
        expected *= size


def _storage_offset(
    path: pathlib.Path, archive: _Archive, storage: Storage
) -> int:
    """The offset of the storage's first byte."""
    offset, size = archive.place(f"data/{storage.key}")
    if size != storage.length * storage.dtype.itemsize:
        raise _damaged(
            path,
            f"the entry data/{shown(storage.key)} has {size:,} bytes, its "
            f"pickle says {shown(storage.length)} of {storage.dtype}",
        )
    return offset
