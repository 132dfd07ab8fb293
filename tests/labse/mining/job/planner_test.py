import dataclasses

import pytest

from labse.errors import InputError
from labse.mining.job import planner
from labse.mining.job.planner import MachineConstants, estimate, plan

CONSTANTS = MachineConstants(
    dimension=10,
    exact_products=1e9,
    clustering_products=1e8,
    code_products=1e8,
    codes_written={"sq8": 1e4, "pq": 1e3},
    codes_scanned={"sq8": 1e6, "pq": 1e7},
    ranked=1e5,
    selected=1e6,
    disk_bytes=1e8,
    disk_pages=1e3,
    encoded=100.0,
)
PAPER = dataclasses.replace(CONSTANTS, dimension=768)
GB, TB = 10**9, 10**12


def test_exact_by_hand():
    made = estimate("exact", 1000, 2000, 10, 2, 4, CONSTANTS)
    assert made.vector_bytes == 3000 * 10 * 2
    assert made.disk_bytes == 60_000 + 3000 * 4 * 12
    # Selection, 3000 * (120 + 4 * 20), is more than 144,000 + 8 * 3000.
    assert made.ram_bytes == 3 * GB + 600_000
    assert (made.lists, made.index_bytes) == ((0, 0), 0)
    assert made.seconds == pytest.approx(
        {
            "embed": 30,
            "index": 0,
            # 1000 * 2000 * 10 / 1e9, and 60,000 / 1e8 for reading.
            "search": 0.02 + 0.0006,
            "select": 0.012,
        }
    )
    assert made.hours == pytest.approx(30.0326 / 3600)


def test_exact_reads_the_targets_again_where_they_do_not_fit():
    sizes = (70_000, 2000, 10, 2, 1, CONSTANTS)
    cached = estimate("exact", *sizes).seconds["search"]
    read = estimate("exact", *sizes, 3 * GB).seconds["search"]
    # 70,000 sources are held in two parts: 2000 targets pass once more.
    assert read - cached == pytest.approx(2000 * 20 / 1e8)


def test_sq8_by_hand():
    made = estimate("sq8", 10_000, 10_000, 10, 2, 4, CONSTANTS)
    assert made.lists == (256, 256)  # 10,000 // 39, less than 4 * 100
    assert (made.code_bytes, made.num_probes, made.num_candidates) == (
        (10, 64, 16)
    )
    # A side: 10,000 * (10 + 8) + 4 * 10 * 256.
    assert made.index_bytes == 2 * 190_240
    assert made.disk_bytes == 400_000 + 960_000 + 2 * 380_480
    assert made.ram_bytes == 3 * GB + 20_000 * 200
    # A side: 10 rounds of 10,000 points * 256 * 10, then each vector's list,
    # its code, and the disk.
    assert made.seconds["index"] == pytest.approx(
        2 * (2.56 + 0.0256 + 1 + (200_000 + 3 * 190_240) / 1e8)
    )
    # A query: 256 centres, 64 of 256 lists, 16 candidates.
    assert made.seconds["search"] == pytest.approx(
        2 * 10_000 * (2.56e-6 + 2500 / 1e6 + 16 / 1e5)
    )
    paged = estimate("sq8", 10_000, 10_000, 10, 2, 4, CONSTANTS, 3 * GB)
    assert paged.seconds["search"] == pytest.approx(
        2 * 10_000 * (2.56e-6 + 2500 / 1e6 + 16 / 1e3)
    )


def test_pq_by_hand():
    made = estimate("pq", 10_000, 10_000, 10, 2, 4, CONSTANTS)
    assert (made.code_bytes, made.num_candidates) == (1, 128)
    # A side: 10,000 * (1 + 8), centres, rotation and 256 centres of codes.
    assert made.index_bytes == 2 * (90_000 + 10_240 + 4 * 10 * 266)
    codes = 10_000 * 10 * 256 * (25 + 30) / 1e8
    turns = 10 * 2 * 10_000 * 10 * 10 / 1e8
    assert made.seconds["index"] == pytest.approx(
        2 * (2.56 + codes + turns + 0.0256 + 10 + (200_000 + 332_640) / 1e8)
    )


def test_sides_of_different_sizes():
    made = estimate("sq8", 1_000_000, 40_000, 10, 2, 4, CONSTANTS)
    assert made.lists == (4000, 800)
    # The 40,000 targets look into the index of a million, and the other way.
    first = 40_000 * (4e-5 + 64 * 1_000_000 / 4000 / 1e6 + 16 / 1e5)
    second = 1_000_000 * (8e-6 + 64 * 40_000 / 800 / 1e6 + 16 / 1e5)
    assert made.seconds["search"] == pytest.approx(first + second)


def test_the_papers_size():
    english, chinese = 7_730_000_000, 1_170_000_000
    made = estimate("pq", english, chinese, 768, 2, 1, PAPER)
    assert made.vector_bytes == 13_670_400_000_000
    assert made.lists == (131_072, 131_072)
    assert made.code_bytes == 64
    # 72 bytes a vector; 131,072 centres, a rotation and codes a side.
    side = 4 * 768 * (131_072 + 768 + 256)
    assert made.index_bytes == 640_800_000_000 + 2 * side
    assert made.disk_bytes == (
        13_670_400_000_000 + 8_900_000_000 * 12 + 2 * made.index_bytes
    )
    # Selection: 8.9e9 * (120 + 20).
    assert made.ram_bytes == 3 * GB + 1_246_000_000_000
    assert made.seconds["embed"] == 8.9e7
    exact = estimate("exact", english, chinese, 768, 2, 1, PAPER)
    assert exact.seconds["search"] == pytest.approx(
        7.73e9 * 1.17e9 * 768 / 1e9 + 13.6704e12 / 1e8
    )


