"""Finds sentences of one pile of text that say the same.

  labse paraphrases --model=M --input=lines.txt --out=pairs.tsv

As `labse mine`, with one side searched for itself: every sentence's k nearest
others, each pair once, the best first. See `labse mine --help` for files,
steps and what is kept.
"""

from absl import flags

from labse.bin import mine
from labse.bin.flags import file_flags, mining_flags, program


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines the flags of this program on `flag_values`."""
    mining_flags.define_input_flags(flag_values, ("input",))
    mining_flags.define_search_flags(flag_values)
    mining_flags.define_output_flags(flag_values)
    flag_values.set_default("scoring", "absolute")


def main(flag_values: flags.FlagValues) -> None:
    """Mines paraphrases."""
    from labse.mining.job.job_files import Side

    side = Side(tuple(flag_values.input), file_flags.options(flag_values))
    mine.run(flag_values, side, None)


if __name__ == "__main__":
    program.main(__name__)
