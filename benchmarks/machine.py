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
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["VmHWM"].split()[0]) * 1024
