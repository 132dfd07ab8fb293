"""Reading records: pairs a second, memory, time to the first batch, waiting.

    python benchmarks/reading.py rates --pairs=train.tsv --vocab=vocab.txt
    python benchmarks/reading.py sizes --pairs=train.tsv --folder=DISK
    python benchmarks/reading.py training --pairs=train.tsv --vocab=vocab.txt

`rates`: our reader with tokenizing, and from pre-tokenized records, beside
`tf.data.TFRecordDataset` with nothing but parsing, of the same shards. They
take turns; the best round counts.

`sizes`: 1 million and 100 million pairs (13 GB in DISK, removed at the end),
made of the short ones of the given pairs by repetition, each with a number of
its own. They are written straight into shards, all of the same sentences,
without the shuffling of `labse write-records`. Each figure is of a process of
its own.

`training`: the share of its time that a step of `labse_small_open` waits for
data, and its time beside that with batches from memory.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from machine import machine, peak_memory

from labse.configs import loading
from labse.data.batches import batches
from labse.data.record_reader import RecordReader
from labse.data.records.example_bytes import example, int64_feature, text_head
from labse.data.records.groups import LANES, PAIRS, Group, MadeFrom, Shard
from labse.data.records.manifest import Manifest
from labse.data.records.pair_record import TrainingPairs
from labse.data.records.tokens import TokenIds
from labse.data.records.writer import SHARD_RECORDS, write_records
from labse.features import GROUP, SOURCE, SOURCE_IDS, TARGET, TARGET_IDS
from labse.files.formats.tfrecord import checksum, frame
from labse.modeling.dual_encoder import DualEncoder
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary
from labse.training.optimizer import make_optimizer

BATCH = 4096
MAX_LENGTH = 32
DIGITS = 9
SHORT = 60  # bytes of a pair that is repeated


def open_reader(folder, batch_size=BATCH, **options) -> RecordReader:
    """The reader of a folder of pairs."""
    return RecordReader(
        folder, Manifest.open(folder, PAIRS), batch_size, **options
    )


def pairs_per_second(dataset, batch_size: int, seconds: float) -> float:
    """The rate after the first batch."""
    iterator = iter(dataset)
    next(iterator)
    started, count = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        next(iterator)
        count += batch_size
    return count / (time.monotonic() - started)


def plain(folder, features) -> tf.data.Dataset:
    """TensorFlow's own reader, with nothing but parsing."""
    paths = Manifest.read(folder).paths(folder)
    # One file after the other: with num_parallel_reads it is slower.
    return (
        tf.data.TFRecordDataset(paths)
        .repeat()
        .batch(BATCH, drop_remainder=True)
        .map(
            lambda each: tf.io.parse_example(each, features),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .prefetch(tf.data.AUTOTUNE)
    )


def rates(options) -> None:
    """Prints pairs a second of each way of reading."""
    vocabulary = Vocabulary.read(options.vocab)
    tokenizer = WordPieceTokenizer(vocabulary)
    text = tf.io.FixedLenFeature([], tf.string)
    ids = tf.io.RaggedFeature(tf.int64)
    steps = range(options.step, options.step + 10**6)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        texts, tokens = f"{folder}/texts", f"{folder}/ids"
        write_records([options.pairs], texts)
        token_ids = TokenIds(tokenizer, MAX_LENGTH)
        write_records([options.pairs], tokens, token_ids=token_ids)

        def ours(records):
            reader = open_reader(records, language_exponent=options.exponent)
            return batches(reader, tokenizer, MAX_LENGTH, steps, BATCH)

        contenders = {
            "plain, texts": lambda: plain(texts, {SOURCE: text, TARGET: text}),
            "plain, ids": lambda: plain(
                tokens, {SOURCE_IDS: ids, TARGET_IDS: ids}
            ),
            "ours, serialised texts": lambda: open_reader(texts).records(
                steps, BATCH
            ),
            "ours, tokenized": lambda: ours(texts),
            "ours, pre-tokenized": lambda: ours(tokens),
        }
        best = dict.fromkeys(contenders, 0.0)
        for _ in range(options.rounds):
            for name, make in contenders.items():
                rate = pairs_per_second(make(), BATCH, options.seconds)
                best[name] = max(best[name], rate)
    for name, rate in best.items():
        print(f"{name:24} {rate:9,.0f} pairs/s")
    ratio = best["ours, pre-tokenized"] / best["plain, ids"]
    print(f"pre-tokenized / plain: {ratio:.2f}")


def base_records(path: str, count: int) -> tuple[list[bytes], list[Group]]:
    """Short pairs with a number of zeros in the source, and their groups."""
    groups, records = {}, []
    zeros = b" " + b"0" * DIGITS
    for pair in TrainingPairs([path]):
        source, target = pair.source + zeros, pair.target
        if len(source) + len(target) > SHORT + len(zeros):
            continue
        group = groups.setdefault(pair.languages, len(groups))
        features = int64_feature(GROUP, [group])
        for name, text in ((SOURCE, source), (TARGET, target)):
            features += text_head(name, len(text)) + text
        records.append(example(features))
        if len(records) == count:
            break
    counts = dict.fromkeys(groups, 0)
    return records, [Group((*name.split("-"),), "", 0) for name in counts]


def write_numbered(path: str, folder: pathlib.Path, count: int) -> None:
    """About `count` records, in shards of the usual size."""
    num_shards = LANES * -(-count // (LANES * SHARD_RECORDS))
    records, groups = base_records(path, -(-count // num_shards))
    framed = list(map(frame, records))
    ends = np.cumsum([len(each) for each in framed])
    content = np.frombuffer(b"".join(framed), np.uint8).copy()
    starts = ends - [len(each) for each in framed]
    zeros = b"0" * DIGITS
    digits = starts + [each.index(zeros) for each in framed]
    digits = digits[:, None] + np.arange(DIGITS)
    powers = 10 ** np.arange(DIGITS)[::-1]
    shards = []
    for shard in range(num_shards):
        numbers = shard * len(records) + np.arange(len(records))
        content[digits] = 48 + numbers[:, None] // powers % 10
        whole = bytearray(content)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            body = bytes(whole[start + 12 : end - 4])
            whole[end - 4 : end] = checksum(body)
        name = f"shard-{shard:05d}-of-{num_shards:05d}.tfrecord"
        (folder / name).write_bytes(whole)
        shards.append(Shard(name, len(records), len(whole), ""))
    numbers = [
        tf.train.Example.FromString(record)
        .features.feature[GROUP]
        .int64_list.value[0]
        for record in records
    ]
    counts = np.bincount(numbers, minlength=len(groups)).astype(np.int32)
    groups = tuple(
        group._replace(records=int(number) * num_shards)
        for group, number in zip(groups, counts, strict=True)
    )
    made_from = MadeFrom(PAIRS, 0, SHARD_RECORDS, [], {}, None)
    Manifest(
        made_from, groups, tuple(shards), np.tile(counts, [num_shards, 1]), {},
        {},
    ).write(folder)  # fmt: skip


def sizes(options) -> None:
    """Prints memory and time to the first batch of both sizes."""
    for count in options.counts:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            started = time.monotonic()
            write_numbered(options.pairs, pathlib.Path(folder), count)
            seconds = time.monotonic() - started
            print(f"{count:,} pairs, written in {seconds:.0f} s", flush=True)
            deep = int(3.5 * count / BATCH)
            for step in (0, deep):
                process = subprocess.run(
                    [sys.executable, __file__, "one", f"--folder={folder}",
                     f"--step={step}"],
                    check=True, capture_output=True, text=True,
                )  # fmt: skip
                found = json.loads(process.stdout.splitlines()[-1])
                print(
                    f"  from step {step:6}: first batch after "
                    f"{found['first']:.1f} s, peak "
                    f"{found['peak'] / 2**20:,.0f} MiB",
                    flush=True,
                )


def one(options) -> None:
    """Reads a folder from a step on, and reports as JSON."""
    started = time.monotonic()
    reader = open_reader(options.folder, language_exponent=options.exponent)
    steps = range(options.step, options.step + 10**6)
    iterator = iter(reader.records(steps, BATCH))
    next(iterator)
    first = time.monotonic() - started
    for _ in range(options.batches):
        next(iterator)
    print(json.dumps({"first": first, "peak": peak_memory()}))


def training(options) -> None:
    """Prints how long steps of labse_small_open wait for data."""
    vocabulary = Vocabulary.read(options.vocab)
    config = loading.load("labse_small_open", [])
    config = config.with_vocab_size(len(vocabulary.pieces))
    tokenizer = WordPieceTokenizer.from_config(vocabulary, config.tokenizer)
    batch_size = config.training.global_batch_size
    model = DualEncoder.of_experiment(config)
    model.compile(optimizer=make_optimizer(config.training))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        write_records([options.pairs], f"{folder}/texts")
        token_ids = TokenIds(tokenizer, config.training_length)
        write_records([options.pairs], f"{folder}/ids", token_ids=token_ids)
        steps = range(10**6)
        data = {}
        for name in ("texts", "ids"):
            reader = open_reader(
                f"{folder}/{name}",
                batch_size,
                language_exponent=config.data.language_exponent,
            )
            data[name] = batches(
                reader, tokenizer, config.training_length, steps, batch_size
            )
        in_memory = list(data["ids"].take(20))
        function = tf.function(model.train_step, autograph=False)
        for _ in range(options.rounds):
            for name, dataset in (*data.items(), ("memory", None)):
                rate, waited = time_steps(
                    function,
                    iter(in_memory * 50 if dataset is None else dataset),
                    options.seconds,
                )
                print(
                    f"{name:8} {rate * batch_size:8,.0f} pairs/s, waits "
                    f"{100 * waited:.2f} % of the time",
                    flush=True,
                )


def time_steps(function, iterator, seconds: float) -> tuple[float, float]:
    """Steps a second, and the share of the time spent waiting for data."""
    for _ in range(3):
        function(next(iterator))
    started, count, waited = time.monotonic(), 0, 0.0
    while time.monotonic() - started < seconds:
        before = time.monotonic()
        batch = next(iterator)
        waited += time.monotonic() - before
        function(batch)["loss"].numpy()
        count += 1
    elapsed = time.monotonic() - started
    return count / elapsed, waited / elapsed


def main() -> None:
    """Runs one of the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    programs = {each.__name__: each for each in (rates, sizes, training, one)}
    parser.add_argument("program", choices=programs)
    parser.add_argument("--pairs", help="A file of pairs.")
    parser.add_argument("--vocab", help="vocab.txt")
    parser.add_argument("--folder", help="Where records are written.")
    parser.add_argument("--counts", type=int, nargs="+", default=[10**6, 10**8])
    parser.add_argument("--exponent", type=float, default=1.0)
    parser.add_argument("--step", type=int, default=0)
    parser.add_argument("--batches", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.program != "one":
        print(machine())
    programs[options.program](options)


if __name__ == "__main__":
    main()
