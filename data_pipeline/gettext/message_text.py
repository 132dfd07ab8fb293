"""The visible text of a user interface's string.

Such strings also have HTML, marks of accelerator keys, and placeholders that
the program fills in.
"""

import collections
import html
import re
import unicodedata

# Only names of HTML and Pango, since `<file>` in a help text is text.
_BLOCK_TAGS = (
    "blockquote|br|dd|div|dl|dt|h[1-6]|hr|img|input|li|ol|p|pre|table|tbody|td|"
    "th|thead|tr|ul"
)
_INLINE_TAGS = (
    "a|abbr|b|big|button|cite|code|del|em|font|i|ins|kbd|label|markup|q|s|samp|"
    "small|span|strike|strong|sub|sup|tt|u|var"
)
_ATTRIBUTES = r"(?:\s(?:[^<>\"']|\"[^\"]*\"|'[^']*')*)?"
_BLOCK_TAG = re.compile(
    rf"<!--.*?-->|</?(?:{_BLOCK_TAGS}){_ATTRIBUTES}/?>", re.I | re.S
)
_INLINE_TAG = re.compile(rf"</?(?:{_INLINE_TAGS}){_ATTRIBUTES}/?>", re.I)
_QUOTE_TAG = re.compile(r"</?q>", re.I)  # a browser shows quotation marks
_ENTITY = re.compile(r"&(?:#[0-9]+|#x[0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")
# Control characters are treated as white space.
_SPACES = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def visible_text(string: str) -> str:
    """The string without HTML, its white space collapsed to single spaces."""
    string = _BLOCK_TAG.sub(" ", string)
    string = _QUOTE_TAG.sub('"', string)
    string = _INLINE_TAG.sub("", string)
    # Only entities with a semicolon: `&Copy` is a menu item.
    string = _ENTITY.sub(lambda match: html.unescape(match[0]), string)
    return _SPACES.sub(" ", string).strip()


# `(&F)` and `(_F)` follow a label whose script has no such key.
_APPENDED_ACCELERATOR = re.compile(r"\s*\([&_][A-Za-z0-9]\)")
_LEADING_ACCELERATOR = re.compile(r"(?<![\w&])[&_](?=[^\W_])")
# Inside a word only if no upper-case letter follows (not in R&D), and if there
# are only letters around it (not in contact_page.html).
_INNER_ACCELERATOR = re.compile(
    r"([^\W\d_]+)[&_]([^\W\d_]+(?:[-'’][^\W\d_]+)*[.…:?!]*)"
)


def without_accelerators(source: str, target: str) -> tuple[str, str]:
    """Removes the marks of keys: `&File`, `_File`, `E&xit`, `ファイル(&F)`.

    A string has at most one, as in toolkits. A word that is the same in both
    texts (`AT&T`, `max_length`) is a name, not a label. So is an address or
    code: a source with a mark inside a word that does not begin with a capital,
    such as `initial_condition`.
    """
    source_plain, sure = _without_accelerator(source, target)
    if source_plain is None:
        return source, target
    if not sure and not re.search(r"\b[A-Z][a-zA-Z]*[&_]", source):
        return source, target
    # A mark inside a word is too rare to assume it in one of the texts only.
    target_plain, _ = _without_accelerator(target, source)
    if target_plain is None:
        return (source_plain, target) if sure else (source, target)
    return source_plain, target_plain


def _without_accelerator(text: str, other: str) -> tuple[str | None, bool]:
    """The text without its one mark, and whether the mark opens a word.

    The text is None if it has no mark or more than one.
    """
    if text.count("&") + text.count("_") != 1:
        return None, False
    plain, count = _APPENDED_ACCELERATOR.subn("", text)
    if count:
        return plain, True
    word = next(word for word in text.split() if "&" in word or "_" in word)
    if "=" in word or "://" in word or PLACEHOLDER.search(word):
        return None, False
    plain, count = _LEADING_ACCELERATOR.subn("", text)
    if count:
        return plain, True
    match = _INNER_ACCELERATOR.fullmatch(word)
    if not match or match[2][0].isupper() or word in other.split():
        return None, False
    return text.replace(word, match[1] + match[2]), False


PLACEHOLDER = re.compile(
    r"""
    %\((?P<python>[^()]*)\)[#0+-]*\d*(?:\.\d+)?[a-zA-Z]  # %(name)s
    | %(?:(?P<position>\d+)\$)?[#0+']*(?:-?(?:\d+|\*))?(?:\.(?:\d+|\*))?
        (?:hh?|ll?|[qjztL])?(?P<conversion>[diouxXeEfFgGcrsapm@])  # %s, %2$d
    | %%                                               # a percent sign
    | %\{(?P<ruby>\w+)\}                               # %{name}
    | %(?P<qt>L?\d{1,2}|n)(?!\w)                       # %1
    | \{\{(?P<template>[^{}]*)\}\}                     # {{ name }}
    | \{%(?P<block>[^{}]*)%\}                          # {% tag %}
    | \$?\{(?P<brace>[\w.\[\]]*)(?:![rsa])?(?::[^{}]*)?\}  # {name}, {0}, ${x}
    | \$(?P<shell>[A-Za-z_]\w*)                        # $name
    """,
    re.X,
)
_CONVERSION_KINDS = {"c": "s", "r": "s", "a": "s", "@": "s"} | {
    **dict.fromkeys("diouxXp", "d"),
    **dict.fromkeys("eEfFgG", "f"),
}


def placeholders(text: str) -> collections.Counter[str]:
    """The values that the program fills in, without their format.

    `%s` and `%d` are identified by their position, so that a translation may
    begin with `%2$s`, but may not reorder `%d` without a position.
    """
    found = collections.Counter()
    position = 0
    for match in PLACEHOLDER.finditer(text):
        if match["conversion"]:
            position += 1
            kind = _CONVERSION_KINDS.get(match["conversion"], "s")
            found[f"%{match['position'] or position}${kind}"] += 1
        elif match[0] != "%%":
            style, name = next(
                (style, name)
                for style, name in match.groupdict().items()
                if name is not None and style != "position"
            )
            found[f"{style}:{name.strip()}"] += 1
    return found


def has_letters(text: str) -> bool:
    """Whether there is a letter of any script besides the placeholders."""
    return any(
        unicodedata.category(character).startswith("L")
        for character in PLACEHOLDER.sub(" ", text)
    )
