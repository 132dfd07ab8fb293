"""The `labse` command: one program for each job."""

import importlib
import sys

from labse.bin.flags import program
from labse.version import __version__

PROGRAMS = {
    "train": ("labse.bin.train", "train a dual encoder on pairs"),
    "pretrain": (
        "labse.bin.pretrain",
        "pre-train an encoder on text and pairs (MLM, TLM), for labse train",
    ),
    "write-records": (
        "labse.bin.write_records",
        "pairs or texts -> shuffled records (TFRecord), for labse train",
    ),
    "estimate": (
        "labse.bin.estimate",
        "whether a training fits on given hardware, and how long it takes",
    ),
    "mine-hard-negatives": (
        "labse.bin.mine_hard_negatives",
        "pairs -> the same pairs with hard negatives, for labse train",
    ),
    "encode": ("labse.bin.encode", "text file -> vectors (.npy)"),
    "score": ("labse.bin.score", "pairs -> the same pairs with their scores"),
    "evaluate": (
        "labse.bin.evaluate",
        "evaluate models on a task: metrics.json, report.html",
    ),
    "mine": ("labse.bin.mine", "two corpora -> scored translation pairs"),
    "paraphrases": (
        "labse.bin.paraphrases",
        "one corpus -> scored pairs of paraphrases",
    ),
    "convert": (
        "labse.bin.convert",
        "a model of any format -> a run or Hugging Face folder",
    ),
    "prune-vocab": (
        "labse.bin.prune_vocab",
        "a smaller model: only the pieces that a text needs, same vectors",
    ),
    "grow-vocab": (
        "labse.bin.grow_vocab",
        "add pieces for a language, initialized from those they replace",
    ),
    "export": ("labse.bin.export", "run folder -> SavedModels"),
    "verify": (
        "labse.bin.verify",
        "check an export with TF Hub, Keras and TF Serving's loader",
    ),
    "extract-gettext": (
        "labse.bin.extract_gettext",
        "translation catalogues (.po, .mo) -> pairs",
    ),
    "build-vocab": (
        "labse.bin.build_vocab",
        "text of many languages -> WordPiece vocabulary",
    ),
    "clean-monolingual": (
        "labse.bin.clean_monolingual",
        "web archives, dumps and text -> clean sentences by language",
    ),
    "train-quality": (
        "labse.bin.train_quality",
        "web pages -> a classifier of sentence quality",
    ),
    "split-pairs": (
        "labse.bin.split_pairs",
        "pairs -> training and held-out pairs that share no source text",
    ),
}


def usage() -> str:
    """The text of `labse --help`."""
    lines = [
        f"labse {__version__}: language-agnostic sentence embeddings",
        "",
        "usage: labse PROGRAM [--flag=value ...]",
        "       labse PROGRAM --help",
        "",
    ]
    lines += [f"  {name:<19} {what}" for name, (_, what) in PROGRAMS.items()]
    return "\n".join(lines)


def main() -> None:
    """Entry point of the console script."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        with program.quiet_if_output_ends():
            print(usage(), flush=True)
        sys.exit(0)
    if arguments[0] == "--version":
        print(__version__)
        sys.exit(0)
    name = arguments[0]
    if name not in PROGRAMS:
        print(
            f"labse: there is no program {name!r}. Programs: "
            f"{', '.join(PROGRAMS)}.",
            file=sys.stderr,
        )
        sys.exit(program.USAGE_EXIT_CODE)
    program.quiet_libraries()
    module = importlib.import_module(PROGRAMS[name][0])
    program.run_as_process(module, arguments[1:], f"labse {name}")


if __name__ == "__main__":
    main()
