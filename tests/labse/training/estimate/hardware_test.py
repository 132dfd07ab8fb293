import os

import pytest

from labse.errors import InputError
from labse.training.estimate import hardware

GIB = 2**30


@pytest.mark.parametrize(
    ("name", "devices", "memory", "flops"),
    [
        # Google counts cores of v2 to v4 and v5p, and chips of the others. A
        # chip of v2 and v3 is two devices, v4 and v5p join their two cores.
        ("tpu-v2-8", 8, 7.48, 23e12),
        ("tpu-v3-32", 32, 15.48, 61.5e12),
        ("tpu-v4-32", 16, 31.48, 275e12),
        ("tpu-v5e-16", 16, 15.48, 197e12),
        ("tpu-v5p-8", 4, 94.48, 459e12),
        ("tpu-v6e-4", 4, 31.25, 918e12),
        ("a100-40", 1, 37.25, 312e12),
        ("a100-80-8", 8, 74.51, 312e12),
        ("h100-16", 16, 74.51, 989e12),
        ("devices=3,memory=16GiB,flops=61e12", 3, 16, 61e12),
        ("tpu-v4-32,devices=32,memory=15.5 GiB", 32, 15.5, 275e12),
        ("memory=2e10,flops=1E12", 1, 18.63, 1e12),
    ],
)
def test_forms(name, devices, memory, flops):
    found = hardware.parse(name)
    assert found.devices == devices
    assert found.memory / GIB == pytest.approx(memory, abs=0.005)
    assert found.flops("mixed_bfloat16") == flops
    assert found.is_tpu == name.startswith("tpu-")


def test_float32_matrices_have_a_peak_of_their_own_on_gpu():
    assert hardware.parse("h100").flops("float32") == 494e12  # TF32
    assert hardware.parse("tpu-v3-8").flops("float32") == 61.5e12
    assert hardware.parse("memory=1GiB,flops=7").flops("float32") == 7


def test_cpu_is_this_machine():
    found = hardware.parse("cpu")
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert (found.devices, found.memory) == (1, pages - 10**9)
    assert found.flops("float32") is None
    assert hardware.parse("cpu,flops=4e11").flops("float32") == 4e11


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tpu-v3",
        "tpu-v9-8",
        "v3-32",
        "tpu-h100-8",
        "a100",
        "h100-x",
        "devices=8",
        "devices=2.5,memory=1GiB",
        "memory=16GB/s",
        "memory=0GiB",
        "cpu,flops=-1",
        "cpu,devices=2GiB",
        "cpu,cores=2",
        "memory=1e999GiB",
        "memory=1e308GiB",
        "memory=1GiB,devices=1e999",
        "cpu,flops=1e999",
        "h100-" + 5000 * "1",
    ],
)
def test_what_has_no_form_is_refused(name):
    with pytest.raises(InputError) as error:
        hardware.parse(name)
    message = str(error.value)
    assert message.startswith("hardware must have one of the forms tpu-v2-C")
    assert message.endswith(f"Received: {name!r}.")


@pytest.mark.parametrize("name", ["tpu-v3-0", "tpu-v3-7", "tpu-v4-3", "h100-0"])
def test_half_a_chip_is_refused(name):
    with pytest.raises(InputError, match=f"Received: '{name}'"):
        hardware.parse(name)
