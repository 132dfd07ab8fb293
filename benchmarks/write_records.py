"""Writing records: pairs a second, and memory, of a small and a large file.

  python benchmarks/write_records.py [--pairs=1000000] [--vocab=vocab.txt]

The pairs are those of tatoeba_challenge_train in LABSE_DATA_DIR, repeated and
numbered up to the number wanted, in a .tsv. Each case is a process of its own,
which reports its peak memory. The peer does no more than a user's own script
would: protobuf's Example, TensorFlow's TFRecordWriter, the input's order.
"""

import argparse
import glob
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from machine import machine, peak_memory

SMALLER = 10


def write_input(path: pathlib.Path, num_pairs: int) -> None:
    """Writes a .tsv of numbered pairs."""
    folder = os.path.join(
        os.environ["LABSE_DATA_DIR"], "tatoeba_challenge_train"
    )
    inputs = sorted(
        glob.glob(os.path.join(folder, "**", "*.tsv*"), recursive=True)
    )
    from labse.files.pairs import PairFiles

    pairs = list(itertools.islice(PairFiles(inputs), num_pairs))
    with open(path, "w", encoding="utf-8") as file:
        file.write("source\ttarget\tsource_language\ttarget_language\n")
        for number in range(num_pairs):
            source, target, *languages = pairs[number % len(pairs)][:4]
            cells = (f"{source} {number}", f"{target} {number}", *languages)
            file.write("\t".join(cells) + "\n")


def write_ours(path: str, out: str, vocab: str) -> None:
    """Records as `labse train` reads them."""
    from labse.data.record_tokens import TokenIds
    from labse.data.record_writer import write_records
    from labse.preprocessing.tokenizer import WordPieceTokenizer
    from labse.preprocessing.vocabulary import Vocabulary

    token_ids = None
    if vocab:
        tokenizer = WordPieceTokenizer(Vocabulary.read(vocab))
        token_ids = TokenIds(tokenizer, 128)
    write_records([path], out, token_ids=token_ids)


def write_plainly(path: str, out: str) -> None:
    """The same pairs in one file, in their order."""
    import tensorflow as tf

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
    """One case in this process; prints seconds and peak memory."""
    import tensorflow as tf

    tf.constant(0) + 1  # Starting TensorFlow is no part of the work.
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as folder:
        out = os.path.join(folder, "out")
        start = time.perf_counter()
        if case == "plain":
            write_plainly(path, out)
        else:
            write_ours(path, out, vocab if case == "ids" else "")
        print(time.perf_counter() - start, peak_memory())


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
    with tempfile.TemporaryDirectory() as folder:
        for num_pairs in (arguments.pairs // SMALLER, arguments.pairs):
            path = pathlib.Path(folder, f"{num_pairs}.tsv")
            write_input(path, num_pairs)
            print(f"{num_pairs:,} pairs, {path.stat().st_size:,} bytes")
            for case in cases:
                command = [sys.executable, __file__, f"--case={case}"]
                command += [f"--path={path}", f"--vocab={arguments.vocab}"]
                done = subprocess.run(
                    command, check=True, stdout=subprocess.PIPE, text=True
                )
                seconds, memory = map(float, done.stdout.split())
                print(
                    f"  {case:6} {num_pairs / seconds:9,.0f} pairs/s, peak "
                    f"memory {memory / 2**20:,.0f} MiB"
                )


if __name__ == "__main__":
    main()
