"""Files of vectors that are larger than memory.

`VectorFile` is a `.npy` file that grows block by block and survives a kill:

    with VectorFile(path, "float32") as file:
        file.keep(rows_of_the_same_texts_and_model)
        for block in blocks:
            file.append(block)
        file.finish()

Which of the rows found may be kept is for the caller to know: the file says
neither the model nor the texts. `scratch_array` is an array on the disk that
nobody has to clean up.
"""

import contextlib
import fcntl
import os
import pathlib
import tempfile
from collections.abc import Iterator

import numpy as np

from labse.errors import InputError


class VectorFile:
    """A `.npy` file [rows, dimension], open to append to, for one process.

    Until `finish` its header says 0 rows. The header has one length whatever
    the number of rows, since NumPy pads it for a growing first axis.

    Attributes:
      path: of the file.
      dimension: length of a vector; None until the first is known.
      rows: complete rows in the file. After opening, those that an earlier
        process left; 0 where they have another type or dimension.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        dtype: str = "float32",
        dimension: int | None = None,
    ):
        """Opens or creates the file, in a folder that exists.

        Args:
          path: of the file, which no other process may be writing.
          dtype: "float32" or "float16".
          dimension: by default that of the rows found, or of the first block.
        """
        self.path = pathlib.Path(path)
        self.dimension = dimension
        self.rows = 0
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._start = 0  # where the rows begin
        # Without a buffer: after a full disk there is nothing left to write.
        self._file = os.fdopen(
            os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0
        )
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._find_rows()
        except BlockingIOError as error:
            self._file.close()
            raise InputError(
                f"Another process is writing {self.path}. Wait for it, or "
                "choose another file."
            ) from error
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "VectorFile":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def keep(self, rows: int) -> None:
        """Truncates the file to its first `rows`, at most `self.rows`."""
        if not 0 <= rows <= self.rows:
            raise ValueError(f"{self.path} has {self.rows} rows, not {rows}.")
        self.rows = rows
        if rows:
            end = self._start + rows * self.dimension * self._dtype.itemsize
            self._file.truncate(end)
            self._file.seek(end)
            return
        self._file.seek(0)
        self._file.truncate()
        self._start = 0
        if self.dimension is not None:
            self._write_header()

    def append(self, vectors: np.ndarray) -> None:
        """Writes a block of vectors, [n, dimension]; then it is on the disk.

        Raises:
          InputError: the file's type cannot hold a number of theirs, or the
            disk is full.
        """
        if self.dimension is None:
            self.dimension = vectors.shape[1]
        if vectors.shape[1:] != (self.dimension,):
            raise ValueError(
                f"{self.path} holds vectors of dimension {self.dimension}. "
                f"Received: shape {vectors.shape}."
            )
        stored = _cast(vectors, self._dtype)
        with disk_errors(
            self.path.parent, f"{len(stored):,} vectors", stored.nbytes
        ):
            if not self._start:
                self._write_header()
            left = stored.view(np.uint8).reshape(-1)
            while len(left):
                left = left[self._file.write(left.data) :]
            os.fsync(self._file.fileno())
        self.rows += len(stored)

    def finish(self) -> None:
        """Writes the number of rows into the header."""
        self._write_header()
        os.fsync(self._file.fileno())

    def _find_rows(self) -> None:
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        try:
            if np.lib.format.read_magic(self._file) != (1, 0):
                return
            shape, _, dtype = np.lib.format.read_array_header_1_0(self._file)
        except ValueError:  # A new file, or killed inside the header.
            return
        if dtype != self._dtype or len(shape) != 2:
            return
        if self.dimension not in (None, shape[1]):
            return
        start = self._file.tell()
        rows = (size - start) // (shape[1] * dtype.itemsize)
        if rows:
            self.rows, self.dimension, self._start = rows, shape[1], start

    def _write_header(self) -> None:
        self._file.seek(0)
        shape = (self.rows, self.dimension)
        np.lib.format.write_array_header_1_0(
            self._file,
            {"descr": self._dtype.str, "fortran_order": False, "shape": shape},
        )
        end = self._file.tell()
        assert not self._start or end == self._start
        self._start = end


def scratch_array(
    folder: str | os.PathLike, shape: tuple[int, int], dtype: str | np.dtype
) -> np.ndarray:
    """An array of zeros, mapped from a file without a name in `folder`.

    It takes room on the disk, and memory only as there is some to spare. The
    file is gone with the array, also when the process is killed.

    Raises:
      InputError: the folder cannot take it.
    """
    size = shape[0] * shape[1] * np.dtype(dtype).itemsize
    with (
        disk_errors(folder, f"the vectors of {shape[0]:,} texts", size),
        tempfile.TemporaryFile(dir=folder) as file,
    ):
        if hasattr(os, "posix_fallocate"):  # Not on macOS.
            # Blocks that are missing when the disk is full would kill the
            # process at a write to the mapped memory.
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype, "w+", shape=shape)


@contextlib.contextmanager
def disk_errors(
    folder: str | os.PathLike, what: str, num_bytes: int
) -> Iterator[None]:
    """Makes an `OSError` in the block an `InputError` that says what to do."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{folder} must take {what}, {num_bytes / 1e9:,.2f} GB. Received: "
            f"{error}. Make room and start again, or choose another folder."
        ) from error


def _cast(vectors: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The vectors as they are stored, contiguous."""
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(vectors, dtype)
    if stored.dtype == vectors.dtype:
        return stored
    is_lost = ~np.isfinite(stored).all(axis=1) | ~stored.any(axis=1)
    if is_lost.any():
        largest = np.abs(vectors[is_lost.argmax()]).max()
        raise InputError(
            f"Vectors must be of a size that {dtype.name} can hold. Received "
            f"one whose largest number is {largest:.3g}. Store them as "
            "float32, or use an encoder of unit vectors."
        )
    return stored
