"""Text of many languages -> a cased WordPiece vocabulary.

  labse build-vocab --input='pairs/*.tsv.gz' --input=german.txt --language=de
                    --out=vocab.txt --vocab_size=120000

Inputs are files of pairs (both sides count under their language) or of texts,
of any format of docs/file_formats.md. Small languages weigh more than their
share (--smoothing_exponent).

--report_text names held-out text: for each language the report gives the share
of words that are [UNK] and the number of pieces per word and per character.

Input of more than 64 MB is counted on Apache Beam, one file a worker at a time,
if Beam is installed (labse[corpora]), and else in this process. Its counts are
kept in --work: a command that was killed resumes. The vocabulary is the same to
the last byte, whatever the files, workers and runner.
"""

import json
import os

from data_pipeline.vocabulary import (
    characters,
    counting_job,
    smoothing,
    vocabulary_learner,
    vocabulary_report,
    word_counts,
    word_table,
)
from labse.bin.flags import beam_flags, file_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.errors import InputError
from labse.files.atomic_write import write_text
from labse.files.texts import Texts
from labse.files.work_folder import WorkFolder

# Less is counted in the memory of this process: at most some 2 GB.
_LARGE_INPUT = 64_000_000


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
            "Characters to keep at most: a word with any other becomes [UNK]. "
            "If the text has more, first those that make up 99.9 % of each "
            "script's text, then the most frequent.",
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
        smoothing.PAPER_EXPONENT,
        "1 leaves the languages' shares as they are, 0 makes them equal.",
    )
    flags.string(
        "report",
        None,
        "JSON file for the report: languages, scripts, held-out text.",
    )
    flags.string(
        "work",
        None,
        "Folder for the counts of large input. Default: OUT.work.",
    )
    flags.boolean(
        "restart",
        False,
        "Count again what was counted from other files or by other rules.",
    )
    beam_flags.define_beam_flags(flags)


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
    table = _count(texts, flags)
    shares = vocabulary_report.language_shares(
        table.languages, flags.smoothing_exponent
    )
    print(vocabulary_report.describe_shares(shares))
    pieces = vocabulary_learner.learn_vocabulary(
        table,
        flags.vocab_size,
        flags.min_count,
        flags.unused,
        flags.max_characters,
    )
    vocabulary_learner.write_vocabulary(flags.out, pieces)
    coverage = characters.coverage_by_script(
        characters.character_weights(table),
        [piece for piece in pieces if len(piece) == 1],
    )
    if described := characters.describe_coverage(coverage):
        print(described)
    print(f"{flags.out}: {len(pieces):,} pieces")
    figures = {}
    if report_text is not None:
        figures = vocabulary_report.count_pieces(pieces, report_text)
        print(vocabulary_report.describe_pieces(figures))
    if flags.report:
        report = vocabulary_report.report_as_json(shares, coverage, figures)
        write_text(flags.report, json.dumps(report, indent=1) + "\n")


def _count(texts: Texts, flags: FlagSet) -> word_table.WordTable:
    exponent = flags.smoothing_exponent
    wants_beam = bool(flags.workers or flags.runner or flags.beam)
    is_large = texts.num_bytes > _LARGE_INPUT
    if not (flags.work or wants_beam or is_large):
        counts = word_counts.count_words(texts)
        return word_table.table_of_counts(counts, exponent)
    arguments = None
    if wants_beam or counting_job.has_beam():
        arguments = beam_flags.beam_arguments(flags)
    work = WorkFolder(flags.work or f"{flags.out}.work", flags.restart)
    job = counting_job.CountingJob(texts, work)
    return counting_job.count_in_phases(job, exponent, arguments)


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
