import errno
import logging
import os
import signal
import subprocess
import sys
import time
import types

import pytest

from labse.bin.flags import program
from labse.errors import InputError, LostWorkerError


def make_program(main, **attributes):
    """A program with one required flag and a number."""

    def define_flags(flags):
        flags.string("out", None, "Where to.", required=True)
        flags.integer("count", 3, "How many.")

    return types.SimpleNamespace(
        __doc__="Counts.\n\n    labse count --out=FILE\n",
        define_flags=define_flags,
        main=main,
        **attributes,
    )


def returns(value):
    return make_program(lambda flags: value)


def raises(error):
    def main(flags):
        raise error

    return make_program(main)


@pytest.mark.parametrize("returned, code", [(None, 0), (0, 0), (3, 3)])
def test_the_exit_code_is_what_main_returns(returned, code):
    assert program.run(returns(returned), ["--out=x"], "labse count") == code


def test_flags_reach_main():
    seen = []
    asked = make_program(lambda values: seen.append((values.out, values.count)))
    program.run(asked, ["--out=a"], "labse count")
    # Run again, it starts from the defaults.
    program.run(asked, ["--count=5", "--out", "b"], "labse count")
    program.run(asked, ["--out=c"], "labse count")
    assert seen == [("a", 3), ("b", 5), ("c", 3)]


@pytest.mark.parametrize("flag", ["--help", "-h", "-help"])
def test_help_shows_the_docstring_and_all_flags(flag, capsys):
    asked = raises(AssertionError("main was called"))
    assert program.run(asked, [flag], "labse count") == 0
    shown, errors = capsys.readouterr()
    assert shown.startswith(
        "Counts.\n\n    labse count --out=FILE\n\nFlags of labse count:\n"
    )
    assert "--out: Where to." in shown
    assert "--count: How many." in shown and "(default: '3')" in shown
    assert errors == ""


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "--out must have a value other than None"),
        (["--out=x", "--count=many"], "--count"),
        (["--out=x", "--cuont=1"], "Unknown command line flag 'cuont'"),
        (
            ["--out=x", "more"],
            "takes flags only (--name=value). Received:",
        ),
    ],
)
def test_wrong_arguments_are_one_line_and_2(arguments, message, capsys):
    asked = raises(AssertionError("main was called"))
    assert program.run(asked, arguments, "labse count") == 2
    shown, errors = capsys.readouterr()
    assert shown == ""
    assert errors.startswith("labse count: ")
    assert message in errors
    assert errors.endswith("See labse count --help.\n")
    assert "Traceback" not in errors


def test_bad_input_is_one_line_and_2(capsys):
    asked = raises(InputError("p.tsv:3: a rule. Received: x."))
    assert program.run(asked, ["--out=x"], "labse count") == 2
    errors = capsys.readouterr().err
    assert errors == "labse count: p.tsv:3: a rule. Received: x.\n"


def test_a_lost_worker_is_one_line_and_75(capsys):
    asked = raises(LostWorkerError("A worker is gone."))
    assert program.run(asked, ["--out=x"], "labse count") == 75
    assert capsys.readouterr().err == "labse count: A worker is gone.\n"


def test_trouble_of_the_machine_is_2_with_its_traceback(capsys):
    asked = raises(OSError(5, "Input/output error", "vectors.npy"))
    assert program.run(asked, ["--out=x"], "labse count") == 2
    errors = capsys.readouterr().err
    assert "Traceback" in errors
    last = errors.splitlines()[-1]
    assert last.startswith("labse count: [Errno 5] Input/output error")
    assert "vectors.npy" in last


def test_a_full_disk_is_one_line_and_2(capsys):
    asked = raises(OSError(28, "No space left on device", "vectors.npy"))
    assert program.run(asked, ["--out=x"], "labse count") == 2
    errors = capsys.readouterr().err
    assert errors.startswith("labse count: the disk is full")
    assert "vectors.npy" in errors and errors.count("\n") == 1


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENAMETOOLONG])
def test_a_file_that_the_system_refuses_is_one_line_and_2(number, capsys):
    asked = raises(OSError(number, os.strerror(number), "vectors.npy"))
    assert program.run(asked, ["--out=x"], "labse count") == 2
    errors = capsys.readouterr().err
    assert errors.startswith("labse count: the system refuses a file ([Errno")
    assert "vectors.npy" in errors and errors.count("\n") == 1


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        program.run(raises(ZeroDivisionError()), ["--out=x"], "labse count")


def test_a_positional_argument_is_given_to_main():
    seen = []
    asked = make_program(
        lambda values, folder: seen.append((values.out, folder)),
        POSITIONAL="folder",
    )
    assert program.run(asked, ["--out=x", "here"], "labse count") == 0
    assert seen == [("x", "here")]


