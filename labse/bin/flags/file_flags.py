"""Flags for files of text and pairs, the same in every program.

They give what files do not say by themselves; see docs/file_formats.md.
"""

from labse import features
from labse.bin.flags.flag_set import FlagSet
from labse.errors import InputError
from labse.files.reading import MAX_MALFORMED_SHARE, ReadOptions

_PAIR_FORMATS = (
    ".tsv, .jsonl, .tmx, .parquet, .tfrecord, or Moses (NAME.en-de.en with "
    "NAME.en-de.de, or NAME.en-de.zip); .gz, .bz2, .xz or .zst may follow; see "
    "docs/file_formats.md."
)
_FILES = f"A file or a glob; repeatable. Formats: .txt, {_PAIR_FORMATS}"
PAIR_FILES = f"Pairs. {_FILES.replace('.txt, ', '')}"
TEXT_FILES = f"Texts. {_FILES}"
TEXT_OR_PAIR_FILES = f"Texts or pairs. {_FILES}"
PAIR_OUTPUT = f"File of pairs to write: {_PAIR_FORMATS}"


def define_pair_flags(flags: FlagSet, has_share: bool = True) -> None:
    """Flags for files of pairs.

    Args:
      flags: where to define them.
      has_share: whether the share of malformed rows is a flag.
    """
    for side in (features.SOURCE, features.TARGET):
        flags.string(
            f"{side}_column",
            side,
            f"Column or field of the {side}; a.b is the field b of the object "
            "in a.",
        )
    for side in (features.SOURCE, features.TARGET):
        _define_language(flags, f"{side}_language", f"{side}s")
    _define_rules(flags, has_share)


def define_text_and_pair_flags(flags: FlagSet, has_share: bool = True) -> None:
    """Flags for files of texts or of pairs; see `define_pair_flags`."""
    define_pair_flags(flags, has_share)
    _define_text_column(flags)
    _define_language(flags, features.LANGUAGE, "texts")


def define_row_flags(flags: FlagSet) -> None:
    """Flags for files of texts, of which none is left out by default."""
    _define_text_column(flags)
    _define_language(flags, features.LANGUAGE, "texts")
    _define_rules(flags)
    flags.set_default("max_malformed_share", 0.0)


def define_side_flags(flags: FlagSet, language_flags: list[str]) -> None:
    """Flags for files of texts, with a language for each side."""
    _define_text_column(flags)
    for name in language_flags:
        _define_language(flags, name, "texts")
    _define_rules(flags)


def options(flags: FlagSet, **given) -> ReadOptions:
    """The flags as `ReadOptions`.

    Args:
      flags: any of those above.
      **given: options that take precedence over the flag of the same name.
    """
    found = {
        name: flags[name].value or ""
        for name in (
            *("source_column", "target_column", "text_column"),
            *("source_language", "target_language", "language"),
        )
        if name in flags
    }
    found["tsv_quotes"] = flags.tsv_quotes
    if "max_malformed_share" in flags:
        found["max_malformed_share"] = flags.max_malformed_share
    return ReadOptions(**{**found, **given})


def check_pair_output(flags: FlagSet, name: str) -> None:
    """Raises `InputError` unless a flag names a file that pairs can go to."""
    from labse.files.pair_writer import check_output

    try:
        check_output(flags[name].value)
    except InputError as error:
        raise InputError(f"--{name}: {error}") from error


def _define_text_column(flags: FlagSet) -> None:
    flags.string(
        "text_column",
        features.TEXT,
        "Column or field of the text in all files but .txt; a.b is the field "
        "b of the object in a.",
    )


def _define_language(flags: FlagSet, name: str, texts: str) -> None:
    flags.string(
        name,
        None,
        f"ISO 639 code of the {texts} in files without such a column "
        "(default: und, undetermined); of TMX and Moses, the language to read.",
    )


def _define_rules(flags: FlagSet, has_share: bool = True) -> None:
    flags.choice(
        "tsv_quotes",
        "refuse",
        ["refuse", "text"],
        "Cells of a TSV that look quoted: refuse the file, or take the quotes "
        "for text.",
    )
    if has_share:
        flags.number(
            "max_malformed_share",
            MAX_MALFORMED_SHARE,
            "Malformed rows are left out up to this share of all rows.",
            lower_bound=0.0,
            upper_bound=1.0,
        )
