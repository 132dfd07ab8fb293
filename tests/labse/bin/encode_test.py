import gzip
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import numpy as np
import pytest

import labse
from labse.bin import encode
from labse.bin.flags import program
from labse.errors import InputError
from labse.files import lines, texts
from labse.files.vector_file import VectorFile
from labse.inference import encode_file

LINES = [f"hello {i} world добрый {'день ' * (i % 9)}" for i in range(300)]
LINES[5] = ""


@pytest.fixture(scope="module")
def model(small_run):
    return labse.load(small_run)


@pytest.fixture(scope="module")
def expected(model):
    return model.encode(LINES)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(texts, "CHUNK_TEXTS", 64)


def write(path, lines=LINES, end="\n"):
    path.write_bytes("".join(line + end for line in lines).encode())
    return str(path)


class Killed(Exception):
    """Stands for the end of the process."""


class ModelThatDies:
    """Dies when it is asked for the chunk `dies_at`."""

    def __init__(self, model, dies_at):
        self.dimension, self.fingerprint = model.dimension, model.fingerprint
        self.max_length = model.max_length
        self.asked = []
        self._model, self._dies_at = model, dies_at

    def encode(self, sentences, batch_size=None, on_truncation="warn"):
        if len(self.asked) == self._dies_at:
            raise Killed
        self.asked.append(len(sentences))
        return self._model.encode(
            sentences, batch_size, on_truncation=on_truncation
        )


def test_the_program_writes_a_row_a_line(small_run, tmp_path, expected, capsys):
    source = write(tmp_path / "lines.txt")
    out = tmp_path / "vectors.npy"
    arguments = [f"--model={small_run}", f"--input={source}", f"--out={out}"]
    assert program.run(encode, arguments, "labse encode") == 0
    vectors = np.load(out)
    assert (vectors.dtype, vectors.shape) == (np.float32, (300, 32))
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-5)
    assert sorted(os.listdir(tmp_path)) == ["lines.txt", "vectors.npy"]
    error = capsys.readouterr().err
    assert "300/300" in error and f"300 rows in {out}" in error
    # The second time it is there already.
    assert program.run(encode, arguments, "labse encode") == 2
    assert "vectors.npy exists. Delete it" in capsys.readouterr().err


def test_the_terminal_shows_only_what_the_program_says(small_run, tmp_path):
    """Nothing of TensorFlow, TF Hub and Keras, in a process of its own."""
    (tmp_path / "lines.txt").write_text("hello\n" + "long " * 70 + "\n")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TF_")
    }
    result = subprocess.run(
        [
            *(sys.executable, "-m", "labse.bin.cli", "encode"),
            *(f"--model={small_run}", "--input=lines.txt", "--out=v.npy"),
        ],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(pathlib.Path.cwd())},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (result.returncode, result.stdout) == (0, "")
    *bar, cut, rows = result.stderr.strip().split("\n")
    assert all(re.search(r"\d/2 \[.*\]$|^$", line) for line in bar)
    assert cut == "1 of 2 lines were truncated at 64 tokens"
    assert rows == "2 rows in v.npy"


@pytest.mark.parametrize("dies_at", [1, 3])
def test_cut_lines_count_from_the_start(
    model, tmp_path, small_chunks, capsys, dies_at
):
    lines = [f"hello {'long ' * (i % 40)}" for i in range(300)]
    # "hello" and four letters each of "long"; 62 pieces fit.
    cut = sum(1 + 4 * (i % 40) > 62 for i in range(300))
    assert 0 < cut < 300
    source, out = write(tmp_path / "lines.txt", lines), str(tmp_path / "v.npy")
    with pytest.raises(Killed):
        encode_file.encode_file(ModelThatDies(model, dies_at), source, out)
    encode_file.encode_file(model, source, out)
    expected = f"{cut} of 300 lines were truncated at 64 tokens"
    assert expected in capsys.readouterr().err


def test_of_rows_of_an_earlier_version_nothing_is_claimed(
    model, tmp_path, small_chunks, capsys
):
    source, out = write(tmp_path / "lines.txt"), str(tmp_path / "v.npy")
    with pytest.raises(Killed):
        encode_file.encode_file(ModelThatDies(model, 2), source, out)
    path = encode_file.progress_path(pathlib.Path(out))
    progress = json.loads(path.read_text())
    del progress["truncated"]
    path.write_text(json.dumps(progress))
    assert encode_file.encode_file(model, source, out) == 300
    assert "truncated at" not in capsys.readouterr().err


def test_the_program_takes_batch_size_and_compute_dtype(
    small_run, tmp_path, expected
):
    source = write(tmp_path / "lines.txt")
    arguments = [
        *(f"--model={small_run}", f"--input={source}"),
        *(
            f"--out={tmp_path}/v.npy",
            "--batch_size=3",
            "--compute_dtype=bfloat16",
        ),
    ]
    assert program.run(encode, arguments, "labse encode") == 0
    vectors = np.load(tmp_path / "v.npy")
    assert np.sum(vectors * expected, axis=1).min() > 0.999
    assert np.abs(vectors - expected).max() > 1e-5


