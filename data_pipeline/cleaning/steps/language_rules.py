"""The language of a document, and its sentences of other languages.

As in C4 (Raffel et al. 2020, section 2.2) and FineWeb2 (Penedo et al. 2025,
https://arxiv.org/abs/2506.20920) a page has one language, because a model sees
it more surely in a page than in a sentence. A sentence that is surely of
another language is dropped, and not given to that language: what stands in
another language on a page is mostly a menu, a name or a quotation.
"""

import functools

from data_pipeline.cleaning.steps.step import drop_document, drop_line
from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Drops
from data_pipeline.language_id.answer_rates import read_answer_rates
from data_pipeline.language_id.identifier import Identified, LanguageIdentifier
from data_pipeline.language_id.scripts import SCRIPT_LANGUAGES
from labse.files.reading import UNKNOWN_LANGUAGE
from labse.languages import primary_language

_MOST_CHARACTERS = 4096  # of a document that are looked at
# Languages that are written so alike that a text of one often passes for one
# of another.
_CLOSE = (
    frozenset({"bo", "dz"}),
    frozenset({"bs", "hr", "sr", "sh"}),
    frozenset({"da", "nb", "nn", "no"}),
    frozenset({"id", "ms"}),
)
# The probability from which on a declared language is not believed. Of good
# sentences, this drops 0.2 to 1.0 % (docs/cleaning.md).
_SURE = 0.98
_ANOTHER = "in another language"
_SHORT_LINE = 10  # characters; menus have many, often in English


class DocumentLanguage:
    """Gives a document its language, or drops it.

    A language that is declared stays, unless the identifier knows that
    language and is sure of another one: then a text that stands alone is
    dropped, and a page gets the other language, since pages declare what their
    template says. A document without a language is dropped.
    """

    name = "document_language"

    def __init__(self, identifier: LanguageIdentifier):
        """Takes what identifies a text."""
        self._identifier = identifier

    def apply(self, document: Document, drops: Drops) -> None:
        """See `Step`."""
        if not document.lines:
            return
        found = self._identifier.identify(_sample(document.lines))
        if document.language == UNKNOWN_LANGUAGE:
            document.language = found.language
            if found.language == UNKNOWN_LANGUAGE:
                drop_document(self.name, "not identified", document, drops)
        elif contradicts(document.language, found):
            if document.is_page:
                document.language = found.language
            else:
                drop_document(self.name, _ANOTHER, document, drops)


class SentenceLanguage:
    """Drops sentences that are surely of another language than the document.

    A text of one sentence has been looked at as a document.
    """

    name = "sentence_language"

    def __init__(self, identifier: LanguageIdentifier):
        """Takes what identifies a text."""
        self._identifier = identifier

    def apply(self, document: Document, drops: Drops) -> None:
        """See `Step`."""
        if len(document.lines) < 2:
            return
        kept = []
        for line in document.lines:
            found = self._identifier.identify(line)
            if contradicts(document.language, found):
                drop_line(self.name, _ANOTHER, document, line, drops)
            else:
                kept.append(line)
        document.lines = kept


def _sample(lines: list[str]) -> str:
    """The first lines that are not short, or all if there are none."""
    parts, size = [], 0
    for line in [one for one in lines if len(one) >= _SHORT_LINE] or lines:
        parts.append(line[: _MOST_CHARACTERS - size])
        size += len(parts[-1])
        if size >= _MOST_CHARACTERS:
            break
    return "\n".join(parts)


def contradicts(language: str, found: Identified) -> bool:
    """Whether a text of one language was identified as surely another."""
    if found.language == UNKNOWN_LANGUAGE or found.confidence < _SURE:
        return False
    first, second = primary_language(language), primary_language(found.language)
    if first == second or first not in _known_languages():
        return False
    return not any(first in group and second in group for group in _CLOSE)


@functools.cache
def _known_languages() -> frozenset[str]:
    """Those that the identifier could have named."""
    return frozenset(
        primary_language(language)
        for rates in read_answer_rates().values()
        for language in rates
    ) | {*map(primary_language, SCRIPT_LANGUAGES.values())}
