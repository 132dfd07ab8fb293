"""Units of work: what a step of mining does, cut into independent pieces.

What a unit writes depends on its inputs alone, so the result is the same to the
last byte whichever process ran which unit, and however often it was killed. A
unit is small and can be pickled; it runs on a `MiningJob`, and does nothing if
its file exists. Names of files: `labse.mining.job.mining_job`.
"""

import dataclasses
import json
import pathlib

import numpy as np

from labse.files.kinds import find_files
from labse.mining import candidates, sentence_vectors
from labse.mining.job import neighbour_files
from labse.mining.job.corpus_writer import prepare_corpus
from labse.mining.job.mining_job import MiningJob, digest
from labse.mining.job.settings import EXACT, SOURCE, TARGET
from labse.mining.margin import Neighbours
from labse.progress import ProgressBar
from labse.search import approximate_index, approximate_search
from labse.search.exact_search import exact_search, exact_search_both


@dataclasses.dataclass(frozen=True)
class ReadTexts:
    """Reads the files of a side, each text once."""

    side: str

    def run(self, job: MiningJob) -> None:
        """Writes the side's corpus."""
        source = job.sides[self.side]
        job.forget_corpus(self.side)
        files = [pathlib.Path(path) for path in find_files(source.patterns)]
        job.work.make(
            f"{self.side}.corpus",
            {
                # Sizes and times: hashing would read every file. Later steps
                # depend on the corpus' fingerprint, not on these.
                "files": [
                    [str(path), path.stat().st_size, path.stat().st_mtime_ns]
                    for path in files
                ],
                # The share does not change what is read.
                "options": {
                    **dataclasses.asdict(source.options),
                    "max_malformed_share": None,
                },
            },
            lambda folder: prepare_corpus(
                list(source.patterns), folder, source.options
            ),
            replace=True,
        )


@dataclasses.dataclass(frozen=True)
class EmbedShard:
    """Encodes the sentences of a shard."""

    side: str
    shard: int

    def run(self, job: MiningJob) -> None:
        """Writes the vectors, and how many sentences were truncated."""
        shards = job.shards(self.side)
        rows = shards[self.shard]
        corpus = job.corpus(self.side)

        def write(path: pathlib.Path) -> None:
            with _bar(job, "embed", self, len(shards), len(rows)) as bar:
                sentence_vectors.embed(
                    job.encode,
                    corpus.texts,
                    rows,
                    job.settings.vector_type,
                    path,
                    bar.update,
                    job.settings.chunk,
                )

        made_from = {
            "model": job.model_fingerprint,
            "sentences": corpus.fingerprint,
            "rows": [rows.start, rows.stop],
            "chunk": job.settings.chunk,
        }
        job.work.make(job.vector_names(self.side)[self.shard], made_from, write)
        if hasattr(job.encode_fn, "truncated"):
            self._count_truncated(job, made_from)

    def _count_truncated(self, job: MiningJob, made_from: dict) -> None:
        """Writes a separate file: after a resume too, all sentences count."""
        texts = job.corpus(self.side).texts
        rows = job.shards(self.side)[self.shard]
        chunk = job.settings.chunk

        def write(path: pathlib.Path) -> None:
            count = 0
            for start in range(rows.start, rows.stop, chunk):
                some = texts(start, min(start + chunk, rows.stop))
                truncated = job.encode_fn.truncated(some)
                if truncated is None:
                    count = None
                    break
                count += int(np.sum(truncated))
            found = {"cut": count, "max_length": job.encode_fn.max_length}
            path.write_text(json.dumps(found), "utf-8")

        name = job.truncated_name(self.side, self.shard)
        # It takes seconds, so it is replaced where the model was another.
        job.work.make(name, made_from, write, replace=True)


@dataclasses.dataclass(frozen=True)
class TrainIndex:
    """Trains a side's approximate index: k-means, and the codes of pq."""

    side: str

    def run(self, job: MiningJob) -> None:
        """Writes the trained, empty index."""
        vectors = job.vectors(self.side)

        def write(folder: pathlib.Path) -> None:
            folder.mkdir(exist_ok=True)
            approximate_index.train(vectors, job.settings.index, folder)

        name = job.index_name(self.side, "trained")
        job.work.make(name, job.digest_of(self.side), write)


@dataclasses.dataclass(frozen=True)
class FillIndexPart:
    """Adds the vectors of a shard to a part of its own of the index."""

    side: str
    shard: int

    def run(self, job: MiningJob) -> None:
        """Writes the part."""
        trained = job.index_name(self.side, "trained")
        note = job.work.require(trained, "index")
        vectors = job.vectors(self.side)

        def write(part: pathlib.Path) -> None:
            path = job.work.path(trained) / approximate_index.TRAINED
            approximate_index.populate(path, vectors, self.shard, part)

        job.work.make(
            job.part_name(self.side, self.shard),
            {**job.digest_of(self.side), "trained": note.sha256},
            write,
        )


