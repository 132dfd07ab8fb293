import io

from data_pipeline.jobs import progress
from labse.files.work_folder import WorkFolder


class Unit:
    def __init__(self, name, size):
        self.name, self.size = name, size


class Terminal(io.StringIO):
    def isatty(self):
        return True


def make(work, name):
    work.make(name, {}, lambda path: path.write_text("done"))


def test_the_line_says_units_bytes_rate_and_time_left(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    work = WorkFolder(tmp_path)
    make(work, "before")
    units = [
        Unit("before", 10**9),
        Unit("a", 3 * 10**9),
        Unit("b", 6 * 10**9),
    ]
    shown = progress.Progress("reading", units, work)
    assert shown.line() == "reading: 1 of 3 units, 1.0 GB of 10.0 GB"
    make(work, "a")
    now[0] += 60
    shown._find_done()
    # 3 GB in 60 s: 50 MB/s; 6 GB are left, 120 s.
    assert shown.line() == (
        "reading: 2 of 3 units, 4.0 GB of 10.0 GB, 50.0 MB/s, 2 min left"
    )
    make(work, "b")
    shown._find_done()
    assert shown.line().endswith("10.0 GB of 10.0 GB, 150.0 MB/s, 60 s")


def test_a_log_has_a_line_and_a_terminal_one_that_is_written_over(tmp_path):
    work = WorkFolder(tmp_path)
    for file in (io.StringIO(), Terminal()):
        name = type(file).__name__
        with progress.Progress("reading", [Unit(name, 9)], work, file):
            make(work, name)
        assert file.getvalue().endswith("\n")
        assert file.getvalue().count("\n") == 1
        assert file.getvalue().startswith("\r") == file.isatty()
    with progress.Progress(
        "reading", [Unit(name, 9)], work, file := Terminal()
    ):
        pass
    assert not file.getvalue()  # Nothing was to be done.
