"""The manifest of a folder of records: what is in its shards.

    RECORDS/manifest.json
    RECORDS/counts.npy            int32 [shards, groups]
    RECORDS/shard-00017-of-00064.tfrecord

It is written last, so a folder without one is unfinished. docs/records.md has
the format. A group is all records of the same languages and corpus.
"""

import dataclasses
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from labse.data import record_files
from labse.data.record_tokens import Tokens
from labse.errors import InputError
from labse.features import (
    CORPUS,
    LANGUAGE,
    SOURCE_LANGUAGE,
    TARGET_LANGUAGE,
)
from labse.preprocessing.tokenizer import WordPieceTokenizer

MANIFEST = "manifest.json"
COUNTS = "counts.npy"
VERSION = 1
# A global batch is read by this many lanes or by a power of two below, so the
# number of shards is a multiple of it.
LANES = 64
PAIRS, TEXT = "pairs", "text"
# The languages of a record, by the kind of records.
LANGUAGES = {
    PAIRS: (SOURCE_LANGUAGE, TARGET_LANGUAGE),
    TEXT: (LANGUAGE,),
}
_FORMAT = "labse records"
_AGAIN = "Write the records again: labse write-records."


class Group(NamedTuple):
    """The records of the same languages and corpus."""

    languages: tuple[str, ...]  # source and target, or that of a text
    corpus: str  # "" without a corpus
    records: int

    @property
    def name(self) -> str:
        """Its languages, "en-de" or "en"."""
        return "-".join(self.languages)


