r"""TSV has no quotes here. This finds cells that another program quoted.

Spreadsheets and pandas write `Press "Save" now` as `"Press ""Save"" now"`.
Read as it stands, the quotes would become text. But `"Really?""Yes."` is text
as well: two speakers. So a cell proves that its file is quoted if it is whole
and the quotes inside are as many as open and close. Other such cells only do
so in a file that has no quotes as nobody would quote them: `he said "no" then`.
"""

import re
from collections.abc import Iterable

_NAME = re.compile(r'".*"', re.DOTALL)
_RUN = re.compile('"+')

ADVICE = (
    "A TSV has no quotes here. Write it without them (Python and pandas: "
    "quoting=csv.QUOTE_NONE) or as .jsonl; if the quotes are text, say so: "
    "--tsv_quotes=text (quotes_are_text=True)."
)


def quoted_name(names: Iterable[str]) -> str | None:
    """The first of a header's names that stands in quotes."""
    return next((name for name in names if _NAME.fullmatch(name)), None)


def quoted_cell(cells: Iterable[str]) -> tuple[str, bool] | None:
    """The first cell that looks quoted, and whether that is proof."""
    for cell in cells:
        if cell.startswith('"') and '""' in cell:
            pairs, is_closed = _pairs(cell[1:])
            if pairs:
                return cell, is_closed and pairs % 2 == 0
    return None


def has_bare_quote(cells: Iterable[str]) -> bool:
    """Whether a program that quotes would have quoted one of the cells."""
    return any(
        len(run[0]) % 2 and run.end() < len(cell)
        for cell in cells
        if '"' in cell and not cell.startswith('"')
        for run in _RUN.finditer(cell)
    )


def _pairs(rest: str) -> tuple[int, bool]:
    """Doubled quotes behind an opening one, and whether it is closed.

    No pairs where a single quote stands inside, as in text.
    """
    runs = [len(run) for run in _RUN.findall(rest)]
    is_closed = rest.endswith('"') and runs[-1] % 2 == 1
    if is_closed:
        runs[-1] -= 1
    if any(run % 2 for run in runs):
        return 0, is_closed
    return sum(runs) // 2, is_closed