@dataclasses.dataclass(frozen=True)
class MergeIndex:
    """Merges the parts of a side's index."""

    side: str

    def run(self, job: MiningJob) -> None:
        """Writes the index."""
        shards = range(len(job.shards(self.side)))
        names = [job.part_name(self.side, shard) for shard in shards]
        notes = [job.work.require(name, "index") for name in names]

        def write(folder: pathlib.Path) -> None:
            parts = [job.work.path(name) for name in names]
            merged = approximate_index.merge(parts, folder)
            assert merged == len(job.corpus(self.side)), merged

        name = job.index_name(self.side, "index")
        job.work.make(name, {"parts": digest(notes)}, write)


@dataclasses.dataclass(frozen=True)
class SearchShard:
    """Searches the k nearest neighbours of a shard's sentences."""

    side: str
    shard: int

    def run(self, job: MiningJob) -> None:
        """Writes the neighbours."""
        made_from = {one: job.digest_of(one)["vectors"] for one in job.sides}
        search = self._search_exactly
        if job.settings.index != EXACT:
            name = job.index_name(job.other_side(self.side), "index")
            made_from["index"] = job.work.require(name, "index").sha256
            search = self._search_index
        name = job.neighbour_names(self.side)[self.shard]
        job.work.make(
            name,
            made_from,
            lambda path: neighbour_files.write(path, **search(job)),
        )

    def _search_exactly(self, job: MiningJob) -> dict[str, Neighbours]:
        """Searches both directions at once, or the side for itself."""
        vectors = job.vectors(self.side)
        with _bar(job, "search", self, vectors.num_shards) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            rows = vectors.shard(self.shard)
            if TARGET in job.sides:
                k = min(job.k, len(rows))
                forward, (indices, cosines) = exact_search_both(
                    rows, job.vectors(TARGET), job.k, k, progress
                )
                indices += vectors.starts[self.shard]
                return {
                    "forward": Neighbours(*forward),
                    "backward": Neighbours(indices, cosines),
                }
            found = exact_search(rows, vectors, job.k, progress)
        return self._without_itself(job, found)

    def _search_index(self, job: MiningJob) -> dict[str, Neighbours]:
        other = job.other_side(self.side)
        vectors = job.vectors(self.side)
        rows = vectors.shard(self.shard)
        with _bar(job, "search", self, vectors.num_shards, len(rows)) as bar:
            found = approximate_search.search(
                job.work.path(job.index_name(other, "index")),
                rows,
                job.vectors(other),
                job.k,
                progress=bar.update,
            )
        if TARGET in job.sides:
            return {"forward": Neighbours(*found)}
        return self._without_itself(job, found)

    def _without_itself(self, job: MiningJob, found: tuple) -> dict:
        first = job.shards(self.side)[self.shard].start
        return {"forward": neighbour_files.without_itself(*found, first)}


@dataclasses.dataclass(frozen=True)
class ScoreCandidates:
    """Scores all neighbours, and keeps what the retrieval keeps."""

    def run(self, job: MiningJob) -> None:
        """Writes the candidates."""
        notes = [
            job.work.require(name, "search")
            for side in job.searching_sides
            for name in job.neighbour_names(side)
        ]
        scoring, retrieval = job.settings.scoring, job.settings.retrieval

        def write(path: pathlib.Path) -> None:
            forward, backward = job.neighbours()
            source = job.vectors(SOURCE)
            target = job.vectors(TARGET) if backward else source
            found, choices = candidates.find_candidates(
                forward, backward, source, target, scoring, retrieval
            )
            candidates.write_candidates(path, found, choices)

        job.work.make(
            job.candidates_name,
            {
                "neighbours": digest(notes),
                **job.texts_of_candidates(),
                "scoring": scoring,
                "retrieval": retrieval,
            },
            write,
            replace=True,  # Takes seconds; other settings have other names.
        )


def _bar(
    job: MiningJob,
    what: str,
    unit: EmbedShard | SearchShard,
    shards: int,
    sentences: int | None = None,
) -> ProgressBar:
    """A progress bar, of sentences or, where None, of scores."""
    part = f" {unit.shard + 1}/{shards}" if shards > 1 else ""
    return ProgressBar(
        total=sentences,
        unit=" sentences" if sentences else " scores",
        unit_scale=not sentences,
        desc=f"{what} {unit.side}{part}",
        disable=not job.show_progress,
    )
