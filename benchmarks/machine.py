"""What the benchmarks say about the machine and about themselves."""

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


def peak_memory() -> int:
    """Most bytes that this process has had in memory (Linux)."""
    # Not getrusage: its peak begins with that of the process that started us.
    return memory("self")["VmHWM"]


def memory(process: int | str) -> dict[str, int]:
    """Bytes by the names of /proc's status; none of a process that ended."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return {
        name: int(size) * 1024
        for name, size in re.findall(r"(\w+):\s*(\d+) kB", status)
    }
