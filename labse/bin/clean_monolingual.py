r"""Corpora of any kind -> clean sentences by language.

  labse clean-monolingual --input='CC-MAIN-*.warc.wet.gz' --out=clean
  labse clean-monolingual --input='text/*.txt' --language=de --out=clean \
    --skip_steps=words,terminal_punctuation --rejects=rejects
  labse clean-monolingual --explain='Click here to enable JavaScript.'

Inputs are web archives (WARC, WET), MediaWiki dumps, HTML pages, and files of
text of every format of docs/file_formats.md. The steps are those of section 3.1
of the paper and of C4, for all scripts; docs/cleaning.md has each one, its
source, and what it costs by language.

Writes OUT/LANGUAGE/00000.jsonl.gz and so on with text, language, corpus and
url, which build-vocab, write-records --monolingual and pretrain read, and
report.json and report.txt: what was kept and dropped, by language and reason.

The same command resumes what was killed. The same input and settings give the
same bytes, whatever the workers. While it runs, OUT/work needs about as much
room as the text of the input.
"""

import sys

from labse.bin.flags import beam_flags, file_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.errors import InputError


def define_flags(flags: FlagSet) -> None:
    """Defines the program's flags."""
    flags.strings(
        "input",
        [],
        "A corpus or a glob; repeatable. .warc, .wet, .xml (MediaWiki), .html, "
        f"or {file_flags.TEXT_OR_PAIR_FILES}",
    )
    flags.string("out", None, "A new folder, or that of the same command.")
    beam_flags.define_rejects_flag(flags)
    flags.string(
        "explain",
        None,
        "A line of text: print what each step decides about it, and do nothing "
        "else. --language is what it declares.",
    )
    flags.comma_list(
        "skip_steps", [], "Steps to leave out; --explain lists them all."
    )
    flags.integer("min_characters", 10, "Of a line, and of a sentence.")
    flags.integer("max_characters", 5000, "Of a line, and of a sentence.")
    flags.string(
        "bad_words",
        None,
        "Folder with a file of words for each language, such as de or de.txt: "
        "pages with one of them are dropped.",
    )
    flags.string(
        "quality_model",
        None,
        "A model of labse train-quality: the worst sentences are dropped.",
    )
    flags.number(
        "quality_share",
        0.5,
        "The share of sentences that the model keeps; the paper kept about "
        "half.",
    )
    flags.integer(
        "shard_sentences",
        1_000_000,
        "Most sentences of an output file.",
        lower_bound=1,
    )
    file_flags.define_text_and_pair_flags(flags)
    beam_flags.define_beam_flags(flags)


def main(flags: FlagSet) -> None:
    """Cleans corpora, or explains a line."""
    if flags.explain is None and not (flags.input and flags.out):
        raise InputError(
            "--input and --out say what to clean, or --explain gives one line. "
            "Received none of them, or one of the first two. See labse "
            "clean-monolingual --help."
        )
    from data_pipeline.cleaning.settings import CleaningSettings
    from data_pipeline.cleaning.steps.page_rules import read_bad_words
    from labse.files.reading import UNKNOWN_LANGUAGE

    settings = CleaningSettings(
        skip=frozenset(flags.skip_steps),
        min_characters=flags.min_characters,
        max_characters=flags.max_characters,
        bad_words=read_bad_words(flags.bad_words) if flags.bad_words else {},
        quality_model=flags.quality_model or "",
        quality_share=flags.quality_share,
        shard_sentences=flags.shard_sentences,
    )
    if flags.explain is not None:
        from data_pipeline.cleaning.explain import explain

        language = flags.language or UNKNOWN_LANGUAGE
        print(explain(flags.explain, settings, language))
        return
    arguments = beam_flags.beam_arguments(flags)
    from data_pipeline.cleaning.clean import clean_monolingual

    report = clean_monolingual(
        flags.input,
        flags.out,
        settings,
        file_flags.options(flags),
        arguments,
        flags.rejects,
    )
    print(report, file=sys.stderr)


if __name__ == "__main__":
    program.main(__name__)
