"""The steps of mining, from two piles of text to candidates with scores.

    read     texts, each once
    embed    their vectors
    index    of each side, for approximate search
    search   neighbours, both directions
    score    cosines and margin scores, and the retrieval

Each step is a list of phases, a phase a list of units that can be done in any
order, by any process that sees the work folder; a phase begins when the one
before is done. What a unit makes depends on its inputs alone, so the result is
the same to the last byte whoever did which unit, and how often it was killed.
Files and their names: `labse.mining.job.job_files`.
"""

import dataclasses
import functools
import json
import os
import pathlib
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tqdm

from labse.errors import InputError
from labse.files.kinds import find_files
from labse.mining import candidates, sentence_vectors
from labse.mining.job import neighbour_files
from labse.mining.job.corpus import prepare
from labse.mining.job.job_files import (
    SOURCE,
    TARGET,
    JobFiles,
    Settings,
    Side,
    digest,
)
from labse.mining.margin import Neighbours
from labse.mining.sentence_vectors import EncodeFn
from labse.search import approximate_index, approximate_search
from labse.search.exact_search import exact_search

STEPS = ("read", "embed", "index", "search", "score")
# Sentences of which the exact neighbours are compared with an index's.
RECALL_QUERIES = 256


class Unit(NamedTuple):
    """A piece of work: a method of `MiningJob` and what it is called with."""

    method: str
    arguments: tuple = ()


