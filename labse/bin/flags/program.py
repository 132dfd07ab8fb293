"""Runs a program: defines and parses its flags, reports its errors.

A program is a module with a docstring, `define_flags(flags)` and
`main(flags)`, both with a `FlagSet`.
"""

import contextlib
import errno
import logging as logging_of_python
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from types import ModuleType

from absl import flags as absl_flags
from absl import logging

from labse.bin.flags.flag_set import FlagSet
from labse.errors import InputError, LostWorkerError

USAGE_EXIT_CODE = 2
LOST_WORKER_EXIT_CODE = 75
# What a user can mend; other trouble of the machine keeps its traceback.
_REFUSALS = (
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.EFBIG,
    ),
)


def run(program: ModuleType, arguments: list[str], name: str) -> int:
    """Runs `program` and returns the exit code.

    Args:
      program: module with `define_flags` and `main`.
      arguments: the command line after the program's name.
      name: how the user called it, for messages.
    """
    logging.set_verbosity(logging.INFO)
    flag_set = FlagSet()
    program.define_flags(flag_set)
    if any(argument in ("--help", "-h", "-help") for argument in arguments):
        print(f"{program.__doc__.strip()}\n\nFlags of {name}:")
        print(flag_set.get_help())
        return 0
    try:
        rest = _parse(flag_set, [name, *arguments])
        positional = getattr(program, "POSITIONAL", None)
        if positional is None and rest:
            raise InputError(
                f"{name} takes flags only (--name=value). Received: "
                f"{' '.join(rest)}. See {name} --help."
            )
        if positional is not None:
            if len(rest) != 1:
                raise InputError(
                    f"{name} takes one {positional}. Received {len(rest)}: "
                    f"{' '.join(rest)}. See {name} --help."
                )
            return program.main(flag_set, rest[0]) or 0
        return program.main(flag_set) or 0
    except absl_flags.Error as error:
        print(f"{name}: {error} See {name} --help.", file=sys.stderr)
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr)
    except LostWorkerError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return LOST_WORKER_EXIT_CODE
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            print(
                f"{name}: the disk is full ({error}). What was finished is "
                "kept: make room and start again with the same command.",
                file=sys.stderr,
            )
            return USAGE_EXIT_CODE
        if error.errno in _REFUSALS:
            print(
                f"{name}: the system refuses a file ({error}). Choose another "
                "name or folder, or change its permissions or limits.",
                file=sys.stderr,
            )
            return USAGE_EXIT_CODE
        traceback.print_exc()
        print(f"{name}: {error}", file=sys.stderr)
    return USAGE_EXIT_CODE


def run_as_process(
    program: ModuleType, arguments: list[str], name: str
) -> None:
    """Runs `program` and ends the process with its exit code.

    A signal ends it as a shell expects, with 128 + the signal's number and
    without a traceback. A signal that the process was started to ignore, as
    by nohup, stays ignored.
    """

    def stop(number, frame):
        text = f"{name}: stopped by {signal.Signals(number).name}.\n"
        # `print` may be in the middle of a line here.
        os.write(sys.stderr.fileno(), text.encode())
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    with quiet_if_output_ends():
        code = run(program, arguments, name)
        sys.stdout.flush()
        sys.exit(code)


@contextlib.contextmanager
def quiet_if_output_ends() -> Iterator[None]:
    """Ends the process without a traceback where nobody reads its output.

    That happens to `labse train --help | head -1`. The code is a shell's for
    SIGPIPE, which Python ignores.
    """
    try:
        yield
    except BrokenPipeError:
        # What is still in the buffer would be written at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def quiet_libraries() -> None:
    """Keeps the libraries' log lines off the terminal.

    Failures are raised as exceptions whatever is logged. TensorFlow reads the
    variable when it is imported; a value that the user set stays.
    """
    # Warnings are hidden, errors are shown. Without NVIDIA's driver the
    # missing GPU is logged as an error, so only fatal errors are shown.
    level = "2" if os.path.exists("/proc/driver/nvidia") else "3"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", level)
    if os.environ["TF_CPP_MIN_LOG_LEVEL"] in ("2", "3"):
        # Its Python part: deprecations, retracing.
        logging_of_python.getLogger("tensorflow").setLevel("ERROR")
    # TensorFlow Hub's import.
    warnings.filterwarnings("ignore", "pkg_resources is deprecated")
    logging.get_absl_logger().addFilter(_is_worth_showing)


def _is_worth_showing(record: logging_of_python.LogRecord) -> bool:
    """False for what TensorFlow logs through absl about checkpoint timing."""
    is_tensorflow = f"{os.sep}tensorflow{os.sep}" in record.pathname
    return record.levelno > logging_of_python.INFO or not is_tensorflow


def _parse(flag_set: FlagSet, command: list[str]) -> list[str]:
    """Sets the flags; returns what are none.

    Raises:
      InputError: a flag of one value is given twice. absl would keep the last.
    """
    rest = flag_set(command)[1:]
    for name in flag_set:
        flag = flag_set[name]
        if flag.present > 1 and not isinstance(flag, absl_flags.MultiFlag):
            raise InputError(
                f"--{name} takes one value. Received it {flag.present} times. "
                "Give it once"
                + (
                    ", with commas between several."
                    if isinstance(flag.parser, absl_flags.ListParser)
                    else "."
                )
            )
    return rest


def main(module_name: str) -> None:
    """Runs the module that was started as `python -m MODULE`."""
    quiet_libraries()
    program = sys.modules[module_name]
    name = f"python -m {program.__spec__.name}"
    run_as_process(program, sys.argv[1:], name)