def choose(size, ram=100 * GB, disk=TB, **options):
    return plan(size, size, 10, 2, 4, CONSTANTS, ram, disk, **options)


def test_exact_while_it_is_quick():
    # 4 hours at 1e9 products a second of 10 dimensions: 1.2 million squared.
    assert choose(1_000_000).kind == "exact"
    assert choose(1_300_000).kind == "sq8"


def test_pq_where_sq8_does_not_fit():
    need = {
        kind: estimate(
            kind, 10**8, 10**8, 10, 2, 4, CONSTANTS, 100 * GB
        ).disk_bytes
        for kind in planner.KINDS
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
    sizes = (10**8, 10**7, 10, 2, 4, CONSTANTS)
    best = estimate("pq", *sizes)
    every = estimate("pq", *sizes, keeps_all=True)
    # 1.1e8 * (120 + 4 * 20), and 60 for each of 4 candidates of a source.
    assert best.ram_bytes == 3 * GB + 22 * 10**9
    assert every.ram_bytes == 3 * GB + 46 * 10**9
    assert choose(10**6, ram=4 * GB).kind == "exact"
    with pytest.raises(InputError, match="of memory, where there is 3.5 GB"):
        choose(10**6, ram=3.5 * GB, keeps_all=True)


def test_the_kind_can_be_given():
    assert choose(20_000, kind="pq").kind == "pq"
    assert choose(1_300_000, kind="exact").kind == "exact"


def test_small_sides_are_searched_exactly():
    made = plan(10**9, 20, 10, 2, 1, CONSTANTS, 10**12, 10**12)
    assert made.kind == "exact"


def test_refuses_what_does_not_fit():
    with pytest.raises(InputError) as caught:
        choose(10**8, ram=4 * GB, disk=GB)
    text = str(caught.value)
    assert "100000000 x 100000000 sentences with 10 dimensions" in text
    # Selection takes 2e8 * 200 bytes whatever the index; disk as above.
    assert "exact: 43.0 GB of memory, where there is 4.0 GB" in text
    assert "1.8 TB of disk, where there is 1.0 GB" in text
    assert "docs/mining_at_scale.md" in text
    assert "float16" not in text
    with pytest.raises(InputError, match="store the vectors as float16"):
        plan(10**8, 10**8, 10, 4, 4, CONSTANTS, 4 * GB, GB)


def test_refuses_what_takes_too_long():
    # 400,000 sentences at 100 a second are 1.1 hours.
    assert choose(200_000, max_hours=2).kind == "exact"
    with pytest.raises(InputError, match="exact: 1.2 hours, where 1 are allo"):
        choose(200_000, max_hours=1)


def test_bad_input():
    with pytest.raises(InputError, match="auto, exact, sq8, pq. Received: 'x'"):
        choose(100, kind="x")
    with pytest.raises(InputError, match="9984 sentences .* 100 and 100"):
        choose(100, kind="pq")
    with pytest.raises(InputError, match="1 or more. Received: 0 x 0 sent"):
        choose(0)
    with pytest.raises(InputError, match="with 10 dimensions. .* of 12"):
        plan(100, 100, 12, 2, 4, CONSTANTS, GB, GB)


def test_explains_itself():
    assert choose(10_000, kind="sq8").explain() == (
        "Search: approximate, sq8: 10 bytes a vector in 256 and 256 lists, 64 "
        "of them looked into, 16 candidates ranked by their vectors.\n"
        "Memory: 3.0 GB. Disk: 2 MB (vectors 0 MB, index 0 MB).\n"
        "Time: embed 3.3 min, index 7 s, search 53 s, select 0 s; in all 4.3 "
        "min."
    )
    constants = dataclasses.replace(CONSTANTS, encoded=None)
    told = plan(10**5, 10**5, 10, 2, 4, constants, TB, TB).explain()
    assert "exact: every source is compared with every target" in told
    assert told.endswith("in all 1.7 min, and the embedding.")


def test_told_units():
    assert planner.told_bytes(2.5e12) == "2.5 TB"
    assert planner.told_bytes(999e6) == "999 MB"
    assert planner.told_seconds(59) == "59 s"
    assert planner.told_seconds(5400) == "1.5 h"
    assert planner.told_seconds(216_000) == "2.5 days"


def test_available_memory(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(
        "MemTotal:       100 kB\nMemAvailable:   60 kB\n"
    )
    assert planner.available_memory(tmp_path) == 61_440
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.current").write_text("1000\n")
    (group / "memory.max").write_text("max\n")
    assert planner.available_memory(tmp_path) == 61_440
    (group / "memory.max").write_text("5000\n")
    assert planner.available_memory(tmp_path) == 4000
    assert planner.available_memory() > 0


def test_free_disk_of_a_folder_that_is_not_there(tmp_path):
    assert planner.free_disk(tmp_path / "a/b") > 0
