"""The steps of mining, from two corpora to candidates with scores.

    read     texts, each once
    embed    their vectors
    index    of each side, for approximate search
    search   nearest neighbours, in both directions
    score    cosines, margin scores, and the retrieval

A step is a list of phases, and a phase a list of units, which can run in any
order and in any process that sees the work folder. A phase begins when the one
before it is finished.
"""

import json
import pathlib
from typing import Protocol

import numpy as np

from labse.mining.job.mining_job import MiningJob
from labse.mining.job.settings import EXACT
from labse.mining.job.units import (
    EmbedShard,
    FillIndexPart,
    MergeIndex,
    ReadTexts,
    ScoreCandidates,
    SearchShard,
    TrainIndex,
)
from labse.search import approximate_search

# Sentences whose exact neighbours are compared with those of an index.
RECALL_QUERIES = 256


class Unit(Protocol):
    """A unit of work; see `labse.mining.job.units`."""

    def run(self, job: MiningJob) -> None:
        """Does the work, unless it is done."""


def phases(job: MiningJob, step: str) -> list[list[Unit]]:
    """The units of a step; those of a phase can run in any order."""
    sides = list(job.sides)
    if step == "read":
        return [[ReadTexts(side) for side in sides]]
    if step == "embed":
        return [_for_each_shard(EmbedShard, job, sides)]
    if step == "index":
        if job.settings.index == EXACT:
            return []
        return [
            [TrainIndex(side) for side in sides],
            _for_each_shard(FillIndexPart, job, sides),
            [MergeIndex(side) for side in sides],
        ]
    if step == "search":
        return [_for_each_shard(SearchShard, job, job.searching_sides)]
    return [[ScoreCandidates()]]


def _for_each_shard(unit, job: MiningJob, sides: list[str]) -> list[Unit]:
    return [
        unit(side, shard)
        for side in sides
        for shard in range(len(job.shards(side)))
    ]


def run_step(job: MiningJob, step: str) -> None:
    """Runs all units of a step, in this process."""
    if step != "read":
        job.fit_k()
    for phase in phases(job, step):
        for unit in phase:
            unit.run(job)


def measure_recall(job: MiningJob, side: str) -> float:
    """The share of exact neighbours that a side's index finds.

    Measured once, for RECALL_QUERIES evenly spaced sentences of the other side.
    """
    name = job.index_name(side, f"recall.k{job.settings.k}.json")
    index = job.index_name(side, "index")
    other = job.other_side(side)
    queries = job.vectors(other)
    rows = np.linspace(0, len(queries) - 1, RECALL_QUERIES).astype(np.int64)

    def write(path: pathlib.Path) -> None:
        recall = approximate_search.measure_recall(
            job.work.path(index),
            queries.rows(np.unique(rows)),
            job.vectors(side),
            job.k,
        )
        path.write_text(json.dumps(recall), "utf-8")

    made_from = {
        "index": job.work.require(index, "index").sha256,
        **job.digest_of(other),
    }
    job.work.make(name, made_from, write, replace=True)
    return json.loads(job.work.path(name).read_text("utf-8"))
