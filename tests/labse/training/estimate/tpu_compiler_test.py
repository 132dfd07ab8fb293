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
    config, device = parse(row)
    total = needed(config, device)
    assert (total <= device.memory) == (row["fits"] == "yes")
    assert total == pytest.approx(float(row["total_gib"]) * GIB, rel=0.15)


def test_where_the_compiler_saves_it_leaves_a_twentieth_of_the_memory():
    """Within 3 %; and between what it keeps at least and all activations."""
    count = 0
    for row in rows():
        config, device = parse(row)
        found = memory.peak(config, device)
        if memory.AS_MEMORY_ALLOWS not in found.parts:
            continue
        count += 1
        compiled = float(row["total_gib"]) * GIB
        assert found.total == int(0.95 * device.memory)
        assert found.total == pytest.approx(compiled, rel=0.03)
        least = needed(config, dataclasses.replace(device, memory=0))
        full = needed(config, dataclasses.replace(device, memory=2**60))
        assert least < compiled < full
    assert count == 5
