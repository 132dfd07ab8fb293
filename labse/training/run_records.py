"""The records that a run reads: given, or written into its folder once."""

import hashlib
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from labse.configs.schema import ExperimentConfig
from labse.data.record_reader import MISFIT, RecordReader
from labse.data.records.groups import PAIRS
from labse.data.records.job import OtherRecords
from labse.data.records.manifest import Manifest, is_records_folder
from labse.data.records.writer import write_records
from labse.errors import InputError
from labse.files.kinds import kind_of, open_rows
from labse.files.reading import ReadOptions
from labse.files.remote_path import AnyPath, as_path, is_remote
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.training import same_records, training_pairs
from labse.training.distribution import Workers
from labse.training.same_records import TRAINING_PAIRS, RecordSet

_IDENTITY_BYTES = 32  # SHA-256.
_REPAIR = (
    "Copy the folder of records again, or remove it and write it again; then "
    "the same command"
)


class GivenRecords(NamedTuple):
    """Files or a folder that the user gives, and how to read them.

    Attributes:
      patterns: a folder of records; or files, or globs, which the chief writes
        into the run folder as records.
      reading: what files do not say by themselves.
      seed: of the order in which files are written.
    """

    patterns: Sequence[str]
    reading: ReadOptions
    seed: int


def open_pairs(
    config: ExperimentConfig,
    patterns: Sequence[str],
    folder: AnyPath,
    tokenizer: WordPieceTokenizer,
    reading: ReadOptions,
    workers: Workers,
) -> RecordReader:
    """The pairs of a run, as records and checked; all workers must call it.

    Args:
      config: of the run.
      patterns: see `GivenRecords`.
      folder: the run folder.
      tokenizer: of the run.
      reading: what files do not say by themselves.
      workers: that train together.

    Raises:
      InputError: the pairs break a rule, do not fit the configuration, or are
        not those that the run was begun with.
    """
    records, manifest = open_records(
        TRAINING_PAIRS,
        GivenRecords(patterns, reading, config.training.seed),
        folder,
        tokenizer,
        config.training_length,
        workers,
    )
    training_pairs.check_hard_negatives(manifest, config.data.hard_negatives)
    training_pairs.check_corpora([manifest], config.data.corpus_weights)
    reader = RecordReader(
        records,
        manifest,
        config.training.global_batch_size,
        config.training.seed,
        config.data.language_exponent,
        config.data.corpus_weights,
    )
    training_pairs.check_negatives(reader, config)
    return reader


def open_records(
    records: RecordSet,
    given: GivenRecords,
    folder: AnyPath,
    tokenizer: WordPieceTokenizer,
    max_length: int,
    workers: Workers,
) -> tuple[str, Manifest]:
    """The records that a run reads; all workers must call it.

    Args:
      records: what they are in the run.
      given: by the user.
      folder: the run folder.
      tokenizer: of the run.
      max_length: that texts are padded or truncated to.
      workers: that train together.

    Returns:
      the folder of records and its manifest.

    Raises:
      InputError: files break a rule, or the records are not those that the run
        was begun with.
    """
    found = _find_folder(records, given.patterns)
    path = found or str(folder / records.place)
    if workers.is_chief and not found:
        _write(records, given, folder)

    def read() -> Manifest:
        return Manifest.open(path, records.kind, tokenizer, max_length)

    manifest = _open_together(records, path, folder, read, workers)
    logging.info(
        "%d %s in %d %s.",
        manifest.num_records,
        records.words,
        len({group.name for group in manifest.groups}),
        "language pairs" if records.kind == PAIRS else "languages",
    )
    return path, manifest


def _open_together(
    records: RecordSet,
    path: str,
    folder: AnyPath,
    read: Callable[[], Manifest],
    workers: Workers,
) -> Manifest:
    """The manifest, the same on all workers.

    The others open it after the chief: what stands there before may be of an
    earlier start, which the chief writes again.
    """
    if workers.is_chief:
        manifest = read()
        same_records.check_same(folder, records, manifest.identity())
        workers.from_chief(bytes.fromhex(manifest.identity()))
        return manifest
    identity = workers.from_chief(bytes(_IDENTITY_BYTES)).hex()
    if not is_records_folder(path):
        raise InputError(
            f"All workers read the records in {path}. The first worker "
            "finds them there, this one does not. Put them on a file system "
            "that all share."
        )
    manifest = read()
    if manifest.identity() != identity:
        raise InputError(
            f"All workers read the same records. Those in {path} are "
            "others for the first worker than for this one. Put them on a "
            "file system that all share, or copy them again."
        )
    return manifest


