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
from collections.abc import Callable, Sequence

from labse.files.lines import read_lines

_RUN = re.compile('"+')

ADVICE = (
    "A TSV has no quotes here. Write it without them (Python and pandas: "
    "quoting=csv.QUOTE_NONE) or as .jsonl; if the quotes are text, read it "
    "with tsv_quotes=text."
)


class QuotedCells:
    """Finds the cells of a file that look quoted, line by line.

    Attributes:
      is_open: whether the next line matters even without a quote.
    """

    def __init__(self, path: str, num_columns: int):
        self.is_open = False
        self._path = path
        self._num_columns = num_columns
        self._passed: dict[Callable, bool] = {}
        self._opened = (0, "", False)  # line, cell, has a wrong number of cells

    def find(self, number: int, line: bytes) -> tuple[int, str] | None:
        """The quoted cell that a line has or closes, and where it begins."""
        cells = _cells(line)
        for cell in cells:
            if cell.startswith('"') and '""' in cell:
                pairs, is_closed = _pairs(cell[1:])
                is_proof = is_closed and pairs % 2 == 0
                if pairs and (is_proof or not self._has(_has_bare_quote)):
                    return number, cell
                if pairs:
                    break
        wrapped = _wrapped_cell(cells)
        if wrapped and not self._has(_has_unquoted):
            return number, wrapped
        return self._find_broken(number, cells)

    def _has(self, test: Callable[[list[str]], bool]) -> bool:
        """Whether the cells of any line of the file pass a test."""
        if test not in self._passed:
            self._passed[test] = any(
                test(_cells(line))
                for _, _, line in read_lines(self._path)
                if b'"' in line or b"," in line
            )
        return self._passed[test]

    def _find_broken(
        self, number: int, cells: list[str]
    ) -> tuple[int, str] | None:
        """The cell, split by a quoted line feed, that a line closes."""
        is_wrong = len(cells) != self._num_columns
        was_open, self.is_open = self.is_open, False
        first, last = cells[0], cells[-1]
        if was_open and first.endswith('"') and first.count('"') % 2:
            if is_wrong or self._opened[2]:
                return self._opened[:2]
        elif was_open and is_wrong and len(cells) == 1 and '"' not in first:
            self.is_open = True  # The cell continues.
        if last.startswith('"') and last.count('"') % 2:
            self.is_open, self._opened = True, (number, last, is_wrong)
        return None


def _cells(line: bytes) -> list[str]:
    return line.decode(errors="replace").split("\t")


def _has_bare_quote(cells: list[str]) -> bool:
    """Whether a program that quotes would have quoted one of the cells."""
    return any(
        len(run[0]) % 2 and run.end() < len(cell)
        for cell in cells
        if '"' in cell and not cell.startswith('"')
        for run in _RUN.finditer(cell)
    )


def _wrapped_cell(cells: Sequence[str]) -> str | None:
    """The first cell that would be quoted in a file without bare commas.

    That is a wrapped one with a comma, or the first where all are wrapped. One
    column of `"Save"` is as well text.
    """
    wrapped = [cell for cell in cells if _is_wrapped(cell)]
    if wrapped and len(wrapped) == len(cells) > 1:
        return wrapped[0]
    return next((cell for cell in wrapped if "," in cell), None)


def _has_unquoted(cells: list[str]) -> bool:
    """Whether a spreadsheet would have quoted one of the cells, and did not."""
    return any(
        ("," in cell or '"' in cell) and not _is_wrapped(cell) for cell in cells
    )


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
