"""Translation catalogues (.po, .mo, .gmo) -> a file of pairs.

  labse extract-gettext --input=package:django --out=pairs.tsv

writes the columns source, target, source_language, target_language, sorted,
each row once, and prints what was dropped and why.

A catalogue's language is that of its path, the surest place first:
de/LC_MESSAGES/x.po; de.po; app-de.po, app.de.po, strings_de.po, de/x.po or
values-de/x.po. The first two win over the header's Language; a part of a name,
a folder and the header must not contradict each other. A catalogue whose
language is unclear is named and left out, unless --target_language says it.

A catalogue that cannot be read is named and left out, up to
--max_malformed_share of all. What msgfmt takes can be read.
"""

import sys

from labse import features, languages
from labse.bin.flags import file_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.errors import InputError


def define_flags(flags: FlagSet) -> None:
    """Defines the program's flags."""
    flags.strings(
        "input",
        None,
        "Folder, wheel, zip file, .po, .mo or .gmo, a glob of these, or "
        "package:NAME for an installed Python package. May be given more than "
        "once.",
        required=True,
    )
    flags.string("out", None, file_flags.PAIR_OUTPUT, required=True)
    flags.string("source_language", "en", "Language of the catalogues' msgids.")
    flags.string(
        "target_language",
        None,
        "Language of the catalogues that do not say theirs clearly, such as "
        "de. Default: they are left out.",
    )
    flags.strings(
        "exclude",
        [],
        "Glob of catalogues to leave out, such as '*/fr/LC_MESSAGES/*': their "
        "path in the folder or archive, or as messages name it; * matches / "
        "too. May be given more than once.",
    )
    flags.number(
        "max_malformed_share",
        0.01,
        "Catalogues that cannot be read are left out up to this share of "
        "those that were opened.",
        lower_bound=0.0,
        upper_bound=1.0,
    )
    flags.comma_list(
        "languages",
        [],
        "Languages to keep, such as de,pt-BR,zh-Hans; all where empty. es "
        "does not include es-MX.",
    )
    flags.integer(
        "max_characters",
        500,
        "The longest text kept, on either side. The encoder reads 128 pieces, "
        "about 500 characters.",
        lower_bound=1,
    )


def main(flags: FlagSet) -> None:
    """Checks the flags, extracts the pairs, writes them and the summary."""
    file_flags.check_pair_output(flags, "out")
    source_language = _tag(flags.source_language, "source_language")
    target_language = flags.target_language
    if target_language is not None:
        target_language = _tag(target_language, "target_language")
    wanted = frozenset(_tag(name, "languages") for name in flags.languages)

    from data_pipeline.gettext import catalogue_pairs
    from labse.files.pair_writer import write_pairs

    extraction = catalogue_pairs.extract_pairs(
        flags.input,
        source_language,
        wanted or None,
        flags.max_characters,
        target_language,
        flags.exclude,
    )
    _check_malformed(extraction, flags.max_malformed_share)
    if not extraction.pairs:
        print(catalogue_pairs.summary(extraction), file=sys.stderr)
        raise InputError(
            "The catalogues must hold at least one translation that can be "
            f"kept. Received: {', '.join(flags.input)}, with none; the "
            "table above says why. Nothing was written."
            + _remedy(extraction.unclear)
        )
    write_pairs(
        flags.out,
        (
            dict(
                zip(
                    features.PAIR_COLUMNS,
                    (source, target, source_language, target_language),
                    strict=True,
                )
            )
            for target_language, source, target in extraction.pairs
        ),
        features.PAIR_COLUMNS,
    )
    print(catalogue_pairs.summary(extraction), file=sys.stderr)
    if extraction.unclear:
        print(_remedy(extraction.unclear).strip(), file=sys.stderr)


def _remedy(unclear: list[str]) -> str:
    """What to do about catalogues whose language is unclear."""
    if not unclear:
        return ""
    return (
        " The catalogues whose language is unclear were left out: give it with "
        "--target_language=de, rename them as in app.de.po, or leave them out "
        "with --exclude."
    )


def _check_malformed(extraction, max_share: float) -> None:
    """Raises InputError where too many catalogues could not be read."""
    from data_pipeline.gettext import catalogue_pairs

    malformed, share = extraction.malformed, extraction.malformed_share
    if share > max_share:
        opened = extraction.counters["catalogues_read"] + len(malformed)
        raise InputError(
            f"At most {max_share:g} of the catalogues may be left out because "
            "they cannot be read (--max_malformed_share). Received: "
            f"{len(malformed)} of {opened}: "
            f"{catalogue_pairs.named(malformed)}. Repair them (msgfmt --check "
            "shows where), leave them out with --exclude, or raise the share. "
            "Nothing was written."
        )


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
