import csv
import os
import pathlib

import numpy as np
import pytest

from data_pipeline.vocabulary import characters, word_counts, word_table


def weights_of(words):
    counts = {"x": {word.encode(): count for word, count in words.items()}}
    table = word_table.table_of_counts(counts, 1.0)
    return characters.character_weights(table)


def test_weights_by_hand(monkeypatch):
    monkeypatch.setattr(characters, "_BLOCK", 3)
    weights = weights_of({"ab": 2, "bcb": 3, "中": 4})
    found = {chr(point): weights[point] for point in np.flatnonzero(weights)}
    assert found == {"a": 2, "b": 8, "c": 3, "中": 4}


def test_all_are_kept_if_there_is_room():
    weights = weights_of({"ab": 2, "中": 1})
    assert characters.choose_characters(weights, 3) == ["a", "b", "中"]


def test_each_script_comes_before_the_rest(monkeypatch):
    monkeypatch.setattr(characters, "SCRIPT_SHARE", 0.9)
    # 9 of 10 are reached: by a, b of a, b, c; by 中; by ก, ข of ก, ข, ค.
    weights = weights_of(
        {"a": 800, "b": 150, "c": 50, "中": 20, "ก": 5, "ข": 4, "ค": 1}
    )
    choose = characters.choose_characters
    assert choose(weights, 5) == ["a", "b", "ก", "ข", "中"]
    # Then the most frequent of the others.
    assert choose(weights, 6) == ["a", "b", "c", "ก", "ข", "中"]
    # The first are too many.
    assert choose(weights, 3) == ["a", "b", "中"]


def test_coverage_by_script():
    weights = weights_of({"ab": 3, "中": 4, "文": 1})
    assert characters.coverage_by_script(weights, ["a", "b", "中"]) == {
        "CJK": (2, 1, 0.8),
        "LATIN": (2, 2, 1.0),
    }
    table = characters.describe_coverage({"CJK": (2, 1, 0.8), "LAO": (2, 2, 1)})
    assert [line.split() for line in table.splitlines()[1:]] == [
        ["CJK", "2", "1", "80.000%"]
    ]


@pytest.mark.skipif(
    "LABSE_DATA_DIR" not in os.environ, reason="LABSE_DATA_DIR is not set"
)
def test_every_script_of_the_declaration_of_human_rights():
    texts = []
    folder = pathlib.Path(os.environ["LABSE_DATA_DIR"]) / "udhr"
    for path in sorted(folder.glob("*.tsv")):
        with open(path, encoding="utf-8", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            texts += [(path.stem, row[1].encode()) for row in rows]
    table = word_table.table_of_counts(word_counts.count_words(texts), 0.3)
    weights = characters.character_weights(table)
    limit = 4200  # Of 4,509.
    kept = characters.choose_characters(weights, limit)
    coverage = characters.coverage_by_script(weights, kept)
    assert {"CJK", "YI", "ETHIOPIC", "SINHALA", "TIBETAN", "ADLAM"} <= set(
        coverage
    )
    assert min(share for _, _, share in coverage.values()) >= 0.999
    # By frequency alone, ideographs are lost.
    points = np.argsort(-weights, kind="stable")[:limit].tolist()
    alone = characters.coverage_by_script(weights, list(map(chr, points)))
    assert alone["CJK"][2] < 0.995 < 0.999 < coverage["CJK"][2]
