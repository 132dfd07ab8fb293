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

The same command resumes what was killed. The same input, seed and shard_records
give the same bytes. docs/records.md has the format.
"""

import sys

from labse.bin.flags import file_flags, program
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
    from labse.data.records.tokens import TokenIds
    from labse.preprocessing.tokenizer import WordPieceTokenizer
    from labse.preprocessing.vocabulary import Vocabulary

    config = loading.load(flags.config, flags.override)
    vocabulary = Vocabulary.read(flags.vocab)
    tokenizer = WordPieceTokenizer.from_config(vocabulary, config.tokenizer)
    return TokenIds(tokenizer, config.training_length)


if __name__ == "__main__":
    program.main(__name__)
