"""Reports as one HTML page that needs nothing else: no script, no network.

A report's template extends `html_page.html.j2`, which has the style. Jinja
escapes all texts of the data; only charts are inserted as markup.
"""

import os
from xml.etree import ElementTree

import jinja2

from labse.files.atomic_write import write_text


def write_page(path: str | os.PathLike, template: str, **values) -> None:
    """Writes the page of a template of this package, atomically."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("data_pipeline", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.1f}"
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["svg"] = lambda element: ElementTree.tostring(
        element, encoding="unicode"
    )
    page = environment.get_template(template).render(**values)
    write_text(path, page + "\n")