def test_the_program_says_what_it_needs(tmp_path, capsys):
    assert program.run(encode, ["--model=x"], "labse encode") == 2
    assert "--input" in capsys.readouterr().err


def test_gzip_and_standard_input_give_the_same(
    model, tmp_path, small_chunks, monkeypatch
):
    content = "".join(line + "\n" for line in LINES).encode()
    (tmp_path / "lines.txt").write_bytes(content)
    (tmp_path / "lines.txt.gz").write_bytes(gzip.compress(content))
    standard_input = io.TextIOWrapper(io.BytesIO(content))
    monkeypatch.setattr(sys, "stdin", standard_input)
    written = []
    for name in ("lines.txt", "lines.txt.gz", "-"):
        source = name if name == "-" else str(tmp_path / name)
        out = tmp_path / "v.npy"
        assert encode_file.encode_file(model, source, str(out)) == 300
        written.append(out.read_bytes())
        out.unlink()
    assert written[0] == written[1] == written[2]


@pytest.mark.parametrize(
    "content, lines",
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\n\n", ["a", ""]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\n", ["a\rb"]),
        ("a\u2028b\x0bc\x85d\x0c\ne".encode(), ["a\u2028b\x0bc\x85d\x0c", "e"]),
    ],
)
def test_only_a_line_feed_ends_a_line(model, tmp_path, content, lines):
    (tmp_path / "in.txt").write_bytes(content)
    assert list(texts.open_texts(str(tmp_path / "in.txt"))) == lines
    out = tmp_path / "v.npy"
    count = encode_file.encode_file(model, str(tmp_path / "in.txt"), str(out))
    assert count == len(lines)
    vectors = np.load(out)
    assert vectors.shape == (len(lines), 32)
    np.testing.assert_allclose(vectors, model.encode(lines), atol=1e-5)


@pytest.mark.parametrize("dies_at", [0, 1, 4])
def test_it_goes_on_where_it_was(
    model, tmp_path, small_chunks, dies_at, capsys
):
    source = write(tmp_path / "lines.txt")
    encode_file.encode_file(model, source, str(tmp_path / "whole.npy"))
    out = tmp_path / "v.npy"
    with pytest.raises(Killed):
        encode_file.encode_file(ModelThatDies(model, dies_at), source, str(out))
    assert not out.exists()
    # Half a chunk that nothing tells of: it was killed while it wrote.
    with open(encode_file.part_path(out), "ab") as part:
        part.write(b"x" * 1000)
    again = ModelThatDies(model, 99)
    encode_file.encode_file(again, source, str(out))
    assert again.asked == [64, 64, 64, 64, 44][dies_at:]
    assert out.read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert not encode_file.part_path(out).exists()
    assert not encode_file.progress_path(out).exists()
    if dies_at:
        assert f"after {64 * dies_at} lines" in capsys.readouterr().err


@pytest.fixture
def begun(model, tmp_path, small_chunks):
    """Two chunks are done: 128 lines."""
    source = write(tmp_path / "lines.txt")
    out = tmp_path / "v.npy"
    with pytest.raises(Killed):
        encode_file.encode_file(ModelThatDies(model, 2), source, str(out))
    return source, out


def test_another_model_is_noticed(begun, small_run):
    other = labse.load(small_run, "bfloat16")
    with pytest.raises(InputError, match="128 rows of another model") as error:
        encode_file.encode_file(other, begun[0], str(begun[1]))
    assert f"delete {encode_file.part_path(begun[1])}" in str(error.value)
    assert encode_file.part_path(begun[1]).stat().st_size > 128 * 32 * 4


def test_another_input_is_noticed(begun, model, tmp_path):
    changed = LINES.copy()
    changed[127] += "!"
    source = write(tmp_path / "lines.txt", changed)
    with pytest.raises(InputError, match="first 128 lines have changed"):
        encode_file.encode_file(model, source, str(begun[1]))
    source = write(tmp_path / "lines.txt", LINES[:127])
    with pytest.raises(InputError, match="only 127 lines now"):
        encode_file.encode_file(model, source, str(begun[1]))


def test_lines_that_are_not_done_may_change(begun, model, tmp_path):
    changed = LINES.copy()
    changed[128] = "!"
    source = write(tmp_path / "lines.txt", changed)
    encode_file.encode_file(model, source, str(begun[1]))
    np.testing.assert_allclose(
        np.load(begun[1]), model.encode(changed), atol=1e-5
    )


def test_to_delete_the_part_is_to_start_over(begun, model):
    encode_file.part_path(begun[1]).unlink()
    again = ModelThatDies(model, 99)
    encode_file.encode_file(again, begun[0], str(begun[1]))
    assert sum(again.asked) == 300


def test_a_damaged_progress_is_named(begun, model):
    encode_file.progress_path(begun[1]).write_text("{}")
    with pytest.raises(InputError, match="progress.json is damaged"):
        encode_file.encode_file(model, begun[0], str(begun[1]))


