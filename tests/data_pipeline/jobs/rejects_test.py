import errno
import gzip
import json

import pytest

from data_pipeline.jobs import rejects
from data_pipeline.jobs.drops import Dropped, Drops
from labse.errors import InputError


def write(folder, name, count=3):
    with rejects.open_rejects(folder, name) as kept:
        drops = Drops(kept.keep)
        for number in range(count):
            reason = ["fewer than 10", "a/b: odd?"][number % 2]
            drops.add(
                Dropped("length", reason, "ka", f"ტ{number}", f"f:{number}")
            )
    return drops


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_dropped_stands_by_step_and_reason(tmp_path):
    drops = write(tmp_path, "part-1")
    write(tmp_path, "part-2", 1)
    found = files(tmp_path)
    assert sorted(found) == [
        "length/a_b_odd/part-1.jsonl.gz",
        "length/fewer_than_10/part-1.jsonl.gz",
        "length/fewer_than_10/part-2.jsonl.gz",
    ]
    lines = gzip.decompress(found["length/fewer_than_10/part-1.jsonl.gz"])
    assert [json.loads(line) for line in lines.splitlines()][1] == {
        "text": "ტ2",
        "language": "ka",
        "place": "f:2",
        "step": "length",
        "reason": "fewer than 10",
    }
    assert drops.by_step() == {"length": 3}


def test_many_are_written_little_by_little(tmp_path, monkeypatch):
    monkeypatch.setattr(rejects, "_BUFFER_BYTES", 200)
    write(tmp_path, "a", 50)
    lines = b"".join(map(gzip.decompress, files(tmp_path).values()))
    assert lines.count(b"\n") == 50


def test_the_files_of_a_unit_are_whole_or_not_there(tmp_path, monkeypatch):
    write(tmp_path, "a")
    monkeypatch.setattr(rejects, "_BUFFER_BYTES", 1)
    with (
        pytest.raises(KeyboardInterrupt),
        rejects.open_rejects(tmp_path, "a") as kept,
    ):
        kept.keep(Dropped("length", "other", "ka", "x", "f:1"))
        raise KeyboardInterrupt
    assert not list(tmp_path.rglob("a.jsonl.gz"))
    write(tmp_path, "a", 1)
    assert len(list(tmp_path.rglob("a.jsonl.gz"))) == 1


def test_a_full_disk_is_that_of_the_rejects(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(rejects.gzip, "compress", full)
    with pytest.raises(InputError, match=f"The disk of {tmp_path} is full"):
        write(tmp_path, "a")
