"""Wikitext -> the paragraphs that a reader of the article sees.

A scanner and not a parser: templates and parser functions are left out and
never expanded, and so are tables, references, galleries, formulas, headings,
categories and files. Each pass goes over the text once, whatever it holds, so a
page takes time in proportion to its length
(https://www.mediawiki.org/wiki/Help:Formatting).
"""

import functools
import html
import re
from collections.abc import Iterable

# Elements whose content is no text of the article.
_NAMES = """
ce chem gallery graph hiero imagemap includeonly indicator inputbox mapframe
maplink math ref references score source style syntaxhighlight table
templatedata templatestyles timeline
"""
_ELEMENT = re.compile(rf"<({'|'.join(_NAMES.split())})\b[^<>]*>", re.IGNORECASE)
_NOWIKI = re.compile(r"<nowiki>([^<]*)</nowiki>", re.IGNORECASE)
# A table begins and ends at the start of a line; `|}}` there ends a template.
_BRACES = re.compile(
    r"\{\{|\}\}|^[ \t:*#;]*(\{\|)|^[ \t]*(\|\})(?!\})", re.MULTILINE
)
_LINK_MARKS = re.compile(r"\[\[|\]\]")
_MAX_LINK_DEPTH = 8  # A file's caption holds links, hardly deeper.
# `-{zh-hans:A; zh-hant:B}-`: variants of the language.
_VARIANTS = re.compile(r"-\{([^{}]*)\}-")
_VARIANT = re.compile(r"\s*[a-z]{2,3}(?:-[a-z]{2,4})*\s*:([^;]*)")
# Flags of what is only a rule or a title, and shows nothing.
_HIDDEN = frozenset("HTD-")
_URL_LINK = re.compile(
    r"\[(?:https?:|ftp:|mailto:|//)[^\s\[\]<>]*(?:[ \t]([^\[\]\n]*))?\]",
    re.IGNORECASE,
)
_BREAK = re.compile(r"<(?:br|p|/p|/?div|/?li|/?blockquote)\b[^<>]*>", re.I)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
# `int` refuses numbers of many digits.
_LONG_REFERENCE = re.compile(r"&#[0-9]{8,};?")
_QUOTES = re.compile(r"'{2,}")
_SWITCH = re.compile(r"__[^\W_]{2,30}__")
_LIST_MARK = re.compile(r"[*#:;]+[ \t]*")
_HEADING = re.compile(r"=[^\n]*=")
# What a template leaves in brackets, before a mark, or between commas.
_EMPTY_BRACKETS = re.compile(r"[(（] ?[,;:，；、]? ?[)）]")
_BRACKET_MARK = re.compile(r"(?<=[(（])(?: ?[,;:，；、]+ ?| )")
_SPACE_BEFORE = re.compile(r" (?=[,.;](?: |$)|[)）])")
_COMMAS = re.compile(r",(?: ?,)+")
# Of links to other wikis in the text of old pages, such as [[de:Berlin]].
_INTERWIKI = re.compile(r"[a-z]{2,3}(-[a-z]{2,10}){0,2}|simple")
# Every wiki understands these, whatever its language calls them.
COMMON_NAMESPACES = frozenset(("category", "file", "image", "media"))


def paragraphs_of_wikitext(
    text: str, namespaces: Iterable[str] = COMMON_NAMESPACES
) -> list[str]:
    """The paragraphs and list items of an article, none blank.

    Args:
      text: wikitext, as it stands in `<text>` of a dump after XML's escapes.
      namespaces: names in small letters of those of categories and files,
        links to which show no text.
    """
    text = _without_comments(text)
    text = _without_elements(text)
    text = _VARIANTS.sub(_first_variant, text)
    text = _without_braces(text)
    text = _without_links(text, frozenset(namespaces))
    text = _URL_LINK.sub(r"\1", text)
    text = _BREAK.sub("\n", text)
    text = _TAG.sub("", text)
    text = _SWITCH.sub("", _QUOTES.sub("", text))
    text = html.unescape(_LONG_REFERENCE.sub("\ufffd", text))
    return [line for line in map(_cleaned, text.split("\n")) if line]


