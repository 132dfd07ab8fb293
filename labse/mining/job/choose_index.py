"""Which search a mining job takes, told before it starts."""

import dataclasses
import json
import pathlib
import sys
import time

import numpy as np

from labse.mining.job.mining_job import MiningJob
from labse.mining.job.planner import (
    KINDS,
    available_memory,
    free_disk,
    plan,
    told_seconds,
)
from labse.search.unit_vectors import check_embeddings

# Products up to which exact search takes seconds: nothing is measured.
SMALL_PRODUCTS = 1e12
# Sentences whose encoding is timed.
_SAMPLE = 512

PLAN = "plan.json"


def choose_index(
    job: MiningJob, kind: str = "auto", max_hours: float | None = None
) -> None:
    """Sets the job's index and says on stderr what the job will take.

    The choice is kept in the work folder: what goes on later, or on another
    machine, goes on with the same index.

    Args:
      job: whose texts were read.
      kind: one of `planner.KINDS`, or "auto".
      max_hours: refuse what takes longer.

    Raises:
      InputError: it does not fit into memory, disk or time.
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
        dimension, encoded = _time_encoder(job)
        chosen = {"dimension": dimension, "encoded": encoded}
        products = sizes[0] * sizes[-1] * dimension
        is_small = products < SMALL_PRODUCTS and max_hours is None
        if is_small:
            index = "exact" if kind == "auto" else kind
            text = (
                f"Search: {index}. Time: embed "
                f"{told_seconds(sum(sizes) / encoded)}, the rest seconds."
            )
            chosen |= {"index": index, "explained": text}
        else:
            found = _plan(job, sizes, dimension, encoded, kind, max_hours)
            chosen |= {"index": found.kind, "explained": found.explain()}
        path.write_text(json.dumps(chosen, indent=1), "utf-8")

    job.work.make(PLAN, made_from, write, always_anew=True)
    chosen = json.loads(job.work.path(PLAN).read_text("utf-8"))
    print(chosen["explained"], file=sys.stderr)
    job.settings = dataclasses.replace(job.settings, index=chosen["index"])


def _plan(job, sizes, dimension, encoded, kind, max_hours):
    """The planner's choice, from a short calibration."""
    from labse.mining.job.calibration import calibrate

    kinds = KINDS if kind == "auto" else (kind,)
    print("Measuring this machine for some seconds ...", file=sys.stderr)
    return plan(
        sizes[0],
        sizes[-1],
        dimension,
        np.dtype(job.settings.vector_type).itemsize,
        job.settings.k,
        calibrate(
            dimension,
            encoded,
            job.work.folder,
            kinds,
        ),
        available_memory(),
        free_disk(job.work.folder),
        kind,
        max_hours,
        keeps_all=job.settings.retrieval == "all",
    )


def _time_encoder(job: MiningJob) -> tuple[int, float]:
    """Dimension of a vector, and sentences a second."""
    side = next(iter(job.sides))
    corpus = job.corpus(side)
    texts = corpus.texts(0, min(_SAMPLE, len(corpus)))
    job.encode_fn(texts)  # The first call compiles.
    start = time.perf_counter()
    vectors = job.encode_fn(texts)
    seconds = max(time.perf_counter() - start, 1e-6)
    vectors = check_embeddings(vectors, "sentence", texts)
    return vectors.shape[1], len(texts) / seconds
