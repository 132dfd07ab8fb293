"""Writes records: files of any format to shards in random order.

Rows are read once and dealt to 64 spools, as `labse.data.record_dealing` says.
Then, one after the other, the records of a spool are dealt in the same way to
its shards, and a shard is shuffled and written. So every shard is a fair sample
of all rows, and the memory needed does not grow with their number.

The bytes of the shards are a pure function of the rows in their order, the
seed, `shard_records` and the tokenizer.
"""

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import tqdm

from labse.data import record_files
from labse.data.manifest import Manifest
from labse.data.pair_record import TrainingPairs
from labse.data.record_dealing import Dealer, Part, permutation, stream
from labse.data.record_encoding import RecordEncoder
from labse.data.record_groups import (
    LANES,
    LANGUAGES,
    PAIRS,
    Group,
    MadeFrom,
    Shard,
)
from labse.data.record_job import RecordJob, WrittenShard
from labse.data.record_tokens import TokenIds
from labse.errors import InputError
from labse.files.formats.tfrecord import frame
from labse.files.full_disk import full_disk_is_input_error
from labse.files.kinds import files_of
from labse.files.pairs import Files
from labse.files.reading import ReadOptions, Tally
from labse.files.texts import TextsWithCorpora

SHARD_RECORDS = 16_384
# Streams of random bits.
_SPOOLS, _PARTS, _ORDER = range(3)
_UPDATE_ROWS = 1024
# Free space that is left over when the shards are written.
_SPARE_BYTES = 2**26


class _Read(NamedTuple):
    """What the reading found; its fields are JSON values."""

    groups: list[tuple[list[str], str]]
    hard_negatives: Mapping[str, int]
    tally: str  # of `Tally.to_json`
    spools: list[list[int]]  # records and bytes of each


def write_records(
    patterns: Iterable[str | os.PathLike],
    out: str | os.PathLike,
    *,
    kind: str = PAIRS,
    seed: int = 0,
    shard_records: int = SHARD_RECORDS,
    token_ids: TokenIds | None = None,
    options: ReadOptions | None = None,
) -> Manifest:
    """Writes the records of files, unless they are there already.

    The same call resumes what was killed: rows are not read again once all of
    them had been, and shards that are whole stay.

    Args:
      patterns: files of any format, or globs.
      out: a new folder, or that of the same call; also on a file system of
        TensorFlow, such as gs://.
      kind: "pairs" or "text"; of pairs, both sides are texts.
      seed: of the order.
      shard_records: most records of a shard.
      token_ids: writes its ids in place of the texts.
      options: what the files do not say by themselves.

    Raises:
      InputError: a file breaks a rule, too many rows are malformed, or there
        is none; `out` holds something else; or the disk is full.
    """
    _check_arguments(kind, seed, shard_records)
    options = options or ReadOptions()
    read_files = TrainingPairs if kind == PAIRS else TextsWithCorpora
    files = read_files(patterns, options)
    made_from = _describe(files, kind, seed, shard_records, token_ids)
    job = RecordJob(os.fspath(out), made_from)
    if found := job.find_finished():
        job.remove_work()
        return found
    with job.begun(), full_disk_is_input_error(job.work):
        read = job.read()
        read = _Read(**read) if read else _read_rows(job, files, token_ids)
        tally = Tally.from_json(read.tally)
        tally.check(options.max_malformed_share)
        manifest = _manifest(job, read, tally, _write_shards(job, read))
        manifest.write(job.out)
    job.remove_work()
    return manifest


def _check_arguments(kind: str, seed: int, shard_records: int) -> None:
    if kind not in LANGUAGES:
        raise InputError(
            f"kind is one of {', '.join(LANGUAGES)}. Received: {kind!r}."
        )
    for name, value, lowest in (
        ("seed", seed, 0),
        ("shard_records", shard_records, 1),
    ):
        if value < lowest:
            raise InputError(f"{name} is at least {lowest}. Received: {value}.")


def _describe(
    files: Files,
    kind: str,
    seed: int,
    shard_records: int,
    token_ids: TokenIds | None,
) -> MadeFrom:
    options = dataclasses.asdict(files.options)
    # It decides whether records are written, not what they are.
    del options["max_malformed_share"]
    found = []
    for path in files.files:
        for each in files_of(path):
            status = os.stat(each)
            found.append([each, status.st_size, status.st_mtime_ns])
    tokens = token_ids.tokens if token_ids else None
    return MadeFrom(kind, seed, shard_records, found, options, tokens)