def _without_comments(text: str) -> str:
    parts, place = [], 0
    while (start := text.find("<!--", place)) >= 0:
        parts.append(text[place:start])
        end = text.find("-->", start + 4)
        if end < 0:
            return "".join(parts)  # As MediaWiki does.
        place = end + 3
    return "".join([*parts, text[place:]])


def _without_elements(text: str) -> str:
    """Without the elements of `_NAMES`; an open one is only a tag."""
    text = _NOWIKI.sub(r"\1", text)
    parts, place = [], 0
    unclosed = set()
    while match := _ELEMENT.search(text, place):
        parts.append(text[place : match.start()])
        place = match.end()
        name = match[1].lower()
        if match[0].endswith("/>") or name in unclosed:
            continue
        if close := _close_of(name).search(text, place):
            place = close.end()
        else:
            unclosed.add(name)
    return "".join([*parts, text[place:]])


@functools.cache
def _close_of(name: str) -> re.Pattern:
    return re.compile(rf"</{name}\s{{0,9}}>", re.IGNORECASE)


def _first_variant(match: re.Match) -> str:
    """The text of the first variant; one without variants as it is."""
    flags, bar, text = match[1].rpartition("|")
    if bar and not _HIDDEN.isdisjoint(flags.split(";")):
        return ""
    variant = _VARIANT.match(text)
    return variant[1] if variant else text


def _without_braces(text: str) -> str:
    """Without templates and tables; what is never closed is text."""
    opened: list[tuple[str, int]] = []  # what, and where
    count = {"{{": 0, "{|": 0}
    parts, outer = [], []  # `outer`: closed spans that no other one holds
    for match in _BRACES.finditer(text):
        mark = match[1] or match[2] or match[0]
        if mark in count:
            start = match.start(1) if match[1] else match.start()
            opened.append((mark, start))
            count[mark] += 1
            continue
        wanted = "{{" if mark == "}}" else "{|"
        if not count[wanted]:
            continue
        while True:
            found, start = opened.pop()
            count[found] -= 1
            if found == wanted:
                break
        while outer and outer[-1][0] > start:
            outer.pop()
        outer.append((start, match.end()))
    place = 0
    for start, end in outer:
        parts.append(text[place:start])
        place = end
    return "".join([*parts, text[place:]])


def _without_links(text: str, namespaces: frozenset[str]) -> str:
    """With the text that links show in their place."""
    levels: list[list[str]] = [[]]
    too_deep = place = 0
    for match in _LINK_MARKS.finditer(text):
        levels[-1].append(text[place : match.start()])
        place = match.end()
        if match[0] == "[[":
            if len(levels) > _MAX_LINK_DEPTH:
                too_deep += 1
            else:
                levels.append([])
        elif too_deep:
            too_deep -= 1
        elif len(levels) > 1:
            link = "".join(levels.pop())
            levels[-1].append(_shown(link, namespaces))
    levels[-1].append(text[place:])
    return "".join("".join(level) for level in levels)


def _shown(link: str, namespaces: frozenset[str]) -> str:
    """What a link shows: its label, else the name of its page."""
    target, bar, label = link.partition("|")
    prefix, colon, _ = target.partition(":")
    prefix = prefix.strip().lower().replace("_", " ")
    if colon and prefix in namespaces:
        return ""
    if colon and not bar and _INTERWIKI.fullmatch(prefix):
        return ""
    return label if bar else target.strip().lstrip(":")


def _cleaned(line: str) -> str:
    """A line without its mark; empty if it is no text."""
    line = " ".join(line.split())
    # Rows of tables that were never closed, rules and headings.
    if line.startswith(("|", "!", "{|", "}}", "----")):
        return ""
    if line.startswith("=") and _HEADING.fullmatch(line):
        return ""
    line = line[match.end() :] if (match := _LIST_MARK.match(line)) else line
    if "(" in line or "（" in line:
        line = _EMPTY_BRACKETS.sub("", _BRACKET_MARK.sub("", line))
        line = " ".join(line.split())
    return _COMMAS.sub(",", _SPACE_BEFORE.sub("", line))
