"""The files of a mining job, and what is in them.

SIDE.corpus/                        the texts, each once
SIDE.TYPE/SHARD-of-SHARDS.npy       vectors
SIDE.TYPE/*.npy.truncated.json      how many of the sentences were cut
SIDE.TYPE.KIND.SHARDS/              an approximate index
neighbours.*/SIDE-SHARD.npz         neighbours of a shard's sentences
candidates.*.npz                    scored pairs
"""

import dataclasses
import hashlib
import json
import os
import pathlib

from labse.errors import InputError
from labse.files.reading import ReadOptions
from labse.files.vector_shards import VectorShards
from labse.mining import sentence_vectors
from labse.mining.job import neighbour_files
from labse.mining.job.corpus import Corpus, open_corpus
from labse.mining.job.planner import SHARD_SENTENCES
from labse.mining.margin import RETRIEVALS, SCORINGS, Neighbours
from labse.mining.work_folder import Note, WorkFolder

SOURCE, TARGET = "source", "target"


@dataclasses.dataclass(frozen=True)
class Side:
    """One pile of text: what `corpus.prepare` takes."""

    patterns: tuple[str, ...]
    options: ReadOptions = ReadOptions()


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


class JobFiles:
    """The files of a job in its work folder; the steps make them.

    The target side is None for paraphrases: one side is searched for itself.

    Attributes:
      work: the work folder.
      sides: what each side is read from, by "source" and "target".
      settings: see `Settings`.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        source: Side,
        target: Side | None,
        settings: Settings,
        restart: bool = False,
    ):
        """Opens the work folder; see `MiningJob`."""
        self.work = WorkFolder(folder, restart)
        self.settings = settings
        self.sides = {SOURCE: source}
        if target:
            self.sides[TARGET] = target
        self._corpora: dict[str, Corpus] = {}

    def corpus(self, side: str) -> Corpus:
        """The texts of a side."""
        if side not in self._corpora:
            self.work.needed(f"{side}.corpus", "read")
            path = self.work.path(f"{side}.corpus")
            self._corpora[side] = open_corpus(path)
        return self._corpora[side]

    def shards(self, side: str) -> list[range]:
        """The sentences of each shard of a side."""
        num_sentences = len(self.corpus(side))
        number = self.settings.num_shards
        if number is None:
            number = -(-num_sentences // SHARD_SENTENCES)
        return sentence_vectors.split(
            num_sentences, number, self.settings.chunk
        )

    def vectors(self, side: str) -> VectorShards:
        """The vectors of a side, mapped.

        Raises:
          InputError: some are missing, or are of another model or of other
            sentences than the rest.
        """
        names = self.vector_names(side)
        notes = [self.work.needed(name, "embed") for name in names]
        sentences = self.corpus(side).fingerprint
        for name, note in zip(names, notes, strict=True):
            if note.made_from["sentences"] != sentences:
                raise InputError(
                    f"{self.work.path(name)} holds vectors of other sentences "
                    f"than {side}.corpus. Embed again with --restart."
                )
        models = {
            self.work.needed(name, "embed").made_from["model"]
            for one in self.sides
            for name in self.vector_names(one)
        }
        if len(models) > 1:
            raise InputError(
                f"The vectors in {self.work.folder} are of several models: "
                f"{', '.join(sorted(models))}. Embed again with --restart."
            )
        return VectorShards([self.work.path(name) for name in names])

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
                for name in self.neighbour_names(SOURCE)
            ),
            self.settings.k,
        )

    def _read_neighbours(self, side: str) -> Neighbours:
        return neighbour_files.joined(
            [
                neighbour_files.read(self.work.path(name), "forward")
                for name in self.neighbour_names(side)
            ],
            self.shards(side)[-1].stop,
        )

    def texts_of_candidates(self) -> dict:
        """What the numbers of the candidates' sentences stand for."""
        return {side: self.corpus(side).fingerprint for side in self.sides}

    def candidates(self) -> pathlib.Path:
        """The file of candidates.

        Raises:
          InputError: it is not there, or is of other texts.
        """
        note = self.work.needed(self.candidates_name, "score")
        texts = self.texts_of_candidates()
        if texts.items() <= note.made_from.items():
            return self.work.path(self.candidates_name)
        raise InputError(
            f"{self.work.path(self.candidates_name)} was made of other texts. "
            "Run all steps again, with --restart."
        )

    def notes(self) -> dict[str, Note]:
        """The notes of all files that the candidates follow from."""
        names = [f"{side}.corpus" for side in self.sides]
        names += [n for side in self.sides for n in self.vector_names(side)]
        if self.settings.index != "exact":
            names += [self.index_name(side, "index") for side in self.sides]
        for side in self.searching_sides:
            names += self.neighbour_names(side)
        return {
            name: self.work.needed(name, "score")
            for name in [*names, self.candidates_name]
        }

    # What the job is like.

    @property
    def searching_sides(self) -> list[str]:
        """Exact search of a source shard gives the targets' part as well."""
        return [SOURCE] if self.settings.index == "exact" else list(self.sides)

    @property
    def k(self) -> int:
        """What is asked for; a side searched for itself finds itself."""
        return self.settings.k + (TARGET not in self.sides)

    def other_side(self, side: str) -> str:
        """What a side is searched among."""
        if TARGET not in self.sides:
            return SOURCE
        return SOURCE if side == TARGET else TARGET

    def digest_of(self, side: str) -> dict:
        """What is made of all vectors of a side follows from them."""
        return {
            "vectors": digest(
                [
                    self.work.needed(name, "embed")
                    for name in self.vector_names(side)
                ]
            )
        }

    # Names of files.

    @property
    def candidates_name(self) -> str:
        """The file of scored candidates; arrays of one length in an `.npz`."""
        s = self.settings
        return (
            f"candidates.{s.vector_type}.{s.index}.k{s.k}.{s.scoring}."
            f"{s.retrieval}.npz"
        )

    def vector_names(self, side: str) -> list[str]:
        """Of each shard's vectors."""
        return [
            f"{side}.{self.settings.vector_type}/{part}.npy"
            for part in self._parts(side)
        ]

    def truncated_name(self, side: str, shard: int) -> str:
        """Of the number of a shard's sentences that the encoder cuts."""
        return f"{self.vector_names(side)[shard]}.truncated.json"

    def truncation(self, side: str) -> tuple[int, int] | None:
        """How many sentences the encoder cut, and at how many tokens.

        None where it does not say.
        """
        cut, max_length = 0, None
        for shard in range(len(self.shards(side))):
            name = self.truncated_name(side, shard)
            if self.work.note(name) is None:
                return None
            found = json.loads(self.work.path(name).read_text("utf-8"))
            if found["cut"] is None:
                return None
            cut += found["cut"]
            max_length = found["max_length"]
        return None if max_length is None else (cut, max_length)

    def part_name(self, side: str, shard: int) -> str:
        """Of a shard's part of the index."""
        return self.index_name(side, f"{self._parts(side)[shard]}.index")

    def index_name(self, side: str, name: str) -> str:
        """Of a file of the side's index."""
        s = self.settings
        shards = len(self.shards(side))
        folder = f"{side}.{s.vector_type}.{s.index}.{shards}"
        return f"{folder}/{name}"

    def neighbours_name(self, side: str, shard: int) -> str:
        """Of a shard's neighbours."""
        return self.neighbour_names(side)[shard]

    def neighbour_names(self, side: str) -> list[str]:
        """Of each shard's neighbours."""
        s = self.settings
        folder = f"neighbours.{s.vector_type}.{s.index}.k{s.k}"
        return [f"{folder}/{side}-{part}.npz" for part in self._parts(side)]

    def _parts(self, side: str) -> list[str]:
        shards = len(self.shards(side))
        return [f"{shard:05}-of-{shards:05}" for shard in range(shards)]


def digest(notes: list[Note]) -> str:
    """One hash for many files."""
    joined = "\n".join(note.sha256 for note in notes)
    return hashlib.sha256(joined.encode()).hexdigest()
