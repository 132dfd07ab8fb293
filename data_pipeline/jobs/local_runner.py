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
from collections.abc import Iterator

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
    if workers == 1:
        yield fn_runner.FnApiRunner(provision_info=provision)
        return
    with _lease() as lease, _ending_workers(lease):
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
    it passes on an exception for what the others are at.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = {
        number: signal.getsignal(number) for number in _SIGNALS if is_main
    }
    hook, lost = threading.excepthook, []

    def stop(number, frame):
        _remove(lease)
        if lost:
            raise LostWorkerError(
                f"A worker process was lost ({lost[0]}): it was killed, "
                "perhaps for want of memory. Start again with the same "
                "command: what was finished is kept. --workers=1 needs less "
                "memory."
            )
        signal.signal(number, before[number])
        if callable(before[number]):
            before[number](number, frame)
        else:
            signal.raise_signal(number)

    def see(arguments):
        if arguments.thread.name != _WORKER_THREAD:
            hook(arguments)
        elif os.path.exists(lease):  # They were not told to end.
            lost.append(arguments.exc_value)
            if is_main:
                main = threading.main_thread().ident
                signal.pthread_kill(main, signal.SIGINT)

    for number, handler in before.items():
        if handler != signal.SIG_IGN or number == signal.SIGINT:
            signal.signal(number, stop)
    threading.excepthook = see
    try:
        yield
    finally:
        threading.excepthook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
