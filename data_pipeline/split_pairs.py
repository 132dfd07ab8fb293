"""A TSV of pairs -> one to train on and one held out, by whole strings.

  labse split-pairs --input=pairs.tsv --train_out=train.tsv
                    --heldout_out=heldout.tsv --share=0.1

A source text is held out in all its languages at once, so that the held-out
pairs ask about texts the model has never read.
"""

import sys

from absl import flags

from data_pipeline import holdout, pair_files
from labse.bin import program
from labse.errors import InputError


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines the program's flags."""
    for name, text in (
        ("input", "Pairs to split: .tsv or .tsv.gz with a header."),
        ("train_out", "File for the pairs to train on: .tsv or .tsv.gz."),
        ("heldout_out", "File for the pairs held out: .tsv or .tsv.gz."),
    ):
        flags.DEFINE_string(
            name, None, text, flag_values=flag_values, required=True
        )
    flags.DEFINE_float(
        "share",
        0.1,
        "Share of the different source texts to hold out, between 0 and 1.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "seed",
        0,
        "Another seed holds out other texts.",
        flag_values=flag_values,
    )


def main(flag_values: flags.FlagValues) -> None:
    """Checks the flags, splits the pairs and prints the counts."""
    share = flag_values.share
    if not 0 < share < 1:
        raise InputError(
            f"--share must lie between 0 and 1. Received: {share:g}."
        )
    pair_files.check_output_path(flag_values.train_out, "train_out")
    pair_files.check_output_path(flag_values.heldout_out, "heldout_out")
    split = holdout.split_pairs(
        flag_values.input,
        flag_values.train_out,
        flag_values.heldout_out,
        share,
        flag_values.seed,
    )
    print(split.summary(), file=sys.stderr)


if __name__ == "__main__":
    program.main(__name__)
