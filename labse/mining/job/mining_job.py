"""A mining job: its model, and its files in the work folder.

SIDE.corpus/                        the texts, each once
SIDE.TYPE/SHARD-of-SHARDS.npy       vectors
SIDE.TYPE/*.npy.truncated.json      how many sentences the encoder truncated
SIDE.TYPE.KIND.SHARDS/              an approximate index
neighbours.*/SIDE-SHARD.npz         neighbours of a shard's sentences
candidates.*.npz                    scored pairs
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import sys
from collections.abc import Callable

import numpy as np

from labse.errors import InputError
from labse.files.vector_shards import VectorShards
from labse.files.work_folder import Note, WorkFolder
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
from labse.mining.sentence_vectors import EncodeFn

# Returns an encode_fn and its fingerprint, which changes with the vectors.
LoadEncoder = Callable[[], tuple[EncodeFn, str]]


class MiningJob:
    """Mining in a work folder; can be pickled and sent to other processes.

    Without a target side, the source side is searched for paraphrases.

    Attributes:
      work: the work folder.
      sides: what each side is read from, by "source" and "target".
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        source: TextSource,
        target: TextSource | None,
        settings: Settings,
        load_encoder: LoadEncoder,
        restart: bool = False,
        show_progress: bool = True,
    ):
        """Opens the work folder.

        Args:
          folder: the work folder; created with its first file.
          source: one side.
          target: the other side; None: paraphrases within the source side.
          settings: see `Settings`.
          load_encoder: called once in each process that needs vectors.
          restart: make files again that were made from something else.
          show_progress: report progress on stderr; warnings always appear.
        """
        self.work = WorkFolder(folder, restart)
        self.settings = settings
        self.show_progress = show_progress
        self.sides = {SOURCE: source}
        if target:
            self.sides[TARGET] = target
        self._load_encoder = load_encoder
        self._corpora: dict[str, MinedCorpus] = {}
        self._encoded: list[tuple[list[str], np.ndarray]] = []

    def __getstate__(self):
        state = {k: v for k, v in self.__dict__.items() if k != "_loaded"}
        # Open files and vectors stay in this process.
        return state | {"_corpora": {}, "_encoded": []}

    # The model.

    @functools.cached_property
    def _loaded(self) -> tuple[EncodeFn, str]:
        return self._load_encoder()

    @property
    def encode_fn(self) -> EncodeFn:
        """The model's encode_fn; loads the model on first use."""
        return self._loaded[0]

    @property
    def model_fingerprint(self) -> str:
        """Changes with the vectors; loads the model on first use."""
        return self._loaded[1]

    @property
    def model_name(self) -> str:
        """How the model was given; does not load it."""
        return repr(self._load_encoder)

    def encode(self, texts: list[str]) -> np.ndarray:
        """The vectors of texts; those of `keep` are not computed again."""
        for known, vectors in self._encoded:
            if texts == known:
                return vectors
        return self.encode_fn(texts)

    def keep(self, texts: list[str], vectors: np.ndarray) -> None:
        """Keeps the vectors of a chunk, which is embedded later."""
        self._encoded.append((texts, vectors))

    def report(self, text: str) -> None:
        """Prints progress for the user."""
        if self.show_progress:
            print(text, file=sys.stderr)

    # What the job is like.

    def fit_k(self) -> None:
        """Lowers k to the number of sentences, and reports it.

        To be called once the texts are read: the names of all later files
        contain k.

        Raises:
          InputError: there is one sentence, to be compared with itself.
        """
        sizes = {side: len(self.corpus(side)) for side in self.sides}
        fewest = min(sizes, key=sizes.get)
        # A sentence is not a neighbour of itself.
        most = sizes[fewest] - (TARGET not in self.sides)
        if most < 1:
            raise InputError(
                "A sentence is compared with others. Received: one sentence. "
                "Give more text."
            )
        if self.settings.k > most:
            self.report(
                f"k is lowered from {self.settings.k} to {most}: the {fewest} "
                f"side has {sizes[fewest]} sentences."
            )
            self.settings = dataclasses.replace(self.settings, k=most)

    @property
    def k(self) -> int:
        """Neighbours to search; a paraphrase search also finds itself."""
        return self.settings.k + (TARGET not in self.sides)

    @property
    def searching_sides(self) -> list[str]:
        """Sides whose shards are searched: exact search covers both at once."""
        return [SOURCE] if self.settings.index == EXACT else list(self.sides)

    def other_side(self, side: str) -> str:
        """The side among which a side's neighbours are searched."""
        is_target = side == TARGET or TARGET not in self.sides
        return SOURCE if is_target else TARGET

    def shards(self, side: str) -> list[range]:
        """The sentences of each shard of a side."""
        num_sentences = len(self.corpus(side))
        number = self.settings.num_shards
        if number is None:
            number = -(-num_sentences // SHARD_SENTENCES)
        return sentence_vectors.split(
            num_sentences, number, self.settings.chunk
        )

    # What the files hold.

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

    def vectors(self, side: str) -> VectorShards:
        """The vectors of a side, mapped.

        Raises:
          InputError: some are missing, or are of another model or of other
            sentences than the rest.
        """
        notes = self._vector_notes(side)
        sentences = self.corpus(side).fingerprint
        for name, note in notes.items():
            if note.made_from["sentences"] != sentences:
                raise InputError(
                    f"{self.work.path(name)} holds vectors of other sentences "
                    f"than {side}.corpus. Set restart to embed again."
                )
        models = {
            note.made_from["model"]
            for one in self.sides
            for note in self._vector_notes(one).values()
        }
        if len(models) > 1:
            raise InputError(
                f"The vectors in {self.work.folder} are of several models: "
                f"{', '.join(sorted(models))}. Set restart to embed again."
            )
        return VectorShards([self.work.path(name) for name in notes])

    def digest_of(self, side: str) -> dict:
        """What a file made from all vectors of a side is noted as made from."""
        return {"vectors": digest(self._vector_notes(side).values())}

    def _vector_notes(self, side: str) -> dict[str, Note]:
        return {
            name: self.work.require(name, "embed")
            for name in self.vector_names(side)
        }

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

    def neighbours(self) -> tuple[Neighbours, Neighbours | None]:
        """Of the sources and of the targets; of these None for paraphrases."""

        def read(side: str, direction: str):
            for name in self.neighbour_names(side):
                yield neighbour_files.read(self.work.path(name), direction)

        def joined(side: str) -> Neighbours:
            num_rows = self.shards(side)[-1].stop
            return neighbour_files.joined(list(read(side, "forward")), num_rows)

        if TARGET not in self.sides:
            return joined(SOURCE), None
        if self.settings.index != EXACT:
            return joined(SOURCE), joined(TARGET)
        backward = read(SOURCE, "backward")
        return joined(SOURCE), neighbour_files.merge(backward, self.settings.k)

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
        folder = f"{side}.{self.settings.vector_type}"
        return [f"{folder}/{part}.npy" for part in self._parts(side)]

    def truncated_name(self, side: str, shard: int) -> str:
        """Name of the number of truncated sentences of a shard."""
        return f"{self.vector_names(side)[shard]}.truncated.json"

    def part_name(self, side: str, shard: int) -> str:
        """Name of a shard's part of the index."""
        return self.index_name(side, f"{self._parts(side)[shard]}.index")

    def index_name(self, side: str, name: str) -> str:
        """Name of a file of the side's index."""
        s = self.settings
        shards = len(self.shards(side))
        return f"{side}.{s.vector_type}.{s.index}.{shards}/{name}"

    def neighbour_names(self, side: str) -> list[str]:
        """Names of each shard's neighbours."""
        s = self.settings
        folder = f"neighbours.{s.vector_type}.{s.index}.k{s.k}"
        return [f"{folder}/{side}-{part}.npz" for part in self._parts(side)]

    def _parts(self, side: str) -> list[str]:
        shards = len(self.shards(side))
        return [f"{shard:05}-of-{shards:05}" for shard in range(shards)]


def digest(notes) -> str:
    """One hash of many files, from their notes."""
    joined = "\n".join(note.sha256 for note in notes)
    return hashlib.sha256(joined.encode()).hexdigest()
