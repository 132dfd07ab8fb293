"""Beam's runner for the processes of one machine.

It is what `DirectRunner` falls back to, `FnApiRunner`, with a worker process of
our own (`data_pipeline.jobs.local_worker`): `DirectRunner` itself first looks
for another runner on the network.
"""

import contextlib
import os
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator

import data_pipeline.jobs.quiet_beam  # noqa: F401

# isort: split
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from labse.errors import LostWorkerError

LOCAL_RUNNER = "DirectRunner"
_PROCESSES = "multi_processing"
_WORKER_THREAD = "run_worker"  # Beam's name of the one that waits for a worker.
_READ_THREAD = "beam_control_read"
_LOST = (
    "A worker process was lost ({}): it was killed, perhaps for want of "
    "memory. Start again with the same command: what was finished is kept. "
    "--workers=1 needs less memory."
)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def count_workers(options: PipelineOptions) -> int:
    """Processes that the options ask for; 1: this process."""
    direct = options.view_as(DirectOptions)
    if direct.direct_running_mode != _PROCESSES:
        return 1
    return direct.direct_num_workers or len(os.sched_getaffinity(0))


@contextlib.contextmanager
def local_runner(
    options: PipelineOptions, workers: int
) -> Iterator[fn_runner.FnApiRunner]:
    """A runner with as many processes; 1: it works in this one.

    Its processes end with the block, or with this process.

    Raises:
      LostWorkerError: a worker was killed.
    """
    direct = options.view_as(DirectOptions)
    direct.direct_num_workers = workers
    direct.direct_running_mode = "in_memory"  # Keeps the environment below.
    provision = fn_runner.ExtendedProvisionInfo(
        beam_provision_api_pb2.ProvisionInfo(
            pipeline_options=JobServiceHandle.encode_pipeline_options(
                options.get_all_options()
            )
        )
    )
    with _lease() as lease, _ending_workers(lease):
        if workers == 1:
            yield fn_runner.FnApiRunner(provision_info=provision)
            return
        module = "data_pipeline.jobs.local_worker"
        command = [sys.executable, "-m", module, str(os.getpid()), lease]
        environment = SubprocessSDKEnvironment.from_command_string(
            f"exec {shlex.join(command)}"
        )
        yield fn_runner.FnApiRunner(environment, provision_info=provision)


@contextlib.contextmanager
def _lease() -> Iterator[str]:
    """A file that the workers end without."""
    handle, path = tempfile.mkstemp(prefix="labse-workers-")
    os.close(handle)
    try:
        yield path
    finally:
        _remove(path)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


@contextlib.contextmanager
def _ending_workers(lease: str) -> Iterator[None]:
    """Ends the workers where a signal or the loss of one ends the block.

    The runner waits for a worker's answer also when it was killed, and before
    it passes on an exception for what the others are at. What is raised by a
    signal in a unit of this process, it would wrap.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    raised: list[BaseException] = []
    lost: list[str] = []

    def stop(number, frame):
        _remove(lease)
        try:
            if lost:
                raise LostWorkerError(_LOST.format(lost[0]))
            signal.signal(number, before[number])
            if callable(before[number]):
                before[number](number, frame)
            else:
                signal.raise_signal(number)
        except BaseException as error:
            raised.append(error)
            raise

    def lose(reason: str) -> None:
        lost.append(reason)
        if is_main:
            thread = threading.main_thread().ident
            signal.pthread_kill(thread, signal.SIGINT)

    for number, handler in before.items():
        if is_main and (handler != signal.SIG_IGN or number == signal.SIGINT):
            signal.signal(number, stop)
    try:
        with _watched_threads(lease, lose):
            yield
    finally:
        for number, handler in before.items():
            if is_main:
                signal.signal(number, handler)
        if raised:
            raise raised[0]


@contextlib.contextmanager
def _watched_threads(lease: str, lose: Callable[[str], None]) -> Iterator[None]:
    """Calls `lose` where a worker ends before its time.

    Threads of the runner lose their connections then, and print it.
    """
    hook = threading.excepthook

    def see(arguments):
        if arguments.thread.name == _WORKER_THREAD and os.path.exists(lease):
            lose(str(arguments.exc_value))
        elif os.path.exists(lease) and arguments.thread.name != _READ_THREAD:
            hook(arguments)

    threading.excepthook = see
    try:
        yield
    finally:
        threading.excepthook = hook
