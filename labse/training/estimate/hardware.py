"""Devices to train on: how many, their memory, their peak of arithmetic.

Figures of TPU: Google's pages https://cloud.google.com/tpu/docs/v3, /v4, /v5e,
/v5p and /v6e; of v2 Norrie et al., "A Domain-Specific Supercomputer for
Training Deep Neural Networks", Communications of the ACM 63(7), 2020, Table 3,
which Google's page of v2 refers to. Figures of GPU: NVIDIA's data sheets of
A100 and H100 SXM, without sparsity. A page gives them for a chip; a chip of v2
and v3 is two devices, and one of the others is one.
"""

import dataclasses
import math
import os
import re

from labse.errors import InputError

GIB = 2**30
_UNITS = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": GIB}
_UNITS |= {"TiB": 2**40, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
_NUMBER = r"(\d+(?:\.\d*)?(?:[eE]\+?\d+)?)"


@dataclasses.dataclass(frozen=True)
class Hardware:
    """Equal devices, each of which holds one replica of the model."""

    name: str
    devices: int
    memory: int  # bytes of a device that a training step may use
    # Peak of a device in multiplications and additions a second, each counted;
    # None if unknown. Of bfloat16 matrices, and of float32 ones as TensorFlow
    # multiplies them by default: rounded to bfloat16 on TPU, to TF32 on GPU.
    bfloat16_flops: float | None = None
    float32_flops: float | None = None
    # XLA compiles the step as a whole; else TensorFlow runs it by operations.
    is_tpu: bool = False

    def flops(self, compute_dtype: str) -> float | None:
        """Peak of a device for matrices of a compute dtype."""
        if compute_dtype == "float32":
            return self.float32_flops
        return self.bfloat16_flops


@dataclasses.dataclass(frozen=True)
class _Chip:
    """One chip of a kind."""

    memory: float  # bytes
    bfloat16_flops: float
    float32_flops: float
    devices: int = 1
    # What the number in the name counts, for one chip.
    counted: int = 1
    # Bytes of each device that the compiler keeps for itself.
    reserved: float = 0.0


# What the TPU compiler reports as usable is less than the page's figure:
# 7.48 GiB of 8 on v2, 15.48 of 16 on v3, 31.25 of 32 on v6e; of v5e and v5p it
# was not seen (docs/estimating.md).
def _tpu(memory, flops, reserved=0.52, **how) -> _Chip:
    return _Chip(memory * GIB, flops, flops, reserved=reserved * GIB, **how)


_TPU = {
    "v2": _tpu(16, 46e12, devices=2, counted=2),
    "v3": _tpu(32, 123e12, devices=2, counted=2),
    # Two cores that work as one device with all of the memory.
    "v4": _tpu(32, 275e12, counted=2),
    "v5e": _tpu(16, 197e12),
    "v5p": _tpu(95, 459e12, counted=2),
    "v6e": _tpu(32, 918e12, reserved=0.75),
}
# The data sheets' GB are taken as 10^9 bytes. The devices have up to 7 % more,
# which the driver and the libraries' workspaces share.
_GPU = {
    "a100-40": _Chip(40e9, 312e12, 156e12),
    "a100-80": _Chip(80e9, 312e12, 156e12),
    "h100": _Chip(80e9, 989e12, 494e12),
}
# Python, the libraries and gaps between tensors in a process on a CPU
# (docs/estimating.md).
_PROCESS = 10**9
# Of names and numbers, for messages and help.
FORMS = (
    "tpu-v2-CORES, tpu-v3-CORES, tpu-v4-CORES, tpu-v5e-CHIPS, tpu-v5p-CORES, "
    "tpu-v6e-CHIPS, a100-40-COUNT, a100-80-COUNT, h100-COUNT, cpu (this "
    "machine), or numbers: devices=32,memory=16GiB,flops=61e12; numbers may "
    "also follow a name: cpu,flops=4e11"
)


def parse(text: str) -> Hardware:
    """The hardware of a name, of numbers, or of a name changed by numbers.

    Args:
      text: as `tpu-v3-32`, whose number is counted as Google does: cores of
        v2, v3, v4 and v5p, chips of v5e and v6e.

    Raises:
      InputError: it has none of the forms.
    """
    name, *changes = [part.strip() for part in text.split(",")]
    if "=" in name:
        changes, name = [name, *changes], ""
    numbers = dict(_number(change, text) for change in changes)
    if not name and "memory" not in numbers:
        raise _not_understood(text)
    hardware = _named(name, text) if name else Hardware("", 1, 0)
    flops = numbers.pop("flops", None)
    if flops:
        numbers |= {"bfloat16_flops": flops, "float32_flops": flops}
    return dataclasses.replace(hardware, name=text, **numbers)


def _named(name: str, text: str) -> Hardware:
    if name == "cpu":
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return Hardware(name, 1, memory - _PROCESS)
    found = re.fullmatch(r"(?:(tpu)-)?(.+?)(?:-(\d{1,9}))?", name)
    is_tpu, kind, count = found.groups()
    # `a100-40` alone is one device, and not 40 of `a100`.
    if not is_tpu and name in _GPU:
        kind, count = name, None
    chip = (_TPU if is_tpu else _GPU).get(kind)
    if chip is None or (is_tpu and count is None):
        raise _not_understood(text)
    count = 1 if count is None else int(count)
    if count < 1 or count % chip.counted:
        raise InputError(
            f"hardware: {chip.counted} cores are a chip of {kind}, so their "
            f"number must be a multiple of {chip.counted}. Received: {text!r}."
        )
    return Hardware(
        name,
        devices=count * chip.devices // chip.counted,
        memory=int(chip.memory / chip.devices - chip.reserved),
        bfloat16_flops=chip.bfloat16_flops / chip.devices,
        float32_flops=chip.float32_flops / chip.devices,
        is_tpu=bool(is_tpu),
    )


def _number(change: str, text: str) -> tuple:
    """A pair of a field and its value."""
    found = re.fullmatch(rf"(\w+)={_NUMBER}\s*([KMGT]?i?B?)", change)
    if found is None:
        raise _not_understood(text)
    key, digits, unit = found.groups()
    if unit not in _UNITS or (unit and key != "memory"):
        raise _not_understood(text)
    number = float(digits) * _UNITS[unit]
    if number <= 0 or not math.isfinite(number):
        raise _not_understood(text)
    if key == "memory":
        return key, int(number)
    if key == "devices" and number == int(number):
        return key, int(number)
    if key == "flops":
        return "flops", number
    raise _not_understood(text)


def _not_understood(text: str) -> InputError:
    return InputError(
        f"hardware must have one of the forms {FORMS}. Received: {text!r}."
    )
