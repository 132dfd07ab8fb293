import errno
import json
import multiprocessing
import os
import signal
import time

import pytest

from labse.errors import InputError
from labse.files.work_folder import WorkFolder


def write_text(text):
    return lambda path: path.write_text(text)


def refuse(path):
    raise AssertionError("was made again")


def test_a_file_is_made_once(tmp_path):
    work = WorkFolder(tmp_path)
    made = work.make("a/b.txt", {"model": "m"}, write_text("hello"))
    assert (tmp_path / "a/b.txt").read_text() == "hello"
    assert made.size == 5
    # printf hello | sha256sum
    assert made.sha256 == (
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    )
    assert WorkFolder(tmp_path).make("a/b.txt", {"model": "m"}, refuse) == made
    assert work.note("a/b.txt") == made


def test_a_folder_is_made_whole(tmp_path):
    work = WorkFolder(tmp_path)

    def write(folder):
        folder.mkdir()
        (folder / "one").write_text("1")
        (folder / "two").write_text("22")

    assert work.make("corpus", {}, write).size == 3
    assert (tmp_path / "corpus/two").read_text() == "22"


def test_another_origin_is_noticed_and_named(tmp_path):
    WorkFolder(tmp_path).make("v", {"model": "m", "rows": 3}, write_text("1"))
    with pytest.raises(InputError) as error:
        WorkFolder(tmp_path).make("v", {"model": "n", "rows": 3}, refuse)
    message = str(error.value)
    assert 'model was "m" and is "n"' in message
    assert "rows" not in message and "restart" in message
    assert (tmp_path / "v").read_text() == "1"
    made = WorkFolder(tmp_path, restart=True)
    made.make("v", {"model": "n", "rows": 3}, write_text("2"))
    assert (tmp_path / "v").read_text() == "2"


def test_replace_raises_nothing(tmp_path):
    work = WorkFolder(tmp_path)
    work.make("v", {"k": 1}, write_text("1"))
    work.make("v", {"k": 2}, write_text("2"), replace=True)
    assert (tmp_path / "v").read_text() == "2"


def test_a_file_that_was_cut_is_an_error(tmp_path):
    work = WorkFolder(tmp_path)
    work.make("v", {}, write_text("123"))
    (tmp_path / "v").write_text("1")
    with pytest.raises(InputError, match="made with 3 bytes"):
        work.make("v", {}, refuse)


def test_what_is_missing_names_the_step(tmp_path):
    with pytest.raises(InputError, match="Run the step 'embed' first"):
        WorkFolder(tmp_path).require("v", "embed")


def test_a_failed_writer_leaves_its_part_for_the_same_origin_only(tmp_path):
    work = WorkFolder(tmp_path)

    def fail(path):
        path.write_text("begun")
        raise KeyError

    with pytest.raises(KeyError):
        work.make("v", {"model": "m"}, fail)
    assert work.note("v") is None and not (tmp_path / "v").exists()

    def finish(path):
        path.write_text(path.read_text() + " and ended")

    work.make("v", {"model": "m"}, finish)
    assert (tmp_path / "v").read_text() == "begun and ended"
    with pytest.raises(KeyError):
        work.make("w", {"model": "m"}, fail)
    with pytest.raises(FileNotFoundError):
        work.make("w", {"model": "n"}, finish)


def test_a_file_without_its_note_is_made_again(tmp_path):
    work = WorkFolder(tmp_path)
    work.make("v", {}, write_text("1"))
    (tmp_path / "notes/v.json").unlink()
    work.make("v", {}, write_text("2"))
    assert (tmp_path / "v").read_text() == "2"
    assert json.loads((tmp_path / "notes/v.json").read_text())["size"] == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_input_error_and_loses_nothing(tmp_path, number):
    work = WorkFolder(tmp_path)
    work.make("done", {}, write_text("1"))

    def full(path):
        raise OSError(number, "full")

    with pytest.raises(InputError, match=r"is full \(.* GB free\)"):
        work.make("v", {}, full)
    assert work.note("done").size == 1


def test_other_errors_of_the_system_stay_what_they_are(tmp_path):
    def denied(path):
        raise PermissionError(errno.EACCES, "no")

    with pytest.raises(PermissionError):
        WorkFolder(tmp_path).make("v", {}, denied)


def _make_slowly(folder):
    def write(path):
        with open(folder / "calls", "a") as file:
            file.write("x")
        time.sleep(0.5)
        path.write_text("1")

    WorkFolder(folder).make("v", {}, write)


def test_two_processes_make_a_file_once(tmp_path):
    context = multiprocessing.get_context("fork")
    both = [
        context.Process(target=_make_slowly, args=(tmp_path,)) for _ in "ab"
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert (tmp_path / "calls").read_text() == "x"


def _hang(folder):
    def write(path):
        (folder / "ready").touch()
        time.sleep(60)

    WorkFolder(folder).make("v", {}, write)


def test_a_killed_process_keeps_nobody_waiting(tmp_path):
    process = multiprocessing.get_context("fork").Process(
        target=_hang, args=(tmp_path,)
    )
    process.start()
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    WorkFolder(tmp_path).make("v", {}, write_text("1"))
    assert (tmp_path / "v").read_text() == "1"