def _read_rows(
    job: RecordJob, files: Files, token_ids: TokenIds | None
) -> _Read:
    """Reads all rows and deals their records to the spools.

    A reading that is not finished cannot be resumed, so it leaves nothing.
    """
    shutil.rmtree(job.spools, ignore_errors=True)
    job.spools.mkdir()
    encoder = RecordEncoder(job.made_from.kind, token_ids)
    dealer = Dealer(job.spools, LANES, stream(job.made_from.seed, _SPOOLS))
    try:
        _deal_rows(files, encoder, dealer)
    except BaseException:
        job.remove_work()
        raise
    read = _Read(
        encoder.groups,
        {str(n): count for n, count in encoder.hard_negatives.items()},
        files.tally.to_json(),
        [list(part.size()) for part in dealer.parts],
    )
    job.finish_reading(read._asdict())
    return read


def _deal_rows(files: Files, encoder: RecordEncoder, dealer: Dealer) -> None:
    count = 0
    with tqdm.tqdm(
        total=files.num_bytes, unit="B", unit_scale=True, desc="reading"
    ) as bar:
        for count, (group, record) in enumerate(encoder.encode(files), 1):
            dealer.add(group, frame(record))
            if count % _UPDATE_ROWS == 0:
                bar.set_postfix_str(_rate(count, bar), refresh=False)
                bar.update(files.position - bar.n)
        dealer.finish()
        bar.set_postfix_str(_rate(count, bar), refresh=False)
        bar.update(files.num_bytes - bar.n)
    if not count:
        raise InputError(f"There are no rows in {files}. Is it the right file?")


def _rate(count: int, bar: tqdm.tqdm) -> str:
    seconds = bar.format_dict["elapsed"]
    return f"{count:,} records, {count / max(seconds, 1e-3):,.0f}/s"


def _write_shards(job: RecordJob, read: _Read) -> list[WrittenShard]:
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
    paths = [_path(job, number, num_shards) for number in numbers]
    sizes = record_files.sizes(paths)
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
    random = stream(job.made_from.seed, _PARTS, spool.number)
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
    random = stream(job.made_from.seed, _ORDER, number)
    order = permutation(random, len(index))
    content = memoryview(part.read_records())
    places = zip(starts[order].tolist(), ends[order].tolist(), strict=True)
    shard = b"".join([content[start:end] for start, end in places])
    record_files.write(_path(job, number, num_shards), shard)
    groups, counts = np.unique(index[:, 0], return_counts=True)
    return WrittenShard(
        number,
        len(index),
        len(shard),
        hashlib.sha256(shard).hexdigest(),
        list(zip(groups.tolist(), counts.tolist(), strict=True)),
    )


def _path(job: RecordJob, number: int, num_shards: int) -> str:
    return record_files.join(job.out, _shard_name(number, num_shards))


def _shard_name(number: int, num_shards: int) -> str:
    return f"shard-{number:05d}-of-{num_shards:05d}.tfrecord"


def _check_spool(job: RecordJob, spool: Part, noted: list[int]) -> None:
    """Raises `InputError` unless a spool is as it was when it was dealt."""
    if [*spool.size()] != noted:
        raise InputError(
            f"{job.out}: its shards or {spool.records} changed after they had "
            "been written. Remove the folder, and write the records again."
        )


def _check_room(job: RecordJob, read: _Read) -> None:
    """Raises `InputError` where a spool, its parts and a shard do not fit."""
    needed = 2 * max(size for _, size in read.spools) + _SPARE_BYTES
    free = shutil.disk_usage(job.work).free
    if free < needed:
        raise InputError(
            f"Writing the shards needs {needed / 1e9:.2f} GB free on the disk "
            f"of {job.work}. It has {free / 1e9:.2f} GB. Free some space, and "
            "start again with the same arguments: the rows are not read again."
        )


def _manifest(
    job: RecordJob, read: _Read, tally: Tally, written: list[WrittenShard]
) -> Manifest:
    counts = np.zeros([len(written), len(read.groups)], np.int32)
    for shard in written:
        for group, count in shard.groups:
            counts[shard.number, group] = count
    return Manifest(
        job.made_from,
        tuple(
            Group(tuple(languages), corpus, count)
            for (languages, corpus), count in zip(
                read.groups,
                counts.sum(axis=0, dtype=np.int64).tolist(),
                strict=True,
            )
        ),
        tuple(
            Shard(
                _shard_name(shard.number, len(written)),
                shard.records,
                shard.bytes,
                shard.sha256,
            )
            for shard in written
        ),
        counts,
        {int(n): count for n, count in read.hard_negatives.items()},
        {
            "rows": tally.num_rows,
            "blank_lines": tally.num_blank,
            "without_language": tally.num_without_language,
            "malformed": dict(tally.reasons),
        },
    )
