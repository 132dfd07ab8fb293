"""Writes the shards of records that stand in spools, a spool at a time."""

import hashlib
import os
import shutil
from collections.abc import Container, Iterator, Sequence

import numpy as np

from labse.data.records.dealing import (
    ORDER,
    PARTS,
    Dealer,
    Part,
    Parts,
    permutation,
    stream,
)
from labse.data.records.groups import LANES
from labse.data.records.job import RecordJob, RowsRead, WrittenShard
from labse.data.records.manifest import file_sizes
from labse.errors import InputError
from labse.files.remote_path import RemotePath
from labse.progress import ProgressBar

# Free space that is left over when the shards are written.
_SPARE_BYTES = 2**26


def write_shards(job: RecordJob, read: RowsRead) -> list[WrittenShard]:
    """Writes the shards that are not there yet; returns all, by number."""
    num_shards = count_shards(job, read)
    written = _whole_shards(job, num_shards)
    check_room(job, read)
    records = sum(count for count, _ in read.spools)
    with ProgressBar(total=records, desc="writing", unit=" records") as bar:
        for number in range(LANES):
            shards = range(number, num_shards, LANES)
            for shard in write_spool(job, read, number, written):
                job.add_shard(shard)
                written[shard.number] = shard
            job.spool(number).remove()
            bar.update(sum(written[shard].records for shard in shards))
    return [written[number] for number in range(num_shards)]


def write_spool(
    job: RecordJob,
    read: RowsRead,
    number: int,
    written: Container[int] = (),
) -> Iterator[WrittenShard]:
    """Writes the shards of a spool but those that are written; yields each.

    The spool stays.

    Raises:
      InputError: it has changed.
    """
    num_shards = count_shards(job, read)
    shards = range(number, num_shards, LANES)
    if all(shard in written for shard in shards):
        return
    spool = job.spool(number)
    _check_spool(job, number, spool, read.spools[number])
    parts = _parts(job, number, spool, len(shards))
    for shard, part in zip(shards, parts, strict=True):
        if shard not in written:
            yield _write_shard(job, part, shard, num_shards)
        if part is not spool:
            part.remove()


def count_shards(job: RecordJob, read: RowsRead) -> int:
    """The number of shards, a multiple of the number of spools."""
    records = sum(count for count, _ in read.spools)
    return LANES * -(-records // (LANES * job.made_from.shard_records))


def check_written(job: RecordJob, written: Sequence[WrittenShard]) -> None:
    """Raises `InputError` where a shard is not as it was written."""
    names = [shard_name(each.number, len(written)) for each in written]
    paths = [str(job.out / name) for name in names]
    for path, size, shard in zip(
        paths, file_sizes(paths), written, strict=True
    ):
        if size != shard.bytes:
            raise _changed(job, path)


def _whole_shards(job: RecordJob, num_shards: int) -> dict[int, WrittenShard]:
    """Those that have been written, and are as they were."""
    written = job.written_shards()
    numbers = sorted(written)
    names = [shard_name(number, num_shards) for number in numbers]
    sizes = file_sizes(str(job.out / name) for name in names)
    return {
        number: written[number]
        for number, size in zip(numbers, sizes, strict=True)
        if size == written[number].bytes
    }


def _parts(
    job: RecordJob, number: int, spool: Part | Parts, count: int
) -> Sequence[Part | Parts]:
    """Deals a spool to its shards' parts."""
    if count == 1:
        return [spool]
    folder = job.parts / f"{number:05d}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    dealer = Dealer(folder, count, job.made_from.seed, PARTS, number)
    for group, record in spool.read():
        dealer.add(group, record)
    dealer.finish()
    return dealer.parts


def _write_shard(
    job: RecordJob, part: Part | Parts, number: int, num_shards: int
) -> WrittenShard:
    """Shuffles the records of a part and writes them as a shard."""
    index = part.read_index()
    ends = np.cumsum(index[:, 1], dtype=np.int64)
    starts = ends - index[:, 1]
    random = stream(job.made_from.seed, ORDER, number)
    # First by group, so that it does not matter how groups took turns.
    by_group = np.argsort(index[:, 0], kind="stable")
    order = by_group[permutation(random, len(index))]
    content = memoryview(part.read_records())
    places = zip(starts[order].tolist(), ends[order].tolist(), strict=True)
    shard = b"".join([content[start:end] for start, end in places])
    _store(job, shard_name(number, num_shards), shard)
    groups, counts = np.unique(index[:, 0], return_counts=True)
    return WrittenShard(
        number,
        len(index),
        len(shard),
        hashlib.sha256(shard).hexdigest(),
        list(zip(groups.tolist(), counts.tolist(), strict=True)),
    )


def _store(job: RecordJob, name: str, content: bytes) -> None:
    """Writes a file that is whole or not there.

    Not with `atomic_write`, which looks through the folder at every file.
    """
    path = job.out / name
    if isinstance(path, RemotePath):
        # A remote file appears when it is closed.
        with path.open("wb") as file:
            file.write(content)
        return
    temporary = job.work / name
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def shard_name(number: int, num_shards: int) -> str:
    """The name of a shard's file."""
    return f"shard-{number:05d}-of-{num_shards:05d}.tfrecord"


def _check_spool(
    job: RecordJob, number: int, spool: Part | Parts, noted: list[int]
) -> None:
    """Raises `InputError` unless a spool is as it was when it was dealt."""
    if [*spool.size()] != noted:
        raise _changed(job, Part(job.spools, number).records)


def _changed(job: RecordJob, path: str | os.PathLike) -> InputError:
    return InputError(
        f"{job.out}: its shards or {path} changed after they had been "
        f"written. Remove {job.places}, and write the records again."
    )


def check_room(job: RecordJob, read: RowsRead, at_once: int = 1) -> None:
    """Raises `InputError` where spools' parts and shards do not fit.

    Args:
      job: of the records.
      read: what was read.
      at_once: spools that are written at the same time.
    """
    largest = max(size for _, size in read.spools)
    needed = 2 * at_once * largest + _SPARE_BYTES
    free = shutil.disk_usage(job.work).free
    if free < needed:
        raise InputError(
            f"Writing the shards needs {needed / 1e9:.2f} GB free on the disk "
            f"of {job.work}. It has {free / 1e9:.2f} GB. Free some space, and "
            "start again with the same arguments: the rows are not read again."
        )
