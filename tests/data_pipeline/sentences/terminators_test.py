"""Tests of the marks that end sentences."""

import unicodedata

import pytest
import regex

from data_pipeline.sentences.terminators import (
    PLAIN_MARKS,
    SPACED_MARKS,
    TIBETAN_MARKS,
    ends_sentence,
    ends_sentences_with_marks,
)


@pytest.mark.parametrize(
    "line",
    [
        "It rains.",
        "Does it?  ",
        'He said "yes"',
        "„Ja.“",
        "« Oui ! »",
        "(It does.)",
        "यह घर है।",
        "یہ گھر ہے۔",
        "هل هو؟",
        "这是房子。",
        "「そうだ。」",
        "ཁྱིམ་ཡིན།",
        "ይህ ቤት ነው።",
        "នេះជាផ្ទះ។",
    ],
)
def test_lines_that_end_as_sentences_do(line):
    assert ends_sentence(line)


@pytest.mark.parametrize(
    "line",
    ["", "  ", "Home", "Read more...", "More…", "Contents:", "a, b,", "(1)",
     "房子", "घर", "...", "Home >"],
)  # fmt: skip
def test_lines_that_do_not(line):
    assert not ends_sentence(line)


def test_marks_of_one_language():
    assert ends_sentence("Πού είναι;", "el")
    assert not ends_sentence("Where;", "en")
    assert ends_sentence("እዚህ::", "am")
    assert not ends_sentence("here::", "en")
    assert ends_sentence("\u12a5\u12da\u1205\u1361\u1361", "ti")
    assert not ends_sentence("\u12a5\u12da\u1205\u1361", "ti")


def test_languages_without_marks():
    assert not ends_sentences_with_marks("th")
    assert not ends_sentences_with_marks("lo")
    assert ends_sentences_with_marks("km")
    assert ends_sentences_with_marks("en-GB")


def test_the_marks_are_unicodes_but_for_those_that_are_named():
    """By the property Sentence_Terminal, as the package `regex` has it."""
    unicodes = regex.compile(r"\p{Sentence_Terminal}")
    others = [m for m in PLAIN_MARKS + SPACED_MARKS if not unicodes.match(m)]
    assert others == ["…"]
    assert not unicodes.search(TIBETAN_MARKS)
    modern = {"ARABIC", "DEVANAGARI", "ETHIOPIC", "KHMER", "IDEOGRAPHIC"}
    for code in range(0x110000):
        mark = chr(code)
        if unicodes.match(mark) and mark not in PLAIN_MARKS + SPACED_MARKS:
            assert unicodedata.name(mark, "").split()[0:1] != modern
            assert not modern & set(unicodedata.name(mark, "").split())