class MiningJob(JobFiles):
    """Mining in a work folder; can be pickled and sent to other processes."""

    def __init__(
        self,
        folder: str | os.PathLike,
        source: Side,
        target: Side | None,
        settings: Settings,
        model: Callable[[], tuple[EncodeFn, str]],
        restart: bool = False,
    ):
        """Opens the work folder.

        Args:
          folder: the work folder; made if it is not there.
          source: one side.
          target: the other, or None.
          settings: see `Settings`.
          model: gives an encode_fn and its fingerprint; called where vectors
            are needed, once in a process.
          restart: what was made from something else is made again.
        """
        super().__init__(folder, source, target, settings, restart)
        self._model = model

    def __getstate__(self):
        state = {k: v for k, v in self.__dict__.items() if k != "_loaded"}
        return state | {"_corpora": {}}  # Open files stay here.

    @functools.cached_property
    def _loaded(self) -> tuple[EncodeFn, str]:
        return self._model()

    @property
    def encode_fn(self) -> EncodeFn:
        """The model's; loaded when it is first asked for."""
        return self._loaded[0]

    @property
    def model_name(self) -> str:
        """What was asked for; the model need not be loaded."""
        return repr(self._model)

    # What is to be done.

    def phases(self, step: str) -> list[list[Unit]]:
        """The units of a step; those of a phase can be done in any order."""
        sides = list(self.sides)
        if step == "read":
            return [[Unit("read", (side,)) for side in sides]]
        if step == "embed":
            return [self._shard_units("embed", sides)]
        if step == "index":
            if self.settings.index == "exact":
                return []
            return [
                [Unit("train", (side,)) for side in sides],
                self._shard_units("populate", sides),
                [Unit("merge", (side,)) for side in sides],
            ]
        if step == "search":
            return [self._shard_units("search", self.searching_sides)]
        return [[Unit("score")]]

    def _shard_units(self, method: str, sides: list[str]) -> list[Unit]:
        return [
            Unit(method, (side, shard))
            for side in sides
            for shard in range(len(self.shards(side)))
        ]

    def run_step(self, step: str) -> None:
        """All units of a step, in this process."""
        if step != "read":
            self.fit_k()
        for phase in self.phases(step):
            for unit in phase:
                self.run(unit)

    def run(self, unit: Unit) -> None:
        """Does one unit, unless it was done before."""
        getattr(self, unit.method)(*unit.arguments)

    def fit_k(self) -> None:
        """Lowers k to the sentences that there are, and says so on stderr.

        To be called when the texts are read, so that what follows, and its
        files, have the k of the job.

        Raises:
          InputError: a side is one sentence, and is searched for itself.
        """
        sizes = {side: len(self.corpus(side)) for side in self.sides}
        fewest = min(sizes, key=sizes.get)
        # A sentence is no neighbour of its own.
        most = sizes[fewest] - (TARGET not in self.sides)
        if most < 1:
            raise InputError(
                "A sentence is compared with others. Received: one sentence. "
                "Give more text."
            )
        if self.settings.k > most:
            print(
                f"k is lowered from {self.settings.k} to {most}: the {fewest} "
                f"side has {sizes[fewest]} sentences.",
                file=sys.stderr,
            )
            self.settings = dataclasses.replace(self.settings, k=most)

    # The steps.

    def read(self, side: str) -> None:
        """Reads a side's files."""
        what = self.sides[side]
        self._corpora.pop(side, None)
        files = [pathlib.Path(path) for path in find_files(what.patterns)]
        self.work.make(
            f"{side}.corpus",
            {
                # Not the contents, which would have to be read: the corpus'
                # fingerprint says whether the texts are others.
                "files": [
                    [str(path), path.stat().st_size, path.stat().st_mtime_ns]
                    for path in files
                ],
                # The share is looked at anew each time.
                "options": {
                    **dataclasses.asdict(what.options),
                    "max_malformed_share": None,
                },
            },
            lambda folder: prepare(list(what.patterns), folder, what.options),
            always_anew=True,
        )

    def embed(self, side: str, shard: int) -> None:
        """Encodes the sentences of a shard."""
        shards = self.shards(side)
        rows = shards[shard]
        corpus = self.corpus(side)
        encode_fn, fingerprint = self._loaded

        def write(path: pathlib.Path) -> None:
            with _bar("embed", side, shard, len(shards), len(rows)) as bar:
                sentence_vectors.embed(
                    encode_fn,
                    corpus.texts,
                    rows,
                    self.settings.vector_type,
                    path,
                    bar.update,
                    self.settings.chunk,
                )

        made_from = {
            "model": fingerprint,
            "sentences": corpus.fingerprint,
            "rows": [rows.start, rows.stop],
            "chunk": self.settings.chunk,
        }
        self.work.make(self.vector_names(side)[shard], made_from, write)
        self._count_truncated(side, shard, made_from)

    def _count_truncated(self, side: str, shard: int, made_from: dict) -> None:
        """Notes how many sentences the encoder cuts, where it can say.

        In a file of its own: of a shard that was killed and went on, all
        count.
        """
        encode_fn = self.encode_fn
        if not hasattr(encode_fn, "truncated"):
            return
        texts = self.corpus(side).texts
        rows = self.shards(side)[shard]

        def write(path: pathlib.Path) -> None:
            cut = 0
            for start in range(rows.start, rows.stop, self.settings.chunk):
                stop = min(start + self.settings.chunk, rows.stop)
                truncated = encode_fn.truncated(texts(start, stop))
                if truncated is None:
                    cut = None
                    break
                cut += int(np.sum(truncated))
            found = {"cut": cut, "max_length": encode_fn.max_length}
            path.write_text(json.dumps(found), "utf-8")

        # Seconds, so it need not be an error where another model was before.
        self.work.make(
            self.truncated_name(side, shard), made_from, write, always_anew=True
        )

    def train(self, side: str) -> None:
        """Trains a side's approximate index."""
        vectors = self.vectors(side)

        def write(folder: pathlib.Path) -> None:
            folder.mkdir(exist_ok=True)
            approximate_index.train(vectors, self.settings.index, folder)

        self.work.make(
            self.index_name(side, "trained"), self.digest_of(side), write
        )

    def populate(self, side: str, shard: int) -> None:
        """Puts a shard's vectors into a part of the index."""
        trained = self.work.needed(self.index_name(side, "trained"), "index")
        vectors = self.vectors(side)
        path = self.work.path(self.index_name(side, "trained"))

        def write(part: pathlib.Path) -> None:
            coded = approximate_index.populate(
                path / approximate_index.TRAINED, vectors, shard, part
            )
            _check_count("vectors", len(vectors.shard(shard)), coded)

        self.work.make(
            self.part_name(side, shard),
            {**self.digest_of(side), "trained": trained.sha256},
            write,
        )

    def merge(self, side: str) -> None:
        """Joins the parts of a side's index."""
        names = [
            self.part_name(side, shard)
            for shard in range(len(self.shards(side)))
        ]
        notes = [self.work.needed(name, "index") for name in names]
        paths = [self.work.path(name) for name in names]

        def write(folder: pathlib.Path) -> None:
            merged = approximate_index.merge(paths, folder)
            _check_count("vectors", self.shards(side)[-1].stop, merged)

        self.work.make(
            self.index_name(side, "index"), {"parts": digest(notes)}, write
        )

    def recall(self, side: str) -> float:
        """The share of exact neighbours that a side's index finds.

        A sample of the other side's sentences, at equal distances, is
        compared with every vector of the index; once, the result is kept.
        """
        name = self.index_name(side, f"recall.k{self.settings.k}.json")
        index = self.index_name(side, "index")
        asking = self.vectors(self.other_side(side))
        rows = np.linspace(0, len(asking) - 1, RECALL_QUERIES).astype(np.int64)

        def write(path: pathlib.Path) -> None:
            recall = approximate_search.measure_recall(
                self.work.path(index),
                asking.rows(np.unique(rows)),
                self.vectors(side),
                self.k,
            )
            path.write_text(json.dumps(recall), "utf-8")

        made_from = {
            "index": self.work.needed(index, "index").sha256,
            **self.digest_of(self.other_side(side)),
        }
        self.work.make(name, made_from, write, always_anew=True)
        return json.loads(self.work.path(name).read_text("utf-8"))

    def search(self, side: str, shard: int) -> None:
        """Finds the neighbours of a shard's sentences."""
        made_from = {one: self.digest_of(one)["vectors"] for one in self.sides}
        write = self._write_approximate
        if self.settings.index == "exact":
            write = self._write_exact
        else:
            name = self.index_name(self.other_side(side), "index")
            made_from["index"] = self.work.needed(name, "index").sha256
        self.work.make(
            self.neighbours_name(side, shard),
            made_from,
            lambda path: write(side, shard, path),
        )

    def _write_exact(self, side: str, shard: int, path: pathlib.Path) -> None:
        vectors = self.vectors(side)
        with _bar("search", side, shard, vectors.num_shards) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            if TARGET in self.sides:
                forward, backward = neighbour_files.search_shard(
                    vectors, self.vectors(TARGET), shard, self.k, progress
                )
                neighbour_files.write(path, forward=forward, backward=backward)
            else:
                found = exact_search(
                    vectors.shard(shard), vectors, self.k, progress
                )
                self._write_own(path, found, vectors.starts[shard])

    def _write_approximate(
        self, side: str, shard: int, path: pathlib.Path
    ) -> None:
        other = self.other_side(side)
        vectors = self.vectors(side)
        rows = vectors.shard(shard)
        with _bar("search", side, shard, vectors.num_shards, len(rows)) as bar:
            indices, cosines = approximate_search.search(
                self.work.path(self.index_name(other, "index")),
                rows,
                self.vectors(other),
                self.k,
                progress=bar.update,
            )
        if TARGET in self.sides:
            neighbour_files.write(path, forward=Neighbours(indices, cosines))
        else:
            first = vectors.starts[shard]
            self._write_own(path, (indices, cosines), first)

    def _write_own(self, path: pathlib.Path, found: tuple, first: int) -> None:
        neighbours = neighbour_files.without_itself(*found, first)
        neighbour_files.write(path, forward=neighbours)

    def score(self) -> None:
        """Scores the neighbours and keeps what the retrieval keeps."""
        notes = [
            self.work.needed(name, "search")
            for side in self.searching_sides
            for name in self.neighbour_names(side)
        ]
        self.work.make(
            self.candidates_name,
            {
                "neighbours": digest(notes),
                **self.texts_of_candidates(),
                "scoring": self.settings.scoring,
                "retrieval": self.settings.retrieval,
            },
            self._write_candidates,
            always_anew=True,  # Seconds, and other settings are other files.
        )

    def _write_candidates(self, path: pathlib.Path) -> None:
        forward, backward = self.neighbours()
        source = self.vectors(SOURCE)
        target = self.vectors(TARGET) if backward else source
        scoring, retrieval = self.settings.scoring, self.settings.retrieval
        found, choices = candidates.find_candidates(
            forward, backward, source, target, scoring, retrieval
        )
        candidates.write_candidates(path, found, choices)


def _check_count(what: str, given: int, received: int) -> None:
    if given != received:
        raise InputError(
            f"{given} {what} went in and {received} came out. Start again "
            "with --restart."
        )


def _bar(
    what: str, side: str, shard: int, shards: int, sentences: int | None = None
) -> tqdm.tqdm:
    """Progress, of so many sentences or of scores."""
    part = f" {shard + 1}/{shards}" if shards > 1 else ""
    return tqdm.tqdm(
        total=sentences,
        unit=" sentences" if sentences else " scores",
        unit_scale=not sentences,
        desc=f"{what} {side}{part}",
    )
