"""What the steps of cleaning have in common."""

from typing import Protocol

from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Dropped, Drops


class Step(Protocol):
    """One decision about a document; a step is picklable.

    Attributes:
      name: as users give it and reports show it.
    """

    name: str

    def apply(self, document: Document, drops: Drops) -> None:
        """Rewrites `document.lines`; without lines the document is gone."""


class LineRule:
    """A step that decides about each line by itself."""

    name: str

    def reason_to_drop(self, line: str, language: str) -> str | None:
        """Why a line is dropped; None: it is kept."""
        raise NotImplementedError

    def apply(self, document: Document, drops: Drops) -> None:
        """Drops lines."""
        kept = []
        for line in document.lines:
            reason = self.reason_to_drop(line, document.language)
            if reason is None:
                kept.append(line)
            else:
                drop_line(self.name, reason, document, line, drops)
        document.lines = kept


class PageRule:
    """A step that decides about a page or article as a whole.

    Texts that stand alone pass: one sentence is no page of too few.
    """

    name: str

    def reason_to_drop(self, document: Document) -> str | None:
        """Why a page is dropped; None: it is kept."""
        raise NotImplementedError

    def apply(self, document: Document, drops: Drops) -> None:
        """Drops a page."""
        if document.is_page and document.lines:
            reason = self.reason_to_drop(document)
            if reason is not None:
                drop_document(self.name, reason, document, drops)


def drop_line(
    step: str, reason: str, document: Document, line: str, drops: Drops
) -> None:
    """Counts one line of a document."""
    drops.add(Dropped(step, reason, document.language, line, document.place))


def drop_document(
    step: str, reason: str, document: Document, drops: Drops
) -> None:
    """Counts each line of a document, and takes them all."""
    for line in document.lines:
        drop_line(step, reason, document, line, drops)
    document.lines = []
