"""Documents: what readers of corpora yield and cleaning takes."""

import dataclasses

from labse.files.reading import UNKNOWN_LANGUAGE


@dataclasses.dataclass(slots=True)
class Document:
    """Text that belongs together: a page, an article or the row of a file.

    Attributes:
      lines: its paragraphs, or after splitting its sentences, in order; none
        of them is blank or has a line feed.
      place: `path:number` of the record or row, for messages.
      language: a tag of `labse.languages` that the source declares or that was
        identified; `und` where neither.
      url: of a page; empty without one.
      corpus: of a row with such a column; else empty.
      is_page: whether it is a page or an article, which rules on pages are
        for, and not a text that stands alone.
    """

    lines: list[str]
    place: str
    language: str = UNKNOWN_LANGUAGE
    url: str = ""
    corpus: str = ""
    is_page: bool = True