@pytest.mark.parametrize("rest", [[], ["one", "two"]])
def test_one_positional_argument_is_needed(rest, capsys):
    asked = make_program(lambda values, folder: 0, POSITIONAL="folder")
    assert program.run(asked, ["--out=x", *rest], "labse count") == 2
    message = f"takes one folder. Received {len(rest)}: {' '.join(rest)}. See"
    assert message in capsys.readouterr().err


def test_started_as_a_module_it_ends_the_process(monkeypatch):
    asked = returns(4)
    asked.__spec__ = types.SimpleNamespace(name="labse.bin.count")
    monkeypatch.setitem(program.sys.modules, "__main__", asked)
    monkeypatch.setattr(program.sys, "argv", ["count.py", "--out=x"])
    with pytest.raises(SystemExit) as error:
        program.main("__main__")
    assert error.value.code == 4


def test_the_name_of_a_module_is_in_its_messages(monkeypatch, capsys):
    asked = returns(0)
    asked.__spec__ = types.SimpleNamespace(name="labse.bin.count")
    monkeypatch.setitem(program.sys.modules, "__main__", asked)
    monkeypatch.setattr(program.sys, "argv", ["count.py"])
    with pytest.raises(SystemExit) as error:
        program.main("__main__")
    assert error.value.code == 2
    assert capsys.readouterr().err.startswith("python -m labse.bin.count: ")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--out=a", "--out=b"], "--out takes one value. Received it 2 times."),
        (["--out=a", "--out", "a"], "--out takes one value. Received it 2"),
        (["--out=a", "--count=3", "--count=3", "--count=4"], "it 3 times"),
        (["--out=a", "--fast", "--nofast"], "--fast takes one value"),
        (["--out=a", "--kind=x", "--kind=y"], "--kind takes one value"),
        (["--out=a", "--names=x", "--names=y"], "with commas between several"),
    ],
)
def test_a_flag_of_one_value_that_is_given_twice(capsys, arguments, message):
    asked = raises(AssertionError("main was called"))
    define = asked.define_flags

    def define_flags(flags):
        define(flags)
        flags.boolean("fast", False, "")
        flags.choice("kind", "x", ["x", "y"], "")
        flags.comma_list("names", [], "")

    asked.define_flags = define_flags
    assert program.run(asked, arguments, "labse count") == 2
    assert message in capsys.readouterr().err


def test_a_flag_of_several_values_may_be_given_again():
    seen = []
    asked = make_program(lambda values: seen.append(values.input))
    define = asked.define_flags

    def define_flags(flags):
        define(flags)
        flags.strings("input", [], "")

    asked.define_flags = define_flags
    arguments = ["--out=a", "--input=b", "--input=b"]
    assert program.run(asked, arguments, "labse count") == 0
    assert seen == [["b", "b"]]


_WAITING = """
import sys, time, types
from labse.bin.flags import program

def main(flags):
    try:
        print("begun", flush=True)
        time.sleep(100)
    finally:
        print("cleaned up", flush=True)

wait = types.SimpleNamespace(
    __doc__="", define_flags=lambda flags: None, main=main
)
program.run_as_process(wait, [], "labse wait")
"""


def start(arguments, sigint=signal.SIG_DFL, **options):
    """A process, whatever this one was started to ignore."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, sigint),
        **options,
    )


@pytest.mark.parametrize(
    "number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_ends_a_program_as_a_shell_expects(number, code):
    process = start(["-c", _WAITING])
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert out == "cleaned up\n"
    assert errors == f"labse wait: stopped by {number.name}.\n"


def test_a_signal_that_is_ignored_stays_ignored():
    """A shell starts what runs in the background so."""
    process = start(["-c", _WAITING], sigint=signal.SIG_IGN)
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143


@pytest.mark.parametrize(
    "number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_ends_labse_mine(small_run, tmp_path, number, code):
    """A long program in the middle of its work, without a traceback."""
    for name, letter in (("a.txt", "a"), ("b.txt", "b")):
        lines = (f"{letter * (n % 40 + 1)} {n}\n" for n in range(200_000))
        (tmp_path / name).write_text("".join(lines))
    process = start(
        [
            *("-m", "labse.bin.cli", "mine", f"--model={small_run}"),
            *(f"--source={tmp_path}/a.txt", f"--target={tmp_path}/b.txt"),
            *(f"--out={tmp_path}/pairs.tsv", f"--work={tmp_path}/work"),
        ]
    )
    while process.poll() is None and not (tmp_path / "work").exists():
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    assert f"labse mine: stopped by {number.name}.\n" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "pairs.tsv").exists()


@pytest.mark.parametrize(
    "path, level, is_shown",
    [
        ("/x/tensorflow/python/checkpoint/a.py", logging.INFO, False),
        ("/x/tensorflow/python/checkpoint/a.py", logging.WARNING, True),
        ("/x/labse/training/run.py", logging.INFO, True),
    ],
)
def test_only_tensorflows_remarks_are_left_out(path, level, is_shown):
    record = logging.LogRecord("absl", level, path, 1, "text", None, None)
    assert program._is_worth_showing(record) == is_shown
