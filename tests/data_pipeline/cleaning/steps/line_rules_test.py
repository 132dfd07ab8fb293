import pytest

from data_pipeline.cleaning.steps.line_rules import (
    CitationMarks,
    Javascript,
    Length,
    Policies,
    TerminalPunctuation,
    Words,
)
from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Drops


def apply(step, lines, language="en"):
    """The lines that are left, and (reason, text) of the others."""
    document, dropped = Document(lines, "a.txt:1", language), []
    step.apply(document, Drops(dropped.append))
    assert all(one.step == step.name for one in dropped)
    assert all(one.language == language for one in dropped)
    assert all(one.place == "a.txt:1" for one in dropped)
    return document.lines, [(one.reason, one.text) for one in dropped]


def test_length_keeps_ten_to_five_thousand_characters():
    kept, dropped = apply(Length(), ["a" * 9, "b" * 10, "c" * 5000, "d" * 5001])
    assert kept == ["b" * 10, "c" * 5000]
    assert dropped == [
        ("fewer than 10 characters", "a" * 9),
        ("more than 5000 characters", "d" * 5001),
    ]


def test_length_counts_a_chinese_character_as_three():
    # 3 x 3 + 1 = 10; 3 x 3 = 9; kana 4 x 2 + 1 = 9.
    kept, _ = apply(Length(), ["\u6211\u5403\u996d.", "\u6211\u5403\u996d"])
    assert kept == ["\u6211\u5403\u996d."]
    kept, _ = apply(Length(), ["\u3042\u3044\u3046\u3048."])
    assert kept == []


def test_citation_marks_go_and_other_brackets_stay():
    kept, dropped = apply(
        CitationMarks(),
        ["One[1] two[citation needed] three [sic].[edit]", "[2]"],
    )
    assert kept == ["One two three [sic]."]
    assert dropped == [("nothing else", "[2]")]


def test_javascript():
    kept, dropped = apply(
        Javascript(), ["Please enable JavaScript now.", "We sell coffee."]
    )
    assert kept == ["We sell coffee."]
    assert dropped[0][0] == "has javascript"


@pytest.mark.parametrize(
    ("line", "language", "reason"),
    [
        ("Read our Terms of Use first.", "en", "terms of use"),
        ("See the Privacy Policy.", "de", "privacy policy"),
        ("This site uses cookies.", "en", "uses cookies"),
        ("She bakes cookies.", "en", None),
        ("She bakes cookies.", "und", None),
        ("Diese Seite verwendet Cookies.", "de", "cookies"),
        ("Our policy is to be kind.", "en", None),
    ],
)
def test_policies(line, language, reason):
    kept, dropped = apply(Policies(), [line], language)
    assert kept == ([] if reason else [line])
    assert [found for found, _ in dropped] == ([reason] if reason else [])


@pytest.mark.parametrize(
    ("line", "language", "is_kept"),
    [
        ("This is it.", "en", True),
        ("He said: \u201cGo!\u201d", "en", True),
        ("Main menu", "en", False),
        ("Read on...", "en", False),
        ("\u6211\u5728\u5403\u996d\u3002", "zh", True),
        ("\u092f\u0939 \u0939\u0948\u0964", "hi", True),
        # Greek asks with a semicolon; Thai ends without a mark.
        ("\u03a0\u03bf\u03cd;", "el", True),
        ("Where;", "en", False),
        ("\u0e1c\u0e21\u0e01\u0e34\u0e19\u0e02\u0e49\u0e32\u0e27", "th", True),
    ],
)
def test_terminal_punctuation(line, language, is_kept):
    kept, dropped = apply(TerminalPunctuation(), [line], language)
    assert kept == [line] * is_kept
    assert len(dropped) == 1 - is_kept


@pytest.mark.parametrize(
    ("line", "is_kept"),
    [
        ("I am he.", True),
        ("Read more.", False),
        ("Incomprehensible.", True),  # 17 characters, more than 16
        ("\u6211\u662f\u5b66\u751f\u554a\u3002", True),  # 5 x 3 + 1 = 16
        ("\u6211\u662f\u5b66\u751f\u3002", False),  # 13
    ],
)
def test_words(line, is_kept):
    kept, dropped = apply(Words(), [line])
    assert kept == [line] * is_kept
    assert [reason for reason, _ in dropped] == (
        ["fewer than 3 words"] * (1 - is_kept)
    )


def test_two_words_that_stand_alone_may_be_a_sentence():
    document = Document(["I agree."], "", "en", is_page=False)
    Words().apply(document, Drops())
    assert document.lines == ["I agree."]
