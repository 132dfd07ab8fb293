"""A mining job: its files and its model, as the units of work use them."""

import dataclasses
import functools
import os
import sys
from collections.abc import Callable

import numpy as np

from labse.errors import InputError
from labse.mining.job.job_files import JobFiles
from labse.mining.job.settings import TARGET, Settings, TextSource
from labse.mining.sentence_vectors import EncodeFn

# Returns an encode_fn and its fingerprint, which changes with the vectors.
LoadEncoder = Callable[[], tuple[EncodeFn, str]]


class MiningJob(JobFiles):
    """Mining in a work folder; can be pickled and sent to other processes."""

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
        super().__init__(folder, source, target, settings, restart)
        self._load_encoder = load_encoder
        self.show_progress = show_progress
        self._encoded: list[tuple[list[str], np.ndarray]] = []

    def __getstate__(self):
        state = {k: v for k, v in self.__dict__.items() if k != "_loaded"}
        # Open files and vectors stay in this process.
        return state | {"_corpora": {}, "_encoded": []}

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
