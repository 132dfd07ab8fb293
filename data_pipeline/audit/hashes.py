"""Hashes of texts, written by partition and counted partition by partition.

Two rows of one text have the same hash, so they stand in the same partition,
and a partition fits in memory whatever the size of the input. The sums over
all partitions do not depend on their number.
"""

import hashlib
import pathlib

import numpy as np

# A text's hash, and the number of its row's language in the unit that read it.
RECORD = np.dtype([("key", "<u8"), ("language", "<u4")])
KINDS = ("source", "target", "pair")
_BUFFERED = 2**18


def hash_text(text: str) -> int:
    """64 bits: of a thousand million texts, two collide once in 37 corpora."""
    content = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(
        hashlib.blake2b(content, digest_size=8).digest(), "big"
    )


def partition_of(keys: np.ndarray, partitions: int) -> np.ndarray:
    """The partition of each key, by its upper bits."""
    return ((keys >> np.uint64(32)) * np.uint64(partitions)) >> np.uint64(32)


class HashWriter:
    """Appends hashes to FOLDER/KIND-PARTITION; no file stays open."""

    def __init__(self, folder: pathlib.Path, partitions: int):
        """Takes an empty folder."""
        self._folder, self._partitions = folder, partitions
        self._waiting: dict[str, list[np.ndarray]] = {}
        self._count = 0

    def add(self, kind: str, keys: list[int], languages: np.ndarray) -> None:
        """Adds the hashes of some rows."""
        records = np.empty(len(keys), RECORD)
        records["key"], records["language"] = keys, languages
        self._waiting.setdefault(kind, []).append(records)
        self._count += len(keys)
        if self._count >= _BUFFERED:
            self.flush()

    def flush(self) -> None:
        """Writes what waits; to be called at the end."""
        for kind, parts in self._waiting.items():
            records = np.concatenate(parts)
            places = partition_of(records["key"], self._partitions)
            order = np.argsort(places, kind="stable")
            bounds = np.searchsorted(
                places[order], np.arange(self._partitions + 1)
            )
            for number in range(self._partitions):
                part = records[order[bounds[number] : bounds[number + 1]]]
                if len(part):
                    with open(self._folder / f"{kind}-{number}", "ab") as file:
                        part.tofile(file)
        self._waiting.clear()
        self._count = 0


def read_records(path: pathlib.Path, languages: np.ndarray) -> np.ndarray:
    """The records of a file; empty if it is not there.

    Args:
      path: of the file.
      languages: the job's number of each language of the unit.
    """
    if not path.exists():
        return np.empty(0, RECORD)
    records = np.fromfile(path, RECORD)
    records["language"] = languages[records["language"]]
    return records


def count_repeats(
    records: np.ndarray, languages: int
) -> tuple[int, np.ndarray]:
    """What repeats among records of one kind.

    Returns:
      the number of ordered pairs of different rows with the same key, of
      any language; and for each language, int64 [languages], the rows that
      repeat an earlier row of the same language.
    """
    keys = np.unique(records["key"], return_counts=True)[1].astype(np.int64)
    equal = int((keys * (keys - 1)).sum())
    distinct = np.unique(records)["language"]
    repeats = np.bincount(records["language"], minlength=languages)
    repeats -= np.bincount(distinct, minlength=languages)
    return equal, repeats
