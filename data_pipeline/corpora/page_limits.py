"""Which pages would take too much time or memory to parse.

An HTML parser takes any page, and some of the rules that it has to follow
(https://html.spec.whatwg.org/#parsing) cost a page's size squared: attributes
of one tag are compared with each other, closing tags are looked for among all
open elements, and formatting that is not closed is opened again in each
paragraph.
"""

import re

# An element takes half a kilobyte of memory.
MAX_TAGS = 500_000
# Looking for the main text takes time for each element times its depth: 1 s for
# this sum. That of ordinary pages is below a hundredth of it.
MAX_SUM_OF_DEPTHS = 3 * 10**7
MAX_ATTRIBUTES = 2**12  # of a tag; of a page, twice `MAX_TAGS`
# A shorter page cannot have tags that cost more than 8 s.
_MIN_CHARACTERS = 2**19
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)(\s?)")
# Not the usual ones, which surely end soon.
_START_TAG = re.compile(
    r"""<[a-zA-Z](?![^<>"'=]{0,99}(?:="[^<>"]*"[^<>"'=]{0,99}){0,39}>)"""
    r"[^\s/>]*"
)
_ATTRIBUTE = re.compile(
    r"[\s/]*=?[^\s/>=]*"
    r"""(?:\s*=\s*(?:"[^"]*"?|'[^']*'?|[^\s>"'][^\s>]*)?)?"""
)
# Elements that hold nothing, or that the next of their kind ends.
_FLAT_NAMES = """
area base br col embed hr img input link meta param source track wbr
body dd dt head html li optgroup option p rp rt tbody td tfoot th thead tr
"""
_FLAT = frozenset(_FLAT_NAMES.split())
# Elements that are opened again. Of those without attributes, at most three of
# a name. (`<a>` ends the one before.)
_FORMATTING_NAMES = """
b big code em font i nobr s small strike strong tt u
"""
_FORMATTING = frozenset(_FORMATTING_NAMES.split())
_MAX_BARE = 3 * len(_FORMATTING)
_FORMATTING_TAG = re.compile(
    rf"<(?=[bcefinstuBCEFINSTU])(?i:{'|'.join(_FORMATTING_NAMES.split())})[\s/]"
)


def is_too_complex(html: str) -> bool:
    """Whether a page has too many elements or attributes, or nests too deep."""
    num_tags = html.count("<")
    if num_tags > MAX_TAGS:
        return True
    if len(html) > _MIN_CHARACTERS and _has_long_tag(html):
        return True
    num_formatting = len(_FORMATTING_TAG.findall(html)) + _MAX_BARE
    if (
        num_tags * num_tags // 2 <= MAX_SUM_OF_DEPTHS
        and num_tags * num_formatting <= MAX_TAGS
    ):
        return False
    return _nests_too_deep(html)


def _nests_too_deep(html: str) -> bool:
    """Whether elements and their depths, estimated from above, are too many.

    A closing tag counts where it closes the innermost element (or one that has
    only `<span>` in it). Any other may be one that a parser ignores.
    """
    opened: list[tuple[str, bool]] = []
    elements = sum_of_depths = with_attributes = bare = 0
    for match in _TAG.finditer(html):
        name = match[2].lower()
        if name not in _FLAT:
            if not match[1]:
                opened.append((name, bool(match[3])))
                if name in _FORMATTING:
                    with_attributes += bool(match[3])
                    bare += not match[3]
            elif (closed := _close(opened, name)) and name in _FORMATTING:
                with_attributes -= closed[1]
                bare -= not closed[1]
        elements += 1 + with_attributes + min(bare, _MAX_BARE)
        sum_of_depths += len(opened)
        if elements > 2 * MAX_TAGS or sum_of_depths > MAX_SUM_OF_DEPTHS:
            return True
    return False


def _close(
    opened: list[tuple[str, bool]], name: str
) -> tuple[str, bool] | None:
    """Closes the innermost element if it has this name; returns it."""
    place = len(opened) - 1
    while place >= 0 and name != "span" == opened[place][0]:
        place -= 1
    if place < 0 or opened[place][0] != name:
        return None
    found = opened[place]
    del opened[place:]
    return found


def _has_long_tag(html: str) -> bool:
    """Whether a tag has too many attributes.

    Looks at whatever may be a tag, within scripts and values too, since what is
    one depends on all that precedes.
    """
    left = 2 * MAX_TAGS
    for match in _START_TAG.finditer(html):
        place = match.end()
        for _ in range(MAX_ATTRIBUTES):
            end = _ATTRIBUTE.match(html, place).end()
            if end == place:
                break
            place = end
            left -= 1
        else:
            return True
        if left < 0:
            return True
    return False
