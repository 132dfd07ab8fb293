r"""A vocabulary of the paper's size: ours, and Hugging Face's trainer alone.

    python -m benchmarks.corpora.vocabulary --data=DATA --out=FOLDER \
        [--words=11800000] [--vocab_size=501153] [--exponents 0.3 1.0] \
        [--contenders labse huggingface] [--workers=2] [--peer_gigabytes=16]

DATA holds the sets that `vocabulary_text` names; it also says by which rule
further words are made. 11,800,000 words, counted once in each language, are
more than ten million distinct ones. The text is written to OUT once.

- labse: `labse build-vocab` from the files to vocab.txt, counting on Beam
  included, once for each exponent; the second finds the words counted.
- huggingface: `tokenizers`' WordPiece trainer with BERT's pre-tokenizer, given
  the same lines, all characters. It knows no languages, so no smoothing. It
  gets at most --peer_gigabytes (address space); beyond, its code is not 0.

Each is a process of its own. Reported are its time, the peak of its memory
with all its child processes (proportional set size, every half second), and
on held-out text each language's [UNK] words and pieces per word, beside
mBERT's vocabulary. All are read by the same tokenizer.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import threading
import time

from benchmarks.corpora import vocabulary_text
from benchmarks.machine import machine, process_tree

# fmt: off
LANGUAGES = ("en", "de", "fr", "ru", "zh", "ja", "th", "my", "km", "ka", "am",
             "si", "sw", "ne", "ps", "eu", "kk")
# fmt: on


def train_huggingface(text: str, vocab_size: int, out: str) -> None:
    """The peer: everything by `tokenizers`."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece())
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(
        lowercase=False
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    )

    def lines():
        for path in sorted(pathlib.Path(text).glob("*.tsv")):
            with open(path, encoding="utf-8", newline="\n") as file:
                next(file)
                for line in file:
                    yield line.rstrip("\n").split("\t")[1]

    tokenizer.train_from_iterator(lines(), trainer)
    ids = tokenizer.get_vocab()
    pieces = sorted(ids, key=ids.__getitem__)
    pathlib.Path(out).write_text("".join(f"{p}\n" for p in pieces), "utf-8")


def run(command: list[str], log: pathlib.Path) -> dict:
    """Seconds and peak memory of a command and its children."""
    began = time.monotonic()
    peak, ended = [0], threading.Event()
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)

        def watch():
            while not ended.wait(0.5):
                peak[0] = max(peak[0], _memory_of_tree(process.pid))

        thread = threading.Thread(target=watch)
        thread.start()
        code = process.wait()
        ended.set()
        thread.join()
    return {
        "seconds": round(time.monotonic() - began, 1),
        "gigabytes": round(peak[0] / 1e9, 2),
        "code": code,
    }


def _memory_of_tree(root: int) -> int:
    """Proportional set size in bytes of a process and its children."""
    return sum(map(_memory, process_tree(root)))


def _memory(number: int) -> int:
    try:
        text = pathlib.Path(f"/proc/{number}/smaps_rollup").read_text()
    except OSError:
        return 0  # It has ended.
    rows = dict(line.split(":", 1) for line in text.splitlines()[1:])
    return int(rows["Pss"].split()[0]) * 1024


def held_out_figures(path: pathlib.Path, held_out: pathlib.Path) -> dict:
    """Figures of a vocabulary by language.

    The peer's pieces that are too long for any tokenizer here are left out.
    """
    from data_pipeline.vocabulary import vocabulary_report
    from labse.files.reading import ReadOptions
    from labse.files.texts import Texts
    from labse.preprocessing.vocabulary import MAX_PIECE_BYTES

    texts = Texts([held_out], ReadOptions(tsv_quotes="text"))
    pieces = [
        piece
        for piece in path.read_text("utf-8").split("\n")[:-1]
        if len(piece.encode()) <= MAX_PIECE_BYTES
    ]
    return vocabulary_report.count_pieces(pieces, texts)


def print_figures(figures: dict[str, dict]) -> None:
    """A table: [UNK] words and pieces per word by language and vocabulary."""
    print("| language | " + " | ".join(figures) + " |")
    print("|---" * (len(figures) + 1) + "|")
    shared = set.intersection(*map(set, figures.values()))
    for language in [name for name in LANGUAGES if name in shared] + ["all"]:
        cells = [
            f"{rows[language].unknown_rate:.2%} / "
            f"{rows[language].pieces_per_word:.3f}"
            for rows in figures.values()
        ]
        print(f"| {language} | " + " | ".join(cells) + " |")


def main() -> None:
    """Runs all contenders."""
    arguments = _arguments()
    data, out = arguments.data, arguments.out
    if arguments.train_huggingface:
        limit = int(arguments.peer_gigabytes * 1e9)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        return train_huggingface(
            str(out / "text"), arguments.vocab_size, arguments.train_huggingface
        )
    print(machine())
    text, held_out = out / "text", out / "held_out.tsv"
    if not text.exists():
        print(f"{vocabulary_text.write_text(data, text, arguments.words):,}")
        vocabulary_text.write_held_out(data, held_out)
    commands = {}
    if "labse" in arguments.contenders:
        for exponent in arguments.exponents:
            commands[f"labse, {exponent}"] = [
                "-m", "labse.bin.build_vocab", f"--input={text}/*.tsv",
                "--tsv_quotes=text", f"--vocab_size={arguments.vocab_size}",
                f"--out={out}/labse, {exponent}.txt", f"--work={out}/work",
                f"--smoothing_exponent={exponent}",
                f"--workers={arguments.workers}",
            ]  # fmt: skip
    if "huggingface" in arguments.contenders:
        commands["huggingface"] = [
            "-m", "benchmarks.corpora.vocabulary", *sys.argv[1:],
            f"--train_huggingface={out}/huggingface.txt",
        ]  # fmt: skip
    results, figures = {}, {}
    for name, command in commands.items():
        results[name] = run([sys.executable, *command], out / f"{name}.log")
        print(f"{name}: {json.dumps(results[name])}", flush=True)
        if not results[name]["code"]:
            figures[name] = held_out_figures(out / f"{name}.txt", held_out)
    _print_ratio(results)
    mbert = data / "vocabs/bert_multi_cased.vocab.txt"
    figures["mBERT"] = held_out_figures(mbert, held_out)
    print_figures(figures)


def _print_ratio(results: dict[str, dict]) -> None:
    ours = [row for name, row in results.items() if name.startswith("labse")]
    peer = results.get("huggingface")
    if ours and peer and not peer["code"]:
        for unit in ("seconds", "gigabytes"):
            print(
                f"huggingface / labse, {unit}: {peer[unit] / ours[0][unit]:.2f}"
            )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--words", type=int, default=11_800_000)
    parser.add_argument("--vocab_size", type=int, default=501_153)
    parser.add_argument("--exponents", nargs="+", default=["0.3", "1.0"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--contenders", nargs="+", default=["labse", "huggingface"]
    )
    parser.add_argument("--peer_gigabytes", type=float, default=16)
    parser.add_argument("--train_huggingface", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
