r"""Pairs or texts -> records in random order (TFRecord), for training.

    labse write-records --input='pairs/*.tsv.gz' --out=records
    labse write-records --input='text/*.txt' --monolingual --out=records

`labse train` makes records of its pairs by itself. Write them first to make
them once for many runs, or on another machine than the one that trains. --input
is of any format of docs/file_formats.md; it is read once, as a stream, and the
memory needed does not grow with it. While they are written, the records need
their own size on disk and a few per cent.

With --vocab, records hold the ids of that vocabulary in place of the texts, so
that training has no tokenizing to do; only models with the same vocabulary and
tokenizer can read them. --config and --override are those of labse train: they
give the tokenizer's settings and the length of texts that are trained on
(data.max_length, or tokenizer.max_length if that is 0).

A large input is read and written by --workers processes of Apache Beam, if it
is installed, or on a cluster by --runner.

The same command resumes what was killed. The same input, seed and shard_records
give the same bytes, whatever the workers. docs/records.md has the format.
"""

import importlib.util
import sys

from labse.bin.flags import beam_flags, file_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.errors import InputError

_CONFIG = "labse_base"


def define_flags(flags: FlagSet) -> None:
    """Defines this program's flags."""
    flags.strings("input", None, file_flags.TEXT_OR_PAIR_FILES, required=True)
    flags.string(
        "out",
        None,
        "A new folder, or that of the same command; also gs://...",
        required=True,
    )
    flags.boolean(
        "monolingual",
        False,
        "Write records of single texts; of pairs, both sides are texts.",
    )
    flags.integer("seed", 0, "Of the order.", lower_bound=0)
    flags.integer(
        "shard_records", 16384, "Most records of a file.", lower_bound=1
    )
    flags.string("vocab", None, "vocab.txt. Write ids in place of the texts.")
    flags.string(
        "config",
        _CONFIG,
        "Preset or YAML file with the tokenizer's settings, for --vocab.",
    )
    flags.strings(
        "override", [], "section.key=value of the configuration; repeatable."
    )
    file_flags.define_text_and_pair_flags(flags)
    flags.string(
        "work",
        None,
        "Folder for what is removed at the end. Default: OUT/work, or of a "
        "bucket a local folder.",
    )
    beam_flags.define_beam_flags(flags)


def main(flags: FlagSet) -> None:
    """Writes the records and prints what is in them."""
    if not flags.vocab:
        for name in ("config", "override"):
            if flags[name].present:
                raise InputError(
                    f"--{name} is of the tokenizer that --vocab is for. "
                    f"Received --{name} without --vocab. Add --vocab to write "
                    "ids, or leave it out."
                )
    from labse.data.records import groups, writer

    manifest = writer.write_records(
        flags.input,
        flags.out,
        kind=groups.TEXT if flags.monolingual else groups.PAIRS,
        seed=flags.seed,
        shard_records=flags.shard_records,
        token_ids=_token_ids(flags),
        options=file_flags.options(flags),
        run_phase=_run_phase(flags),
        work=flags.work,
    )
    print(
        f"{manifest.num_records:,} records of {len(manifest.groups):,} groups "
        f"(languages and corpus) in {len(manifest.shards):,} files of "
        f"{flags.out}",
        file=sys.stderr,
    )


def _token_ids(flags: FlagSet):
    if not flags.vocab:
        return None
    from labse.configs import loading
    from labse.data.records.tokens import TokenIdsOfFile

    config = loading.load(flags.config, flags.override)
    return TokenIdsOfFile(flags.vocab, config.tokenizer, config.training_length)


def _run_phase(flags: FlagSet):
    """Runs units on Beam; None: all is done in this process."""
    is_wanted = bool(flags.runner or flags.workers)
    has_beam = importlib.util.find_spec("apache_beam") is not None
    if not flags.runner and (
        beam_flags.count_workers(flags) == 1 or not (is_wanted or has_beam)
    ):
        return None
    if flags.runner and "://" in flags.out and not flags.work:
        raise InputError(
            "The workers of a --runner share the folder for work. Received a "
            "bucket for --out, and no --work. Add --work, on a file system "
            "that all workers see."
        )
    # A small input needs no Beam, whose import takes seconds.
    arguments = beam_flags.beam_arguments(flags) if is_wanted else None

    def run_phase(job, label: str, units) -> None:
        from data_pipeline.jobs.run import run_units

        run_units(
            job, label, units, arguments or beam_flags.beam_arguments(flags)
        )

    return run_phase


if __name__ == "__main__":
    program.main(__name__)
