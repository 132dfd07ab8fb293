"""Pairs -> training and held-out pairs that share no source text.

  labse split-pairs --input=pairs.tsv --train_out=train.tsv
                    --heldout_out=heldout.tsv --share=0.1

A source text is held out in all its languages at once, so the held-out pairs
test texts that the model has never read. Pairs are of any format of
docs/file_formats.md. The outputs have the columns `source` and `target`
whatever the inputs called them, the languages if a flag or a column names
them, and all other columns.
"""

import sys

from labse.bin.flags import file_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.errors import InputError


def define_flags(flags: FlagSet) -> None:
    """Defines the program's flags."""
    flags.strings("input", None, file_flags.PAIR_FILES, required=True)
    for name, text in (
        ("train_out", "File for the pairs to train on."),
        ("heldout_out", "File for the pairs held out."),
    ):
        flags.string(
            name, None, f"{text} {file_flags.PAIR_OUTPUT}", required=True
        )
    file_flags.define_pair_flags(flags)
    flags.number(
        "share",
        0.1,
        "Share of the different source texts to hold out, between 0 and 1.",
    )
    flags.integer("seed", 0, "Another seed holds out other texts.")


def main(flags: FlagSet) -> None:
    """Checks the flags, splits the pairs and prints the counts."""
    share = flags.share
    if not 0 < share < 1:
        raise InputError(
            f"--share must lie between 0 and 1. Received: {share:g}."
        )
    from data_pipeline import holdout

    for name in ("train_out", "heldout_out"):
        file_flags.check_pair_output(flags, name)
    split = holdout.split_pairs(
        flags.input,
        flags.train_out,
        flags.heldout_out,
        share,
        flags.seed,
        file_flags.options(flags),
    )
    print(split.summary(), file=sys.stderr)


if __name__ == "__main__":
    program.main(__name__)
