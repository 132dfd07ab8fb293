import os
import pathlib
import platform
import sys
import types

import numpy as np
import pytest

from labse.errors import InputError
from labse.files.vector_shards import VectorShards
from labse.search import approximate_index, faiss_index
from labse.search import approximate_search as module
from labse.search.exact_search import exact_search
from labse.search.unit_vectors import UnitVectors

faiss = pytest.importorskip("faiss", reason="needs labse[mining]")

SIZE, DIMENSION, LISTS = 10_200, 16, 40
NUM_COPIES = 150
K = 4


def make_vectors() -> np.ndarray:
    """Not of length 1; rows 5000 to 5149 are one vector."""
    generator = np.random.default_rng(0)
    vectors = 0.5 + generator.standard_normal((SIZE, DIMENSION))
    vectors *= generator.uniform(0.5, 3, (SIZE, 1))
    vectors[5000 : 5000 + NUM_COPIES] = vectors[5000]
    return vectors.astype(np.float16)


def make_queries() -> np.ndarray:
    """The first is a hair from the copies."""
    generator = np.random.default_rng(1)
    queries = 0.5 + generator.standard_normal((300, DIMENSION), np.float32)
    queries[0] = make_vectors()[5000]
    queries[0, 0] += 0.01
    return queries


def split(folder, vectors, cuts) -> VectorShards:
    paths = []
    for number, part in enumerate(np.split(vectors, cuts)):
        paths.append(folder / f"{number}.npy")
        np.save(paths[-1], part)
    return VectorShards(paths)


def build(folder, kind, vectors) -> pathlib.Path:
    """Does all steps, the shards last to first."""
    trained = approximate_index.train(vectors, kind, folder, LISTS)
    paths = [folder / f"{i}.index" for i in range(vectors.num_shards)]
    counts = [
        approximate_index.populate(trained, vectors, i, paths[i])
        for i in reversed(range(vectors.num_shards))
    ]
    assert sum(counts) == SIZE
    assert approximate_index.merge(paths, folder / "made") == SIZE
    return (folder / "made").rename(folder / "moved")


def read_bytes(folder):
    return [
        (folder / name).read_bytes()
        for name in (
            approximate_index.TRAINED,
            "moved/index.faiss",
            "moved/index.lists",
        )
    ]


@pytest.fixture(scope="module", params=approximate_index.KINDS)
def built(request, tmp_path_factory):
    """Of each kind, from one shard: folder, index, kind, vectors."""
    folder = tmp_path_factory.mktemp(request.param)
    vectors = split(folder, make_vectors(), [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approximate_index, "ROTATION_ROUNDS", 1)
        index = build(folder, request.param, vectors)
    return types.SimpleNamespace(
        folder=folder, index=index, kind=request.param, vectors=vectors
    )


@pytest.mark.parametrize(
    "num_shards", [3, pytest.param(8, marks=pytest.mark.slow)]
)
def test_result_does_not_depend_on_shards(
    built, num_shards, tmp_path, monkeypatch
):
    monkeypatch.setattr(approximate_index, "ROTATION_ROUNDS", 1)
    cuts = np.random.default_rng(num_shards).choice(SIZE, num_shards - 1)
    cuts[0] = SIZE - 1  # A shard of one row.
    vectors = split(tmp_path, make_vectors(), np.sort(cuts))
    # Other blocks, and other threads.
    monkeypatch.setattr(module, "_ROWS", 777)
    monkeypatch.setattr(approximate_index, "_ROWS", 777)
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1 if threads > 1 else 2)
    try:
        index = build(tmp_path, built.kind, vectors)
        queries = make_queries()
        found = [
            module.search(index, part, vectors, K, num_probes=3)
            for part in np.split(queries, [1, 20])
        ]
    finally:
        faiss.omp_set_num_threads(threads)
    assert read_bytes(tmp_path) == read_bytes(built.folder)
    expected = module.search(
        built.index, queries, built.vectors, K, num_probes=3
    )
    for got, whole in zip(zip(*found, strict=True), expected, strict=True):
        np.testing.assert_array_equal(np.concatenate(got), whole)


