import pytest

from data_pipeline.cleaning.job import sentence_files
from data_pipeline.cleaning.job.sentence_files import (
    SentenceFile,
    SentenceWriter,
    Source,
)
from data_pipeline.documents import Document


@pytest.mark.parametrize(
    ("limits", "num_blocks"), [((100, 1000), 1), ((2, 1000), 2), ((100, 1), 3)]
)
def test_sentences_are_read_by_language(
    tmp_path, monkeypatch, limits, num_blocks
):
    monkeypatch.setattr(sentence_files, "_BLOCK_SENTENCES", limits[0])
    monkeypatch.setattr(sentence_files, "_BLOCK_CHARACTERS", limits[1])
    with open(tmp_path / "sentences", "wb") as file:
        writer = SentenceWriter(file)
        writer.add(Document(["a", "b"], "x:1", "en", "u", "c"))
        writer.add(Document(["\u00e4"], "x:2", "de"))
        writer.add(Document(["d"], "x:3", "en"))
        writer.close()
        assert writer.count == 4
    found = SentenceFile(tmp_path / "sentences")
    assert found.num_blocks == num_blocks
    rows, numbers = [], []
    for block in range(num_blocks):
        if "en" in found.languages(block):
            section = found.read(block, "en")
            rows += list(section)
            numbers += section.numbers().tolist()
    first = Source(0, 2, "x:1", "u", "c")
    assert rows == [
        (first, "a"),
        (first, "b"),
        (Source(3, 1, "x:3", "", ""), "d"),
    ]
    assert numbers == [0, 1, 3]


def test_a_file_without_sentences(tmp_path):
    with open(tmp_path / "sentences", "wb") as file:
        SentenceWriter(file).close()
    assert SentenceFile(tmp_path / "sentences").num_blocks == 0
