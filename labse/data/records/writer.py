"""Writes records: files of any format to shards in random order.

Rows are read once and dealt to 64 spools, as `labse.data.records.dealing` says.
Then, one after the other, the records of a spool are dealt in the same way to
its shards, and a shard is shuffled and written. So every shard is a fair sample
of all rows, and the memory needed does not grow with their number.

The bytes of the shards are a pure function of the rows in their order, the
seed, `shard_records` and the tokenizer. Many processes that share the work
(`labse.data.records.in_units`) write the same.
"""

import dataclasses
import os
import shutil
from collections.abc import Iterable

import numpy as np

from labse.data.records import in_units
from labse.data.records.dealing import SPOOLS, Dealer
from labse.data.records.encoding import RecordEncoder
from labse.data.records.groups import (
    LANES,
    LANGUAGES,
    PAIRS,
    Group,
    MadeFrom,
    Shard,
)
from labse.data.records.in_units import RunPhase
from labse.data.records.job import RecordJob, RowsRead, WrittenShard
from labse.data.records.manifest import Manifest
from labse.data.records.rows import READERS
from labse.data.records.shards import shard_name, write_shards
from labse.data.records.tokens import TokenIds
from labse.errors import InputError
from labse.files.formats.tfrecord import frame
from labse.files.full_disk import full_disk_is_input_error
from labse.files.kinds import files_of
from labse.files.pairs import Files
from labse.files.reading import ReadOptions, Tally
from labse.progress import ProgressBar

SHARD_RECORDS = 16_384
_UPDATE_ROWS = 1024


def write_records(
    patterns: Iterable[str | os.PathLike],
    out: str | os.PathLike,
    *,
    kind: str = PAIRS,
    seed: int = 0,
    shard_records: int = SHARD_RECORDS,
    token_ids: TokenIds | None = None,
    options: ReadOptions | None = None,
    run_phase: RunPhase | None = None,
    work: str | os.PathLike | None = None,
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
      run_phase: runs units of work, on many processes, where there is more
        than one; by default, all is done in this process. The records are the
        same.
      work: folder for what is removed at the end; by default in `out`.

    Raises:
      InputError: a file breaks a rule, too many rows are malformed, or there
        is none; `out` holds something else; or the disk is full.
    """
    _check_arguments(kind, seed, shard_records)
    options = options or ReadOptions()
    files = READERS[kind](patterns, options)
    made_from = _describe(files, kind, seed, shard_records, token_ids)
    job = RecordJob(out, made_from, work)
    if found := job.find_finished():
        job.remove_work()
        return found
    with job.begun(), full_disk_is_input_error(job.work.parent):
        phases = _phases(job, files, token_ids, run_phase)
        if phases:
            read = job.read() or phases.read()
        else:
            read = job.read() or _read_rows(job, files, token_ids)
        tally = Tally.from_json(read.tally)
        tally.check(options.max_malformed_share)
        written = phases.write(read) if phases else write_shards(job, read)
        manifest = _manifest(job, read, tally, written)
        manifest.write(job.out)
    job.remove_work()
    return manifest


def _phases(
    job: RecordJob,
    files: Files,
    token_ids: TokenIds | None,
    run_phase: RunPhase | None,
) -> in_units.Phases | None:
    """The phases of a job in units; None: it is done in this process.

    What was begun in one way is finished so.
    """
    if in_units.has_begun(job):
        run_phase = run_phase or in_units.one_by_one
    elif job.read() or len(in_units.plan_reading(files)) == 1:
        run_phase = None
    if run_phase is None:
        return None
    return in_units.Phases(job, files, token_ids, run_phase)


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
) -> RowsRead:
    """Reads all rows and deals their records to the spools.

    A reading that is not finished cannot be resumed, so it leaves nothing.
    """
    shutil.rmtree(job.spools, ignore_errors=True)
    job.spools.mkdir()
    encoder = RecordEncoder(job.made_from.kind, token_ids)
    dealer = Dealer(job.spools, LANES, job.made_from.seed, SPOOLS)
    try:
        _deal_rows(files, encoder, dealer)
    except BaseException:
        job.remove_work()
        raise
    read = RowsRead(
        encoder.groups,
        {str(n): count for n, count in encoder.hard_negatives.items()},
        files.tally.to_json(),
        [list(part.size()) for part in dealer.parts],
    )
    job.finish_reading(read)
    return read


def _deal_rows(files: Files, encoder: RecordEncoder, dealer: Dealer) -> None:
    count = 0
    with ProgressBar(
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
        raise in_units.no_records(encoder.kind, files)


def _rate(count: int, bar: ProgressBar) -> str:
    seconds = bar.format_dict["elapsed"]
    return f"{count:,} records, {count / max(seconds, 1e-3):,.0f}/s"


def _manifest(
    job: RecordJob, read: RowsRead, tally: Tally, written: list[WrittenShard]
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
                shard_name(shard.number, len(written)),
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
