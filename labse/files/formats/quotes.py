r"""TSV has no quotes here. This finds cells that another program quoted.

Spreadsheets and pandas write `Press "Save" now` as `"Press ""Save"" now"`.
Read as it stands, the quotes would become text. But `"Really?""Yes."` is text
as well: two speakers. So a cell proves that its file is quoted if it is whole
and the quotes inside are as many as open and close. Other such cells only do
so in a file that has no quotes as nobody would quote them: `he said "no" then`.

Spreadsheets also quote a cell with a comma, other programs every cell; such
cells, `"Open, now"`, only count in a file without a comma or a quote in a cell
that is not wrapped. And a quoted line feed makes one row into several lines.
"""

import re
from collections.abc import Iterable, Sequence

_NAME = re.compile(r'".*"', re.DOTALL)
_RUN = re.compile('"+')

ADVICE = (
    "A TSV has no quotes here. Write it without them (Python and pandas: "
    "quoting=csv.QUOTE_NONE) or as .jsonl; if the quotes are text, say so: "
    "--tsv_quotes=text (quotes_are_text=True)."
)


def quoted_name(names: Iterable[str]) -> str | None:
    """The first of a header's names that is in quotes."""
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


def wrapped_cell(cells: Sequence[str]) -> str | None:
    """The first cell that would be quoted in a file without bare commas.

    That is a wrapped one with a comma, or the first where all are wrapped. One
    column of `"Save"` is as well text.
    """
    wrapped = [cell for cell in cells if _is_wrapped(cell)]
    if wrapped and len(wrapped) == len(cells) > 1:
        return wrapped[0]
    return next((cell for cell in wrapped if "," in cell), None)


def has_unquoted(cells: Iterable[str]) -> bool:
    """Whether a spreadsheet would have quoted one of the cells, and did not."""
    return any(
        ("," in cell or '"' in cell) and not _is_wrapped(cell) for cell in cells
    )


class LineBreaks:
    """Finds a row that a quoted line feed has split into lines."""

    def __init__(self, num_columns: int):
        self._num_columns = num_columns
        self._opened: tuple[int, str, bool] | None = None

    def add(self, number: int, cells: Sequence[str]) -> tuple[int, str] | None:
        """The line and the cell that this line closes.

        Args:
          number: of the line; the lines come in their order.
          cells: of the line.
        """
        is_wrong = len(cells) != self._num_columns
        opened, self._opened = self._opened, None
        first, last = cells[0], cells[-1]
        if opened and first.endswith('"') and first.count('"') % 2:
            if is_wrong or opened[2]:
                return opened[:2]
        elif opened and is_wrong and len(cells) == 1 and '"' not in first:
            self._opened = opened  # The cell continues.
        if last.startswith('"') and last.count('"') % 2:
            self._opened = (number, last, is_wrong)
        return None

    @property
    def is_open(self) -> bool:
        """Whether the next line matters even without a quote."""
        return self._opened is not None


def _is_wrapped(cell: str) -> bool:
    return (
        len(cell) > 1
        and cell[0] == cell[-1] == '"'
        and '"' not in cell[1:-1].replace('""', "")
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
