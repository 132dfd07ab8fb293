"""The main text of a page: what it is about, without menus and other frames."""


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
        post_meta=False,
    )
    return paragraphs_of(text), language


def paragraphs_of(text: str) -> list[str]:
    """The lines of a text that are not blank, with single spaces, no NULs."""
    lines = (
        " ".join(line.split()) for line in text.replace("\0", "").split("\n")
    )
    return [line for line in lines if line]
