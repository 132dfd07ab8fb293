import dataclasses

import pytest

from labse.errors import InputError
from labse.mining.job import plan
from labse.mining.job.plan import (
    JobSize,
    MachineSpeed,
    choose_plan,
    estimate,
)

SPEED = MachineSpeed(sentences=100.0, products=1e9, row_seconds=1e-6)
GB, TB = 10**9, 10**12


def size(num_source, num_target=None, k=4, number_bytes=2, **more):
    if num_target is None:
        num_target = num_source
    return JobSize(num_source, num_target, 10, number_bytes, k, **more)


def test_exact_by_hand():
    made = estimate("exact", size(1000, 2000), SPEED)
    assert made.size.vector_bytes == 3000 * 10 * 2
    assert made.disk_bytes == 60_000 + 3000 * 4 * 12
    # Selection, 3000 * (120 + 4 * 20), is more than 144,000 + 8 * 3000.
    assert made.ram_bytes == 3 * GB + 600_000
    assert (made.lists, made.index_bytes) == ((0, 0), 0)
    assert made.seconds == pytest.approx(
        {
            # 100 sentences a second, and 1e6 products for each.
            "embed": 30 + 3,
            "index": 0,
            # 1000 * 2000 * 10 / 1e9, 3000 rows, and 60,000 / 1e9 for reading.
            "search": 0.02 + 0.003 + 0.00006,
            # 3000 * 4 neighbours at 2e4 products, 1000 pairs at 6e6.
            "select": 0.24 + 6,
        }
    )
    assert made.hours == pytest.approx(39.26306 / 3600)


def test_each_shard_of_sources_has_rows_for_all_targets():
    made = estimate("exact", size(2**18 + 1, 1000), SPEED)
    # Two shards: 2**18 + 1 and 2 * 1000 rows.
    products = (2**18 + 1) * 1000 * 10 / 1e9
    read = (2**18 + 1001) * 20 / 1e9
    assert made.seconds["search"] == pytest.approx(
        products + (2**18 + 2001) * 1e-6 + read
    )
    assert made.disk_bytes == (2**18 + 1001) * 20 + (2**18 + 2001) * 48


def test_exact_reads_the_targets_again_where_they_do_not_fit():
    job = size(70_000, 2000, k=1)
    cached = estimate("exact", job, SPEED).seconds["search"]
    read = estimate("exact", job, SPEED, 3 * GB).seconds["search"]
    # 70,000 sources are held in two parts: 2000 targets pass once more.
    assert read - cached == pytest.approx(2000 * 20 / 1e9)


def test_sq8_by_hand():
    job = size(10_000)
    made = estimate("sq8", job, SPEED)
    assert made.lists == (256, 256)  # 10,000 // 39, less than 4 * 100
    # A side: 10,000 * (10 + 8) + 4 * 10 * 256.
    assert made.index_bytes == 2 * 190_240
    assert made.disk_bytes == 400_000 + 960_000 + 2 * 380_480
    assert made.ram_bytes == 3 * GB + 20_000 * 200
    # A side: 10 rounds of 10,000 points * 256 * 10 at 2.6 products, then each
    # vector's list and its code at 1400 a dimension, its row, and the disk.
    assert made.seconds["index"] == pytest.approx(
        2
        * (
            10 * 10_000 * 256 * 10 * 2.6 / 1e9
            + 10_000 * 10 * (256 + 1400) / 1e9
            + 0.01
            + (200_000 + 3 * 190_240) / 1e9
        )
    )
    # A query: 256 centres, 64 of 256 lists with codes of 10 bytes at 15, its
    # row, and 16 candidates of 10 dimensions at 625.
    without_ranking = 2560 / 1e9 + 2500 * 10 * 15 / 1e9 + 1e-6
    assert made.seconds["search"] == pytest.approx(
        2 * 10_000 * (without_ranking + 16 * 10 * 625 / 1e9)
    )
    # Where the vectors are not in memory, a candidate is a page of the disk.
    paged = estimate("sq8", job, SPEED, 3 * GB)
    assert paged.seconds["search"] == pytest.approx(
        2 * 10_000 * (without_ranking + 16 / 1e4)
    )


