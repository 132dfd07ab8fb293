"""What the benchmarks report about the machine and their own memory."""

import contextlib
import os
import pathlib
import platform
import re


def machine() -> str:
    """Processor, cores and load."""
    name = platform.processor()
    with contextlib.suppress(OSError):
        text = pathlib.Path("/proc/cpuinfo").read_text()
        name = re.search(r"model name\s*: (.*)", text)[1]
    return (
        f"{name}, {len(os.sched_getaffinity(0))} cores; load "
        f"{os.getloadavg()[0]:.1f}"
    )


def limit_threads(number: int) -> None:
    """TensorFlow's threads; 0: as many as cores. Before its first operation.

    Both pools: one thread within operations still leaves as many operations at
    the same time as there are cores.
    """
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(number)
    tf.config.threading.set_inter_op_parallelism_threads(number)


def peak_memory() -> int:
    """The peak of this process' resident memory in bytes (Linux)."""
    # Not getrusage: its peak starts from that of the parent process.
    return memory("self")["VmHWM"]


def memory(process: int | str) -> dict[str, int]:
    """Bytes by the names in /proc's status; empty for a zombie process."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return {
        name: int(size) * 1024
        for name, size in re.findall(r"(\w+):\s*(\d+) kB", status)
    }


def process_tree(root: int) -> list[int]:
    """A process and all that it or they started and that still run."""
    parents = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # It has ended.
            fields = path.read_text().rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(fields[1])
    found = [root]
    for process in found:
        found += [one for one, above in parents.items() if above == process]
    return found
