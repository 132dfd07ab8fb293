import io

import pytest

from data_pipeline.jobs.progress import Progress
from labse.files.work_folder import WorkFolder


class Unit:
    def __init__(self, name, size):
        self.name, self.size = name, size


class Terminal(io.StringIO):
    def isatty(self):
        return True


def make(work, name):
    work.make(name, {}, lambda path: path.write_text("done"))


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_units_and_bytes_that_are_done(tmp_path, kind):
    work, file = WorkFolder(tmp_path), kind()
    make(work, "before")
    units = [Unit("before", 1000), Unit("a", 3000), Unit("b", 6000)]
    with Progress("reading", units, work, file):
        make(work, "a")
    last = file.getvalue().split("\r")[-1]
    assert last.startswith("reading: ")
    assert "4.00k/10.0k" in last
    assert "2 of 3 units" in last


def test_nothing_is_shown_where_nothing_is_to_be_done(tmp_path):
    work, file = WorkFolder(tmp_path), Terminal()
    make(work, "a")
    with Progress("reading", [Unit("a", 9)], work, file):
        pass
    assert not file.getvalue()
