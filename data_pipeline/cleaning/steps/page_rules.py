"""Rules on whole pages, by the lines that the rules on lines have left.

C4's, Raffel et al. 2020, section 2.2; see `line_rules`. The code that made C4
also looks at the lines that are left only.
"""

import os
import re
from collections.abc import Mapping

from data_pipeline.cleaning.steps.step import PageRule
from data_pipeline.corpora.declared_language import declared_language
from data_pipeline.documents import Document
from data_pipeline.sentences.splitter import split_sentences
from labse import languages
from labse.errors import InputError
from labse.files.lines import read_text_lines

# Combining marks of the scripts whose words they end.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0dff\u1000-\u109f"
MIN_SENTENCES = 3  # C4's: "fewer than 3 sentences"; that of JMLR says 5.


class LoremIpsum(PageRule):
    """Drops pages with placeholder text.

    C4: "we removed any page where the phrase 'lorem ipsum' appeared".
    """

    name = "lorem_ipsum"

    def reason_to_drop(self, document: Document) -> str | None:
        """See the base class."""
        for line in document.lines:
            if "lorem ipsum" in line.lower():
                return "has lorem ipsum"
        return None


class CurlyBrackets(PageRule):
    """Drops pages with code.

    C4: "since the curly bracket '{' appears in many programming languages but
    not in natural text, we removed any pages that contained a curly bracket".
    """

    name = "curly_brackets"

    def reason_to_drop(self, document: Document) -> str | None:
        """See the base class."""
        for line in document.lines:
            if "{" in line:
                return "has a curly bracket"
        return None


class Sentences(PageRule):
    """Drops pages of few sentences.

    C4: "we discarded any page with fewer than 3 sentences".
    """

    name = "sentences"

    def reason_to_drop(self, document: Document) -> str | None:
        """See the base class."""
        if len(document.lines) >= MIN_SENTENCES:
            return None
        found = sum(
            len(split_sentences(line, document.language))
            for line in document.lines
        )
        if found >= MIN_SENTENCES:
            return None
        return f"fewer than {MIN_SENTENCES} sentences"


class BadWords(PageRule):
    """Drops pages with a word of their language's list.

    C4: "we removed any page that contained any word on the 'List of Dirty,
    Naughty, Obscene or Otherwise Bad Words'"; as in its code, Chinese,
    Japanese and Thai words count within others, too.
    """

    name = "bad_words"
    _WITHOUT_SPACES = frozenset({"ja", "th", "zh", "lo", "km", "my", "bo"})

    def __init__(self, words: Mapping[str, tuple[str, ...]]):
        """Takes the words by language."""
        self._patterns = {
            language: self._pattern(language, found)
            for language, found in words.items()
        }

    def _pattern(self, language: str, words: tuple[str, ...]) -> re.Pattern:
        found = "|".join(
            re.escape(word) for word in sorted(words, key=len, reverse=True)
        )
        if language in self._WITHOUT_SPACES:
            return re.compile(found)
        # A vowel sign is no \w, and what it stands on is a part of a word.
        return re.compile(rf"(?<!\w)(?:{found})(?![\w{_MARKS}])")

    def reason_to_drop(self, document: Document) -> str | None:
        """See the base class."""
        language = languages.primary_language(document.language)
        pattern = self._patterns.get(language)
        if pattern is None:
            return None
        for line in document.lines:
            if pattern.search(line.lower()):
                return "has a bad word"
        return None


def read_bad_words(folder: str) -> dict[str, tuple[str, ...]]:
    """The lists of a folder, by language; pt and pt_BR are one.

    Args:
      folder: of files such as `de` or `de.txt`, a word or phrase a line, as
        the list that C4 used has them.

    Raises:
      InputError: there is no such folder, or nothing in it is such a file.
    """
    if not os.path.isdir(folder):
        raise InputError(
            "bad_words is a folder with a file of words for each language, "
            f"such as de or de.txt. Received: {folder}."
        )
    found: dict[str, set[str]] = {}
    for name in sorted(os.listdir(folder)):
        tag = declared_language(name.removesuffix(".txt"))
        if not languages.is_known_language(tag):
            continue
        lines = read_text_lines(os.path.join(folder, name))
        words = {line.strip().lower() for _, line in lines} - {""}
        if words:
            language = languages.primary_language(tag)
            found.setdefault(language, set()).update(words)
    if not found:
        raise InputError(
            f"{folder}: bad_words is a folder with a file of words for each "
            "language, such as de or de.txt. This one has none."
        )
    return {language: tuple(sorted(found[language])) for language in found}