def _find_folder(records: RecordSet, patterns: Sequence[str]) -> str:
    """The folder of records that is given; empty if files are."""
    folders = [each for each in patterns if is_records_folder(each)]
    if folders and len(patterns) > 1:
        raise InputError(
            f"{records.argument} is one folder of records, or any number of "
            f"files. Received {len(patterns)}, with {folders[0]} among them. "
            "Write one folder of all, with labse write-records."
        )
    remote = [each for each in patterns if is_remote(each)]
    if remote and not folders:
        raise InputError(
            f"{records.argument} is files on a disk, or a folder of records, "
            "which may be remote and has a manifest.json. Received: "
            f"{remote[0]}. Write the files' records there, with labse "
            "write-records; what that has not finished, the same command "
            "resumes."
        )
    return folders[0] if folders else ""


def _write(records: RecordSet, given: GivenRecords, folder: AnyPath) -> None:
    """Writes the files as records into the run folder, unless they are there.

    Raises:
      InputError: those there are what the run was begun with, and others.
    """
    place = folder / records.place

    def write() -> None:
        write_records(
            given.patterns,
            place,
            kind=records.kind,
            seed=given.seed,
            options=given.reading,
        )

    try:
        write()
    except OtherRecords as error:
        if same_records.is_begun_with(folder, records):
            if not error.are_moved:
                raise same_records.other_records(
                    folder, records, error.changes
                ) from error
            logging.warning(
                "The files of %s have the names and sizes that they had, "
                "but other folders or times. The run resumes with what it "
                "read before, %s.",
                records.words,
                place,
            )
            return
        logging.info("%s is of other files: writing it again.", place)
        error.job.remove()
        write()


def check_damage(
    reader: RecordReader, step: int, error: tf.errors.OpError
) -> None:
    """Raises `InputError` where damaged records ended training.

    Args:
      reader: of the records.
      step: the first one whose batch could not be read, from 0.
      error: that ended training.
    """
    what = _find_damage(reader, [step], error)
    if what:
        raise InputError(
            f"The batch of step {step} could not be read: {what} The last good "
            f"checkpoint is kept. {_REPAIR} resumes."
        ) from error


def check_sample_damage(
    reader: RecordReader, count: int, error: tf.errors.OpError
) -> None:
    """As `check_damage`, of `count` records that are read before training.

    `reader` reads one of them a step.
    """
    what = _find_damage(reader, [0, count - 1], error)
    if what:
        raise InputError(
            f"The records could not be read: {what} {_REPAIR} trains."
        ) from error


def _find_damage(
    reader: RecordReader, steps: Sequence[int], error: tf.errors.OpError
) -> str:
    """Says what is wrong with the records of some steps, if anything is."""
    parts = [part for step in steps for part in reader.parts_in_use(step)]
    what = _find_damaged_part(reader, dict.fromkeys(parts))
    if MISFIT in error.message and not what:
        return next(
            line for line in error.message.split("\n") if MISFIT in line
        )
    return what


def _find_damaged_part(reader: RecordReader, parts: Iterable[str]) -> str:
    shards = {shard.name: shard for shard in reader.manifest.shards}
    for path in map(as_path, parts):
        if not path.exists():
            return f"{path}: the file is missing."
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() == shards[path.name].sha256:
            continue
        damaged = _find_damaged_record(path, content)
        return damaged or f"{path}: its content is not what the manifest has."
    return ""


def _find_damaged_record(path: AnyPath, content: bytes) -> str:
    """Says which record of a shard is damaged; empty if each is whole."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch, path.name)  # `path` may be remote.
        copy.write_bytes(content)
        rows = open_rows(copy, kind=kind_of(copy), shown_as=str(path))
        try:
            for _ in rows.records():
                pass
        except InputError as error:
            return str(error)
    return ""
