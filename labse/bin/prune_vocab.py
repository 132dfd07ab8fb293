"""Reduces a model's vocabulary to what a text needs: smaller, same vectors.

    labse prune-vocab --model=M --text='corpus/*.tsv.gz' --out=RUN
    labse prune-vocab --model=M --text=deutsch.txt --language=de --out=RUN

It keeps the pieces that the model's own tokenizer gives for the text and every
single character in it. A text that needs no other piece is tokenized as before,
and its vector is bit-identical. Use as much text as you have: later texts are
spelled in shorter pieces where they need one that was removed.

RUN is a run folder of the same model with a smaller table of embeddings: encode
with it, export it, convert it, or train it further with
`labse train --init=RUN --vocab=RUN/vocab.txt`. RUN/prune_report.json and the
table on standard output show, for each language, the share of words that are
[UNK] and pieces per word, before and after.

--text takes texts, or pairs, both sides of which count, in any format of
docs/file_formats.md.
"""

import sys
import time

from labse.bin import convert
from labse.bin.flags import file_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.bin.flags.models import MODEL_HELP


def define_flags(flags: FlagSet) -> None:
    """Defines the flags of `labse prune-vocab`."""
    flags.strings("text", None, file_flags.TEXT_OR_PAIR_FILES, required=True)
    flags.integer(
        "min_count",
        1,
        "Remove pieces of several characters that occur less often, too. Above "
        "1 some words of the text are tokenized differently.",
        lower_bound=1,
    )
    define_model_and_report(flags)


def define_model_and_report(flags: FlagSet) -> None:
    """Defines the flags that pruning and growing share."""
    flags.string("model", None, MODEL_HELP, required=True)
    flags.string("out", None, "The new run.", required=True)
    file_flags.define_text_and_pair_flags(flags)
    flags.comma_list(
        "languages",
        [],
        "Only texts of these languages, such as en,de; by default all.",
    )
    flags.strings(
        "report_text",
        [],
        "Text for the report's figures, such as held-out text; a file or a "
        "glob; repeatable.",
    )
    convert.define_model_options(flags)


def main(flags: FlagSet) -> None:
    """Opens the model, prunes it, prints the report."""
    from labse.checkpoints.vocabulary import resizing

    start = time.monotonic()
    text = find_texts(flags, flags.text)
    report_text = find_texts(flags, flags.report_text)
    report = resizing.prune_vocabulary(
        convert.open_model(flags, flags.model),
        text,
        flags.out,
        flags.min_count,
        report_text,
    )
    print_report(report, flags.out, start)


def find_texts(flags: FlagSet, patterns: list[str]):
    """The `Texts` of globs; None if there are none."""
    from labse.files.texts import Texts

    if not patterns:
        return None
    return Texts(patterns, file_flags.options(flags), flags.languages)


def print_report(report: dict, out: str, start: float) -> None:
    """Prints the table and where the run is."""
    from labse.checkpoints.vocabulary import report as vocabulary_report

    print(vocabulary_report.table(report))
    seconds = time.monotonic() - start
    print(f"wrote {out} in {seconds:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    program.main(__name__)