def test_pq_by_hand():
    made = estimate("pq", size(10_000), SPEED)
    # A side: 10,000 * (1 + 8), centres, rotation and 256 centres of codes.
    assert made.index_bytes == 2 * (90_000 + 10_240 + 4 * 10 * 266)
    codes = 10_000 * 10 * 256 * (25 + 30) * 4.7 / 1e9
    turns = 10 * 2 * 10_000 * 10 * 10 * 2.6 / 1e9
    lists = 10_000 * 10 * (256 + 34 * 256) / 1e9
    assert made.seconds["index"] == pytest.approx(
        2 * (0.6656 + codes + turns + lists + 0.01 + (200_000 + 332_640) / 1e9)
    )


def test_sides_of_different_sizes():
    made = estimate("sq8", size(1_000_000, 40_000), SPEED)
    assert made.lists == (4000, 800)
    # The 40,000 targets look into the index of a million, and the other way.
    ranked = 1e-6 + 16 * 10 * 625 / 1e9
    first = 40_000 * (4e-5 + 64 * 1_000_000 / 4000 * 150 / 1e9 + ranked)
    second = 1_000_000 * (8e-6 + 64 * 40_000 / 800 * 150 / 1e9 + ranked)
    assert made.seconds["search"] == pytest.approx(first + second)


def test_the_papers_size():
    english, chinese = 7_730_000_000, 1_170_000_000
    job = JobSize(english, chinese, 768, 2, 1)
    made = estimate("pq", job, SPEED)
    assert job.vector_bytes == 13_670_400_000_000
    assert made.lists == (131_072, 131_072)
    # 72 bytes a vector; 131,072 centres, a rotation and codes a side.
    side = 4 * 768 * (131_072 + 768 + 256)
    assert made.index_bytes == 640_800_000_000 + 2 * side
    assert made.disk_bytes == (
        13_670_400_000_000 + 8_900_000_000 * 12 + 2 * made.index_bytes
    )
    # Selection: 8.9e9 * (120 + 20).
    assert made.ram_bytes == 3 * GB + 1_246_000_000_000
    assert made.seconds["embed"] == pytest.approx(8.9e7 + 8.9e6)
    exact = estimate("exact", job, SPEED)
    # 29,488 shards of English sentences.
    rows = 7.73e9 + 29_488 * 1.17e9
    assert exact.seconds["search"] == pytest.approx(
        7.73e9 * 1.17e9 * 768 / 1e9 + rows * 1e-6 + 13.6704e12 / 1e9
    )


def choose(num_sentences, ram=100 * GB, disk=TB, writes_all=False, **options):
    job = size(num_sentences, writes_all=writes_all)
    return choose_plan(job, SPEED, ram, disk, **options)


def test_exact_while_it_is_quick():
    # 4 hours at 1e9 products a second of 10 dimensions: 1.2 million squared.
    assert choose(1_000_000).kind == "exact"
    assert choose(1_300_000).kind == "sq8"


def test_pq_where_sq8_does_not_fit():
    need = {
        kind: estimate(kind, size(10**8), SPEED, 100 * GB).disk_bytes
        for kind in plan.KINDS
    }
    # By hand: 2e8 vectors of 20 bytes, 48 bytes of neighbours for 1e8 sources,
    # and for 1e8 targets of each of 382 shards.
    assert need["exact"] == 4 * 10**9 + 383 * 48 * 10**8
    assert need["pq"] < need["sq8"] < need["exact"]
    assert choose(10**8, disk=need["sq8"]).kind == "sq8"
    assert choose(10**8, disk=need["sq8"] - 1).kind == "pq"
    with pytest.raises(InputError, match="of disk"):
        choose(10**8, disk=need["pq"] - 1)


