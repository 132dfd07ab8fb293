"""Text of many languages -> a cased WordPiece vocabulary.

  labse build-vocab --input='pairs/*.tsv.gz' --input=german.txt --language=de
                    --out=vocab.txt --vocab_size=120000

Inputs are files of pairs (both sides count under their language) or of texts,
of any format of docs/file_formats.md. Small languages weigh more than their
share (--smoothing_exponent).

--report_text names held-out text: for each language the report gives the share
of words that are [UNK] and the number of pieces per character.
"""

import os

from data_pipeline.vocabulary import (
    vocabulary_learner,
    vocabulary_tables,
    word_counts,
)
from labse.bin.flags import file_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.errors import InputError
from labse.files.texts import Texts


def define_flags(flags: FlagSet) -> None:
    """Defines the program's flags."""
    flags.strings("input", None, file_flags.TEXT_OR_PAIR_FILES, required=True)
    file_flags.define_text_and_pair_flags(flags)
    flags.string(
        "out", None, "The vocabulary to write, one piece a line.", required=True
    )
    for name, default, text in (
        ("vocab_size", None, "Number of pieces, special ones included."),
        (
            "min_count",
            2,
            "Pieces of several characters must occur this often in the text, "
            "counted over all words, to be learned.",
        ),
        (
            "unused",
            vocabulary_learner.DEFAULT_UNUSED,
            "Number of [unused] pieces; 99 puts [UNK] at 100, as BERT has it.",
        ),
        (
            "max_characters",
            vocabulary_learner.DEFAULT_MAX_CHARACTERS,
            "Characters to keep at most, rare ones included: a word with any "
            "other character becomes [UNK].",
        ),
    ):
        flags.integer(name, default, text, required=default is None)
    flags.strings(
        "report_text",
        [],
        "File or glob of held-out text for the report; none of the inputs.",
    )
    flags.number(
        "smoothing_exponent",
        0.3,
        "1 leaves the languages' shares as they are, 0 makes them equal.",
    )


def main(flags: FlagSet) -> None:
    """Checks the flags, learns the vocabulary, writes it."""
    folder = os.path.dirname(flags.out) or "."
    if not os.path.isdir(folder):
        raise InputError(
            f"--out must be in a folder that exists. Received: "
            f"{flags.out}. Make the folder {folder} first."
        )
    if os.path.isdir(flags.out):
        raise InputError(f"--out is a file. Received a folder: {flags.out}.")
    options = file_flags.options(flags)
    texts, report_text = Texts(flags.input, options), None
    if flags.report_text:
        report_text = Texts(flags.report_text, options)
        _check_held_out(report_text.files, texts.files)
    inputs = texts.files + (report_text.files if report_text else [])
    if os.path.realpath(flags.out) in map(os.path.realpath, inputs):
        raise InputError(
            "--out must be another file than the inputs. Received: "
            f"{flags.out} for both."
        )
    counts = word_counts.count_words(texts)
    exponent = flags.smoothing_exponent
    print(vocabulary_tables.describe_languages(counts, exponent))
    pieces = vocabulary_learner.learn_vocabulary(
        counts,
        flags.vocab_size,
        exponent,
        flags.min_count,
        flags.unused,
        flags.max_characters,
    )
    vocabulary_learner.write_vocabulary(flags.out, pieces)
    print(f"{flags.out}: {len(pieces):,} pieces")
    if report_text is not None:
        print(vocabulary_tables.describe_pieces(pieces, report_text))


def _check_held_out(report_files: list[str], files: list[str]) -> None:
    learned = {os.path.realpath(path) for path in files}
    both = [p for p in report_files if os.path.realpath(p) in learned]
    if both:
        raise InputError(
            "--report_text must be held-out text: text that a vocabulary was "
            "learned from splits into fewer pieces. Received "
            f"{both[0]}, which is one of --input."
        )


if __name__ == "__main__":
    program.main(__name__)
