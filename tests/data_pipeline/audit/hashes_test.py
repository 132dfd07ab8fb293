"""Hashes by partition, and what is counted of them."""

import numpy as np
import pytest

from data_pipeline.audit.hashes import (
    HashWriter,
    count_repeats,
    hash_text,
    read_records,
)


def records(tmp_path, texts, languages, partitions):
    folder = tmp_path / str(partitions)
    folder.mkdir()
    writer = HashWriter(folder, partitions)
    numbers = np.array(languages, np.uint32)
    writer.add("source", [hash_text(text) for text in texts[:3]], numbers[:3])
    writer.flush()
    writer.add("source", [hash_text(text) for text in texts[3:]], numbers[3:])
    writer.flush()
    return [
        read_records(folder / f"source-{number}", np.array([0, 1]))
        for number in range(partitions)
    ]


@pytest.mark.parametrize("partitions", [1, 2, 7])
def test_repeats_whatever_the_number_of_partitions(tmp_path, partitions):
    texts = ["a", "b", "a", "a", "c", "b", "d"]
    languages = [0, 0, 0, 1, 1, 0, 1]
    parts = [
        count_repeats(part, 2)
        for part in records(tmp_path, texts, languages, partitions)
    ]
    # "a" three times: 3 * 2 ordered pairs; "b" twice: 2.
    assert sum(equal for equal, _ in parts) == 8
    # In language 0, "a" and "b" come twice; in language 1, nothing does.
    np.testing.assert_array_equal(sum(found for _, found in parts), [2, 0])


def test_numbers_of_languages_are_those_of_the_job(tmp_path):
    (part,) = records(tmp_path, ["a", "a"], [0, 1], 1)
    assert sorted(part["language"].tolist()) == [0, 1]
    path = tmp_path / "1" / "source-0"
    other = read_records(path, np.array([5, 3]))
    assert sorted(other["language"].tolist()) == [3, 5]
    assert not len(read_records(tmp_path / "none", np.array([0])))