class Shard(NamedTuple):
    """One file of records."""

    name: str
    records: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a folder of records holds.

    Attributes:
      kind: "pairs" or "text".
      groups: the groups; feature `group` of a record is an index into them.
      shards: the files, in the order of their numbers.
      counts: int32 [shards, groups], the records of each group in each shard.
      seed, shard_records: what the records were dealt with.
      hard_negatives: of pairs, from a number of hard negatives to the number
        of records that have as many.
      read: what the records were written from: the files' names, the numbers of
        rows, blank lines and malformed rows.
      tokens: of pre-tokenized records; None where they hold texts.
    """

    kind: str
    groups: tuple[Group, ...]
    shards: tuple[Shard, ...]
    counts: np.ndarray
    seed: int
    shard_records: int
    hard_negatives: Mapping[int, int]
    read: Mapping[str, object]
    tokens: Tokens | None = None

    @property
    def num_records(self) -> int:
        """Of all shards."""
        return sum(shard.records for shard in self.shards)

    def identity(self) -> str:
        """A hash of the records and their order; changes with any of them."""
        digest = hashlib.sha256(f"{_FORMAT} {VERSION} {self.kind}".encode())
        for shard in self.shards:
            digest.update(shard.sha256.encode())
        digest.update(json.dumps([*map(tuple, self.groups)]).encode())
        digest.update(json.dumps(self.tokens, sort_keys=True).encode())
        return digest.hexdigest()

    def paths(self, folder: str | os.PathLike) -> list[str]:
        """The paths of the shards."""
        return [record_files.join(folder, shard.name) for shard in self.shards]

    def write(self, folder: str | os.PathLike) -> None:
        """Writes counts.npy, then manifest.json."""
        counts = io.BytesIO()
        np.save(counts, self.counts)
        record_files.write(record_files.join(folder, COUNTS), counts.getvalue())
        record_files.write(
            record_files.join(folder, MANIFEST), self._to_json().encode()
        )

    def _to_json(self) -> str:
        values = {
            "format": _FORMAT,
            "version": VERSION,
            "kind": self.kind,
            "records": self.num_records,
            "groups": [
                {
                    **dict(
                        zip(LANGUAGES[self.kind], group.languages, strict=True)
                    ),
                    CORPUS: group.corpus,
                    "records": group.records,
                }
                for group in self.groups
            ],
            "hard_negatives": {
                str(number): count
                for number, count in sorted(self.hard_negatives.items())
            },
            "tokens": self.tokens and self.tokens._asdict(),
            "seed": self.seed,
            "shard_records": self.shard_records,
            "read": self.read,
            "shards": [shard._asdict() for shard in self.shards],
        }
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike,
        kind: str,
        tokenizer: WordPieceTokenizer | None = None,
        max_length: int = 0,
    ) -> "Manifest":
        """Reads the manifest, and checks it and its shards for a use.

        Args:
          folder: of records.
          kind: "pairs" or "text".
          tokenizer: whose ids are wanted; by default any.
          max_length: the length that texts are padded or truncated to.

        Raises:
          InputError: there is none, the shards are not those that it names, or
            they are of another kind or vocabulary.
        """
        manifest = cls.read(folder)
        if manifest.kind != kind:
            words = {PAIRS: "pairs", TEXT: "monolingual texts"}
            raise InputError(
                f"{folder}: records of {words[kind]} are needed here. These "
                f"are of {words[manifest.kind]}. Give the folder of others."
            )
        if manifest.tokens and tokenizer is not None:
            manifest.tokens.check(folder, tokenizer, max_length)
        manifest.check_shards(folder)
        return manifest

    @classmethod
    def read(cls, folder: str | os.PathLike) -> "Manifest":
        """Reads manifest.json and counts.npy, which must fit each other."""
        path = record_files.join(folder, MANIFEST)
        if not record_files.exists(path):
            raise InputError(
                f"{path}: there is no such file, so {folder} is no folder of "
                "records, or an unfinished one. Run the command that writes "
                "it again: it resumes. labse write-records makes one."
            )
        try:
            values = json.loads(record_files.read(path))
            _check_format(path, values)
            manifest = cls(counts=_read_counts(folder), **_parse(values))
            records = values["records"]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{path}: the manifest is damaged ({error!r}). {_AGAIN}"
            ) from error
        manifest._check_counts(path, records)
        return manifest

    def _check_counts(self, path: str, records: int) -> None:
        """Raises `InputError` unless all numbers of records agree."""
        shape = len(self.shards), len(self.groups)
        counts, what = self.counts, ""
        if not self.shards or len(self.shards) % LANES:
            what = f"{len(self.shards)} shards, which is no multiple of {LANES}"
        elif counts.dtype != np.int32 or counts.shape != shape:
            what = (
                f"{COUNTS} of type {counts.dtype} and shape {counts.shape}, "
                f"which must be int32 {shape}"
            )
        elif counts.min(initial=0) < 0 or records != self.num_records:
            what = (
                f"{self.num_records:,} records in the shards, not {records:,}"
            )
        elif not _equal(counts.sum(axis=1), self.shards):
            what = f"other numbers of records in shards than {COUNTS}"
        elif not _equal(counts.sum(axis=0, dtype=np.int64), self.groups):
            what = f"other numbers of records in groups than {COUNTS}"
        if what:
            raise InputError(
                f"{path}: the numbers of records in the manifest and in "
                f"{COUNTS} agree. Received {what}. The files are of different "
                f"folders, or damaged. {_AGAIN}"
            )

    def check_shards(self, folder: str | os.PathLike) -> None:
        """Raises `InputError` where a shard is missing or has another size."""
        sizes = record_files.sizes(self.paths(folder))
        for shard, size in zip(self.shards, sizes, strict=True):
            if size == shard.bytes:
                continue
            what = (
                "There is no such file"
                if size is None
                else f"It has {size:,} bytes, so it was cut short or replaced"
            )
            raise InputError(
                f"{record_files.join(folder, shard.name)}: the manifest has "
                f"this shard with {shard.bytes:,} bytes. {what}. Copy the "
                "folder again, or write the records again."
            )


def is_records_folder(path: str | os.PathLike) -> bool:
    """Whether a folder has a manifest of records."""
    return record_files.exists(record_files.join(path, MANIFEST))


def _equal(sums: np.ndarray, of: Sequence[Group] | Sequence[Shard]) -> bool:
    return bool(np.array_equal(sums, [each.records for each in of]))


def _check_format(path: str, values: object) -> None:
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        raise InputError(
            f"{path}: this is no manifest of records: it lacks "
            f'"format": "{_FORMAT}". Give a folder that labse write-records '
            "made."
        )
    if values.get("version") != VERSION:
        raise InputError(
            f"{path}: records of the format version {VERSION} are read. "
            f"Received version {values.get('version')!r}. Read them with the "
            "version of labse that wrote them, or write the records again."
        )
    if values.get("kind") not in LANGUAGES:
        raise InputError(
            f"{path}: records are of the kind {' or '.join(LANGUAGES)}. "
            f"Received: {values.get('kind')!r}. {_AGAIN}"
        )


def _parse(values: Mapping) -> dict[str, object]:
    """The fields of a `Manifest`, but for the counts."""
    names = LANGUAGES[values["kind"]]
    tokens = values["tokens"]
    return {
        "kind": values["kind"],
        "groups": tuple(
            Group(
                tuple(str(group[name]) for name in names),
                str(group[CORPUS]),
                int(group["records"]),
            )
            for group in values["groups"]
        ),
        "shards": tuple(Shard(**shard) for shard in values["shards"]),
        "seed": int(values["seed"]),
        "shard_records": int(values["shard_records"]),
        "hard_negatives": {
            int(number): int(count)
            for number, count in values["hard_negatives"].items()
        },
        "read": values["read"],
        "tokens": None if tokens is None else Tokens(**tokens),
    }


def _read_counts(folder: str | os.PathLike) -> np.ndarray:
    path = record_files.join(folder, COUNTS)
    if not record_files.exists(path):
        raise InputError(
            f"{path}: there is no such file. Copy the folder again, or write "
            "the records again."
        )
    try:
        return np.load(io.BytesIO(record_files.read(path)), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(
            f"{path}: the file is damaged or truncated ({error}). Copy the "
            "folder again, or write the records again."
        ) from error
