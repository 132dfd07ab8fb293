r"""Adds hard negatives to training pairs (appendix B of the paper).

    labse mine-hard-negatives --model=DAN --input=pairs.tsv \
        --out=with_negatives.tsv
    labse train --train=with_negatives.tsv --override=data.hard_negatives=3 ...

A pair's negatives are the targets of its language that a weaker model, such as
a run of --config=labse_dan, finds nearest to the source. Left out are the
translations of the source by any pair of the input, directly or through one
other pair, and near copies of these (case, punctuation, digits). Pairs are of
any format of docs/file_formats.md. Written are source, target, their languages,
the corpus if any pair has one, and hard_negatives, in the same order: a TSV
holds a JSON list of strings, a .tfrecord a feature of several strings.

A pair whose source has fewer negatives among its 256 nearest targets gets
fewer; training masks the missing ones. A command that was killed resumes when
it is run again. The texts are held in memory; of the vectors, those of one
target language at a time, the others on disk.
"""

import sys

from labse.bin.flags import file_flags, mining_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.bin.flags.models import Encoder
from labse.errors import InputError


def define_flags(flags: FlagSet) -> None:
    """Defines this program's flags."""
    mining_flags.define_model_flags(flags)
    flags.strings("input", None, file_flags.PAIR_FILES, required=True)
    flags.string("out", None, file_flags.PAIR_OUTPUT, required=True)
    flags.integer(
        "negatives",
        3,
        "Hard negatives of each pair; lowered if there are fewer targets.",
        lower_bound=1,
        upper_bound=64,
    )
    flags.number(
        "max_cosine",
        None,
        "Highest cosine of a negative with the source, as a multiple of the "
        "true pair's, such as 0.95. Default: no limit.",
    )
    file_flags.define_pair_flags(flags)
    mining_flags.define_work_flags(flags)


def main(flags: FlagSet) -> None:
    """Mines hard negatives and reports what was found."""
    from labse.mining.hard_negatives.pair_files import mine_hard_negatives

    limit = flags.max_cosine
    if limit is not None and not 0 < limit < float("inf"):
        raise InputError(
            "--max_cosine must be greater than 0: it is a multiple of the true "
            f"pair's cosine. Received: {limit:g}."
        )
    summary = mine_hard_negatives(
        flags.input,
        flags.out,
        Encoder(flags.model, flags.compute_dtype),
        flags.work or f"{flags.out}.work",
        negatives=flags.negatives,
        max_cosine=limit,
        options=file_flags.options(flags),
        restart=flags.restart,
    )
    print(
        f"{summary.pairs:,} pairs of {summary.texts:,} texts in "
        f"{flags.out}: {summary.complete:,} with "
        f"{summary.negatives} hard negatives, {summary.fewer:,} with "
        f"fewer, {summary.none:,} with none; mean cosine "
        f"{summary.true_cosine:.3f} of pairs, "
        f"{summary.negative_cosine:.3f} of negatives",
        file=sys.stderr,
    )
    if summary.truncated is not None:
        truncated, max_length = summary.truncated
        print(
            f"{truncated:,} of {summary.texts:,} texts were truncated to "
            f"{max_length} tokens",
            file=sys.stderr,
        )


if __name__ == "__main__":
    program.main(__name__)
