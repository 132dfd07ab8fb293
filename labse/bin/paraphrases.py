"""Finds sentences of one corpus that say the same.

  labse paraphrases --model=M --input=lines.txt --out=pairs.tsv

As `labse mine`, but one corpus is searched for itself: each sentence's k
nearest others, each pair once, best first. See `labse mine --help` for files,
steps and what is kept.
"""

from labse.bin.flags import file_flags, mining_flags, program
from labse.bin.flags.flag_set import FlagSet


def define_flags(flags: FlagSet) -> None:
    """Defines the flags of this program."""
    mining_flags.define_input_flags(flags, ("input",))
    mining_flags.define_search_flags(flags)
    mining_flags.define_output_flags(flags)
    flags.set_default("scoring", "absolute")


def main(flags: FlagSet) -> None:
    """Mines paraphrases."""
    from labse.mining.job.settings import TextSource

    source = TextSource(tuple(flags.input), file_flags.options(flags))
    mining_flags.run(flags, source, None)


if __name__ == "__main__":
    program.main(__name__)
