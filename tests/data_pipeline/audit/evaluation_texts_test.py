"""Texts of evaluation sets, of files of any form."""

import gzip
import json

import pytest

from data_pipeline.audit.evaluation_texts import (
    find_evaluation_files,
    read_keys,
)
from data_pipeline.audit.hashes import hash_text
from labse.errors import InputError

FIRST, SECOND = "The river fell.", "People went home."


def keys(*letters):
    return sorted(map(hash_text, letters))


def test_lines_cells_and_fields_of_rows(tmp_path):
    expected = keys("theriverfell", "peoplewenthome")
    row = {"a": {"text": FIRST}, "b": [SECOND, 0.5], "label": "yes"}
    with gzip.open(tmp_path / "a.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    assert read_keys(str(tmp_path / "a.jsonl.gz")).tolist() == expected
    (tmp_path / "b.en").write_text(f"{FIRST.upper()}\n{SECOND} \n12345678901\n")
    assert read_keys(str(tmp_path / "b.en")).tolist() == expected
    # The line without its tabs is a text too, like each of its cells.
    (tmp_path / "c.csv").write_text(f"0.5\t{FIRST}\t{SECOND}\n")
    assert set(expected) <= set(read_keys(str(tmp_path / "c.csv")).tolist())


def test_files_of_folders_without_notes(tmp_path):
    folder = tmp_path / "set" / "inner"
    folder.mkdir(parents=True)
    for name in ("README.md", ".hidden", "x.de", "x.en"):
        (folder / name).write_text("a\n")
    found = find_evaluation_files([str(tmp_path / "set"), f"{folder}/x.en"])
    assert found == [f"{folder}/x.de", f"{folder}/x.en"]
    with pytest.raises(InputError, match="a folder without files"):
        (tmp_path / "empty").mkdir()
        find_evaluation_files([str(tmp_path / "empty")])
