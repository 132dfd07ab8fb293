"""Records written in units of work: the bytes of one process, and resumed."""

import functools
import gzip
import json
import pickle
import random

import pytest

from labse.data.records import in_units
from labse.data.records.writer import write_records
from labse.errors import InputError
from labse.files.lines import read_lines
from labse.files.reading import ReadOptions

LANGUAGES = ["de", "fr", "ja", "sw", "a language with a long name"]


@pytest.fixture(autouse=True)
def small_units(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda file: None)
    monkeypatch.setattr(in_units, "UNIT_BYTES", 4000)


def shuffled(job, label, units):
    """Each unit in another process, as it were, and in any order."""
    units = random.Random(len(label)).sample(units, len(units))
    for unit in units:
        job, unit = pickle.loads(pickle.dumps((job, unit)))
        unit.run(job)


def rows(size, first=0):
    for number in range(first, first + size):
        yield {
            "source": f"text {number}",
            "target": "Text " * (number % 9) + str(number),
            "source_language": "en",
            "target_language": LANGUAGES[number * number % 7 % 5],
            "corpus": ["", "a", "b"][number // 300 % 3],
        }


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A table that is read in parts, and others in a unit together."""
    folder = tmp_path_factory.mktemp("inputs")
    names = list(next(rows(1)))
    lines = ["\t".join(row[name] for name in names) for row in rows(900)]
    lines.insert(700, "")
    lines.insert(703, "one cell")
    (folder / "1.tsv").write_text("\n".join(["\t".join(names), *lines]))
    (folder / "2.jsonl.gz").write_bytes(
        gzip.compress("\n".join(map(json.dumps, rows(200, 900))).encode())
    )
    (folder / "3.jsonl").write_text("\n".join(map(json.dumps, rows(9, 1100))))
    return [folder / "1.tsv", folder / "2.jsonl.gz", folder / "3.jsonl"]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("shard_records", [16384, 3])
def test_the_bytes_are_those_of_one_process(inputs, tmp_path, shard_records):
    write = functools.partial(
        write_records, inputs, shard_records=shard_records
    )
    alone = write(tmp_path / "alone")
    labels = []

    def run(job, label, units):
        labels.append((label, len(units)))
        shuffled(job, label, units)

    together = write(tmp_path / "together", run_phase=run)
    assert contents(tmp_path / "alone") == contents(tmp_path / "together")
    assert alone.num_records == together.num_records == 1109
    assert alone.tally["malformed"] == {"wrong number of columns": 1}
    assert labels[0][1] == labels[1][1] > 5 and labels[2] == ("writing", 64)


def test_texts_are_the_same_too(inputs, tmp_path):
    write = functools.partial(write_records, inputs, kind="text")
    write(tmp_path / "alone")
    write(tmp_path / "together", run_phase=shuffled)
    assert contents(tmp_path / "alone") == contents(tmp_path / "together")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("calls", [0, 3, 11, 15, 20, 41, 71])
def test_killed_and_resumed_gives_the_same_bytes(inputs, tmp_path, calls):
    write_records(inputs, tmp_path / "whole", shard_records=5)
    left, done = [calls], []

    def until_killed(job, label, units):
        for unit in units:
            if not left[0]:
                raise Killed
            left[0] -= 1
            unit.run(job)

    def rest(job, label, units):
        for unit in units:
            done.append(not job.work.is_made(unit.name))
            unit.run(job)

    write = functools.partial(write_records, inputs, shard_records=5)
    with pytest.raises(Killed):
        write(tmp_path / "out", run_phase=until_killed)
    # In the other way, it is finished as it was begun.
    write(tmp_path / "out", run_phase=rest if calls % 2 else None)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    units = len(in_units.plan_reading(FakeFiles(inputs)))
    assert not calls % 2 or sum(done) == 2 * units + 64 - calls


class FakeFiles:
    def __init__(self, paths):
        self.files = [str(path) for path in paths]
        self.num_bytes = sum(path.stat().st_size for path in paths)


def test_what_one_process_began_it_finishes(inputs, tmp_path, monkeypatch):
    write_records(inputs, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("labse.data.records.writer.write_shards", None)
        with pytest.raises(TypeError):
            write_records(inputs, tmp_path / "out")
    write_records(inputs, tmp_path / "out", run_phase=shuffled)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_errors_name_the_line_in_the_file(inputs, tmp_path):
    table = tmp_path / "a.tsv"
    content = inputs[0].read_text()
    table.write_text(content + "\nno cell\n")
    options = ReadOptions(max_malformed_share=0)
    with pytest.raises(InputError) as alone:
        write_records([table], tmp_path / "a", options=options)
    with pytest.raises(InputError) as together:
        write_records(
            [table], tmp_path / "b", options=options, run_phase=shuffled
        )
    assert f"{table}:705: a line has" in str(alone.value)
    assert f"{table}:904: a line has" in str(alone.value)
    assert str(together.value) == str(alone.value)
    table.write_text(content + '\n"a ""b"" c"\td\te\tf\tg\n')
    with pytest.raises(InputError, match=r"a.tsv:904: a cell looks quoted"):
        write_records([table], tmp_path / "c", run_phase=shuffled)


def test_a_file_without_rows_and_none_at_all(inputs, tmp_path):
    (tmp_path / "empty.tsv").write_text("source\ttarget\n\n")
    with pytest.raises(InputError, match="empty.tsv: the file has no rows"):
        write_records(
            [*inputs, tmp_path / "empty.tsv"],
            tmp_path / "a",
            run_phase=shuffled,
        )
    with pytest.raises(InputError, match="There are no pairs in .*empty.tsv"):
        write_records(
            [tmp_path / "empty.tsv"], tmp_path / "b", run_phase=shuffled
        )


def test_a_changed_shard_is_refused(inputs, tmp_path):
    def changing(job, label, units):
        shuffled(job, label, units)
        if label == "writing":
            shard = next((tmp_path / "out").glob("shard-00007-*"))
            shard.write_bytes(b"")

    with pytest.raises(InputError, match="shard-00007-.* changed after they"):
        write_records(inputs, tmp_path / "out", run_phase=changing)


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_spans_have_each_line_once(tmp_path, end):
    path = tmp_path / "a.txt"
    lines = [b"", b"\xef\xbb\xbfa", b"bcd", b"", b"e" * 20, b"f"]
    path.write_bytes((end or "\n").encode().join(lines) + end.encode())
    size = path.stat().st_size
    whole = [line[1:] for line in read_lines(path)]
    for middle in range(size + 1):
        parts = [
            list(read_lines(path, span))
            for span in ((0, middle), (middle, size))
        ]
        assert [line[1:] for part in parts for line in part] == whole
        assert [line[0] for part in parts for line in part] == [
            *range(1, len(parts[0]) + 1),
            *range(1, len(parts[1]) + 1),
        ]