def test_a_part_that_lost_rows_is_named(begun, model):
    with open(encode_file.part_path(begun[1]), "r+b") as part:
        part.truncate(1000)
    with pytest.raises(InputError, match=r"v.npy.part is shorter than .*json"):
        encode_file.encode_file(model, begun[0], str(begun[1]))


def test_two_processes_do_not_write_one_file(begun, model):
    with (
        VectorFile(encode_file.part_path(begun[1])),
        pytest.raises(InputError, match="Another process is writing"),
    ):
        encode_file.encode_file(model, begun[0], str(begun[1]))


def test_a_file_that_is_not_utf8_is_refused_before_work(model, tmp_path):
    source = tmp_path / "lines.txt"
    source.write_bytes(b"good\n\nh\xe9llo\nmore\n")
    never = ModelThatDies(model, 0)
    with pytest.raises(
        InputError, match="lines.txt:3: text is UTF-8. .* 0xe9 at byte 2, "
    ):
        encode_file.encode_file(never, str(source), str(tmp_path / "v.npy"))


def test_bad_standard_input_loses_nothing(
    model, tmp_path, small_chunks, monkeypatch
):
    content = "".join(line + "\n" for line in LINES).encode()
    out = tmp_path / "v.npy"
    bad = content.replace(b"hello 130", b"hello \xff")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bad)))
    with pytest.raises(InputError, match="standard input:131: .* 0xff"):
        encode_file.encode_file(model, "-", str(out))
    done = json.loads(encode_file.progress_path(out).read_text())
    assert done["rows"] == 128
    # With the line corrected it goes on.
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    again = ModelThatDies(model, 99)
    encode_file.encode_file(again, "-", str(out))
    assert again.asked == [64, 64, 44]


def test_a_line_without_end_is_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100)
    source = write(tmp_path / "lines.txt", ["a" * 99, "a" * 101])
    with pytest.raises(InputError, match="txt:2: a line has at most 100 bytes"):
        encode_file.encode_file(model, source, str(tmp_path / "v.npy"))


@pytest.mark.parametrize("damage", [lambda b: b[:-20], lambda b: b"no gzip"])
def test_a_damaged_gzip_is_named(model, tmp_path, damage):
    content = gzip.compress(os.urandom(1000).hex().encode())
    (tmp_path / "in.txt.gz").write_bytes(damage(content))
    with pytest.raises(
        InputError, match=r"in.txt.gz: .*(is damaged|is a gzip file)"
    ):
        encode_file.encode_file(
            model, str(tmp_path / "in.txt.gz"), str(tmp_path / "v.npy")
        )


def test_paths_are_checked(model, tmp_path):
    source = write(tmp_path / "lines.txt")
    for given, out, words in (
        (source, "v.txt", "must end with .npy"),
        (source, "missing/v.npy", "folder that exists"),
        (str(tmp_path / "no.txt"), "v.npy", "No file matches .*no.txt"),
        (str(tmp_path), "v.npy", "This is a folder"),
    ):
        with pytest.raises(InputError, match=words):
            encode_file.encode_file(model, given, str(tmp_path / out))


def test_an_input_that_grows_is_noticed(model, tmp_path, small_chunks):
    source = tmp_path / "lines.txt"
    write(source)

    class ModelThatWrites(ModelThatDies):
        def encode(self, sentences, batch_size=None, on_truncation="warn"):
            with open(source, "a") as file:
                file.write("one more\n")
            return super().encode(sentences, batch_size, on_truncation)

    with pytest.raises(InputError, match="must not change .* 300 texts, then"):
        encode_file.encode_file(
            ModelThatWrites(model, 99), str(source), str(tmp_path / "v.npy")
        )
    assert not (tmp_path / "v.npy").exists()


def test_a_killed_process_goes_on(
    small_run, tmp_path, model, start_python, run_python
):
    """SIGKILL, at a moment that is not chosen, and the same command again."""
    lines = LINES * 60
    source = write(tmp_path / "lines.txt", lines)
    out = tmp_path / "v.npy"
    command = [
        *("-m", "labse.bin.encode", f"--model={small_run}"),
        *(f"--input={source}", f"--out={out}", "--batch_size=16"),
    ]
    root = pathlib.Path(labse.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = start_python(*command, env=environment)
    while process.poll() is None:
        if encode_file.progress_path(out).exists():
            process.kill()
        time.sleep(0.01)
    assert process.returncode == -9, process.communicate()
    done = json.loads(encode_file.progress_path(out).read_text())["rows"]
    assert 0 < done < len(lines)
    assert not out.exists()
    again = run_python(*command, env=environment)
    assert again.returncode == 0, again.stderr
    assert f"Resuming after {done} lines" in again.stderr
    whole = tmp_path / "whole.npy"
    encode_file.encode_file(model, source, str(whole), 16)
    assert out.read_bytes() == whole.read_bytes()
