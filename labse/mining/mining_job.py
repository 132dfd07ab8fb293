"""The steps of mining, from two piles of text to candidates with scores.

    read     texts, each once              SIDE.corpus/
    embed    their vectors                 SIDE.TYPE/SHARD-of-SHARDS.npy
    index    of each side (approximate)    SIDE.TYPE.KIND/
    search   neighbours, both directions   neighbours.*/
    score    margin scores, retrieval      candidates.*.npz

Each step is a list of phases, a phase a list of units that can be done in any
order, by any process that sees the work folder; a phase begins when the one
before is done. What a unit makes depends on its inputs alone, so the result is
the same to the last byte whoever did which unit, and how often it was killed.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tqdm

from labse.errors import InputError
from labse.mining import (
    approximate_index,
    approximate_search,
    neighbour_files,
    plant,
    sentence_vectors,
)
from labse.mining.corpus import Corpus, open_corpus, prepare
from labse.mining.directions import Directions
from labse.mining.exact_search import exact_search
from labse.mining.margin import (
    RETRIEVALS,
    SCORINGS,
    Neighbours,
    best_first,
    retrieve,
    score,
)
from labse.mining.planner import SHARD_SENTENCES
from labse.mining.planted import PlantedPairs
from labse.mining.record_files import find_files
from labse.mining.sentence_vectors import EncodeFn
from labse.mining.vector_shards import VectorShards
from labse.mining.work_folder import Note, WorkFolder

PLANTED = "planted.json"
STEPS = ("read", "embed", "index", "search", "score")
SOURCE, TARGET = "source", "target"
# Sentences of which the exact neighbours are compared with an index's.
RECALL_QUERIES = 256
# Pairs whose vectors are fetched together.
_PAIRS = 2**14


@dataclasses.dataclass(frozen=True)
class Side:
    """One pile of text: what `corpus.prepare` takes."""

    patterns: tuple[str, ...]
    language: str = "und"  # BCP 47: undetermined.
    text_field: str = "text"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the candidates follow from, besides the texts and the model.

    Attributes:
      k: neighbours of each sentence.
      scoring: one of `margin.SCORINGS`.
      retrieval: one of `margin.RETRIEVALS`.
      vector_type: one of `sentence_vectors.VECTOR_TYPES`.
      num_shards: of each side; None: as many as have `SHARD_SENTENCES`.
      index: "exact", or a kind of `approximate_search`.
      chunk: sentences that are encoded together.
    """

    k: int = 4
    scoring: str = "ratio"
    retrieval: str = "max"
    vector_type: str = "float32"
    num_shards: int | None = None
    index: str = "exact"
    chunk: int = sentence_vectors.CHUNK

    def __post_init__(self):
        for name, choices in (
            ("scoring", SCORINGS),
            ("retrieval", RETRIEVALS),
            ("vector_type", sentence_vectors.VECTOR_TYPES),
        ):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"{name} must be one of {', '.join(choices)}. Received: "
                    f"{getattr(self, name)!r}."
                )
        for name in ("k", "num_shards", "chunk"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be 1 or more. Received: {value}")


class Unit(NamedTuple):
    """A piece of work: a method of `MiningJob` and what it is called with."""

    method: str
    arguments: tuple = ()


class MiningJob:
    """Mining in a work folder.

    Can be pickled and sent to other processes. The target side is None for
    paraphrases: one side is searched for itself.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        source: Side,
        target: Side | None,
        settings: Settings,
        model: Callable[[], tuple[EncodeFn, str]],
        restart: bool = False,
        planted: str | None = None,
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
          planted: a file of known translations to plant among the sentences
            (`labse.mining.planted`), or None.
        """
        self.work = WorkFolder(folder, restart)
        self.settings = settings
        self.sides = {SOURCE: source}
        if target:
            self.sides[TARGET] = target
        self._planted_file = planted
        self._model = model

    def __getstate__(self):
        hidden = ("_loaded", "planted")
        return {k: v for k, v in self.__dict__.items() if k not in hidden}

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
            phases = [[Unit("read", (side,)) for side in sides]]
            return phases + [[Unit("plant")]] * bool(self._planted_file)
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
            return [self._shard_units("search", self._searching_sides)]
        return [[Unit("score")]]

    def _shard_units(self, method: str, sides: list[str]) -> list[Unit]:
        return [
            Unit(method, (side, shard))
            for side in sides
            for shard in range(len(self.shards(side)))
        ]

    @property
    def _searching_sides(self) -> list[str]:
        """Exact search of a source shard gives the targets' part as well."""
        return [SOURCE] if self.settings.index == "exact" else list(self.sides)

    def run_step(self, step: str) -> None:
        """All units of a step, in this process."""
        for phase in self.phases(step):
            for unit in phase:
                self.run(unit)

    def run(self, unit: Unit) -> None:
        """Does one unit, unless it was done before."""
        getattr(self, unit.method)(*unit.arguments)

    # The steps.

    def read(self, side: str) -> None:
        """Reads a side's files."""
        what = self.sides[side]
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
                "language": what.language,
                "text_field": what.text_field,
            },
            lambda folder: prepare(
                list(what.patterns), folder, what.language, what.text_field
            ),
            always_anew=True,
        )

    def plant(self) -> None:
        """Draws the known translations to plant."""
        path = pathlib.Path(self._planted_file)
        known = plant.read(str(path))

        def write(out: pathlib.Path) -> None:
            drawn = plant.plant(self.corpus(SOURCE), self.corpus(TARGET), known)
            out.write_text(drawn.to_json(), "utf-8")

        self.work.make(
            PLANTED,
            {
                "file": hashlib.sha256(path.read_bytes()).hexdigest(),
                **{side: self.corpus(side).fingerprint for side in self.sides},
            },
            write,
            always_anew=True,
        )

    @functools.cached_property
    def planted(self) -> PlantedPairs | None:
        """The known translations that are planted, if there are any."""
        if not self._planted_file:
            return None
        self.work.needed(PLANTED, "read")
        return PlantedPairs.from_json(
            self.work.path(PLANTED).read_text("utf-8"), PLANTED
        )

    def corpus(self, side: str) -> Corpus:
        """The texts of a side, without what is planted."""
        self.work.needed(f"{side}.corpus", "read")
        return open_corpus(self.work.path(f"{side}.corpus"))

    def shards(self, side: str) -> list[range]:
        """The sentences of each shard of a side; what is planted comes last."""
        num_sentences = len(self.corpus(side))
        number = self.settings.num_shards
        if number is None:
            number = -(-num_sentences // SHARD_SENTENCES)
        shards = sentence_vectors.split(
            num_sentences, number, self.settings.chunk
        )
        if self.planted:
            more = len(self._planted_texts(side))
            shards.append(range(num_sentences, num_sentences + more))
        return shards

    def _planted_texts(self, side: str) -> list[str]:
        if side == SOURCE:
            return self.planted.source_texts
        return self.planted.target_texts

    def _texts(self, side: str, shard: int) -> tuple[Callable, str]:
        """start, stop -> texts, and their fingerprint, of a shard's side."""
        corpus = self.corpus(side)
        first = len(corpus)
        if self.shards(side)[shard].start < first:
            return corpus.texts, corpus.fingerprint
        planted = self._planted_texts(side)
        digest = hashlib.sha256("\n".join(planted).encode()).hexdigest()
        return (lambda a, b: planted[a - first : b - first]), digest

    def embed(self, side: str, shard: int) -> None:
        """Encodes the sentences of a shard."""
        shards = self.shards(side)
        rows = shards[shard]
        texts, sentences = self._texts(side, shard)
        encode_fn, fingerprint = self._loaded

        def write(path: pathlib.Path) -> None:
            with _bar("embed", side, shard, len(shards), len(rows)) as bar:
                sentence_vectors.embed(
                    encode_fn,
                    texts,
                    rows,
                    self.settings.vector_type,
                    path,
                    bar.update,
                    self.settings.chunk,
                )

        self.work.make(
            self._vector_names(side)[shard],
            {
                "model": fingerprint,
                "sentences": sentences,
                "rows": [rows.start, rows.stop],
                "chunk": self.settings.chunk,
            },
            write,
        )

    def vectors(self, side: str) -> VectorShards:
        """The vectors of a side, mapped.

        Raises:
          InputError: some are missing, or are of another model or of other
            sentences than the rest.
        """
        names = self._vector_names(side)
        notes = [self.work.needed(name, "embed") for name in names]
        for shard, (name, note) in enumerate(zip(names, notes, strict=True)):
            _, sentences = self._texts(side, shard)
            if note.made_from["sentences"] != sentences:
                raise InputError(
                    f"{self.work.path(name)} holds vectors of other sentences "
                    f"than {side}.corpus. Embed again with --restart."
                )
        models = {
            self.work.needed(name, "embed").made_from["model"]
            for one in self.sides
            for name in self._vector_names(one)
        }
        if len(models) > 1:
            raise InputError(
                f"The vectors in {self.work.folder} are of several models: "
                f"{', '.join(sorted(models))}. Embed again with --restart."
            )
        return VectorShards([self.work.path(name) for name in names])

    def train(self, side: str) -> None:
        """Trains a side's approximate index."""
        vectors = self.vectors(side)

        def write(folder: pathlib.Path) -> None:
            folder.mkdir(exist_ok=True)
            approximate_index.train(vectors, self.settings.index, folder)

        self.work.make(
            self._index_name(side, "trained"), self._digest_of(side), write
        )

    def populate(self, side: str, shard: int) -> None:
        """Puts a shard's vectors into a part of the index."""
        trained = self.work.needed(self._index_name(side, "trained"), "index")
        vectors = self.vectors(side)
        path = self.work.path(self._index_name(side, "trained"))

        def write(part: pathlib.Path) -> None:
            coded = approximate_index.populate(
                path / approximate_index.TRAINED, vectors, shard, part
            )
            _check_count("vectors", len(vectors.shard(shard)), coded)

        self.work.make(
            self._part_name(side, shard),
            {**self._digest_of(side), "trained": trained.sha256},
            write,
        )

    def merge(self, side: str) -> None:
        """Joins the parts of a side's index."""
        names = [
            self._part_name(side, shard)
            for shard in range(len(self.shards(side)))
        ]
        notes = [self.work.needed(name, "index") for name in names]
        paths = [self.work.path(name) for name in names]

        def write(folder: pathlib.Path) -> None:
            merged = approximate_index.merge(paths, folder)
            _check_count("vectors", self.shards(side)[-1].stop, merged)

        self.work.make(
            self._index_name(side, "index"), {"parts": _digest(notes)}, write
        )

    def recall(self, side: str) -> float:
        """The share of exact neighbours that a side's index finds.

        A sample of the other side's sentences, at equal distances, is
        compared with every vector of the index; once, the result is kept.
        """
        name = self._index_name(side, f"recall.k{self.settings.k}.json")
        index = self._index_name(side, "index")
        asking = self.vectors(self._other(side))
        rows = np.linspace(0, len(asking) - 1, RECALL_QUERIES).astype(np.int64)

        def write(path: pathlib.Path) -> None:
            recall = approximate_search.measure_recall(
                self.work.path(index),
                asking.rows(np.unique(rows)),
                self.vectors(side),
                self._k,
            )
            path.write_text(json.dumps(recall), "utf-8")

        made_from = {
            "index": self.work.needed(index, "index").sha256,
            **self._digest_of(self._other(side)),
        }
        self.work.make(name, made_from, write, always_anew=True)
        return json.loads(self.work.path(name).read_text("utf-8"))

    def search(self, side: str, shard: int) -> None:
        """Finds the neighbours of a shard's sentences."""
        self._check_k()
        made_from = {one: self._digest_of(one)["vectors"] for one in self.sides}
        write = self._write_approximate
        if self.settings.index == "exact":
            write = self._write_exact
        else:
            name = self._index_name(self._other(side), "index")
            made_from["index"] = self.work.needed(name, "index").sha256
        self.work.make(
            self._neighbours_name(side, shard),
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
                    vectors, self.vectors(TARGET), shard, self._k, progress
                )
                neighbour_files.write(path, forward=forward, backward=backward)
            else:
                found = exact_search(
                    vectors.shard(shard), vectors, self._k, progress
                )
                self._write_own(path, found, vectors.starts[shard])

    def _write_approximate(
        self, side: str, shard: int, path: pathlib.Path
    ) -> None:
        other = self._other(side)
        vectors = self.vectors(side)
        rows = vectors.shard(shard)
        with _bar("search", side, shard, vectors.num_shards, len(rows)) as bar:
            indices, cosines = approximate_search.search(
                self.work.path(self._index_name(other, "index")),
                rows,
                self.vectors(other),
                self._k,
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
            for side in self._searching_sides
            for name in self._neighbour_names(side)
        ]
        self.work.make(
            self.candidates_name,
            {
                "neighbours": _digest(notes),
                **self._texts_of_candidates(),
                "scoring": self.settings.scoring,
                "retrieval": self.settings.retrieval,
            },
            self._write_candidates,
            always_anew=True,  # Seconds, and other settings are other files.
        )

    def _texts_of_candidates(self) -> dict:
        """What the numbers of the candidates' sentences stand for."""
        texts = {side: self.corpus(side).fingerprint for side in self.sides}
        if self.planted:
            texts["planted"] = self.work.needed(PLANTED, "read").sha256
        return texts

    def candidates(self) -> pathlib.Path:
        """The file of candidates.

        Raises:
          InputError: it is not there, or is of other texts.
        """
        note = self.work.needed(self.candidates_name, "score")
        texts = self._texts_of_candidates()
        if texts.items() <= note.made_from.items():
            return self.work.path(self.candidates_name)
        raise InputError(
            f"{self.work.path(self.candidates_name)} was made of other texts. "
            "Run all steps again, with --restart."
        )

    def notes(self) -> dict[str, Note]:
        """The notes of all files that the candidates follow from."""
        names = [f"{side}.corpus" for side in self.sides]
        names += [PLANTED] * bool(self.planted)
        names += [n for side in self.sides for n in self._vector_names(side)]
        if self.settings.index != "exact":
            names += [self._index_name(side, "index") for side in self.sides]
        for side in self._searching_sides:
            names += self._neighbour_names(side)
        return {
            name: self.work.needed(name, "score")
            for name in [*names, self.candidates_name]
        }

    def _write_candidates(self, path: pathlib.Path) -> None:
        forward, backward = self.neighbours()
        scoring = self.settings.scoring
        if backward is None:
            pairs = paraphrase_pairs(forward, scoring)
            choices = {}
        else:
            pairs, *chosen = (
                retrieve(forward, backward, scoring, retrieval)
                for retrieval in (
                    self.settings.retrieval,
                    "forward",
                    "backward",
                )
            )
            choices = {
                "chosen_targets": chosen[0].targets,
                "chosen_sources": chosen[1].sources,
            }
        source = self.vectors(SOURCE)
        target = self.vectors(TARGET) if backward else source
        cosines = pair_cosines(source, target, pairs.sources, pairs.targets)
        backward = backward or forward
        margins = score(
            cosines,
            forward.cosines.mean(axis=1, dtype=np.float64)[pairs.sources],
            backward.cosines.mean(axis=1, dtype=np.float64)[pairs.targets],
            "ratio" if scoring == "absolute" else scoring,
        )
        with open(path, "wb") as file:
            np.savez(
                file,
                sources=pairs.sources,
                targets=pairs.targets,
                scores=pairs.scores,
                cosines=cosines,
                margins=margins,
                **choices,
            )

    def neighbours(self) -> tuple[Neighbours, Neighbours | None]:
        """Of the sources and of the targets; the latter None for one side."""
        forward = self._read_neighbours(SOURCE)
        if TARGET not in self.sides:
            return forward, None
        if self.settings.index != "exact":
            return forward, self._read_neighbours(TARGET)
        return forward, neighbour_files.merge(
            (
                neighbour_files.read(self.work.path(name), "backward")
                for name in self._neighbour_names(SOURCE)
            ),
            self.settings.k,
        )

    def _read_neighbours(self, side: str) -> Neighbours:
        return neighbour_files.joined(
            [
                neighbour_files.read(self.work.path(name), "forward")
                for name in self._neighbour_names(side)
            ],
            self.shards(side)[-1].stop,
        )

    @property
    def candidates_name(self) -> str:
        """The file of scored candidates; arrays of one length in an `.npz`."""
        s = self.settings
        return (
            f"candidates.{s.vector_type}.{s.index}.k{s.k}.{s.scoring}."
            f"{s.retrieval}{self._suffix}.npz"
        )

    def _check_k(self) -> None:
        for side in self.sides:
            sentences = len(self.corpus(side))
            # A sentence is no neighbour of its own.
            most = sentences - (TARGET not in self.sides)
            if self.settings.k > most:
                raise InputError(
                    "There must be --k other sentences for each to be compared "
                    f"with. Received: --k={self.settings.k} and {sentences} "
                    f"on the {side} side. Give a lower --k, or more text."
                )

    @property
    def _k(self) -> int:
        """What is asked for; a side searched for itself finds itself."""
        return self.settings.k + (TARGET not in self.sides)

    def _other(self, side: str) -> str:
        if TARGET not in self.sides:
            return SOURCE
        return SOURCE if side == TARGET else TARGET

    def _digest_of(self, side: str) -> dict:
        return {
            "vectors": _digest(
                [
                    self.work.needed(name, "embed")
                    for name in self._vector_names(side)
                ]
            )
        }

    # Names of files.

    def _vector_names(self, side: str) -> list[str]:
        return [
            f"{side}.{self.settings.vector_type}/{part}.npy"
            for part in self._parts(side)
        ]

    def _part_name(self, side: str, shard: int) -> str:
        return self._index_name(side, f"{self._parts(side)[shard]}.index")

    def _index_name(self, side: str, name: str) -> str:
        s = self.settings
        shards = len(self.shards(side))
        folder = f"{side}.{s.vector_type}.{s.index}.{shards}{self._suffix}"
        return f"{folder}/{name}"

    def _neighbours_name(self, side: str, shard: int) -> str:
        return self._neighbour_names(side)[shard]

    def _neighbour_names(self, side: str) -> list[str]:
        s = self.settings
        folder = f"neighbours.{s.vector_type}.{s.index}.k{s.k}{self._suffix}"
        return [f"{folder}/{side}-{part}.npz" for part in self._parts(side)]

    def _parts(self, side: str) -> list[str]:
        shards = len(self.shards(side)) - bool(self.planted)
        own = [f"{shard:05}-of-{shards:05}" for shard in range(shards)]
        return own + ["planted"] * bool(self.planted)

    @property
    def _suffix(self) -> str:
        return ".planted" if self.planted else ""


def paraphrase_pairs(forward: Neighbours, scoring: str):
    """All neighbours of one side as pairs, each once, the lower line first."""
    means = forward.cosines.mean(axis=1, dtype=np.float64)
    own = np.repeat(np.arange(len(means)), forward.indices.shape[1])
    other = forward.indices.ravel()
    scores = score(forward.cosines.ravel(), means[own], means[other], scoring)
    low, high = np.minimum(own, other), np.maximum(own, other)
    order = np.lexsort((-scores, high, low))
    low, high, scores = low[order], high[order], scores[order]
    is_first = np.ones(len(low), bool)
    is_first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    return best_first(low[is_first], high[is_first], scores[is_first])


def pair_cosines(
    source: VectorShards,
    target: VectorShards,
    sources: np.ndarray,
    targets: np.ndarray,
) -> np.ndarray:
    """The cosine of each pair, float32 [pairs], the bits of every search."""
    cosines = np.empty(len(sources), np.float32)
    for start in range(0, len(sources), _PAIRS):
        some = slice(start, start + _PAIRS)
        one = Directions(source.rows(sources[some]), "source")
        other = Directions(target.rows(targets[some]), "target")
        numbers = np.arange(len(one))
        cosines[some] = one.cosines(numbers, other, numbers)
    return cosines


def _digest(notes: list[Note]) -> str:
    """One hash for many files."""
    joined = "\n".join(note.sha256 for note in notes)
    return hashlib.sha256(joined.encode()).hexdigest()


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