def test_other_vectors_give_other_files(tmp_path):
    vectors = make_vectors()
    files = []
    for name in ("ours", "theirs"):
        folder = tmp_path / name
        folder.mkdir()
        build(folder, "sq8", split(folder, vectors, [100]))
        files.append(read_bytes(folder))
        vectors[0] *= -1
    assert files[0][0] != files[1][0] and files[0][2] != files[1][2]


def test_only_directions_matter_and_leftovers_do_not(tmp_path):
    vectors = make_vectors().astype(np.float32)
    files = []
    for name, factor in (("one", 1), ("four", 4)):
        folder = tmp_path / name
        folder.mkdir()
        host, process = platform.node(), os.getpid()
        leftover = f".{approximate_index.TRAINED}.{host}.{process}.tmp"
        (folder / leftover).write_bytes(b"killed")
        shards = split(folder, vectors * np.float32(factor), [])
        files.append(
            approximate_index.train(shards, "sq8", folder, 8).read_bytes()
        )
        assert not list(folder.glob(".*.tmp"))
    assert files[0] == files[1]


def test_all_lists_and_candidates_give_the_exact_result(built):
    queries = make_queries()[:40]
    indices, cosines = module.search(
        built.index, queries, built.vectors, K, LISTS, SIZE
    )
    expected = exact_search(queries, built.vectors, K)
    assert indices.dtype == np.int64 and cosines.dtype == np.float32
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_array_equal(cosines, expected[1])


def test_finds_most_and_gives_true_cosines(built):
    queries = make_queries()
    indices, cosines = module.search(
        built.index, queries, built.vectors, K, 8, 64
    )
    rows = np.repeat(np.arange(len(queries)), K)
    true = UnitVectors(queries, "query").cosines(
        rows, UnitVectors(built.vectors, "candidate"), indices.ravel()
    )
    np.testing.assert_array_equal(cosines.ravel(), true)
    assert np.all(np.diff(cosines, axis=1) <= 0)
    _, exact = exact_search(queries, built.vectors, K)
    # Chance is 4 in 10,200; codes of two bytes are coarse.
    assert np.mean(cosines >= exact[:, -1:]) > 0.6


def test_a_crowd_of_copies_gives_the_lowest_rows(built):
    indices, _ = module.search(
        built.index, make_queries()[:1], built.vectors, K, 1, 8
    )
    # 8 and 64 candidates cut the tie of 150 copies, 512 do not.
    assert indices.tolist() == [[5000, 5001, 5002, 5003]]


def test_too_few_in_the_lists_are_searched_for_elsewhere(built, monkeypatch):
    queries = make_queries()[:7]
    k = 2000  # 40 lists have 255 on average.
    expected = exact_search(queries, built.vectors, k)
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    found = module.search(built.index, queries, built.vectors, k, 1)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    monkeypatch.setattr(module, "ATTEMPTS", 2)
    found = module.search(built.index, queries, built.vectors, k, 5)
    np.testing.assert_array_equal(found[0], expected[0])


def test_k_of_all_vectors(built):
    queries = make_queries()[:2]
    found = module.search(built.index, queries, built.vectors, SIZE)
    expected = exact_search(queries, built.vectors, SIZE)
    np.testing.assert_array_equal(found[0], expected[0])


def test_recall_counts_equal_cosines(built):
    queries = make_queries()[:50]
    whole = module.measure_recall(
        built.index, queries, built.vectors, K, LISTS, SIZE
    )
    assert whole == 1
    _, found = module.search(built.index, queries, built.vectors, K, 1, 8)
    _, exact = exact_search(queries, built.vectors, K)
    by_hand = np.mean(
        [
            sum(value >= row[-1] for value in values) / K
            for values, row in zip(found, exact, strict=True)
        ]
    )
    assert by_hand < 1
    recall = module.measure_recall(built.index, queries, built.vectors, K, 1, 8)
    assert recall == pytest.approx(by_hand, abs=1e-12)


def test_no_queries(built):
    indices, cosines = module.search(
        built.index, make_queries()[:0], built.vectors, K
    )
    assert indices.shape == cosines.shape == (0, K)


