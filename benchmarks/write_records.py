"""Writing records: pairs a second, and memory, of a small and a large file.

  python benchmarks/write_records.py [--pairs=1000000] [--vocab=vocab.txt]

The pairs are those of tatoeba_challenge_train in LABSE_DATA_DIR, repeated and
numbered up to the number wanted, in a .tsv. Each case is a process of its own,
which reports its time and its peak memory; TensorFlow alone has 600 MiB. The
peer, `plain`, does no more than a user's own script would: protobuf's Example,
TensorFlow's TFRecordWriter, in the order of the input, no row checked.
"""

import argparse
import itertools
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import tensorflow as tf
from machine import machine, peak_memory

from labse.data.records.tokens import TokenIds
from labse.data.records.writer import write_records
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary

SMALLER = 10
MOST_OF_A_LANGUAGE = 5_000


def read_pairs() -> list[str]:
    """Lines of a .tsv, without numbers, in random order."""
    folder = pathlib.Path(
        os.environ["LABSE_DATA_DIR"], "tatoeba_challenge_train"
    )
    lines = []
    for path in sorted(folder.glob("*-eng.tsv")):
        with open(path, encoding="utf-8", newline="\n") as file:
            language = path.name.partition("-")[0]
            for line in itertools.islice(file, MOST_OF_A_LANGUAGE):
                lines.append((*line.rstrip("\n").split("\t"), language))
    random.Random(0).shuffle(lines)
    return lines


def write_input(path: pathlib.Path, lines: list, num_pairs: int) -> None:
    """Writes a .tsv of numbered pairs."""
    with open(path, "w", encoding="utf-8") as file:
        file.write("source\ttarget\tsource_language\ttarget_language\n")
        for number in range(num_pairs):
            source, target, language = lines[number % len(lines)]
            file.write(
                f"{source} {number}\t{target} {number}\t{language}\teng\n"
            )


def make_token_ids(vocab: str) -> TokenIds:
    """Texts to ids."""
    return TokenIds(WordPieceTokenizer(Vocabulary.read(vocab)), 128)


def write_plainly(path: str, out: str) -> None:
    """The same pairs in one file, in their order."""
    with (
        open(path, encoding="utf-8") as file,
        tf.io.TFRecordWriter(out) as writer,
    ):
        names = next(file).rstrip("\n").split("\t")
        for line in file:
            example = tf.train.Example()
            for name, cell in zip(names, line[:-1].split("\t"), strict=True):
                value = example.features.feature[name].bytes_list.value
                value.append(cell.encode())
            writer.write(example.SerializeToString())


def run_case(case: str, path: str, vocab: str) -> None:
    """One case in this process; prints seconds and peak memory.

    The seconds are those of the clock, then those of all processors.
    """
    # Starting TensorFlow is no part of the work.
    token_ids = make_token_ids(vocab) if case == "ids" else None
    tf.constant(0) + 1
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as folder:
        out = os.path.join(folder, "out")
        start, start_cpu = time.perf_counter(), time.process_time()
        if case == "plain":
            write_plainly(path, out)
        else:
            write_records([path], out, token_ids=token_ids)
        seconds = time.perf_counter() - start
        print(seconds, time.process_time() - start_cpu, peak_memory())


def main() -> None:
    """Prints a table of all cases."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--vocab", default="", help="also pre-tokenized")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        run_case(arguments.case, arguments.path, arguments.vocab)
        return
    print(machine())
    cases = ["texts", "ids", "plain"] if arguments.vocab else ["texts", "plain"]
    lines = read_pairs()
    with tempfile.TemporaryDirectory() as folder:
        for num_pairs in (arguments.pairs // SMALLER, arguments.pairs):
            path = pathlib.Path(folder, f"{num_pairs}.tsv")
            write_input(path, lines, num_pairs)
            print(f"{num_pairs:,} pairs, {path.stat().st_size:,} bytes")
            for case in cases:
                command = [sys.executable, __file__, f"--case={case}"]
                command += [f"--path={path}", f"--vocab={arguments.vocab}"]
                done = subprocess.run(
                    command, check=True, stdout=subprocess.PIPE, text=True
                )
                seconds, cpu, memory = map(float, done.stdout.split())
                print(
                    f"  {case:6} {num_pairs / seconds:9,.0f} pairs/s, "
                    f"{num_pairs / cpu:9,.0f} a second of processor time, peak "
                    f"memory {memory / 2**20:,.0f} MiB"
                )


if __name__ == "__main__":
    main()
