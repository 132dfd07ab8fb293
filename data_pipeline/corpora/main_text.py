"""The main text of a page: what it is about, without menus and other frames."""

import re

# Looking for the main text takes time for each element times its depth. Of
# 8,000 ordinary pages none reaches a hundredth of this, which takes a second.
MAX_SUM_OF_DEPTHS = 3 * 10**7
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
# Elements that hold nothing, or that the next of their kind ends.
_FLAT_NAMES = """
area base br col embed hr img input link meta param source track wbr
body dd dt head html li optgroup option p rp rt tbody td tfoot th thead tr
"""
_FLAT = frozenset(_FLAT_NAMES.split())


def main_text(html: str) -> tuple[list[str], str]:
    """The paragraphs of a page's main text, and the page's language.

    Returns:
      Paragraphs, none blank; and the attribute `lang` of `<html>`, or empty.
    """
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    tree = HTMLTree.parse(html)
    root = tree.document.query_selector("html")
    language = (root.getattr("lang") or "") if root else ""
    text = extract_plain_text(
        tree,
        preserve_formatting=True,
        main_content=True,
        list_bullets=False,
        alt_texts=False,
        comments=False,
    )
    return paragraphs_of(text), language


def paragraphs_of(text: str) -> list[str]:
    """The lines of a text that are not blank, with single spaces."""
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return [line for line in lines if line]


def is_too_deep(html: str) -> bool:
    """Whether elements are nested so deeply that a page would take too long."""
    num_tags = html.count("<")
    if num_tags * num_tags // 2 <= MAX_SUM_OF_DEPTHS:
        return False
    depth = total = 0
    for match in _TAG.finditer(html):
        if match[2].lower() not in _FLAT:
            depth = max(0, depth - 1) if match[1] else depth + 1
        total += depth
        if total > MAX_SUM_OF_DEPTHS:
            return True
    return False
