"""The records that a run reads: given, or written into its folder once."""

import hashlib
import os
import time

import tensorflow as tf
from absl import logging

from labse.checkpoints import run_folder
from labse.configs.schema import ExperimentConfig
from labse.data.record_reader import MISFIT, RecordReader
from labse.data.records.groups import PAIRS
from labse.data.records.job import OtherRecords
from labse.data.records.manifest import Manifest, is_records_folder
from labse.data.records.writer import write_records
from labse.errors import InputError
from labse.files.kinds import open_rows
from labse.files.reading import ReadOptions
from labse.files.remote_path import AnyPath
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.training import training_pairs

# Of a worker that waits, without a change of the files.
_PATIENCE = 600


def open_pairs(
    config: ExperimentConfig,
    patterns: list[str],
    folder: AnyPath,
    tokenizer: WordPieceTokenizer,
    reading: ReadOptions,
    is_chief: bool,
) -> RecordReader:
    """The pairs of a run, as records and checked.

    Args:
      config: of the run.
      patterns: a folder of records; or files of pairs, or globs, which the
        chief writes into the run folder as records.
      folder: the run folder.
      tokenizer: of the run.
      reading: what files do not say by themselves.
      is_chief: whether this process writes the run folder.

    Raises:
      InputError: the pairs break a rule, do not fit the configuration, or are
        not those that the run was begun with.
    """
    records = _find_folder(patterns)
    if not records:
        records = str(folder / run_folder.RECORDS)
        if is_chief:
            _write(patterns, records, config.training.seed, reading)
        else:
            _wait_for(records)
    manifest = Manifest.open(records, PAIRS, tokenizer, config.training_length)
    if is_chief:
        training_pairs.check_same_pairs(folder, manifest.identity())
    training_pairs.check_hard_negatives(manifest, config.data.hard_negatives)
    training_pairs.check_corpora(manifest, config.data.corpus_weights)
    logging.info(
        "%d pairs in %d language pairs.",
        manifest.num_records,
        len({group.name for group in manifest.groups}),
    )
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


def _find_folder(patterns: list[str]) -> str:
    """The folder of records that is given; empty if files are."""
    folders = [each for each in patterns if is_records_folder(each)]
    if folders and len(patterns) > 1:
        raise InputError(
            "train is one folder of records, or any number of files. "
            f"Received {len(patterns)}, with {folders[0]} among them. Write "
            "one folder of all, with labse write-records."
        )
    return folders[0] if folders else ""


def _write(
    patterns: list[str], records: str, seed: int, reading: ReadOptions
) -> None:
    """Writes the files as records, unless they are there."""
    try:
        write_records(patterns, records, seed=seed, options=reading)
    except OtherRecords:
        # Files that were touched or moved give the same records again; those
        # of other pairs are refused next, by what the run has noted.
        logging.info("%s is of other files: writing it again.", records)
        tf.io.gfile.rmtree(records)
        write_records(patterns, records, seed=seed, options=reading)


def _wait_for(records: str) -> None:
    """Waits until the chief has written the records.

    Raises:
      InputError: nothing has changed there for a while.
    """
    last, since = None, time.monotonic()
    while not is_records_folder(records):
        state = [
            (place, sorted(names))
            for place, _, names in tf.io.gfile.walk(records)
        ]
        if state != last:
            last, since = state, time.monotonic()
        if time.monotonic() - since > _PATIENCE:
            raise InputError(
                f"The first worker writes the pairs into {records}, which all "
                f"workers must see. Nothing changed there for {_PATIENCE} "
                "seconds. Put the run folder on a file system that they "
                "share, and see what the first worker reported."
            )
        time.sleep(0.2)


def check_damage(
    reader: RecordReader, step: int, error: tf.errors.OpError
) -> None:
    """Raises `InputError` where damaged records ended training.

    Args:
      reader: of the records.
      step: the first one whose batch could not be read, from 0.
      error: that ended training.
    """
    what = _find_damage(reader, step)
    if MISFIT in error.message and not what:
        what = next(
            line for line in error.message.split("\n") if MISFIT in line
        )
    if what:
        raise InputError(
            f"The batch of step {step} could not be read: {what} The last good "
            "checkpoint is kept. Copy the folder of records again, or remove "
            "it and write it again; then the same command resumes."
        ) from error


def _find_damage(reader: RecordReader, step: int) -> str:
    """Says what is wrong with the shards in use, if anything is."""
    shards = {shard.name: shard for shard in reader.manifest.shards}
    for path in reader.parts_in_use(step):
        if not tf.io.gfile.exists(path):
            return f"{path}: the file is missing."
        with tf.io.gfile.GFile(path, "rb") as file:
            found = hashlib.sha256(file.read()).hexdigest()
        if found == shards[os.path.basename(path)].sha256:
            continue
        try:
            for _ in open_rows(path, ReadOptions()).records():
                pass
        except InputError as error:
            return str(error)
        return f"{path}: its content is not what the manifest has."
    return ""
