"""A file or folder is whole or not there, whatever happens in between."""

import os
import platform
import stat
import subprocess

import pytest

from labse.errors import InputError
from labse.files.atomic_write import (
    atomic_file,
    atomic_folder,
    atomic_path,
    check_new_folder,
    write_bytes,
    write_text,
)
from labse.files.remote_path import as_path


def test_text_is_written_as_it_is(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "ä\r\nb\n")
    write_text(path, "ä\r\nc\n")
    assert path.read_bytes() == b"\xc3\xa4\r\nc\n"
    write_bytes(path, b"\xff")
    assert path.read_bytes() == b"\xff"
    assert os.listdir(path.parent) == ["a.txt"]


def test_what_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_file(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
        assert len(os.listdir(tmp_path)) == 2
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_of_a_library(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("x")
        assert not path.exists()
    assert path.read_text() == "x"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_killed_processes_left_is_removed(tmp_path):
    """A running process' file stays, and so does one of another host."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    host = platform.node()
    (tmp_path / f".a.txt.{host}.{ended.pid}.tmp").mkdir()
    (tmp_path / f".b.txt.{host}.{ended.pid}.tmp").touch()
    (tmp_path / f".a.txt.{host}.{os.getppid()}.tmp").touch()
    (tmp_path / f".a.txt.elsewhere.{ended.pid}.tmp").touch()
    write_text(tmp_path / "a.txt", "x")
    assert sorted(os.listdir(tmp_path)) == sorted(
        [
            "a.txt",
            f".b.txt.{host}.{ended.pid}.tmp",
            f".a.txt.{host}.{os.getppid()}.tmp",
            f".a.txt.elsewhere.{ended.pid}.tmp",
        ]
    )


def test_a_folder_is_whole_or_not_there(tmp_path):
    path = tmp_path / "new" / "folder"
    with pytest.raises(RuntimeError), atomic_folder(path) as folder:
        (folder / "a").write_text("half")
        raise RuntimeError
    assert os.listdir(tmp_path / "new") == []
    with atomic_folder(path) as folder:
        (folder / "a").write_text("whole")
        assert not path.exists()
    assert (path / "a").read_text() == "whole"
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o777 & ~mask


def test_an_empty_folder_may_be_there(tmp_path):
    (tmp_path / "a").mkdir()
    with atomic_folder(tmp_path / "a") as folder:
        (folder / "b").touch()
    assert os.listdir(tmp_path) == ["a"] and os.listdir(tmp_path / "a") == ["b"]


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").touch()
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for name in ("full", "file"):
        with (
            pytest.raises(InputError, match=f"^out must be .*{name} exists"),
            atomic_folder(tmp_path / name),
        ):
            pass
    with pytest.raises(InputError, match="^--out must be .*link is a link"):
        check_new_folder(tmp_path / "link", "--out")
    assert sorted(os.listdir(tmp_path)) == ["empty", "file", "full", "link"]
    assert os.listdir(tmp_path / "full") == ["precious"]


def test_a_remote_file_is_whole_or_not_there():
    folder = as_path("ram://bucket/atomic")
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = folder / f".a.txt.{platform.node()}.{ended.pid}.tmp"
    folder.mkdir(parents=True)
    with left.open("w") as file:
        file.write("half")
    write_text(folder / "a.txt", "ä\r\nold")
    assert (folder / "a.txt").read_bytes() == b"\xc3\xa4\r\nold"
    with (
        pytest.raises(KeyboardInterrupt),
        atomic_file(folder / "a.txt") as file,
    ):
        file.write("new")
        raise KeyboardInterrupt
    assert (folder / "a.txt").read_text() == "ä\r\nold"
    write_bytes(str(folder / "a.txt"), b"new")
    assert (folder / "a.txt").read_bytes() == b"new"
    assert [path.name for path in folder.iterdir()] == ["a.txt"]
