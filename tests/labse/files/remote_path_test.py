"""Paths on TensorFlow's file systems; ram:// is one that needs no network."""

import pathlib
import subprocess
import sys

import pytest

from labse.errors import InputError
from labse.files.remote_path import RemotePath, as_path, is_remote


@pytest.fixture
def folder(request):
    folder = as_path(f"ram://bucket/{request.node.name}")
    folder.mkdir(parents=True)
    yield folder
    folder.remove()


@pytest.mark.parametrize(
    "path", ["runs/mine", "/runs/mine", "~/mine", "a:b", ".", "C:/runs"]
)
def test_what_has_no_scheme_is_local(path):
    assert as_path(path) == pathlib.Path(path)
    assert not is_remote(path)


@pytest.mark.parametrize(
    "handle", ["https://tfhub.dev/google/LaBSE/2", "hf://org/name", "file:///x"]
)
def test_handles_of_hubs_are_not_remote_paths(handle):
    assert not is_remote(handle)


def test_two_slashes_stay_two():
    run = as_path("gs://bucket/runs/mine/")
    assert str(run) == "gs://bucket/runs/mine"
    assert as_path(run) is run
    assert run == as_path("gs://bucket") / "runs" / pathlib.Path("mine")
    assert run != as_path("gs://bucket/runs")
    assert len({run, as_path("gs://bucket/runs/mine")}) == 1
    assert str(as_path("hdfs:///runs")) == "hdfs:///runs"
    assert run.name == "mine"
    assert str(run.parent) == "gs://bucket/runs"
    assert str(run.with_name("other")) == "gs://bucket/runs/other"
    assert str(run.parent.parent.parent) == "gs://bucket"
    assert repr(run) == "RemotePath('gs://bucket/runs/mine')"


def test_it_does_what_pathlib_does(folder, tmp_path):
    """The same calls, with the same results, on both."""
    for root in (folder, tmp_path):
        path = root / "a.txt"
        assert not path.exists() and not path.is_file() and not path.is_dir()
        for text in ("ä\r\n", "b\n"):
            with path.open("ab") as file:
                file.write(text.encode())
        assert path.read_bytes() == b"\xc3\xa4\r\nb\n"
        assert path.exists() and path.is_file() and not path.is_dir()
        path.replace(root / "b.txt")
        with path.open("wb") as file:
            file.write(b"new")
        path.replace(root / "b.txt")  # In place of the other one.
        assert [each.name for each in root.iterdir()] == ["b.txt"]
        assert (root / "b.txt").read_text(encoding="utf-8") == "new"
        (root / "deep" / "er").mkdir(parents=True)
        (root / "deep").mkdir(exist_ok=True)
        with pytest.raises(FileExistsError):
            (root / "deep").mkdir()
        assert (root / "deep").is_dir() and not (root / "deep").is_file()
        names = sorted(each.name for each in root.iterdir())
        assert names == ["b.txt", "deep"]
        with pytest.raises(FileNotFoundError):
            path.read_bytes()
        with pytest.raises(FileNotFoundError):
            list((root / "no").iterdir())
        with pytest.raises(FileNotFoundError):
            path.replace(root / "c.txt")


def test_a_file_is_copied_to_a_disk_and_removed(folder, tmp_path):
    with (folder / "a").open("w") as file:
        file.write("text")
    (folder / "a").copy_to(tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "text"
    (folder / "a").remove()
    (folder / "a").remove()  # It is gone already.
    assert list(folder.iterdir()) == []


def test_a_bad_path_is_the_users_mistake(folder):
    with pytest.raises(InputError) as error:
        as_path("nosuch://bucket/run").exists()
    assert str(error.value).startswith(
        "nosuch://bucket/run must be a path of a file system that TensorFlow "
        "knows, such as gs://BUCKET/FOLDER. "
    )
    with pytest.raises(InputError, match="must name a file or folder of this"):
        folder.read_bytes()


def test_local_paths_need_no_tensorflow():
    code = (
        "from labse.files.remote_path import as_path\n"
        "as_path('.').exists(); as_path('gs://bucket') / 'run'\n"
        "import sys; assert not {'tensorflow', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_remote_paths_are_paths_to_python():
    path = RemotePath("gs://bucket/run")
    assert path.__fspath__() == f"{path}" == "gs://bucket/run"
