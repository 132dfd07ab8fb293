"""What mining takes: by the plan, beside what then happens.

    python benchmarks/mining_plan.py [--sizes=40000,100000] [--kinds=exact,sq8]
    python benchmarks/mining_plan.py --model=RUN --source=FILE --target=FILE
    python benchmarks/mining_plan.py --tables [--sentences=146.4]
        [--products=1.5e11 --row_seconds=2e-5]

The first two mine in a temporary folder and print, for each step, the estimate
of `labse mine` (made with the first block), the seconds that it took, and their
ratio. Without --model the vectors are made: each source has one translation.
--cpu counts seconds of the processor, all threads together, instead of those of
the clock: for a machine that does other work as well.

--tables prints the tables of docs/mining_at_scale.md, by the formulas of
`labse.mining.job.plan`: jobs up to section 7 of the paper (7.73 billion English
and 1.17 billion Chinese sentences). --sentences is the encoder's rate, which
`benchmarks/encode.py` measures; the rates of the search are measured here
unless they are given. The machine must be idle.
"""

import argparse
import json
import math
import pathlib
import tempfile
import time

import numpy as np
from machine import machine

from labse.files.reading import ReadOptions
from labse.mining.job import first_block, plan
from labse.mining.job.mining_job import MiningJob
from labse.mining.job.plan import JobSize, MachineSpeed
from labse.mining.job.run_job import keep_pairs, pair_rows
from labse.mining.job.selection import Selection
from labse.mining.job.settings import Settings, TextSource
from labse.mining.job.steps import run_step

DIMENSION, NUMBER_BYTES = 768, 2  # float16
ENGLISH, CHINESE = 7_730_000_000, 1_170_000_000  # section 7
SMALLER = (100_000, 1_000_000, 10_000_000, 100_000_000)
K = 4
DAYS = (1, 7, 30)
NOISE = 0.5  # of a made translation, beside the length 1 of its source
ENCODED = 10_000  # sentences for which the made encoder takes a second
LETTERS = str.maketrans("0123456789", "abcdefghij")  # texts differ in letters
DIGITS = str.maketrans("abcdefghij", "0123456789")


class MadeEncoder:
    """Vectors of "source N" and, near it, of "target N"; N in letters."""

    def __init__(self, num_sentences: int, dimension: int):
        generator = np.random.default_rng(0)
        shape = (num_sentences, dimension)
        source = generator.standard_normal(shape, np.float32)
        source /= np.linalg.norm(source, axis=1, keepdims=True)
        noise = generator.standard_normal(shape, np.float32)
        noise *= NOISE / np.float32(math.sqrt(dimension))
        self._vectors = {"source": source, "target": source + noise}

    def __call__(self, texts: list[str]) -> np.ndarray:
        """float32 [n, dim]."""
        time.sleep(len(texts) / ENCODED)
        numbers = [int(text.split()[1].translate(DIGITS)) for text in texts]
        return self._vectors[texts[0].partition(" ")[0]][numbers]


def made_job(folder: pathlib.Path, num_sentences: int) -> MiningJob:
    """A job of made sentences."""
    encoder = MadeEncoder(num_sentences, DIMENSION)
    for side in ("source", "target"):
        numbers = map(str, range(num_sentences))
        lines = "".join(f"{side} {n.translate(LETTERS)}\n" for n in numbers)
        (folder / f"{side}.txt").write_text(lines, "utf-8")
    options = ReadOptions(language="und")
    sources = [
        TextSource((str(folder / f"{side}.txt"),), options)
        for side in ("source", "target")
    ]
    settings = Settings(k=K, vector_type="float16")
    return MiningJob(folder / "work", *sources, settings, lambda: (encoder, ""))


def real_job(folder: pathlib.Path, options) -> MiningJob:
    """A job of a model and files."""
    import labse

    model = labse.load(options.model)
    sources = [
        TextSource((path,), ReadOptions(language="und"))
        for path in (options.source, options.target)
    ]
    settings = Settings(k=K, vector_type="float16")
    return MiningJob(
        folder / "work",
        *sources,
        settings,
        lambda: (
            lambda texts: model.encode(texts, on_truncation="ignore"),
            model.fingerprint,
        ),
    )


