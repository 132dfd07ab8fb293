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


def estimate(row):
    """The peak, and the memory that a step may use."""
    replicas = int(row["replicas"])
    batch = replicas * int(row["pairs"])
    config = load(
        row["preset"],
        [*row["overrides"].split(), f"training.global_batch_size={batch}"],
    )
    device = hardware.parse(row["hardware"])
    device = dataclasses.replace(device, devices=replicas)
    return memory.peak(config, device).total, device.memory


@pytest.mark.parametrize("row", rows(), ids=lambda row: " ".join(row.values()))
def test_estimates_are_within_15_percent_of_the_compiler(row):
    total, limit = estimate(row)
    assert total / GIB == pytest.approx(float(row["total_gib"]), rel=0.15)
    assert (total <= limit) == (row["fits"] == "yes")
