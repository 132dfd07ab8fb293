"""Text -> sentences, by rules, for all scripts.

A regular expression finds runs of marks; a few rules look at the word before
and the letter after. The time is linear, whatever the text. What the rules
find by language: docs/language_identification.md.
"""

import functools
import re

from data_pipeline.sentences.abbreviations import (
    LETTERS_AS_WORDS,
    ORDINALS,
    abbreviations,
)
from data_pipeline.sentences.terminators import (
    CJK_CLOSERS,
    CLOSERS,
    ETHIOPIC_TWO,
    LANGUAGE_MARKS,
    PLAIN_MARKS,
    SPACED_MARKS,
    TIBETAN_MARKS,
)

_PLAIN = frozenset(PLAIN_MARKS)
_TIBETAN = frozenset(TIBETAN_MARKS)
_LONGEST_WORD = 24  # that is looked at before a full stop
_LONGEST_OPENING = 8  # quotation marks and dashes before the next letter
_OPENING = re.compile(r"[\W_]*")
_LETTERS_AND_STOPS = re.compile(r"[^\W\d_]{1,3}(?:\.[-\u2010]?[^\W\d_]{1,3})+")
_ROMAN_NUMBER = re.compile("[IVX]+")
# Dutch and Afrikaans sentences that start with a small letter: 'n Man.
_CLITIC = re.compile(r"['\u2018\u2019][nstkm]\s")
# What quotes in Japanese: after it a quotation is only a part of the sentence.
_QUOTING = re.compile("[とっなの]")
# After these a shad ends a clause: "and", "if", "having done", ...
_TIBETAN_CLAUSE = re.compile("(?:^|[\\s་])(?:དང|ན|ནས|ཏེ|སྟེ|ཞིང|ཤིང|ཅིང)[་༌]?$")
# Letters that stand alone for a word or a syllable: no initials. Only after
# these, and not in numbers, is a Japanese full stop of full width an end.
_WHOLE_SYLLABLE = re.compile("[\u1100-\u11ff\u3040-\u9fff\uac00-\ud7a3]")


def split_sentences(text: str, language: str = "und") -> list[str]:
    """The sentences of a text, without the white space around them.

    Nothing but white space is lost, and no sentence is empty. The end of a line
    ends a sentence.

    Args:
      text: a paragraph.
      language: a tag; adds the language's abbreviations and marks, and whether
        it writes ordinal numbers with a full stop.
    """
    rules = _rules(language.partition("-")[0])
    sentences = []
    for line in text.splitlines():
        line = line.strip()
        start = 0
        for match in rules.candidates.finditer(line):
            if rules.ends(line, start, match):
                sentences.append(line[start : match.end()].strip())
                start = match.end()
        sentences.append(line[start:].strip())
    return [sentence for sentence in sentences if sentence]


class _Rules:
    """The rules of one language."""

    def __init__(self, language: str):
        self._abbreviations = abbreviations(language)
        self._has_ordinals = language in ORDINALS
        self._letters_as_words = LETTERS_AS_WORDS.get(language, "")
        self._own_mark = LANGUAGE_MARKS.get(language, "")
        space_before_quote = (
            " \u00a0\u202f" if language == "fr" else "\u00a0\u202f"
        )
        one_of = re.escape(SPACED_MARKS + PLAIN_MARKS + TIBETAN_MARKS)
        if self._own_mark:
            one_of += self._own_mark[0]
        mark = f"[{one_of}]"
        if self._own_mark == "::":
            mark = f"(?:{mark}|{ETHIOPIC_TWO})"
        # Every part after the first may be empty, so that the match never has
        # to go back: a run of marks is read once.
        self.candidates = re.compile(
            f"({mark}+)"
            f"(?:(?<=[\u3000-\uffff])[{re.escape(CJK_CLOSERS)})]*"
            f"|(?<![\u3000-\uffff])[{re.escape(CLOSERS)}]*"
            rf"(?:[{space_before_quote}]\u00bb)?(?:\[\d{{1,3}}\])*)"
            r"(\s*)"
        )

    def ends(self, text: str, start: int, match: re.Match) -> bool:
        """Whether the sentence that starts at `start` ends with the marks."""
        marks, space = match.groups()
        if not marks.isascii():
            if not _TIBETAN.isdisjoint(marks):
                return self._ends_tibetan(text, start, match)
            if marks == "\uff0e":
                return (
                    _WHOLE_SYLLABLE.match(text, match.start() - 1) is not None
                )
            if not _PLAIN.isdisjoint(marks) or ETHIOPIC_TWO in marks:
                return not self._quotes(text, match)
        elif self._is_half_a_mark(marks):
            return False
        if not space or not self._may_start(text, match.end()):
            return False
        has_closer = match.end(1) < match.start(2)
        if marks != "." or has_closer:
            return True
        return self._ends_at_stop(text, start, match.start())

    def _is_half_a_mark(self, marks: str) -> bool:
        """Whether `marks` has a colon in a language that ends with two."""
        own = self._own_mark
        return own != "" and own[0] in marks and own not in marks

    def _may_start(self, text: str, place: int) -> bool:
        """Whether what stands at `place` may start a sentence."""
        letter = _OPENING.match(text, place, place + _LONGEST_OPENING).end()
        if letter == len(text):
            return False
        if not text[letter].islower():
            return True
        if "\u10d0" <= text[letter] <= "\u10ff":  # Georgian has one case
            return True
        return _CLITIC.match(text, place) is not None

    def _ends_at_stop(self, text: str, start: int, stop: int) -> bool:
        """Whether a full stop at `stop` ends a sentence.

        It does not after a number that starts a list's item, an ordinal, an
        initial or an abbreviation.
        """
        words = text[max(start, stop - _LONGEST_WORD) : stop]
        if words[-1:].isspace():
            return True
        word = words.split()[-1] if words else ""
        word = word.lstrip("([{\"'\u00ab\u00bb\u2018\u201c\u201e\u2039-\u2013/")
        if word.isdigit():
            if stop - start <= 4:
                return False
            return not (self._has_ordinals and len(word) <= 2)
        if len(word) == 1:
            return self._is_word(word)
        if _LETTERS_AND_STOPS.fullmatch(word):
            return False
        if self._has_ordinals and _ROMAN_NUMBER.fullmatch(word):
            return False
        return word.lower() not in self._abbreviations

    def _is_word(self, character: str) -> bool:
        """Whether a single character is a word or a part of one: no initial."""
        return (
            not character.isalpha()
            or character in self._letters_as_words
            or _WHOLE_SYLLABLE.match(character) is not None
        )

    def _quotes(self, text: str, match: re.Match) -> bool:
        """Whether a quotation ends here, and the sentence goes on."""
        closer = text[match.end(1) : match.end(1) + 1]
        return (
            closer in tuple("\u300d\u300f")
            and _QUOTING.match(text, match.end()) is not None
        )

    def _ends_tibetan(self, text: str, start: int, match: re.Match) -> bool:
        marks, space = match.groups()
        before = text[max(start, match.start() - 8) : match.start()]
        if len(marks) == 1 and _TIBETAN_CLAUSE.search(before):
            return False
        # A second shad after a space belongs to the first.
        following = text[match.end() : match.end() + 1]
        return bool(space) and following not in _TIBETAN


@functools.lru_cache(maxsize=512)
def _rules(language: str) -> _Rules:
    return _Rules(language)
