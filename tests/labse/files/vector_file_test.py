"""Vector files: NumPy reads them, and no kill changes what is in them."""

import errno
import io
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from labse.errors import InputError
from labse.files.vector_file import VectorFile, scratch_array

ROWS = np.arange(30, dtype=np.float32).reshape(10, 3) + 1


def write(path, rows=ROWS, dtype="float32", block=4, finish=True):
    with VectorFile(path, dtype) as file:
        file.keep(file.rows)
        for start in range(file.rows, len(rows), block):
            file.append(rows[start : start + block])
        if finish:
            file.finish()


def full_disk(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_bytes_are_those_of_numpy(tmp_path, dtype):
    write(tmp_path / "v.npy", dtype=dtype)
    expected = io.BytesIO()
    np.save(expected, ROWS.astype(dtype))
    assert (tmp_path / "v.npy").read_bytes() == expected.getvalue()


def test_a_file_without_rows(tmp_path):
    with VectorFile(tmp_path / "v.npy", dimension=5) as file:
        file.keep(0)
        file.finish()
    assert np.load(tmp_path / "v.npy").shape == (0, 5)


# A header of 128 bytes, rows of 12.
@pytest.mark.parametrize(
    ("size", "rows"), [(0, 0), (70, 0), (128, 0), (139, 0), (140, 1), (199, 5)]
)
def test_complete_rows_are_found_wherever_it_was_killed(tmp_path, size, rows):
    whole, part = tmp_path / "whole.npy", tmp_path / "part.npy"
    write(whole, finish=False)
    part.write_bytes(whole.read_bytes()[:size])
    with VectorFile(part) as file:
        assert file.rows == rows
        assert file.dimension == (3 if rows else None)
    write(whole)
    write(part)
    assert part.read_bytes() == whole.read_bytes()


def test_fewer_rows_may_be_kept(tmp_path):
    path = tmp_path / "v.npy"
    write(path)
    with VectorFile(path) as file:
        with pytest.raises(ValueError, match="has 10 rows, not 11"):
            file.keep(11)
        file.keep(2)
        file.append(ROWS[7:])
        file.finish()
    np.testing.assert_array_equal(np.load(path), ROWS[[0, 1, 7, 8, 9]])


@pytest.mark.parametrize(
    "arguments", [("float16", None), ("float32", 4), ("float16", 3)]
)
def test_rows_of_another_kind_are_not_taken(tmp_path, arguments):
    dtype, dimension = arguments
    write(tmp_path / "v.npy")
    with VectorFile(tmp_path / "v.npy", dtype, dimension) as file:
        assert (file.rows, file.dimension) == (0, dimension)
        file.keep(0)
        file.append(np.ones((2, dimension or 6), np.float32))
        file.finish()
    found = np.load(tmp_path / "v.npy")
    assert (found.dtype, found.shape) == (dtype, (2, dimension or 6))


def test_the_dimension_stays(tmp_path):
    write(tmp_path / "v.npy")
    with VectorFile(tmp_path / "v.npy") as file:
        file.keep(10)
        with pytest.raises(ValueError, match=r"dimension 3.*shape \(1, 4\)"):
            file.append(np.ones((1, 4), np.float32))


@pytest.mark.parametrize(
    ("number", "message"), [(7e4, "number is 7e.04"), (1e-9, "number is 1e-09")]
)
def test_numbers_that_the_type_cannot_hold(tmp_path, number, message):
    rows = ROWS.copy()
    rows[5] = number  # In float16, infinity and zero.
    with pytest.raises(InputError, match=f"float16 can hold.*{message}"):
        write(tmp_path / "v.npy", rows, "float16")
    with VectorFile(tmp_path / "v.npy", "float16") as file:
        assert file.rows == 4  # The block before.


def test_one_process_writes(tmp_path):
    with (
        VectorFile(tmp_path / "v.npy"),
        pytest.raises(InputError, match="Another process is writing .*v.npy"),
    ):
        VectorFile(tmp_path / "v.npy")
    VectorFile(tmp_path / "v.npy")


LIMITED = """
import resource, sys, numpy as np
from labse.files.vector_file import VectorFile
resource.setrlimit(resource.RLIMIT_FSIZE, (128 + 7 * 12 + 5,) * 2)
rows = np.arange(30, dtype=np.float32).reshape(10, 3) + 1
with VectorFile(sys.argv[1]) as file:
    file.append(rows[:4])
    file.append(rows[4:])
"""


def test_a_full_disk_keeps_what_was_written(tmp_path):
    """A limit on the size of files stops a write in the middle of a row."""
    path = tmp_path / "v.npy"
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)],
        stderr=subprocess.PIPE,
        text=True,
    )
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(
        f"labse.errors.InputError: {tmp_path} must take 6 vectors, 0.00 GB. "
        "Received: [Errno 27] File too large. Make room and start again"
    )
    with VectorFile(path) as file:
        assert file.rows == 7
        file.keep(4)
        file.append(ROWS[4:])
        file.finish()
    np.testing.assert_array_equal(np.load(path), ROWS)


WRITER = """
import sys, numpy as np
from labse.files.vector_file import VectorFile
with VectorFile(sys.argv[1]) as file:
    file.keep(file.rows)
    while file.rows < int(sys.argv[2]):
        # A kill in the middle of a write leaves any number of rows.
        stop = min(file.rows + 50, int(sys.argv[2]))
        rows = np.arange(file.rows, stop, dtype=np.float32)
        file.append(np.repeat(rows[:, None], 256, axis=1))
    file.finish()
"""


def test_a_killed_process_resumes(tmp_path):
    """SIGKILL, three times, at moments that are not chosen."""
    path, num_rows = tmp_path / "v.npy", 20_000
    command = [sys.executable, "-c", WRITER, str(path), str(num_rows)]
    size = 0
    for _ in range(3):
        process = subprocess.Popen(command)
        while process.poll() is None:
            if path.exists() and path.stat().st_size > size:
                process.kill()
            time.sleep(0.002)
        assert process.returncode == -signal.SIGKILL
        assert size < path.stat().st_size
        size = path.stat().st_size
    assert size < 128 + num_rows * 1024
    subprocess.run(command, check=True)
    expected = np.arange(num_rows, dtype=np.float32)
    np.testing.assert_array_equal(
        np.load(path), np.repeat(expected[:, None], 256, axis=1)
    )


def test_a_scratch_array_has_room_and_no_name(tmp_path, monkeypatch):
    array = scratch_array(tmp_path, (5, 3), np.float32)
    assert isinstance(array, np.memmap) and os.listdir(tmp_path) == []
    np.testing.assert_array_equal(array, np.zeros((5, 3)))
    array[:] = ROWS[:5]
    np.testing.assert_array_equal(array, ROWS[:5])
    monkeypatch.setattr(os, "posix_fallocate", full_disk)
    with pytest.raises(InputError, match="of 5 texts, .* No space left"):
        scratch_array(tmp_path, (5, 3), np.float32)
    assert os.listdir(tmp_path) == []
