import numpy as np
import pytest

from data_pipeline.cleaning.job import key_files
from data_pipeline.cleaning.job.key_files import (
    KeyWriter,
    PositionsWriter,
    read_keys,
    read_positions,
)


@pytest.mark.parametrize("block_keys", [1, 3, 100])
@pytest.mark.parametrize("num_partitions", [1, 4])
def test_each_partition_has_its_keys_in_order(
    tmp_path, monkeypatch, block_keys, num_partitions
):
    monkeypatch.setattr(key_files, "_BLOCK_KEYS", block_keys)
    keys = [(number * 7 % 5, number) for number in range(10)]
    with open(tmp_path / "keys", "wb") as file:
        writer = KeyWriter(file, num_partitions)
        for first, second in keys:
            content = np.array([first, second], "<u8").tobytes()
            writer.add(content, 100 + second)
        writer.close()
    for partition in range(num_partitions):
        blocks = list(read_keys(tmp_path / "keys", partition, num_partitions))
        found = [row for block in blocks for row in block.tolist()]
        assert found == [
            [first, second, 100 + second]
            for first, second in keys
            if first % num_partitions == partition
        ]


def test_a_file_without_keys(tmp_path):
    with open(tmp_path / "keys", "wb") as file:
        KeyWriter(file, 3).close()
    assert list(read_keys(tmp_path / "keys", 0, 3)) == []


def test_positions_are_read_by_input(tmp_path):
    with open(tmp_path / "positions", "wb") as file:
        writer = PositionsWriter(file)
        writer.add([1, 2])
        writer.add([5])
        writer.end_input()
        writer.end_input()
        writer.add([2**40])
        writer.end_input()
        writer.close()
    found = [
        read_positions(tmp_path / "positions", number, 3).tolist()
        for number in range(3)
    ]
    assert found == [[1, 2, 5], [], [2**40]]
