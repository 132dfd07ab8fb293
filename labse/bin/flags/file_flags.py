"""Flags that say what files of text and pairs do not say by themselves.

The same in every program that reads such files; see docs/file_formats.md.
"""

from absl import flags

from labse import features
from labse.files.reading import MAX_MALFORMED_SHARE, ReadOptions

PAIR_FILES = (
    "Pairs: .tsv with a header, .jsonl, each also as .gz, .bz2 or .xz, "
    ".parquet or TFRecords; a file or a glob; repeatable."
)


def define_pair_flags(
    flag_values: flags.FlagValues, has_share: bool = True
) -> None:
    """Flags of files of pairs.

    Args:
      flag_values: where to.
      has_share: whether the share of malformed rows is a flag.
    """
    for side in (features.SOURCE, features.TARGET):
        flags.DEFINE_string(
            f"{side}_column",
            side,
            f"Column or field of the {side}; a.b is the field b of the object "
            "in a.",
            flag_values=flag_values,
        )
    for side in (features.SOURCE, features.TARGET):
        _define_language(flag_values, f"{side}_language", f"{side}s")
    _define_rules(flag_values, has_share)


def define_text_and_pair_flags(flag_values: flags.FlagValues) -> None:
    """Flags of files that may be of texts or of pairs."""
    define_pair_flags(flag_values)
    _define_text_column(flag_values)
    _define_language(flag_values, features.LANGUAGE, "texts")


def define_row_flags(flag_values: flags.FlagValues) -> None:
    """Flags of a file of texts of which none is left out by default."""
    _define_text_column(flag_values)
    _define_rules(flag_values)
    flag_values.set_default("max_malformed_share", 0.0)


def define_side_flags(
    flag_values: flags.FlagValues, language_flags: list[str]
) -> None:
    """Flags of files of texts, with a language for each side."""
    _define_text_column(flag_values)
    for name in language_flags:
        _define_language(flag_values, name, "texts")
    _define_rules(flag_values)


def options(flag_values: flags.FlagValues, **given) -> ReadOptions:
    """The `ReadOptions` that the flags say.

    Args:
      flag_values: those of the flags above that the program has.
      **given: what is not said by the flag of the same name.
    """
    found = {
        name: flag_values[name].value or ""
        for name in (
            *("source_column", "target_column", "text_column"),
            *("source_language", "target_language", "language"),
        )
        if name in flag_values
    }
    found["quotes_are_text"] = flag_values.tsv_quotes == "text"
    if "max_malformed_share" in flag_values:
        found["max_malformed_share"] = flag_values.max_malformed_share
    return ReadOptions(**{**found, **given})


def _define_text_column(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "text_column",
        features.TEXT,
        "Column or field of the text in all files but .txt; a.b is the field "
        "b of the object in a.",
        flag_values=flag_values,
    )


def _define_language(
    flag_values: flags.FlagValues, name: str, texts: str
) -> None:
    flags.DEFINE_string(
        name,
        None,
        f"ISO 639 code of the {texts} whose files have no such column. "
        "Default: und, undetermined.",
        flag_values=flag_values,
    )


def _define_rules(
    flag_values: flags.FlagValues, has_share: bool = True
) -> None:
    flags.DEFINE_enum(
        "tsv_quotes",
        "refuse",
        ["refuse", "text"],
        "What a TSV's cells that look quoted are: a mistake, or text.",
        flag_values=flag_values,
    )
    if has_share:
        flags.DEFINE_float(
            "max_malformed_share",
            MAX_MALFORMED_SHARE,
            "Malformed rows are left out up to this share of all rows.",
            lower_bound=0.0,
            upper_bound=1.0,
            flag_values=flag_values,
        )
