import os
import pathlib

import numpy as np
import pytest

from data_pipeline.vocabulary import counting_job, word_counts, word_table
from data_pipeline.vocabulary.counting_job import CountingJob
from labse.errors import InputError
from labse.files.reading import ReadOptions
from labse.files.texts import Texts
from labse.files.work_folder import WorkFolder

FILES = {
    "a.tsv": "language\ttext\nde\tGuten Tag, Tag!\nzh\t早上\nen\tin a day\n",
    "b.tsv": "text\tlanguage\nin den Tag\tde\n\nevery day in\ten\n",
    "c.tsv": f"text\tlanguage\n{'x' * 101} day\ten\n",
}


@pytest.fixture
def texts(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return Texts([tmp_path / "*.tsv"])


def count(texts, work, restart=False, partitions=4):
    job = CountingJob(texts, WorkFolder(work, restart), partitions)
    return counting_job.count_in_phases(job, 0.3, None)


def assert_equal(one, other):
    assert one.text == other.text
    assert one.languages == other.languages
    np.testing.assert_array_equal(one.raw, other.raw)
    np.testing.assert_array_equal(one.smoothed, other.smoothed)


@pytest.mark.parametrize("partitions,run_words", [(1, 100), (4, 100), (4, 2)])
def test_the_same_words_as_in_memory(
    monkeypatch, tmp_path, texts, partitions, run_words
):
    monkeypatch.setattr(counting_job, "_RUN_WORDS", run_words)
    monkeypatch.setattr(word_counts, "_BATCH_TEXTS", 1)
    expected = word_table.table_of_counts(word_counts.count_words(texts), 0.3)
    assert expected.words()[-2:] == ["上".encode(), "早".encode()]
    got = count(texts, tmp_path / "work", partitions=partitions)
    assert_equal(got, expected)
    assert got.languages == {"de": 8, "en": 7, "zh": 2}


def test_a_killed_job_resumes(monkeypatch, tmp_path, texts):
    work = tmp_path / "work"
    expected = count(texts, work)
    # As a kill leaves it: b.tsv half counted, nothing added up.
    (work / "notes/counted/00001.json").unlink()
    (work / "counted/00001").rename(work / "counted/.00001.part")
    (work / "counted/.00001.part/counts.tsv").write_bytes(b"Tag\tde\t")
    for path in work.glob("notes/words/*"):
        path.unlink()
    counted = []
    count_texts = word_counts.WordCounter.count

    def noted(self, texts):
        counted.append(1)
        count_texts(self, texts)

    monkeypatch.setattr(word_counts.WordCounter, "count", noted)
    assert_equal(count(texts, work), expected)
    assert len(counted) == 1


def test_another_input_is_not_used_silently(tmp_path, texts):
    work = tmp_path / "work"
    count(texts, work)
    path = pathlib.Path(texts.files[0])
    path.write_text("text\tlanguage\nfresh\ten\n", encoding="utf-8")
    texts = Texts([tmp_path / "*.tsv"])
    with pytest.raises(InputError, match="was made from something else: file"):
        count(texts, work)
    assert b"fresh" in count(texts, work, restart=True).words()


def test_malformed_rows_of_all_files_count_together(tmp_path, texts):
    bad = tmp_path / "d.tsv"
    bad.write_text("text\tlanguage\nday\ten\tmore\n", encoding="utf-8")
    with pytest.raises(InputError, match="1 of 7 rows are malformed.*d.tsv:2"):
        count(Texts([tmp_path / "*.tsv"]), tmp_path / "work")
    options = ReadOptions(max_malformed_share=0.2)
    table = count(Texts([tmp_path / "*.tsv"], options), tmp_path / "other")
    assert table.languages["en"] == 7


def test_a_file_without_rows(tmp_path, texts):
    (tmp_path / "d.tsv").write_text("text\tlanguage\n", encoding="utf-8")
    with pytest.raises(InputError, match="d.tsv: the file has no rows"):
        count(Texts([tmp_path / "*.tsv"]), tmp_path / "work")


def test_a_file_that_goes_missing(tmp_path, texts):
    os.remove(texts.files[1])
    with pytest.raises(FileNotFoundError):
        count(texts, tmp_path / "work")