def test_all_candidates_need_more_memory():
    best = estimate("pq", size(10**8, 10**7), SPEED)
    every = estimate("pq", size(10**8, 10**7, writes_all=True), SPEED)
    # 1.1e8 * (120 + 4 * 20), and 60 for each of 4 candidates of a source.
    assert best.ram_bytes == 3 * GB + 22 * 10**9
    assert every.ram_bytes == 3 * GB + 46 * 10**9
    # All candidates are written: 4e8, not 1e7 pairs.
    assert every.seconds["select"] - best.seconds["select"] == pytest.approx(
        (4e8 - 1e7) * 6e6 / 1e9
    )
    assert choose(10**6, ram=4 * GB).kind == "exact"
    with pytest.raises(InputError, match=r"of memory \(3.5 GB available"):
        choose(10**6, ram=3.5 * GB, writes_all=True)


def test_the_kind_can_be_given():
    assert choose(20_000, kind="pq").kind == "pq"
    assert choose(1_300_000, kind="exact").kind == "exact"


def test_small_sides_are_searched_exactly():
    made = choose_plan(size(10**9, 20, k=1), SPEED, 10**12, 10**12)
    assert made.kind == "exact"


def test_refuses_what_does_not_fit():
    with pytest.raises(InputError) as caught:
        choose(10**8, ram=4 * GB, disk=GB)
    text = str(caught.value)
    assert "100000000 x 100000000 sentences with 10 dimensions" in text
    # Selection takes 2e8 * 200 bytes whatever the index; disk as above.
    assert "exact: 43.0 GB of memory (4.0 GB available)" in text
    assert "1.8 TB of disk (1.0 GB available)" in text
    assert "docs/mining_at_scale.md" in text
    assert "float16" not in text
    with pytest.raises(InputError, match="store the vectors as float16"):
        choose_plan(size(10**8, number_bytes=4), SPEED, 4 * GB, GB)


def test_refuses_what_takes_too_long():
    # 400,000 sentences take 4000 + 400 s, the search 400, the selection 1232.
    assert choose(200_000, max_hours=2).kind == "exact"
    with pytest.raises(InputError, match=r"exact: 1.7 hours \(1 allowed"):
        choose(200_000, max_hours=1)


def test_bad_input():
    with pytest.raises(InputError, match="auto, exact, sq8, pq. Received: 'x'"):
        choose(100, kind="x")
    with pytest.raises(InputError, match="9984 sentences .* 100 and 100"):
        choose(100, kind="pq")
    with pytest.raises(InputError, match="1 or more. Received: 0 x 0 sent"):
        choose(0)


def test_explains_itself():
    # embed 220 s; index 2 * 0.86; search 20,000 * 0.00048; select 61.6.
    assert choose(10_000, kind="sq8").explain() == (
        "Search: approximate, sq8: 10 bytes for each vector, in 256 and 256 "
        "lists. For each sentence 64 lists are searched and 16 candidates "
        "ranked by their vectors.\n"
        "Memory: 3.0 GB. Disk: 2 MB (vectors 0 MB, index 0 MB).\n"
        "Time: embed 3.7 min, index 2 s, search 10 s, select 1.0 min; 4.9 min "
        "in total."
    )
    fast = dataclasses.replace(SPEED, sentences=1e5)
    text = choose_plan(size(10**5), fast, TB, TB).explain()
    assert "exact: every source is compared with every target" in text
    assert text.endswith(
        "15.3 min in total."
    )  # embed 202, search 100, select 616


def test_units():
    assert plan.format_bytes(2.5e12) == "2.5 TB"
    assert plan.format_bytes(999e6) == "999 MB"
    assert plan.format_seconds(59) == "59 s"
    assert plan.format_seconds(5400) == "1.5 h"
    assert plan.format_seconds(216_000) == "2.5 days"
