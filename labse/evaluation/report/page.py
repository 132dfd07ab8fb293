"""HTML by elements: a page with its style inside, tables, texts.

The page is a tree, not a string, so that no text of the data can become
markup; texts of any direction are set with dir="auto".
"""

from collections.abc import Sequence
from xml.etree import ElementTree

MAX_LETTERS = 160

STYLE = """
:root{--ink:#1c2330;--soft:#5d6779;--line:#e3e7ee;--blue:#2459c4;
--pale:#e9eef8;--orange:#d06a12;--good:#1d8a5f;--bad:#b3362b}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,"Noto Sans",sans-serif;color:var(--ink);
background:#f6f7fa;margin:0;padding:32px 16px}
main{max-width:1080px;margin:auto}
h1{font-size:26px;margin:0}h2{font-size:18px;margin:0 0 4px}
p{margin:0 0 12px;color:var(--soft)}
section{background:#fff;border:1px solid var(--line);border-radius:10px;
padding:20px 24px;margin-top:18px;overflow-x:auto}
.cards{display:flex;flex-wrap:wrap;gap:14px;margin-top:18px}
.card{flex:1 1 150px;background:#fff;border:1px solid var(--line);
border-radius:10px;padding:14px 18px}
.card b{display:block;font-size:28px;line-height:1.25}
.card span{color:var(--soft);font-size:13px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(330px,100%),1fr));
gap:16px}
svg{width:100%;height:auto}svg text{font-size:11px;fill:var(--soft)}
svg .title{font-size:13px;font-weight:600;fill:var(--ink)}
svg .end{text-anchor:end}svg .middle{text-anchor:middle}
svg .grid{stroke:var(--line)}svg .line{fill:none;stroke-width:1.8}
.bars{columns:3 280px;column-gap:30px}
.bar{display:grid;grid-template-columns:68px 1fr 46px;align-items:center;
gap:8px;break-inside:avoid;font-size:13px;line-height:21px}
.bar i{display:block;height:6px;background:var(--blue);border-radius:2px}
.bar i+i{height:4px;background:var(--orange);margin-top:1px}
.bar em{font-style:normal;text-align:right;font-variant-numeric:tabular-nums}
.bar div{background:var(--pale);border-radius:2px}
.few{opacity:.5}
.key{font-weight:600}.key.to{color:var(--blue)}.key.from{color:var(--orange)}
table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;color:var(--soft);font-weight:600;font-size:12px}
th,td{padding:5px 10px 5px 0;border-bottom:1px solid var(--line);
vertical-align:top;overflow-wrap:anywhere}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.mistakes{table-layout:fixed}.mistakes th:first-child{width:70px}
.mistakes th.number{width:60px}
.wide{width:100%}.code{color:var(--soft);white-space:nowrap}
.right{color:var(--good)}.wrong{color:var(--bad)}
.examples{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr));
gap:8px 36px}
.examples h3{font-size:15px;margin:12px 0 2px}
summary{cursor:pointer;font-size:18px;font-weight:600}
footer{color:var(--soft);font-size:13px;margin-top:18px}
"""


def render(title: str, main: ElementTree.Element) -> str:
    """The whole file around the element `main`."""
    document = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width"),
            element("title", title),
            element("style", STYLE),
        ),
        element("body", main),
        lang="en",
    )
    text = ElementTree.tostring(document, encoding="unicode", method="html")
    return f"<!DOCTYPE html>\n{text}\n"


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[ElementTree.Element]],
    class_: str = "",
) -> ElementTree.Element:
    """A table of rows of cells; a column of `number` cells is set as one."""
    numbers = {
        column
        for row in rows
        for column, cell in enumerate(row)
        if cell.get("class") == "number"
    }
    return element(
        "table",
        element(
            "tr",
            *(
                element("th", title, class_="number" if i in numbers else "")
                for i, title in enumerate(titles)
            ),
        ),
        *(element("tr", *row) for row in rows),
        class_=class_,
    )


def number(text: str) -> ElementTree.Element:
    """A cell of a table that holds a number."""
    return element("td", text, class_="number")


def text_cell(text: str, class_: str = "") -> ElementTree.Element:
    """A cell with a text of the data, cut where it is very long."""
    if len(text) > MAX_LETTERS:
        text = text[: MAX_LETTERS - 1] + "…"
    return element("td", text, class_=class_, dir="auto")


def percent(share: float) -> str:
    """A share between 0 and 1, as a reader wants it."""
    return f"{100 * share:.1f} %"


def element(
    tag: str, *children: str | ElementTree.Element, **attributes: str
) -> ElementTree.Element:
    """An element with its children; `class_` is the attribute class."""
    given = {
        name.rstrip("_"): text for name, text in attributes.items() if text
    }
    parent = ElementTree.Element(tag, given)
    for child in children:
        if not isinstance(child, str):
            parent.append(child)
        elif len(parent):  # ElementTree hangs a text on what stands before it
            parent[-1].tail = (parent[-1].tail or "") + child
        else:
            parent.text = (parent.text or "") + child
    return parent
