"""Estimates beside what the TPU compiler says (benchmarks/tpu_compile)."""

import csv
import dataclasses
import pathlib

import pytest

from labse.configs.loading import load
from labse.training.estimate import hardware, memory

GIB = 2**30
TABLE = pathlib.Path(__file__).with_name("tpu_compiler.tsv")


def rows():
    with open(TABLE, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def parse(row):
    """The configuration and the hardware."""
    replicas = int(row["replicas"])
    batch = replicas * int(row["pairs"])
    config = load(
        row["preset"],
        [*row["overrides"].split(), f"training.global_batch_size={batch}"],
    )
    device = hardware.parse(row["hardware"])
    return config, dataclasses.replace(device, devices=replicas)


def needed(config, device):
    return memory.peak(config, device).total


@pytest.mark.parametrize("row", rows(), ids=lambda row: " ".join(row.values()))
def test_estimates_are_within_15_percent_of_the_compiler(row):
    """Where the compiler saves, between what it could and all activations."""
    config, device = parse(row)
    total = needed(config, device)
    assert (total <= device.memory) == (row["fits"] == "yes")
    compiled = float(row["total_gib"]) * GIB
    if total != device.memory:
        assert total == pytest.approx(compiled, rel=0.15)
        return
    least = needed(config, dataclasses.replace(device, memory=0))
    full = needed(config, dataclasses.replace(device, memory=2**60))
    assert least / 1.15 <= compiled <= 1.15 * full


def test_where_the_compiler_saves_the_estimate_is_the_devices_memory():
    saved = [needed(*each) == each[1].memory for each in map(parse, rows())]
    assert saved.count(True) == 5
