"""Rules on the lines of a text, before it is split into sentences.

C4 is Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a
Unified Text-to-Text Transformer" (https://jmlr.org/papers/v21/20-074.html),
section 2.2; where its text leaves a rule open, the code that made C4 decides:
https://github.com/tensorflow/datasets, text/c4_utils.py.
"""

import re

from data_pipeline.cleaning.steps.step import LineRule, drop_line
from data_pipeline.cleaning.steps.width import is_wide
from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Drops
from data_pipeline.sentences.terminators import (
    ends_sentence,
    ends_sentences_with_marks,
)

# Of the paper, section 3.1, footnote 6: lines of less than 10 or more than
# 5000 characters are removed.
MIN_CHARACTERS = 10
MAX_CHARACTERS = 5000
MIN_WORDS = 3  # C4's, in JMLR; the code and later versions on arXiv have 5.
# What three words of English take, with the spaces between them: in the New
# Testament 15.7.
MIN_WORDS_WIDTH = 16


class Length(LineRule):
    """Drops lines that are too short or too long.

    Footnote 6 of the paper. For the lower limit, characters of Chinese,
    Japanese and Korean count as `width` says.
    """

    def __init__(
        self,
        name: str = "length",
        min_characters: int = MIN_CHARACTERS,
        max_characters: int = MAX_CHARACTERS,
    ):
        """Takes the step's name, because sentences have the rule as well."""
        self.name = name
        self._least, self._most = min_characters, max_characters
        self._short = f"fewer than {min_characters} characters"
        self._long = f"more than {max_characters} characters"

    def reason_to_drop(self, line: str, language: str) -> str | None:
        """See the base class."""
        if len(line) > self._most:
            return self._long
        return None if is_wide(line, self._least) else self._short


class CitationMarks:
    """Takes [1], [edit] and [citation needed] out of lines.

    C4: "some of the scraped pages were sourced from Wikipedia and had citation
    markers; we removed any such markers". A line of nothing else is dropped.
    """

    name = "citation_marks"
    _MARKS = re.compile(r"\[(?:\d*|edit|citation needed)\]")

    def apply(self, document: Document, drops: Drops) -> None:
        """See `Step`."""
        kept = []
        for line in document.lines:
            rest = self._MARKS.sub("", line).strip() if "[" in line else line
            if rest:
                kept.append(rest)
            else:
                drop_line(self.name, "nothing else", document, line, drops)
        document.lines = kept


class Javascript(LineRule):
    """Drops lines with the word Javascript.

    C4: "many of the scraped pages contained warnings stating that Javascript
    should be enabled".
    """

    name = "javascript"

    def reason_to_drop(self, line: str, language: str) -> str | None:
        """See the base class."""
        return "has javascript" if "javascript" in line.lower() else None


class Policies(LineRule):
    """Drops notices of policies and cookies.

    C4: "many pages had boilerplate policy notices, so we removed any lines
    containing the strings ...". Those are English. Other languages have the
    word cookie from English, and use it for nothing to eat.
    """

    name = "policies"
    _ENGLISH = re.compile(
        "terms of use|privacy policy|cookie policy|uses cookies|use of cookies"
        "|use cookies"
    )
    _OTHER = re.compile(rf"{_ENGLISH.pattern}|\bcookies?\b")

    def reason_to_drop(self, line: str, language: str) -> str | None:
        """See the base class."""
        lower = line.lower()
        if "cookie" not in lower and "policy" not in lower:
            return "terms of use" if "terms of use" in lower else None
        is_english = language == "und" or language.startswith("en")
        found = (self._ENGLISH if is_english else self._OTHER).search(lower)
        return found and found[0]


class TerminalPunctuation(LineRule):
    """Drops lines that do not end as a sentence does.

    C4: "we only retained lines that ended in a terminal punctuation mark",
    here those of all scripts. An ellipsis is none, as in C4's code. Lines of
    languages that end sentences without a mark, such as Thai, are kept.
    """

    name = "terminal_punctuation"

    def reason_to_drop(self, line: str, language: str) -> str | None:
        """See the base class."""
        if ends_sentence(line, language):
            return None
        if not ends_sentences_with_marks(language):
            return None
        return "no mark at the end"


class Words(LineRule):
    """Drops lines of few words from pages.

    C4: "only retained lines that contained at least 3 words". A line with as
    much text as three words of English passes as well: in Chinese or Thai no
    spaces tell words, and Zulu or Malayalam says in half as many words what
    English does. A text that stands alone passes: two words may be a sentence,
    and only in a page are they mostly a button.
    """

    name = "words"

    def apply(self, document: Document, drops: Drops) -> None:
        """See `Step`."""
        if document.is_page:
            super().apply(document, drops)

    def reason_to_drop(self, line: str, language: str) -> str | None:
        """See the base class."""
        if is_wide(line, MIN_WORDS_WIDTH) or len(line.split()) >= MIN_WORDS:
            return None
        return f"fewer than {MIN_WORDS} words"
