import csv
import io

import pytest

from labse.errors import InputError
from labse.files.kinds import open_rows
from labse.files.reading import ReadOptions


def refused(tmp_path, content, **arguments):
    path = tmp_path / "a.tsv"
    path.write_text(content, encoding="utf-8", newline="")
    try:
        list(open_rows(path, ReadOptions(**arguments)))
    except InputError as error:
        assert str(error).startswith(f"{path}:")
        return str(error)
    return ""


@pytest.mark.parametrize(
    "cell",
    [
        '"Press ""Save"" now"',
        '""""',  # what is written for a lone quote
        '"""Save"""',
        '"a ""b"""',
        '"5"" pipe"',
        '"the ""Save"" button',  # a line feed came next
        '"Steven""s"',
    ],
)
def test_a_cell_that_was_quoted(tmp_path, cell):
    content = f"source\ttarget\na\tb\nx\t{cell}\n"
    message = refused(tmp_path, content)
    assert message.split(": ")[0].endswith("a.tsv:3")
    assert cell in message
    assert "QUOTE_NONE" in message
    assert "tsv_quotes=text" in message
    assert not refused(tmp_path, content, tsv_quotes="text")


@pytest.mark.parametrize(
    "cell",
    [
        '"Save"',
        '""',
        '"',
        '""Save""',
        'the ""Save"" button',
        '"Yes", he said, "and no"',
        '"He said "yes""',
        'size 5"',
        '["a \\"b\\"", "c"]',
        '{"a":""}',
    ],
)
def test_quotes_that_are_text(tmp_path, cell):
    assert not refused(tmp_path, f"source\ttarget\nx\t{cell}\n")


@pytest.mark.parametrize("cell", ['"Really?""Yes."', '"in the role"".'])
def test_doubtful_cells_are_text_beside_quotes_that_would_be_quoted(
    tmp_path, cell
):
    """Both are of Tatoeba or news; a program would have quoted line 3."""
    content = f'source\ttarget\nx\t{cell}\nhe said "no" then\ty\n'
    assert not refused(tmp_path, content)
    assert "a.tsv:2: a cell looks quoted" in refused(
        tmp_path, f"source\ttarget\nx\t{cell}\n"
    )


def test_a_quoted_header(tmp_path):
    message = refused(tmp_path, '"source"\ttarget\na\tb\n')
    assert "a.tsv:1: a column's name looks quoted" in message
    assert not refused(tmp_path, '"x"\ttarget\na\tb\n', tsv_quotes="text")


def test_what_csv_writes_is_refused_and_unquoted_is_not(tmp_path):
    rows = [["source", "target"], ['he said "no"', "nein"], ["a\nb", 'x"']]
    written = io.StringIO()
    csv.writer(written, "excel-tab").writerows(rows)
    assert "a.tsv:2: a cell looks quoted" in refused(
        tmp_path, written.getvalue()
    )
    plain = "".join("\t".join(row) + "\n" for row in rows[:2])
    assert not refused(tmp_path, plain)


@pytest.mark.parametrize(
    "lines, number, cell",
    [
        (['"a', 'b"\ty'], 2, '"a'),
        (["x\ty", 'x\t"a', 'b"'], 3, '"a'),
        (['x\t"a', "", "b", 'c ""d"""'], 2, '"a'),  # over four lines
        (['x\t"Open, now"', "y\tz"], 2, '"Open, now"'),
        (["x\ty", '"x"\t"y"'], 3, '"x"'),
    ],
)
def test_line_feeds_and_commas_that_were_quoted(tmp_path, lines, number, cell):
    content = "source\ttarget\n" + "".join(line + "\n" for line in lines)
    message = refused(tmp_path, content)
    assert f"a.tsv:{number}: a cell looks quoted: {cell}. " in message
    assert not refused(tmp_path, content, tsv_quotes="text")


@pytest.mark.parametrize(
    "lines",
    [
        ['x\t"Well', 'no"\ty'],  # both lines are whole rows
        ['x\t"Well', "a\tb", 'no"'],
        ['x\t"Open, now"', "well, y\tz"],
        ['x\t"Open, now"', '5"\tz'],
        ['"x"\t"y"', "y, z\tz"],
        ['x\t"y"', "y\tz"],
    ],
)
def test_wrapped_cells_that_are_text(tmp_path, lines):
    content = "source\ttarget\n" + "".join(line + "\n" for line in lines)
    assert not refused(tmp_path, content)
