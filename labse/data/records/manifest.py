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
from collections.abc import Iterable, Mapping, Sequence
from concurrent import futures
from typing import TYPE_CHECKING

import numpy as np

from labse.data.records.groups import (
    LANES,
    LANGUAGES,
    PAIRS,
    TEXT,
    Group,
    MadeFrom,
    Shard,
)
from labse.data.records.tokens import Tokens
from labse.errors import InputError
from labse.features import CORPUS
from labse.files.atomic_write import write_bytes
from labse.files.remote_path import AnyPath, RemotePath, as_path

if TYPE_CHECKING:
    # Imports TensorFlow, which processes that write records do without.
    from labse.preprocessing.tokenizer import WordPieceTokenizer

MANIFEST = "manifest.json"
COUNTS = "counts.npy"
VERSION = 1
_FORMAT = "labse records"
# At once: one of an object store takes tens of milliseconds.
_REQUESTS = 32
_AGAIN = "Copy the folder again, or write the records again."


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a folder of records holds.

    Attributes:
      made_from: what the records were written from.
      groups: the groups; feature `group` of a record is an index into them.
      shards: the files, in the order of their numbers.
      counts: int32 [shards, groups], the records of each group in each shard.
      hard_negatives: of pairs, from a number of hard negatives to the number
        of records that have as many.
      tally: what the reading found: the numbers of rows, of blank lines, and
        of malformed rows by reason.
    """

    made_from: MadeFrom
    groups: tuple[Group, ...]
    shards: tuple[Shard, ...]
    counts: np.ndarray
    hard_negatives: Mapping[int, int]
    tally: Mapping[str, object]

    @property
    def kind(self) -> str:
        """Of what the records are: "pairs" or "text"."""
        return self.made_from.kind

    @property
    def tokens(self) -> Tokens | None:
        """Of pre-tokenized records; None where they hold texts."""
        return self.made_from.tokens

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
        if self.tokens:
            tokens = dataclasses.asdict(self.tokens)
            digest.update(json.dumps(tokens, sort_keys=True).encode())
        return digest.hexdigest()

    def paths(self, folder: str | os.PathLike) -> list[str]:
        """The paths of the shards."""
        return [str(as_path(folder) / shard.name) for shard in self.shards]

    def write(self, folder: str | os.PathLike) -> None:
        """Writes counts.npy, then manifest.json."""
        counts = io.BytesIO()
        np.save(counts, self.counts)
        write_bytes(as_path(folder) / COUNTS, counts.getvalue())
        content = json.dumps(_to_values(self), indent=1, ensure_ascii=False)
        write_bytes(as_path(folder) / MANIFEST, content.encode() + b"\n")

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike,
        kind: str,
        tokenizer: "WordPieceTokenizer | None" = None,
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
        path = as_path(folder) / MANIFEST
        if not path.exists():
            raise InputError(
                f"{path}: there is no such file, so {folder} is no folder of "
                "records, or an unfinished one. Run the command that writes "
                "it again: it resumes. labse write-records makes one."
            )
        try:
            values = json.loads(path.read_bytes())
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

    def _check_counts(self, path: AnyPath, records: int) -> None:
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
        paths = self.paths(folder)
        sizes = file_sizes(paths)
        for path, shard, size in zip(paths, self.shards, sizes, strict=True):
            if size == shard.bytes:
                continue
            what = "There is no such file"
            if size is not None:
                what = f"It has {size:,} bytes, so it was cut short or replaced"
            raise InputError(
                f"{path}: the manifest has this shard with {shard.bytes:,} "
                f"bytes. {what}. {_AGAIN}"
            )


def is_records_folder(path: str | os.PathLike) -> bool:
    """Whether a folder has a manifest of records."""
    return (as_path(path) / MANIFEST).exists()


def file_sizes(paths: Iterable[str]) -> list[int | None]:
    """The bytes of each file, local or remote; None where there is none."""
    with futures.ThreadPoolExecutor(_REQUESTS) as pool:
        return list(pool.map(_file_size, paths))


def _file_size(path: str) -> int | None:
    found = as_path(path)
    if not isinstance(found, RemotePath):
        return found.stat().st_size if found.exists() else None
    import tensorflow as tf

    try:
        return tf.io.gfile.stat(path).length
    except tf.errors.NotFoundError:
        return None


def _equal(sums: np.ndarray, of: Sequence[Group] | Sequence[Shard]) -> bool:
    return bool(np.array_equal(sums, [each.records for each in of]))


def _check_format(path: AnyPath, values: object) -> None:
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


def _to_values(manifest: Manifest) -> dict[str, object]:
    names = LANGUAGES[manifest.kind]
    return {
        "format": _FORMAT,
        "version": VERSION,
        "records": manifest.num_records,
        **manifest.made_from.values(),
        "tally": manifest.tally,
        "groups": [
            {
                **dict(zip(names, group.languages, strict=True)),
                CORPUS: group.corpus,
                "records": group.records,
            }
            for group in manifest.groups
        ],
        # The numbers become text, as JSON has it.
        "hard_negatives": dict(sorted(manifest.hard_negatives.items())),
        "shards": [shard._asdict() for shard in manifest.shards],
    }


def _parse(values: Mapping) -> dict[str, object]:
    """The fields of a `Manifest`, but for the counts."""
    names = LANGUAGES[values["kind"]]
    return {
        "made_from": MadeFrom.from_values(values),
        "groups": tuple(
            Group(
                tuple(str(group[name]) for name in names),
                str(group[CORPUS]),
                int(group["records"]),
            )
            for group in values["groups"]
        ),
        "shards": tuple(Shard(**shard) for shard in values["shards"]),
        "hard_negatives": {
            int(number): int(count)
            for number, count in values["hard_negatives"].items()
        },
        "tally": values["tally"],
    }


def _read_counts(folder: str | os.PathLike) -> np.ndarray:
    path = as_path(folder) / COUNTS
    if not path.exists():
        raise InputError(f"{path}: there is no such file. {_AGAIN}")
    try:
        return np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except (ValueError, EOFError) as error:
        what = f"the file is damaged or truncated ({error})"
        raise InputError(f"{path}: {what}. {_AGAIN}") from error
