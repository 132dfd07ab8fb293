import dataclasses
import json

import numpy as np
import pytest

from labse.errors import InputError
from labse.mining.job import first_block
from labse.mining.job.first_block import choose_index
from labse.mining.job.mining_job import MiningJob
from labse.mining.job.settings import Settings, TextSource
from labse.mining.job.steps import run_step


@pytest.fixture
def job(tmp_path):
    """Two sides of 100 sentences, in chunks of 16; counts what is encoded."""
    return make_job(tmp_path)


def make_job(folder, sides=2, lines=100):
    sources = []
    for side in "ab"[:sides]:
        path = folder / f"{side}.txt"
        path.write_text("".join(f"{side} {i}\n" for i in range(lines)))
        sources.append(TextSource((str(path),)))
    calls = []

    def encode(texts):
        calls.append(list(texts))
        numbers = [(ord(t[0]), int(t[2:]), len(t)) for t in texts]
        return np.array(numbers, np.float32)

    job = MiningJob(
        folder / "work",
        sources[0],
        sources[1] if sides == 2 else None,
        Settings(chunk=16),
        lambda: (encode, "m"),
    )
    job.calls = calls
    run_step(job, "read")
    return job


def test_the_first_chunks_are_encoded_once(job):
    choose_index(job)
    assert [texts[0] for texts in job.calls] == ["a 0", "b 0"]
    assert [len(texts) for texts in job.calls] == [16, 16]
    run_step(job, "embed")
    assert len(job.calls) == 2 * 7  # 100 sentences are 7 chunks
    assert len({tuple(texts) for texts in job.calls}) == 14


def test_paraphrases_encode_two_chunks_of_one_side(tmp_path):
    job = make_job(tmp_path, sides=1)
    choose_index(job)
    assert [texts[0] for texts in job.calls] == ["a 0", "a 16"]


def test_one_chunk_is_enough(tmp_path):
    job = make_job(tmp_path, sides=1, lines=5)
    choose_index(job)
    assert [len(texts) for texts in job.calls] == [5]
    assert job.settings.index == "exact"


def test_a_small_job_is_not_measured(job, monkeypatch, capsys):
    monkeypatch.setattr(first_block, "measure_search", None)
    choose_index(job)
    assert job.settings.index == "exact"
    assert "Search: exact. Time: embed" in capsys.readouterr().err


def test_the_plan_is_kept(job, monkeypatch, capsys):
    """What is measured decides, once."""
    # Exact search of 200 rows takes 200 * 100 s = 5.6 h: more than 4.
    monkeypatch.setattr(first_block, "SMALL_PRODUCTS", 1)
    monkeypatch.setattr(first_block, "measure_search", lambda _: (1e12, 100.0))
    choose_index(job)
    assert job.settings.index == "sq8"
    assert "approximate, sq8" in capsys.readouterr().err
    monkeypatch.setattr(first_block, "measure_search", None)
    job.settings = dataclasses.replace(job.settings, index="exact")
    choose_index(job)
    assert job.settings.index == "sq8"
    kept = json.loads((job.work.folder / "plan.json").read_text())
    assert kept["index"] == "sq8"


def test_too_many_hours_are_refused_before_the_work(job, monkeypatch):
    monkeypatch.setattr(first_block, "measure_search", lambda _: (1e12, 100.0))
    with pytest.raises(InputError, match="5 allowed"):
        choose_index(job, "exact", max_hours=5)
    choose_index(job, "exact", max_hours=6)


@pytest.mark.parametrize("products", [1e9, 4e9])
def test_products_and_rows_by_two_searches(monkeypatch, products):
    """Times of a machine that does what the model says give its rates back."""
    monkeypatch.setattr(first_block, "MEASURED_PRODUCTS", 24e6)
    seen = []

    def time_search(queries, candidates):
        seen.append((len(queries), len(candidates)))
        work = len(queries) * len(candidates) * queries.shape[1]
        return work / products + 1e-6 * (len(queries) + len(candidates))

    monkeypatch.setattr(first_block, "_time_search", time_search)
    found = first_block.measure_search(np.ones((5, 6), np.float32))
    # sqrt(24e6 / 6) = 2000 rows, and half of them.
    assert seen == [(1000, 1000), (1000, 1000), (2000, 2000)]
    assert found == pytest.approx((products, 1e-6))


def test_noisy_timings_give_possible_rates(monkeypatch):
    monkeypatch.setattr(first_block, "MEASURED_PRODUCTS", 24e6)
    for times in ([1.0, 1.0, 1.0], [0.1, 0.1, 5.0]):
        each = iter(times)
        monkeypatch.setattr(
            first_block, "_time_search", lambda *_, each=each: next(each)
        )
        products, rows = first_block.measure_search(np.ones((5, 6)))
        # Together they always give the time of the larger search.
        assert products > 0 and rows >= 0
        assert 24e6 / products + 4000 * rows == pytest.approx(times[-1])


def test_a_real_search_is_measured(monkeypatch):
    monkeypatch.setattr(first_block, "MEASURED_PRODUCTS", 1e7)
    vectors = np.random.default_rng(0).standard_normal((50, 8))
    products, rows = first_block.measure_search(vectors)
    assert products > 0 and rows >= 0


def test_repeated_vectors_are_near_copies():
    vectors = np.random.default_rng(0).standard_normal((4, 256))
    rows = first_block._repeat(vectors, 10)
    assert rows.shape == (10, 256) and rows.dtype == np.float32
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    # 1 / (1 + 0.25), and a little noise.
    assert unit[1] @ unit[5] == pytest.approx(0.8, abs=0.1)
    assert not np.array_equal(rows[1], rows[5])


def test_available_memory(tmp_path):
    available = first_block.available_memory
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(
        "MemTotal:       100 kB\nMemAvailable:   60 kB\n"
    )
    assert available(tmp_path) == 61_440
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.current").write_text("1000\n")
    (group / "memory.max").write_text("max\n")
    assert available(tmp_path) == 61_440
    (group / "memory.max").write_text("5000\n")
    assert available(tmp_path) == 4000
    assert available() > 0


def test_free_disk_of_a_folder_that_does_not_exist(tmp_path):
    assert first_block.free_disk(tmp_path / "a/b") > 0
