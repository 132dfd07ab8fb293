"""Random access to the pairs of any number of files.

An index of where each pair starts is made once for each file and kept in a
cache folder, so that the order of training can be a pure function of seed and
step: any pair can be read at any time, and resuming reads nothing twice.
Files: of every kind that holds pairs; see docs/file_formats.md and, for what
training reads besides, `labse.data.pair_record`.
"""

import functools
import hashlib
import mmap
import os
import pathlib

import numpy as np

from labse.data import pair_index, pair_record
from labse.data.pair_record import TrainingPair
from labse.errors import InputError
from labse.files.kinds import find_pair_files
from labse.files.pairs import parse_pair
from labse.files.reading import ReadOptions, Tally


class PairStore:
    """All pairs of some files, numbered from 0 in the files' order.

    Attributes:
      lengths: int32 [n], bytes of each pair's record.
      languages: int32 [n], index into `language_names`.
      language_names: language pairs such as "en-de", sorted.
      corpora: int32 [n], index into `corpus_names`.
      corpus_names: sorted; "" for pairs without a corpus.
      num_hard_negatives: int32 [n], of each pair's record.
    """

    def __init__(
        self,
        patterns: list[str],
        cache_folder: str | os.PathLike,
        options: ReadOptions | None = None,
    ):
        """Indexes the files, or reads the index made before.

        Args:
          patterns: files of pairs, or globs.
          cache_folder: for indexes and unpacked files.
          options: what the files do not say by themselves.

        Raises:
          InputError: no file matches, a file is unreadable, or too many rows
            are malformed.
        """
        options = options or ReadOptions()
        cache = pathlib.Path(cache_folder)
        cache.mkdir(parents=True, exist_ok=True)
        files = [
            pair_index.index_file(path, cache, options)
            for path in find_pair_files(patterns)
        ]
        tally = Tally()
        for file in files:
            tally.add(file.tally)
        tally.check(options.max_malformed_share)
        tally.log()
        sizes = [len(file.offsets) for file in files]
        if not sum(sizes):
            raise InputError(f"No pairs found in {', '.join(patterns)}.")
        self.file_ids = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        self.offsets = np.concatenate([file.offsets for file in files])
        self.lengths = np.concatenate([file.lengths for file in files])
        self.language_names, self.languages = _merge(
            [(file.language_names, file.languages) for file in files]
        )
        self.corpus_names, self.corpora = _merge(
            [(file.corpus_names, file.corpora) for file in files]
        )
        self.num_hard_negatives = np.concatenate(
            [file.num_hard_negatives for file in files]
        )
        self._kinds = [file.kind for file in files]
        self._columns = [file.columns for file in files]
        self._parse = functools.partial(
            parse_pair, options=options, tally=Tally(), path=""
        )
        self._maps = [_map(file.path) for file in files]

    def identity(self, with_corpora: bool = False) -> str:
        """A hash of the pairs' offsets, languages and hard negatives.

        Args:
          with_corpora: also of their corpora.
        """
        digest = hashlib.sha256()
        for array in (self.file_ids, self.offsets, self.lengths):
            digest.update(np.ascontiguousarray(array))
        digest.update("\t".join(self.language_names).encode())
        digest.update(np.ascontiguousarray(self.languages))
        if self.num_hard_negatives.any():
            digest.update(np.ascontiguousarray(self.num_hard_negatives))
        if with_corpora:
            digest.update("\t".join(self.corpus_names).encode())
            digest.update(np.ascontiguousarray(self.corpora))
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.offsets)

    def pair(self, index: int) -> TrainingPair:
        """One pair with all that its record says."""
        file_id = self.file_ids[index]
        start = self.offsets[index]
        record = self._maps[file_id][start : start + self.lengths[index]]
        kind = self._kinds[file_id]
        fields = kind.format.reader.decode(record, self._columns[file_id])
        return pair_record.parse(fields, kind, self._parse)


def _map(path: str) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _merge(
    files: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Merges (names, indices into them) of several files."""
    names = np.unique(np.concatenate([names for names, _ in files]))
    numbers = [
        np.searchsorted(names, own_names).astype(np.int32)[own]
        for own_names, own in files
    ]
    return names, np.concatenate(numbers)
