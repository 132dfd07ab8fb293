"""The files of a mining job: their names, and reading what they hold.

SIDE.corpus/                        the texts, each once
SIDE.TYPE/SHARD-of-SHARDS.npy       vectors
SIDE.TYPE/*.npy.truncated.json      how many sentences the encoder truncated
SIDE.TYPE.KIND.SHARDS/              an approximate index
neighbours.*/SIDE-SHARD.npz         neighbours of a shard's sentences
candidates.*.npz                    scored pairs
"""

import hashlib
import json
import os
import pathlib

from labse.errors import InputError
from labse.files.vector_shards import VectorShards
from labse.mining import sentence_vectors
from labse.mining.job import neighbour_files
from labse.mining.job.corpus import MinedCorpus, open_corpus
from labse.mining.job.plan import SHARD_SENTENCES
from labse.mining.job.settings import (
    EXACT,
    SOURCE,
    TARGET,
    Settings,
    TextSource,
)
from labse.mining.margin import Neighbours
from labse.mining.work_folder import Note, WorkFolder


class JobFiles:
    """The files of a job in its work folder.

    Without a target side, the source side is searched for paraphrases.

    Attributes:
      work: the work folder.
      sides: what each side is read from, by "source" and "target".
      settings: see `Settings`.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        source: TextSource,
        target: TextSource | None,
        settings: Settings,
        restart: bool = False,
    ):
        """Opens the work folder; see `MiningJob`."""
        self.work = WorkFolder(folder, restart)
        self.settings = settings
        self.sides = {SOURCE: source}
        if target:
            self.sides[TARGET] = target
        self._corpora: dict[str, MinedCorpus] = {}

    def corpus(self, side: str) -> MinedCorpus:
        """The texts of a side."""
        if side not in self._corpora:
            self.work.require(f"{side}.corpus", "read")
            path = self.work.path(f"{side}.corpus")
            # A list of sentences was written to a file there by `labse.mine`.
            self._corpora[side] = open_corpus(path, unnamed=self.work.folder)
        return self._corpora[side]

    def forget_corpus(self, side: str) -> None:
        """Closes a corpus that is about to be read again."""
        self._corpora.pop(side, None)

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
        notes = [self.work.require(name, "embed") for name in names]
        sentences = self.corpus(side).fingerprint
        for name, note in zip(names, notes, strict=True):
            if note.made_from["sentences"] != sentences:
                raise InputError(
                    f"{self.work.path(name)} holds vectors of other sentences "
                    f"than {side}.corpus. Set restart to embed again."
                )
        models = {
            self.work.require(name, "embed").made_from["model"]
            for one in self.sides
            for name in self.vector_names(one)
        }
        if len(models) > 1:
            raise InputError(
                f"The vectors in {self.work.folder} are of several models: "
                f"{', '.join(sorted(models))}. Set restart to embed again."
            )
        return VectorShards([self.work.path(name) for name in names])

    def neighbours(self) -> tuple[Neighbours, Neighbours | None]:
        """Of the sources and of the targets; of these None for paraphrases."""
        forward = self._read_neighbours(SOURCE)
        if TARGET not in self.sides:
            return forward, None
        if self.settings.index != EXACT:
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

    def texts_of_candidates(self) -> dict[str, str]:
        """Fingerprints of the texts that candidates refer to by number."""
        return {side: self.corpus(side).fingerprint for side in self.sides}

    def candidates(self) -> pathlib.Path:
        """The path of the scored candidates.

        Raises:
          InputError: they are missing, or were made from other texts.
        """
        note = self.work.require(self.candidates_name, "score")
        texts = self.texts_of_candidates()
        if texts.items() <= note.made_from.items():
            return self.work.path(self.candidates_name)
        raise InputError(
            f"{self.work.path(self.candidates_name)} was made from other "
            "texts. Set restart and run all steps again."
        )

    def notes(self) -> dict[str, Note]:
        """The notes of all files that the candidates depend on."""
        names = [f"{side}.corpus" for side in self.sides]
        names += [n for side in self.sides for n in self.vector_names(side)]
        if self.settings.index != EXACT:
            names += [self.index_name(side, "index") for side in self.sides]
        for side in self.searching_sides:
            names += self.neighbour_names(side)
        return {
            name: self.work.require(name, "score")
            for name in [*names, self.candidates_name]
        }

    # What the job is like.

    @property
    def searching_sides(self) -> list[str]:
        """Sides whose shards are searched: exact search covers both at once."""
        return [SOURCE] if self.settings.index == EXACT else list(self.sides)

    @property
    def k(self) -> int:
        """Neighbours to search; a paraphrase search also finds itself."""
        return self.settings.k + (TARGET not in self.sides)

    def other_side(self, side: str) -> str:
        """The side among which a side's neighbours are searched."""
        if TARGET not in self.sides:
            return SOURCE
        return SOURCE if side == TARGET else TARGET

    def digest_of(self, side: str) -> dict:
        """What a file made from all vectors of a side is noted as made from."""
        return {
            "vectors": digest(
                [
                    self.work.require(name, "embed")
                    for name in self.vector_names(side)
                ]
            )
        }

    # Names of files.

    @property
    def candidates_name(self) -> str:
        """Name of the scored candidates: arrays of one length in an `.npz`."""
        s = self.settings
        return (
            f"candidates.{s.vector_type}.{s.index}.k{s.k}.{s.scoring}."
            f"{s.retrieval}.npz"
        )

    def vector_names(self, side: str) -> list[str]:
        """Names of each shard's vectors."""
        return [
            f"{side}.{self.settings.vector_type}/{part}.npy"
            for part in self._parts(side)
        ]

    def truncated_name(self, side: str, shard: int) -> str:
        """Name of the number of truncated sentences of a shard."""
        return f"{self.vector_names(side)[shard]}.truncated.json"

    def truncation(self, side: str) -> tuple[int, int] | None:
        """How many sentences the encoder truncated, and to how many tokens.

        None if the encoder does not report it.
        """
        truncated, max_length = 0, None
        for shard in range(len(self.shards(side))):
            name = self.truncated_name(side, shard)
            if self.work.note(name) is None:
                return None
            found = json.loads(self.work.path(name).read_text("utf-8"))
            if found["cut"] is None:
                return None
            truncated += found["cut"]
            max_length = found["max_length"]
        return None if max_length is None else (truncated, max_length)

    def part_name(self, side: str, shard: int) -> str:
        """Name of a shard's part of the index."""
        return self.index_name(side, f"{self._parts(side)[shard]}.index")

    def index_name(self, side: str, name: str) -> str:
        """Name of a file of the side's index."""
        s = self.settings
        shards = len(self.shards(side))
        folder = f"{side}.{s.vector_type}.{s.index}.{shards}"
        return f"{folder}/{name}"

    def neighbour_names(self, side: str) -> list[str]:
        """Names of each shard's neighbours."""
        s = self.settings
        folder = f"neighbours.{s.vector_type}.{s.index}.k{s.k}"
        return [f"{folder}/{side}-{part}.npz" for part in self._parts(side)]

    def _parts(self, side: str) -> list[str]:
        shards = len(self.shards(side))
        return [f"{shard:05}-of-{shards:05}" for shard in range(shards)]


def digest(notes: list[Note]) -> str:
    """One hash of many files."""
    joined = "\n".join(note.sha256 for note in notes)
    return hashlib.sha256(joined.encode()).hexdigest()
