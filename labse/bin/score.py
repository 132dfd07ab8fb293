r"""Scores existing pairs, to filter a corpus: the same rows with their scores.

  labse score --model=RUN --input=pairs.tsv --out=scored.tsv
  labse score --model=RUN --input=pairs.tsv --out=good.tsv --min_score=0.6
  labse score --model=RUN --input='web-*.tsv.gz' --out=scored.jsonl.gz \
      --scoring=ratio --k=4

  --scoring   adds
  absolute    cosine
  distance    cosine, and margin: the cosine minus the neighbourhood's
  ratio       cosine, and margin: the cosine divided by the neighbourhood's

The neighbourhood is the mean cosine of the source with its k nearest among all
targets of the file, and of the target with its k nearest among all sources: a
sentence that is similar to everything scores lower.

All pairs are written, in their order and with all their columns, followed by
the scores, unless --min_score is given. Blank lines stay blank in a .tsv and a
.jsonl, so that the output matches a single input line by line; malformed rows
are left out and counted. The ending of --out is its format; the file is whole
or not there.
"""

import pathlib
import sys

from labse.bin.flags import file_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.bin.flags.lazy_encoder import LazyEncoder
from labse.bin.flags.models import MODEL_OR_FUNCTION_HELP

# labse.mining.margin.SCORINGS; that module needs NumPy.
SCORINGS = ("absolute", "distance", "ratio")


def define_flags(flags: FlagSet) -> None:
    """Defines the flags of `labse score`."""
    flags.string("model", None, MODEL_OR_FUNCTION_HELP)
    flags.strings("input", None, file_flags.PAIR_FILES)
    file_flags.define_pair_flags(flags)
    flags.string("out", None, file_flags.PAIR_OUTPUT)
    flags.choice("scoring", "absolute", SCORINGS, "See above.")
    flags.integer(
        "k",
        4,
        "Neighbours on each side, in distance and ratio; lowered where a side "
        "has fewer.",
        lower_bound=1,
    )
    flags.number(
        "min_score",
        None,
        "Leave out pairs with a lower cosine in absolute (the paper uses 0.6), "
        "a lower margin otherwise. By default all are written.",
    )
    flags.string(
        "cache",
        None,
        "Folder that stores the vectors by model and text, so that a killed "
        "run resumes and no text is encoded twice: 4 bytes per dimension and "
        "text. By default nothing is stored.",
    )
    flags.choice(
        "compute_dtype", "float32", ["float32", "bfloat16"], "Of the matmuls."
    )
    flags.require(["model", "input", "out"])


def main(flags: FlagSet) -> None:
    """Reads, scores and writes the pairs."""
    # Imported here so that --help does not wait for NumPy.
    from labse.mining.score_pairs import score_pairs

    encoder = LazyEncoder(flags.model, flags.compute_dtype, flags.cache)
    counts = score_pairs(
        encoder,
        flags.input,
        pathlib.Path(flags.out),
        flags.scoring,
        flags.k,
        flags.min_score,
        file_flags.options(flags),
    )
    print(
        f"{counts.num_read} pairs read, {counts.num_kept} in "
        f"{flags.out}, {counts.num_dropped} dropped, "
        f"{counts.num_malformed} malformed rows left out, {counts.num_blank} "
        "blank lines.",
        file=sys.stderr,
    )
    if report := encoder.report():
        print(report, file=sys.stderr)


if __name__ == "__main__":
    program.main(__name__)