def compare(job: MiningJob, kind: str) -> None:
    """Prints estimate, actual seconds and ratio of each step."""
    job.show_progress = False
    run_step(job, "read")
    begin = first_block.clock()
    # A limit, so that small jobs are measured as well.
    first_block.choose_index(job, kind, max_hours=1e6)
    measuring = first_block.clock() - begin
    kept = json.loads(job.work.path(first_block.PLAN).read_text("utf-8"))
    actual = {}
    for step in ("embed", "index", "search"):
        begin = first_block.clock()
        run_step(job, step)
        actual[step] = first_block.clock() - begin
    begin = first_block.clock()
    run_step(job, "score")
    found = keep_pairs(job, Selection(min_score=0.0))
    num_pairs = sum(1 for _ in pair_rows(job, found))
    actual["select"] = first_block.clock() - begin
    sizes = " x ".join(f"{len(job.corpus(side)):,}" for side in job.sides)
    dimension = job.vectors("source").dimension
    print(f"\n{sizes} x {dimension}, {kind}; {num_pairs:,} pairs; ", end="")
    print(f"measuring took {measuring:.1f} s; {machine()}")
    print(f"{'step':<8}{'estimate, s':>12}{'actual, s':>12}{'ratio':>8}")
    rows = [(step, kept["seconds"][step], actual[step]) for step in plan.STEPS]
    rows.append(("total", sum(r[1] for r in rows), sum(r[2] for r in rows)))
    for step, estimated, took in rows:
        ratio = f"{estimated / took:8.2f}" if took > 0.01 else f"{'-':>8}"
        print(f"{step:<8}{estimated:12.1f}{took:12.1f}{ratio}", flush=True)


def print_jobs(speed: MachineSpeed) -> None:
    """A row for each job and kind."""
    print("\n| job | kind | vectors | index | memory | disk | embed ", end="")
    print("| index | search | select |")
    print("|---" * 10 + "|")
    jobs = [(size, size, K) for size in SMALLER] + [(ENGLISH, CHINESE, 1)]
    for source, target, k in jobs:
        size = JobSize(source, target, DIMENSION, NUMBER_BYTES, k)
        for kind in plan.KINDS:
            made = plan.estimate(kind, size, speed)
            cells = [f"{source:.3g} x {target:.3g}, k={k}", kind]
            cells += [
                plan.format_bytes(number)
                for number in (
                    size.vector_bytes,
                    made.index_bytes,
                    made.ram_bytes,
                    made.disk_bytes,
                )
            ]
            cells += map(plan.format_seconds, made.seconds.values())
            print(f"| {' | '.join(cells)} |")


def print_cluster(speed: MachineSpeed) -> None:
    """How many machines like this one do the paper's job in some days."""
    size = JobSize(ENGLISH, CHINESE, DIMENSION, NUMBER_BYTES, 1)
    made = plan.estimate("pq", size, speed)
    print("\n| machines like this | days | vectors of each | index of each |")
    print("|---|---|---|---|")
    for days in DAYS:
        machines = math.ceil(made.hours / 24 / days)
        print(
            f"| {machines} | {days} | "
            f"{plan.format_bytes(size.vector_bytes / machines)} | "
            f"{plan.format_bytes(made.index_bytes / machines)} |"
        )


def print_tables(options) -> None:
    """The tables of docs/mining_at_scale.md."""
    rates = options.products, options.row_seconds
    if not all(rates):
        vectors = np.random.default_rng(0).standard_normal((8192, DIMENSION))
        rates = first_block.measure_search(vectors)
    speed = MachineSpeed(options.sentences, *rates)
    print(speed)
    print_jobs(speed)
    print_cluster(speed)


def main() -> None:
    """Compares, or prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default="40000,100000")
    parser.add_argument("--kinds", default="exact,sq8")
    parser.add_argument("--model")
    parser.add_argument("--source")
    parser.add_argument("--target")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--tables", action="store_true")
    parser.add_argument("--sentences", type=float, default=146.4)
    parser.add_argument("--products", type=float)
    parser.add_argument("--row_seconds", type=float)
    options = parser.parse_args()
    print(machine(), flush=True)
    if options.cpu:
        first_block.clock = time.process_time
    if options.tables:
        print_tables(options)
        return
    sizes = [None] if options.model else map(int, options.sizes.split(","))
    for size in sizes:
        for kind in options.kinds.split(","):
            with tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                if size:
                    job = made_job(folder, size)
                else:
                    job = real_job(folder, options)
                compare(job, kind)


if __name__ == "__main__":
    main()
