import pytest

from data_pipeline.cleaning.steps.language_rules import (
    DocumentLanguage,
    SentenceLanguage,
    contradicts,
)
from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Drops
from data_pipeline.language_id.identifier import Identified


class Identifier:
    """Takes the first word of a text for its language."""

    def identify(self, text):
        language, _, rest = text.partition(" ")
        return Identified(language, 0.5 if "unsure" in rest else 1.0)


def apply(step, lines, language, is_page=True):
    document, dropped = Document(lines, "", language, is_page=is_page), []
    step.apply(document, Drops(dropped.append))
    return document, [(one.reason, one.text) for one in dropped]


def test_a_document_without_a_language_gets_one():
    found, dropped = apply(
        DocumentLanguage(Identifier()), ["fr bonjour"], "und"
    )
    assert (found.language, found.lines, dropped) == ("fr", ["fr bonjour"], [])


def test_a_document_of_no_known_language_goes():
    found, dropped = apply(
        DocumentLanguage(Identifier()), ["und 1234567", "5"], "und"
    )
    assert found.lines == []
    assert dropped == [
        ("not identified", "und 1234567"),
        ("not identified", "5"),
    ]


def test_short_lines_do_not_tell_the_language():
    lines = ["en Menu", "fr une longue phrase"]
    found, _ = apply(DocumentLanguage(Identifier()), lines, "und")
    assert found.language == "fr"


@pytest.mark.parametrize(
    ("text", "is_page", "language", "is_kept"),
    [
        ("de das ist es", True, "de", True),  # a page declares what it likes
        ("de das ist es", False, "fr", False),
        ("de das ist unsure", False, "fr", True),
        ("de das ist unsure", True, "fr", True),
        ("und 123 456 789", True, "fr", True),
    ],
)
def test_a_declared_language(text, is_page, language, is_kept):
    found, dropped = apply(
        DocumentLanguage(Identifier()), [text], "fr", is_page
    )
    assert found.lines == [text] * is_kept
    assert found.language == language
    assert dropped == [("in another language", text)] * (1 - is_kept)


def test_sentences_of_another_language_go():
    lines = ["fr un", "de zwei", "de unsure", "und 3"]
    found, dropped = apply(SentenceLanguage(Identifier()), lines, "fr")
    assert found.lines == ["fr un", "de unsure", "und 3"]
    assert dropped == [("in another language", "de zwei")]


@pytest.mark.parametrize(
    ("language", "found", "is_other"),
    [
        ("fr", "de", True),
        ("zh-Hant", "zh", False),
        ("sr-Latn", "hr", False),  # close
        ("ms", "id", False),
        ("nb", "sv", True),
        ("gsw", "de", False),  # not one that can be identified
    ],
)
def test_contradicts(language, found, is_other):
    assert contradicts(language, Identified(found, 1.0)) == is_other
    assert not contradicts(language, Identified(found, 0.9))
