"""A job that writes records: what it is of, and what it has finished.

    WORK/job.json       what the records depend on
    WORK/read.json      there once all rows have been read and dealt
    WORK/spools/        the records as they were dealt, until they are written;
                        in units, a folder for each unit that dealt some
    WORK/parts/         of a large spool, those of each shard
    WORK/shards.jsonl   the shards that have been written

WORK is local: OUT/work, or where OUT is not local, a folder for it. What units
of work make stands there, too (`labse.data.records.units`).
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from typing import NamedTuple

from absl import logging

from labse.data.records import manifest
from labse.data.records.dealing import Part, Parts
from labse.data.records.groups import MadeFrom
from labse.data.records.manifest import Manifest
from labse.errors import InputError
from labse.files.atomic_write import remove, write_text
from labse.files.formats.tfrecord import is_shard_of_records
from labse.files.remote_path import as_path, is_remote

WORK = "work"
_SHOWN = 120
_REQUESTS = 32  # At once, of an object store.


class OtherRecords(InputError):
    """A folder holds records of other files, or made in another way.

    Attributes:
      changes: what is other, in words.
      job: the one that is not done there.
      are_moved: whether only folders and times of the files are others.
    """

    def __init__(self, changes: str, job: "RecordJob", are_moved: bool):
        super().__init__(
            f"{job.out} holds records that were made otherwise: {changes}. "
            f"Choose another folder, or remove {job.places}."
        )
        self.changes = changes
        self.job = job
        self.are_moved = are_moved


class RowsRead(NamedTuple):
    """What the reading found; the fields are JSON values."""

    groups: list[tuple[list[str], str]]  # languages and corpus
    hard_negatives: Mapping[str, int]  # number of them, number of pairs
    tally: str  # of `Tally.to_json`
    spools: list[list[int]]  # records and bytes of each
    totals: Sequence[int] = ()  # records of each group, where units need them


class WrittenShard(NamedTuple):
    """A shard that has been written."""

    number: int
    records: int
    bytes: int
    sha256: str
    groups: list[tuple[int, int]]  # number of a group, records


class RecordJob:
    """The folders of a job, and its notes.

    Attributes:
      out: the folder of records.
      made_from: what the records depend on.
      work, spools, parts: folders for what is removed at the end.
    """

    def __init__(
        self,
        out: str | os.PathLike,
        made_from: MadeFrom,
        work: str | os.PathLike | None = None,
    ):
        """Nothing is made yet; with `work`, that is the folder for work."""
        self.out = as_path(out)
        self.made_from = made_from
        if work:
            self.work = pathlib.Path(work)
        elif is_remote(out):
            name = hashlib.sha256(str(self.out).encode()).hexdigest()[:16]
            self.work = pathlib.Path(
                tempfile.gettempdir(), f"labse-records-{os.getuid()}-{name}"
            )
        else:
            self.work = pathlib.Path(out, WORK)
        self.spools = self.work / "spools"
        self.parts = self.work / "parts"
        self._note = self.work / "job.json"
        self._read = self.work / "read.json"
        self._shards = self.work / "shards.jsonl"

    @property
    def places(self) -> str:
        """What has to be removed for a new start, after `out` was named."""
        if self.work.parent != self.out and self.work.exists():
            return f"it and {self.work}"
        return "it"

    def find_finished(self) -> Manifest | None:
        """The manifest, if the records are there.

        Raises:
          InputError: they are others.
        """
        if not manifest.is_records_folder(self.out):
            return None
        found = Manifest.read(self.out)
        self._check_same(found.made_from.values())
        found.check_shards(self.out)
        return found

    @contextlib.contextmanager
    def begun(self) -> Iterator[None]:
        """Makes the folders, or finds those of the same job; locks them.

        Raises:
          InputError: `out` holds something else, or another process writes.
        """
        if self._read.exists():
            self._check_same(json.loads(self._note.read_text("utf-8")))
        elif not self._note.exists():
            self._check_new()
        self.work.mkdir(parents=True, exist_ok=True)
        with open(self.work / "lock", "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"Another process is writing records into {self.out}. "
                    "Wait until it has ended, or choose another folder."
                ) from error
            write_text(self._note, json.dumps(self.made_from.values()))
            yield

    def remove_work(self) -> None:
        """Removes what was needed until the records were there."""
        remove(self.work)

    def remove(self) -> None:
        """Removes the folder of records, whatever it holds, and the work."""
        self.remove_work()
        remove(self.out)

    def read(self) -> RowsRead | None:
        """What the reading found; None if it has not finished."""
        if not self._read.exists():
            return None
        return RowsRead(**json.loads(self._read.read_text("utf-8")))

    def finish_reading(self, found: RowsRead) -> None:
        """Notes that all rows stand in the spools."""
        write_text(self._read, json.dumps(found._asdict()))

    def spool(self, number: int) -> Part | Parts:
        """The records that were dealt to one of the spools."""
        folders = sorted(
            path for path in self.spools.iterdir() if path.is_dir()
        )
        if not folders:
            return Part(self.spools, number)
        return Parts(tuple(Part(folder, number) for folder in folders))

    def add_shard(self, shard: WrittenShard) -> None:
        """Notes a shard that has been written."""
        with open(self._shards, "a", encoding="utf-8") as file:
            # A line that a killed process did not finish ends here.
            file.write("\n" + json.dumps(shard))

    def written_shards(self) -> dict[int, WrittenShard]:
        """By number, the shards that have been written."""
        found = {}
        if not self._shards.exists():
            return found
        for line in self._shards.read_text("utf-8").split("\n"):
            with contextlib.suppress(json.JSONDecodeError):
                shard = WrittenShard(*json.loads(line))
                found[shard.number] = shard
        return found

    def _check_same(self, found: Mapping[str, object]) -> None:
        changes = [
            f"{name} was {_shown(found.get(name))} and is {_shown(value)}"
            for name, value in self.made_from.values().items()
            if found.get(name) != value
        ]
        if changes:
            raise OtherRecords(
                "; ".join(changes), self, self.made_from.has_moved_files(found)
            )

    def _check_new(self) -> None:
        if not self.out.exists():
            return
        if not self.out.is_dir():
            what = "is a file"
        else:
            names = sorted(each.name for each in self.out.iterdir())
            if names in ([], [WORK]):
                return
            if all(map(_is_unfinished, names)):
                self._write_over(names)
                return
            what = f"holds {', '.join(names[:3])}"
        raise InputError(
            "Records are written into a new folder; nothing is written over. "
            f"{self.out} {what}. Choose another name, or remove it first."
        )

    def _write_over(self, names: list[str]) -> None:
        """Removes what another machine, which is lost, had not finished."""
        logging.info(
            "%s holds %d files of records that were not finished, and their "
            "work is not on this machine. They are written over.",
            self.out,
            len(names),
        )
        with futures.ThreadPoolExecutor(_REQUESTS) as pool:
            # All, because the number of shards may be another one.
            list(pool.map(lambda name: remove(self.out / name), names))


def _is_unfinished(name: str) -> bool:
    """Whether a file is written before the manifest."""
    temporary = name.startswith(
        (f".{manifest.COUNTS}.", f".{manifest.MANIFEST}.")
    )
    return (
        name == manifest.COUNTS
        or is_shard_of_records(name)
        or (temporary and name.endswith(".tmp"))
    )


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