def test_rotation_has_the_same_bits_in_any_block():
    generator = np.random.default_rng(0)
    points = generator.standard_normal((500, 96), np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    axes, _ = np.linalg.qr(generator.standard_normal((96, 96)))
    axes = axes.astype(np.float32)
    whole = faiss_index.rotate(points, axes)
    np.testing.assert_allclose(whole, points @ axes.T, atol=1e-6)
    for start, stop in ((0, 1), (3, 20), (20, 500)):
        np.testing.assert_array_equal(
            faiss_index.rotate(points[start:stop], axes),
            whole[start:stop],
        )


@pytest.mark.parametrize(
    ("size", "lists"),
    [
        (1, 1),
        (39, 1),
        (400, 10),  # 400 // 39
        (1_000_000, 4000),
        (7_730_000_000, 131_072),  # not 351,682
    ],
)
def test_num_lists(size, lists):
    assert approximate_index.num_lists(size) == lists


@pytest.mark.parametrize(
    ("dimension", "size"),
    [(768, 64), (1024, 128), (256, 32), (12, 1), (13, 13)],
)
def test_code_bytes(dimension, size):
    assert approximate_index.code_bytes("pq", dimension) == size
    assert approximate_index.code_bytes("sq8", dimension) == dimension


def test_num_training_points():
    assert approximate_index.num_training_points(100, 2) == 100
    assert approximate_index.num_training_points(10**6, 2) == 16_384
    assert approximate_index.num_training_points(10**6, 4000) == 256_000


def test_bad_input(built, tmp_path):
    queries, vectors = make_queries(), built.vectors
    with pytest.raises(InputError, match="one of sq8, pq. Received: 'flat'"):
        approximate_index.train(vectors, "flat", tmp_path)
    with pytest.raises(InputError, match="9984 vectors or more. Received: 90"):
        approximate_index.train(
            split(tmp_path, make_vectors()[:90], []), "pq", tmp_path
        )
    with pytest.raises(InputError, match="390 vectors or more. Received: 90"):
        few = split(tmp_path, make_vectors()[:90], [])
        approximate_index.train(few, "sq8", tmp_path, 10)
    with pytest.raises(InputError, match="number of vectors, 10200. Rec.*: 0"):
        module.search(built.index, queries, vectors, 0)
    with pytest.raises(InputError, match="16 dimensions. Received: queries of"):
        module.search(built.index, queries[:, :8], vectors, K)
    with pytest.raises(InputError, match=r"\[n, dim\]. Received: shape \[16\]"):
        module.search(built.index, queries[0], vectors, K)
    other = split(tmp_path, make_vectors()[:50], [])
    with pytest.raises(InputError, match="of 10200 vectors. Received: 50"):
        module.search(built.index, queries, other, K)
    queries[3, 3] = np.nan
    with pytest.raises(InputError, match="row 3 of the query .* not finite"):
        module.search(built.index, queries, vectors, K)


def test_broken_or_missing_index(built, tmp_path):
    with pytest.raises(InputError, match="must be a complete index"):
        module.search(tmp_path, make_queries(), built.vectors, K)
    whole = (built.folder / approximate_index.TRAINED).read_bytes()
    (tmp_path / "cut.index").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut.index must be .* Make it again"):
        approximate_index.populate(
            tmp_path / "cut.index", built.vectors, 0, tmp_path / "x"
        )


def test_merges_parts_of_one_training_only(built, tmp_path):
    other = split(tmp_path, make_vectors()[::-1], [])
    trained = approximate_index.train(other, "sq8", tmp_path, LISTS)
    approximate_index.populate(trained, other, 0, tmp_path / "other.index")
    with pytest.raises(InputError, match="one training.*other.index and"):
        approximate_index.merge(
            [built.folder / "0.index", tmp_path / "other.index"],
            tmp_path / "made",
        )


def test_merges_something(tmp_path):
    with pytest.raises(InputError, match="an index to merge. Received: none"):
        approximate_index.merge([], tmp_path)


def test_a_full_disk_is_reported_before_it_kills(built, tmp_path, monkeypatch):
    monkeypatch.setattr(
        approximate_index.shutil,
        "disk_usage",
        lambda folder: types.SimpleNamespace(free=1000),
    )
    with pytest.raises(InputError, match="Merging needs 0.00 GB.*Make room"):
        approximate_index.merge([built.folder / "0.index"], tmp_path / "made")


def test_without_faiss(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r"pip install 'labse\[mining\]'"):
        approximate_index.merge([], tmp_path)
