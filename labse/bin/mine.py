r"""Finds translations between two corpora (section 7 of the paper).

  labse mine --model=M --source=a.txt --target=b.txt --out=pairs.tsv
  labse mine --model=M --source=de/*.jsonl.gz --target=en.parquet \
    --source_language=de --target_language=en --scoring=ratio --k=4 \
    --min_score=1.06 --out=pairs.parquet

Reads texts of every format of docs/file_formats.md. Writes source, target,
their languages, cosine, margin, files, lines and the other columns of the
inputs; `labse train` reads the result as it is. The steps:

  read    texts, each once, without blank lines
  embed   vectors, in shards
  index   approximate search only
  search  the k nearest neighbours of each sentence, in both directions
  score   cosine or margin of the neighbours, and the retrieval
  select  best first, one pair for each sentence with --retrieval=max; with
          --dedup without near copies

--retrieval=all writes candidates, not translations: each source's k nearest
targets, by source, with cosine, margin and `rank` (1: the highest score), with
every scoring. Equal texts are kept. --min_score drops lower scores; by default
there is no limit.

Each step keeps its results in --work: a command that was killed resumes, and
another --min_score takes seconds. The pairs are the same to the last byte
whatever the number of shards and workers. In Python: `labse.mine`.
"""

from labse.bin.flags import file_flags, mining_flags, program
from labse.bin.flags.flag_set import FlagSet


def define_flags(flags: FlagSet) -> None:
    """Defines the flags of this program."""
    mining_flags.define_input_flags(flags, ("source", "target"))
    mining_flags.define_search_flags(flags)
    flags.choice(
        "retrieval",
        "max",
        ["forward", "backward", "intersection", "union", "max", "all"],
        "forward: each source's best target; backward: each target's best "
        "source; intersection or union of these; max: of the union, one pair "
        "for each sentence, the best first; all: each source's k nearest "
        "targets with their rank.",
    )
    mining_flags.define_output_flags(flags)
    mining_flags.define_precision_flags(flags)


def main(flags: FlagSet) -> None:
    """Mines translations."""
    from labse.mining.job.settings import TextSource

    source, target = (
        TextSource(
            tuple(flags[side].value),
            file_flags.options(
                flags,
                language=flags[f"{side}_language"].value or "",
                source_language="",
                target_language="",
            ),
        )
        for side in ("source", "target")
    )
    mining_flags.run(
        flags,
        source,
        target,
        retrieval=flags.retrieval,
        min_precision=flags.min_precision,
        gold=flags.gold,
        gold_is_complete=flags.gold_is_complete,
    )


if __name__ == "__main__":
    program.main(__name__)
