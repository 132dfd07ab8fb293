r"""Adds hard negatives to training pairs (appendix B of the paper).

    labse mine-hard-negatives --model=DAN --input=pairs.tsv \
        --out=with_negatives.tsv
    labse train --train=with_negatives.tsv --override=data.hard_negatives=3 ...

A pair's negatives are the targets of its language that a weaker model, such as
a run of --config=labse_dan, finds nearest to the source, without what
translates the source by any pair of the input, directly or by one hop, and
without near copies of that (case, punctuation, digits). Pairs are of any format
of docs/file_formats.md, as labse train takes them. Written are source, target,
their languages, the corpus if any has one, and hard_negatives, in the same
order: a TSV holds a JSON list of strings, a .tfrecord a feature of several
strings.

A pair whose source has fewer negatives among its 256 nearest targets gets
fewer; training leaves the missing ones out. A process that was killed goes on
when it is started again with the same command. The texts are held in memory,
their vectors on the disk but for those of one target language at a time.
"""

import sys

from labse.bin.flags import file_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.bin.flags.models import MODEL_OR_FUNCTION_HELP
from labse.errors import InputError


def define_flags(flags: FlagSet) -> None:
    """Defines this program's flags."""
    flags.string("model", None, MODEL_OR_FUNCTION_HELP, required=True)
    flags.strings("input", None, file_flags.PAIR_FILES, required=True)
    flags.string("out", None, file_flags.PAIR_OUTPUT, required=True)
    flags.integer(
        "negatives",
        3,
        "Hard negatives of each pair; lowered where there are fewer targets.",
        lower_bound=1,
        upper_bound=64,
    )
    flags.number(
        "max_cosine",
        None,
        "Most that a negative's cosine with the source may be, as a multiple "
        "of the true pair's, e.g. 0.95. Default: no limit.",
    )
    file_flags.define_pair_flags(flags)
    flags.choice(
        "encoder_precision",
        "float32",
        ["float32", "bfloat16"],
        "Of the encoder's matmuls.",
    )
    flags.string(
        "work", None, "Folder of index and vectors. Default: OUT.work."
    )
    flags.boolean(
        "restart",
        False,
        "Encode again what was encoded from other texts or by another model.",
    )


def main(flags: FlagSet) -> None:
    """Mines and says what was found."""
    from labse.bin.flags.models import Encoder
    from labse.mining.hard_negatives.pair_files import mine_hard_negatives

    limit = flags.max_cosine
    if limit is not None and not 0 < limit < float("inf"):
        raise InputError(
            "--max_cosine is a multiple of the true pair's cosine, greater "
            f"than 0. Received: {limit:g}."
        )
    summary = mine_hard_negatives(
        flags.input,
        flags.out,
        Encoder(flags.model, flags.encoder_precision),
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
        cut, max_length = summary.truncated
        print(
            f"{cut:,} of {summary.texts:,} texts were cut at {max_length} "
            "tokens",
            file=sys.stderr,
        )


if __name__ == "__main__":
    program.main(__name__)
