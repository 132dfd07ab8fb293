"""Writes the shards of records that stand in spools, one after the other."""

import hashlib
import os
import shutil

import numpy as np
import tqdm

from labse.data.records.dealing import (
    ORDER,
    PARTS,
    Dealer,
    Part,
    permutation,
    stream,
)
from labse.data.records.groups import LANES
from labse.data.records.job import RecordJob, RowsRead, WrittenShard
from labse.data.records.manifest import file_sizes
from labse.errors import InputError
from labse.files.remote_path import RemotePath

# Free space that is left over when the shards are written.
_SPARE_BYTES = 2**26


def write_shards(job: RecordJob, read: RowsRead) -> list[WrittenShard]:
    """Writes the shards that are not there yet; returns all, by number."""
    records = sum(count for count, _ in read.spools)
    per_spool = -(-records // (LANES * job.made_from.shard_records))
    num_shards = LANES * per_spool
    written = _whole_shards(job, num_shards)
    _check_room(job, read)
    with tqdm.tqdm(total=records, desc="writing", unit=" records") as bar:
        for number in range(LANES):
            shards = range(number, num_shards, LANES)
            spool = Part(job.spools, number)
            if not written.keys() >= set(shards):
                _check_spool(job, spool, read.spools[number])
                parts = _parts(job, spool, per_spool)
                for shard, part in zip(shards, parts, strict=True):
                    if shard not in written:
                        found = _write_shard(job, part, shard, num_shards)
                        job.add_shard(found)
                        written[shard] = found
                    part.remove()
            spool.remove()
            bar.update(sum(written[shard].records for shard in shards))
    return [written[number] for number in range(num_shards)]


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


def _parts(job: RecordJob, spool: Part, per_spool: int) -> list[Part]:
    """Deals a spool to its shards' parts."""
    if per_spool == 1:
        return [spool]
    shutil.rmtree(job.parts, ignore_errors=True)
    job.parts.mkdir()
    random = stream(job.made_from.seed, PARTS, spool.number)
    dealer = Dealer(job.parts, per_spool, random)
    for group, record in spool.read():
        dealer.add(group, record)
    dealer.finish()
    return dealer.parts


def _write_shard(
    job: RecordJob, part: Part, number: int, num_shards: int
) -> WrittenShard:
    """Shuffles the records of a part and writes them as a shard."""
    index = part.read_index()
    ends = np.cumsum(index[:, 1], dtype=np.int64)
    starts = ends - index[:, 1]
    random = stream(job.made_from.seed, ORDER, number)
    order = permutation(random, len(index))
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


def _check_spool(job: RecordJob, spool: Part, noted: list[int]) -> None:
    """Raises `InputError` unless a spool is as it was when it was dealt."""
    if [*spool.size()] != noted:
        raise InputError(
            f"{job.out}: its shards or {spool.records} changed after they had "
            f"been written. Remove {job.places}, and write the records again."
        )


def _check_room(job: RecordJob, read: RowsRead) -> None:
    """Raises `InputError` where a spool, its parts and a shard do not fit."""
    needed = 2 * max(size for _, size in read.spools) + _SPARE_BYTES
    free = shutil.disk_usage(job.work).free
    if free < needed:
        raise InputError(
            f"Writing the shards needs {needed / 1e9:.2f} GB free on the disk "
            f"of {job.work}. It has {free / 1e9:.2f} GB. Free some space, and "
            "start again with the same arguments: the rows are not read again."
        )
