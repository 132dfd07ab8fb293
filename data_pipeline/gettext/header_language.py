"""The language of a translation catalogue, by its path and header.

These are tried, the most reliable first:

1. `<locale>/LC_MESSAGES/x.po`, the path that gettext itself uses;
2. `<locale>.po`;
3. a locale at the end of the name (`gedit.master.de.po`, `plugin-de_DE.po`,
   `strings_de.po`), before its first dot (`de.app.po`), or in the name of the
   folder (`de/x.po`, `values-pt-rBR/x.po`), together with the header's
   Language.

1 and 2 take precedence over the header, which may be copied from another
catalogue. The hints of 3 must not contradict each other, since a folder may be
named `my` (Burmese); a locale in name or folder that the header confirms is
used.
"""

import re
from collections.abc import Collection
from pathlib import PurePosixPath

from labse import languages

# At the end of a name, these are more often English than a language's code.
_ENGLISH_WORDS = {"am", "an", "as", "in", "io", "my", "or", "so", "to"}
_SEPARATOR = re.compile(r"[._-]")
# WordPress: forms of address, after the locale.
_FORM_OF_ADDRESS = re.compile(r"_(?:in)?formal$")
_ANDROID_REGION = re.compile(r"(?<=-[a-z]{2})-r(?=[A-Z]{2}$)")
# `b+sr+Latn` at the end of Android's folders.
_ANDROID_BCP_47 = re.compile(r"(?<![^._-])b\+(?=[a-z]{2,3}\+)")


def sure_language(path: PurePosixPath) -> str | None:
    """The tag by 1 or 2, or None."""
    if path.parent.name == "LC_MESSAGES":
        return languages.language_tag(path.parent.parent.name)
    whole = _known_tag(path.stem)
    last = _SEPARATOR.split(path.stem)[-1]
    # `my-de` may be Burmese in Germany, or the German of a project named `my`;
    # `am_et` has its language's default region, which the tag leaves out.
    is_code = last.islower() and languages.is_known_language(last)
    return None if whole and "-" in whole and is_code else whole


def catalogue_language(
    path: PurePosixPath, header: str
) -> tuple[str | None, str]:
    """The tag of a catalogue's language, or None and why it is unclear.

    Args:
      path: of the catalogue.
      header: its field Language, or "".
    """
    if sure := sure_language(path):
        return sure, ""
    in_header = languages.language_tag(header)
    for tag in _tags_in(path.stem) + _tags_in(path.parent.name):
        if in_header and _same_language(tag, in_header):
            return tag, ""
    stem = path.stem
    if _known_tag(stem) and _SEPARATOR.split(stem)[0] not in _ENGLISH_WORDS:
        return _known_tag(stem), ""
    folder = path.parent.name
    claims = {
        "name": next(iter(_tags_in(stem, _ENGLISH_WORDS)), None),
        "folder": _known_tag(folder)
        or next(iter(_tags_in(folder, _ENGLISH_WORDS)), None),
        "header": in_header,
    }
    claims = {place: tag for place, tag in claims.items() if tag}
    if not claims:
        return None, "neither its name nor its header has a language"
    if len(set(map(languages.primary_language, claims.values()))) > 1:
        return None, ", ".join(
            f"its {place} says {tag}" for place, tag in claims.items()
        )
    return next(iter(claims.values())), ""


def _same_language(tag: str, other: str) -> bool:
    return languages.primary_language(tag) == languages.primary_language(other)


def _known_tag(locale: str) -> str | None:
    """The tag of a locale whose language is known."""
    tag = languages.language_tag(locale)
    if tag is None or not languages.is_known_language(tag):
        return None
    # `is.plugin` looks like a locale with its charset; charsets have digits.
    _, dot, charset = locale.partition(".")
    return tag if not dot or re.search("[0-9]", charset) else None


def _tags_in(name: str, without: Collection[str] = ()) -> list[str]:
    """The tags at the end of a name, the longest first, then at its start.

    Args:
      name: of a file or a folder.
      without: parts of a name that are not considered a language.
    """
    name = _FORM_OF_ADDRESS.sub("", _ANDROID_REGION.sub("-", name))
    if match := _ANDROID_BCP_47.search(name):
        name = name[match.end() :].replace("+", "-")
    starts = [0, *(match.end() for match in _SEPARATOR.finditer(name))]
    parts = [name[start:] for start in starts] + [name.split(".")[0]]
    tags = [
        _known_tag(part)
        for part in parts
        # BR alone is a region.
        if re.match(r"[a-z]{2,3}(?![a-z])", part)
        and _SEPARATOR.split(part)[0] not in without
    ]
    return [tag for tag in tags if tag]
