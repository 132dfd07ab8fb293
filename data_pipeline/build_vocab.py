"""Text of many languages -> a cased WordPiece vocabulary.

  labse build-vocab --input='pairs/*.tsv.gz' --input=german.txt --language=de
                    --out=vocab.txt --vocab_size=120000

Inputs are files of pairs (both sides count under their language) or of texts,
of any format of docs/file_formats.md. Small languages weigh more than their
share (--smoothing_exponent).
"""

import os

from absl import flags

from data_pipeline import vocabulary_learner, word_counts
from labse.bin import file_flags, program
from labse.errors import InputError
from labse.files.texts import Texts


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines the program's flags."""
    flags.DEFINE_multi_string(
        "input",
        None,
        "Texts, or pairs, of which both sides count: .txt, .tsv with a header, "
        ".jsonl, each also as .gz, .bz2 or .xz, .parquet or TFRecords; a file "
        "or a glob; repeatable.",
        flag_values=flag_values,
        required=True,
    )
    file_flags.define_text_and_pair_flags(flag_values)
    flags.DEFINE_string(
        "out",
        None,
        "The vocabulary to write, one piece a line.",
        flag_values=flag_values,
        required=True,
    )
    for name, default, text in (
        ("vocab_size", None, "Number of pieces, special ones included."),
        ("min_count", 2, "Words and characters seen less often do not count."),
        (
            "unused",
            vocabulary_learner.DEFAULT_UNUSED,
            "Number of [unused] pieces; 99 puts [UNK] at 100, as BERT has it.",
        ),
        (
            "max_characters",
            vocabulary_learner.DEFAULT_MAX_CHARACTERS,
            "Most characters to keep.",
        ),
    ):
        flags.DEFINE_integer(
            name,
            default,
            text,
            flag_values=flag_values,
            required=default is None,
        )
    flags.DEFINE_float(
        "smoothing_exponent",
        0.3,
        "1 leaves the languages' shares as they are, 0 makes them equal.",
        flag_values=flag_values,
    )


def main(flag_values: flags.FlagValues) -> None:
    """Checks the flags, learns the vocabulary, writes it."""
    folder = os.path.dirname(flag_values.out) or "."
    if not os.path.isdir(folder):
        raise InputError(
            f"--out must be in a folder that exists. Received: "
            f"{flag_values.out}. Make the folder {folder} first."
        )
    counts = word_counts.count_words(
        Texts(flag_values.input, file_flags.options(flag_values))
    )
    exponent = flag_values.smoothing_exponent
    print(vocabulary_learner.describe_languages(counts, exponent))
    pieces = vocabulary_learner.learn(
        counts,
        flag_values.vocab_size,
        exponent,
        flag_values.min_count,
        flag_values.unused,
        flag_values.max_characters,
    )
    vocabulary_learner.write(flag_values.out, pieces)
    print(f"{flag_values.out}: {len(pieces):,} pieces")


if __name__ == "__main__":
    program.main(__name__)
