import importlib
import os
import subprocess
import sys

import pytest

from labse.bin import cli
from labse.bin.flags.flag_set import FlagSet
from labse.version import __version__


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["labse", *arguments])
    with pytest.raises(SystemExit) as error:
        cli.main()
    shown, errors = capsys.readouterr()
    return error.value.code, shown, errors


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_all_programs(monkeypatch, capsys, arguments):
    code, shown, errors = run(monkeypatch, capsys, *arguments)
    assert (code, errors) == (0, "")
    assert shown.startswith(f"labse {__version__}: ")
    assert "usage: labse PROGRAM [--flag=value ...]" in shown
    listed = [line.split()[0] for line in shown.splitlines()[5:] if line]
    assert listed == list(cli.PROGRAMS)


def test_version(monkeypatch, capsys):
    assert run(monkeypatch, capsys, "--version") == (0, f"{__version__}\n", "")


def test_an_unknown_program_is_refused(monkeypatch, capsys):
    code, shown, errors = run(monkeypatch, capsys, "trian", "--out=x")
    assert (code, shown) == (2, "")
    assert errors == (
        "labse: there is no program 'trian'. Programs: "
        f"{', '.join(cli.PROGRAMS)}.\n"
    )


@pytest.mark.parametrize("name", cli.PROGRAMS)
def test_every_program_has_help_with_all_its_flags(monkeypatch, capsys, name):
    code, shown, _ = run(monkeypatch, capsys, name, "--help")
    assert code == 0
    assert f"Flags of labse {name}:" in shown
    # The docstring shows the command as it is typed.
    assert f"labse {name}" in shown.split("Flags of")[0]
    flag_values = FlagSet()
    importlib.import_module(cli.PROGRAMS[name][0]).define_flags(flag_values)
    for flag in flag_values:
        assert f"--{flag}" in shown or f"--[no]{flag}" in shown


@pytest.mark.parametrize("name", cli.PROGRAMS)
def test_every_program_says_what_it_misses(monkeypatch, capsys, name):
    code, shown, errors = run(monkeypatch, capsys, name)
    assert (code, shown) == (2, "")
    assert errors.startswith(f"labse {name}: ")
    # How it is called, or where to read that.
    assert f"labse {name} --" in errors.removeprefix(f"labse {name}: ")
    assert "Traceback" not in errors


def test_the_exit_code_is_the_programs(monkeypatch, capsys):
    from labse.bin import encode

    monkeypatch.setattr(encode, "main", lambda flag_values: 7)
    code, *_ = run(
        *(monkeypatch, capsys, "encode"),
        *("--model=m", "--input=a.txt", "--out=b.npy"),
    )
    assert code == 7


def test_help_of_all_programs_needs_no_tensorflow():
    """It takes seconds to import; whoever asks for help should not wait."""
    modules = [module for module, _ in cli.PROGRAMS.values()]
    code = (
        "import importlib, sys\n"
        "from labse.bin import cli\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'tensorflow' not in sys.modules, name\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]])
def test_output_that_nobody_reads_is_no_error(arguments):
    """As in `labse train --help | head -1`; the pipe closes before it."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "labse.bin.cli", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 141
