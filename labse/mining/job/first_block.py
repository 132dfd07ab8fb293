"""Plans a job by its first block, which is encoded and searched for real."""

import dataclasses
import json
import math
import os
import pathlib
import shutil
import time

import numpy as np

from labse.mining.job import plan
from labse.mining.job.mining_job import MiningJob
from labse.mining.job.settings import EXACT
from labse.search.exact_search import exact_search_both
from labse.search.unit_vectors import check_embeddings, check_one_each

# Multiplications up to which exact search takes seconds: it is not measured.
SMALL_PRODUCTS = 1e12
# Multiplications of the search that is measured, some seconds; short vectors
# take fewer of them.
MEASURED_PRODUCTS, MOST_ROWS = 4e11, 2**16

PLAN = "plan.json"
# A benchmark on a busy machine measures processor time instead.
clock = time.perf_counter


def choose_index(
    job: MiningJob, kind: str = "auto", max_hours: float | None = None
) -> None:
    """Sets the job's index and reports what the job will take.

    The choice is kept in the work folder, so that a job that resumes, or
    continues on another machine, uses the same index.

    Args:
      job: whose texts were read.
      kind: one of `plan.KINDS`, or "auto".
      max_hours: refuse what takes longer; None: no limit.

    Raises:
      InputError: the job does not fit into memory, disk or time.
    """
    sizes = [len(job.corpus(side)) for side in job.sides]
    made_from = {
        "sentences": [sizes[0], sizes[-1]],
        "k": job.settings.k,
        "vectors": job.settings.vector_type,
        "index": kind,
        "max_hours": max_hours,
        "keeps_all": job.settings.retrieval == "all",
        "model": job.model_name,
    }

    def write(path: pathlib.Path) -> None:
        chosen = _plan(job, sizes, kind, max_hours)
        path.write_text(json.dumps(chosen, indent=1), "utf-8")

    job.work.make(PLAN, made_from, write, replace=True)
    chosen = json.loads(job.work.path(PLAN).read_text("utf-8"))
    job.report(chosen["explained"])
    job.settings = dataclasses.replace(job.settings, index=chosen["index"])


def _plan(
    job: MiningJob, sizes: list[int], kind: str, max_hours: float | None
) -> dict[str, object]:
    """The index, lines for the user, and the seconds of each step."""
    vectors, sentences = _encode_first_block(job)
    size = plan.JobSize(
        num_source=sizes[0],
        num_target=sizes[-1],
        dimension=vectors.shape[1],
        number_bytes=np.dtype(job.settings.vector_type).itemsize,
        k=job.settings.k,
        writes_all=job.settings.retrieval == "all",
    )
    if size.products < SMALL_PRODUCTS and max_hours is None:
        index = EXACT if kind == "auto" else kind
        embed = plan.format_seconds(sum(sizes) / sentences)
        text = f"Search: {index}. Time: embed {embed}, the rest seconds."
        return {"index": index, "explained": text}
    speed = plan.MachineSpeed(sentences, *measure_search(vectors))
    ram, disk = available_memory(), free_disk(job.work.folder)
    found = plan.choose_plan(size, speed, ram, disk, kind, max_hours)
    return {
        "index": found.kind,
        "explained": found.explain(),
        "seconds": found.seconds,
    }


def _encode_first_block(job: MiningJob) -> tuple[np.ndarray, float]:
    """Vectors [n, dim] of the first two chunks, and sentences a second.

    The job keeps them, so that they are not encoded again. Only the second
    chunk counts: the model is compiled during the first.
    """
    sides, chunk = list(job.sides), job.settings.chunk
    found = []
    # A paraphrase job may have less than two chunks.
    for side, start in ((sides[0], 0), (sides[-1], chunk * (len(sides) == 1))):
        corpus = job.corpus(side)
        if start >= len(corpus):
            break
        texts = corpus.texts(start, min(start + chunk, len(corpus)))
        begin = clock()
        vectors = job.encode_fn(texts)
        sentences = len(texts) / max(clock() - begin, 1e-6)
        vectors = check_embeddings(vectors, "sentence", texts)
        check_one_each(vectors, texts, found[0].shape[1] if found else None)
        found.append(vectors)
        job.keep(texts, vectors)
    return np.concatenate(found), sentences


def measure_search(vectors: np.ndarray) -> tuple[float, float]:
    """`MachineSpeed`'s products and row_seconds, with float [n, dim].

    Two searches give both: with half the rows, a quarter of the products.
    """
    # Exact search is faster with it, and large searches import it themselves.
    import tensorflow as tf  # noqa: F401

    dimension = vectors.shape[1]
    num_rows = math.ceil(math.sqrt(MEASURED_PRODUCTS / dimension))
    num_rows = min(num_rows + num_rows % 2, MOST_ROWS)
    rows = _repeat(vectors, num_rows)
    half = num_rows // 2
    # The first search compiles the graph.
    small = min(_time_search(rows[:half], rows[half:]) for _ in range(2))
    large = _time_search(rows, rows[::-1])
    # large = P / products + R row_seconds, and small = a quarter and a half of
    # that. Timings that say otherwise are noise: the product's share is kept
    # between a quarter and all.
    product_seconds = min(max(2 * large - 4 * small, large / 4), large)
    return (
        num_rows**2 * dimension / product_seconds,
        (large - product_seconds) / (2 * num_rows),
    )


def _time_search(queries: np.ndarray, candidates: np.ndarray) -> float:
    begin = clock()
    exact_search_both(queries, candidates, 4, 4)
    return max(clock() - begin, 1e-9)


def _repeat(vectors: np.ndarray, num_rows: int) -> np.ndarray:
    """float32 [num_rows, dim]: the vectors, and noisy copies of them."""
    generator = np.random.default_rng(0)
    rows = np.resize(vectors, (num_rows, vectors.shape[1])).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    noise = generator.standard_normal(rows.shape, np.float32)
    # Of half the length of a vector: copies have a cosine of about 0.8.
    return rows + noise * (0.5 / np.sqrt(vectors.shape[1], dtype=np.float32))


def available_memory(root: str | os.PathLike = "/") -> int:
    """Bytes that a new process may use: free, and within the cgroup's limit.

    Where there is no /proc, what the machine has.
    """
    root = pathlib.Path(root)
    try:
        text = (root / "proc/meminfo").read_text("utf-8")
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    fields = dict(line.split(":", 1) for line in text.splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    group = root / "sys/fs/cgroup"
    for limit, used in (  # cgroup version 2, and 1
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most = (group / limit).read_text("ascii").strip()
            now = int((group / used).read_text("ascii"))
        except OSError:
            continue
        if most != "max":
            available = min(available, max(int(most) - now, 0))
    return available


def free_disk(folder: str | os.PathLike) -> int:
    """Free bytes on the disk of a folder, which need not exist yet."""
    path = pathlib.Path(folder).absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
