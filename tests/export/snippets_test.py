"""Every piece of Python in the card, the README and the guide runs."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "docs" / "exported_models.md")
# Says of a piece of code that it cannot run here, in a comment of its own.
EXCUSE = "not run here"


def snippets(text: str) -> list[str]:
    """The Python of a page of Markdown, as it stands."""
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def of_pages() -> list:
    """A test case for each piece, named by page and number."""
    return [
        pytest.param(code, id=f"{page.name}-{number}")
        for page in PAGES
        for number, code in enumerate(
            snippets(page.read_text(encoding="utf-8")), start=1
        )
    ]


@pytest.fixture
def folders(run, exported, tmp_path, monkeypatch):
    """A folder that has what the pages name, as their readers have it."""
    (tmp_path / "runs").mkdir()
    quickstart = tmp_path / "runs" / "quickstart"
    quickstart.mkdir()
    for path in pathlib.Path(run).iterdir():
        (quickstart / path.name).symlink_to(path)
    (quickstart / "export").symlink_to(exported)
    (tmp_path / "DIR").symlink_to(exported)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("code", of_pages())
def test_page(code, folders):
    if EXCUSE in code:
        pytest.skip(EXCUSE)
    exec(compile(code, "<snippet>", "exec"), {"__name__": "snippet"})


def test_card(exported, folders):
    codes = snippets((exported / "README.md").read_text(encoding="utf-8"))
    assert len(codes) == 6
    for code in codes:
        exec(compile(code, "<snippet>", "exec"), {"__name__": "snippet"})


def test_pages_have_the_snippets_that_readers_need():
    code = "\n".join(case.values[0] for case in of_pages())
    for way in ("labse.load(", "hub.KerasLayer(", "TFSMLayer(", "TFLite"):
        assert way in code
    assert snippets("text\n```python\na\n```\n```sh\nb\n```\n") == ["a\n"]
