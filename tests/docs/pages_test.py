"""What the pages show can be run: their Python, and the flags they name."""

import importlib
import os
import pathlib
import re
import shlex

import numpy as np
import pytest

from export import export_folder
from labse.bin import cli
from labse.bin.flags.flag_set import FlagSet

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*DOCS.rglob("*.md"), *(ROOT / n for n in ("README.md", "CONTRIBUTING.md"))]
)
# Run by tests of their own, tests/docs/web_service_test.py and
# tests/export/snippets_test.py.
OTHERS = ("web_service.md", "using_a_model.md", "exported_models.md")
EXCUSE = "not run here"


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def blocks(page, language):
    text = page.read_text("utf-8")
    return re.findall(
        f"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    )


def commands(page):
    """The words of each `labse PROGRAM ...` in the page's shell code."""
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").split("\n"):
            # A comment starts with two spaces and a number sign here.
            line = line.partition("  #")[0].partition(" | ")[0]
            if line.startswith("labse "):
                yield shlex.split(line)


@pytest.fixture(scope="module")
def exported(small_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "small"
    return export_folder.export_run(str(small_run), str(out))


def with_python():
    return [
        page
        for page in PAGES
        if page.parent == DOCS
        and page.name not in OTHERS
        and blocks(page, "python")
    ]


@pytest.mark.parametrize("page", with_python(), ids=name_of)
def test_the_python_of_a_page(page, small_run, exported, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "quickstart").symlink_to(small_run)
    (tmp_path / "DIR").symlink_to(exported)
    pairs = "".join(f"the {n}\thello {n}\ten\tde\n" for n in range(120))
    header = "source\ttarget\tsource_language\ttarget_language\n"
    (tmp_path / "heldout.tsv").write_text(header + pairs)
    monkeypatch.chdir(tmp_path)
    if "import faiss" in page.read_text("utf-8"):
        pytest.importorskip("faiss")
        pytest.importorskip("sklearn")
    namespace = {"__name__": "page"}
    for block in blocks(page, "python"):
        if EXCUSE not in block:
            exec(compile(block, name_of(page), "exec"), namespace)
    vectors = namespace.get("vectors")
    if vectors is not None:
        lengths = np.linalg.norm(np.asarray(vectors), axis=1)
        np.testing.assert_allclose(lengths, 1, atol=1e-5)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_programs_and_flags_of_a_page_exist(page):
    for _, name, *words in commands(page):
        if name == "PROGRAM" or name.startswith("--"):
            continue
        assert name in cli.PROGRAMS, name
        flags = FlagSet()
        importlib.import_module(cli.PROGRAMS[name][0]).define_flags(flags)
        for word in words:
            if word.startswith("--"):
                flag = word[2:].partition("=")[0]
                known = flag in flags or flag.removeprefix("no") in flags
                assert known or flag == "help", f"labse {name} {word}"


def test_commands_are_found():
    assert sum(len(list(commands(page))) for page in PAGES) > 40
    assert with_python()


def test_files_that_the_pages_name_exist():
    """Paths of code such as labse/configs/schema.py."""
    pattern = re.compile(
        r"`((?:labse|export|data_pipeline|tests|benchmarks|examples)/[\w/.]+)`"
    )
    missing = [
        f"{name_of(page)}: {path}"
        for page in PAGES
        for path in pattern.findall(page.read_text("utf-8"))
        if not os.path.exists(ROOT / path)
    ]
    assert not missing
