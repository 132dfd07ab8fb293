"""Translation catalogues (.po, .mo) -> a TSV of pairs.

  labse extract-gettext --input=package:django --out=pairs.tsv

writes the columns source, target, source_language, target_language, sorted,
each row once, and prints what was dropped and why.
"""

import sys

from absl import flags

from data_pipeline import pair_files
from labse import features, languages
from labse.bin import program
from labse.errors import InputError


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines the program's flags."""
    flags.DEFINE_multi_string(
        "input",
        None,
        "Folder, wheel, zip file, .po, .mo, or package:NAME for an installed "
        "Python package. May be given more than once.",
        flag_values=flag_values,
        required=True,
    )
    flags.DEFINE_string(
        "out",
        None,
        "File to write: .tsv, or .tsv.gz for a compressed one.",
        flag_values=flag_values,
        required=True,
    )
    flags.DEFINE_string(
        "source_language",
        "en",
        "Language of the catalogues' msgids.",
        flag_values=flag_values,
    )
    flags.DEFINE_list(
        "languages",
        [],
        "Languages to keep, such as de,pt-BR,zh-Hans; all where empty. es "
        "does not include es-MX.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "max_characters",
        500,
        "The longest text kept, on either side. The encoder reads 128 pieces, "
        "about 500 characters.",
        lower_bound=1,
        flag_values=flag_values,
    )


def main(flag_values: flags.FlagValues) -> None:
    """Checks the flags, extracts the pairs, writes them and the summary."""
    pair_files.check_output_path(flag_values.out, "out")
    source_language = _tag(flag_values.source_language, "source_language")
    asked = frozenset(_tag(name, "languages") for name in flag_values.languages)

    from data_pipeline import gettext_pairs

    extraction = gettext_pairs.extract_pairs(
        flag_values.input,
        source_language,
        asked or None,
        flag_values.max_characters,
    )
    if not extraction.pairs:
        print(gettext_pairs.summary(extraction), file=sys.stderr)
        raise InputError(
            "The catalogues must hold at least one translation that can be "
            f"kept. Received: {', '.join(flag_values.input)}, with none; the "
            "table above says why. Nothing was written."
        )
    pair_files.write_rows(
        flag_values.out,
        features.PAIR_COLUMNS,
        (
            (source, target, source_language, target_language)
            for target_language, source, target in extraction.pairs
        ),
    )
    print(gettext_pairs.summary(extraction), file=sys.stderr)


def _tag(name: str, flag: str) -> str:
    tag = languages.language_tag(name)
    if tag is None:
        raise InputError(
            f"--{flag} takes names such as de, pt-BR or zh-Hans. Received: "
            f"{name!r}."
        )
    return tag


if __name__ == "__main__":
    program.main(__name__)
