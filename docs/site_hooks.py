"""What `make docs` adds to MkDocs: pages from outside docs/, and a check.

The pages are Markdown files of the root and the notebooks of examples/, with
their outputs as they were saved. The check fails the build where the API
reference shows a name without a docstring.
"""

import json
import pathlib
import re
import textwrap

import griffe
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[1]
# Files of the root that are pages as well.
PAGES = {
    "BUILD_NOTES.md": "build_notes.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
REFERENCE = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
RETURNS = re.compile(r"^Returns:\n((?:[ ].*\n?|\n)+)", re.MULTILINE)


class ReturnsAsText(griffe.Extension):
    """Shows what a function returns as written: a type is in its signature."""

    def on_function(self, *, func, **_):
        """Makes the section "Returns" a paragraph."""
        if func.docstring:
            func.docstring.value = RETURNS.sub(
                lambda found: f"**Returns:** {textwrap.dedent(found[1])}",
                func.docstring.value,
            )


def on_files(files, config):
    """Adds the pages whose text is not in docs/."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text("utf-8")
        # Links of a file of the root start there.
        text = text.replace("](docs/", "](")
        for other, its_page in PAGES.items():
            text = text.replace(f"]({other}", f"]({its_page}")
        files.append(File.generated(config, page, content=text))
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        page = f"notebooks/{path.stem}.md"
        content = notebook_page(path)
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown, page, **_):
    """Checks the names of an API page; fixes links out of docs/."""
    for name in REFERENCE.findall(markdown):
        check_docstrings(name, page.file.src_uri)
    for root_page, its_page in PAGES.items():
        markdown = markdown.replace(f"](../{root_page}", f"]({its_page}")
    return markdown


def check_docstrings(name: str, page: str) -> None:
    """Raises PluginError where a public name has no docstring."""
    shown = griffe.load(name, search_paths=[str(ROOT)])
    members = shown.members.values() if shown.is_class else ()
    for found in (shown, *members):
        has_own = found.is_function or found.is_class
        is_shown = found.is_public and not found.is_special
        if has_own and is_shown and not found.has_docstring:
            raise PluginError(f"{page}: {found.path} has no docstring")


def notebook_page(path: pathlib.Path) -> str:
    """A notebook as Markdown, its outputs below the code that made them."""
    notebook = json.loads(path.read_text("utf-8"))
    # In a search, the guides come first.
    parts = ["---\nsearch:\n  boost: 0.3\n---"]
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        language = "python"
        if source.startswith("%%bash"):
            language, source = "sh", source.partition("\n")[2]
        parts.append(_fenced(source, language))
        parts += filter(None, map(_output, cell["outputs"]))
    first = f"The notebook: `examples/{path.name}`."
    return "\n\n".join([*parts, first]) + "\n"


def _output(output: dict) -> str:
    """One output of a cell; a picture, or else its text."""
    if output.get("name") == "stderr":
        return ""
    data = output.get("data", {})
    if "image/png" in data:
        picture = data["image/png"].replace("\n", "")
        return f"![Output](data:image/png;base64,{picture})"
    if output["output_type"] == "error":
        raise PluginError(f"A notebook was saved with {output['ename']}")
    text = "".join(output.get("text", data.get("text/plain", "")))
    return _fenced(text.rstrip("\n"), "text") if text.strip() else ""


def _fenced(text: str, language: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"
