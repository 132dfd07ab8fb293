import pytest

from data_pipeline.cleaning.steps.page_rules import (
    BadWords,
    CurlyBrackets,
    LoremIpsum,
    Sentences,
    read_bad_words,
)
from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Drops
from labse.errors import InputError


def reasons(step, lines, language="en", is_page=True):
    """Why each line was dropped; none: all were kept."""
    document, dropped = Document(list(lines), "", language), []
    document.is_page = is_page
    step.apply(document, Drops(dropped.append))
    assert document.lines == ([] if dropped else list(lines))
    return [one.reason for one in dropped]


def test_a_page_with_lorem_ipsum_goes_with_all_its_lines():
    lines = ["Some text.", "Lorem Ipsum dolor sit amet."]
    assert reasons(LoremIpsum(), lines) == ["has lorem ipsum"] * 2
    assert reasons(LoremIpsum(), lines[:1]) == []


def test_a_page_with_a_curly_bracket_goes():
    assert reasons(CurlyBrackets(), ["a { b }"]) == ["has a curly bracket"]
    assert reasons(CurlyBrackets(), ["a [ b ] }"]) == []


def test_a_text_that_stands_alone_is_no_page():
    assert reasons(CurlyBrackets(), ["a { b }"], is_page=False) == []
    assert reasons(Sentences(), ["One."], is_page=False) == []


@pytest.mark.parametrize(
    ("lines", "is_kept"),
    [
        (["It is one. It is two."], False),
        (["It is one. It is two. It is three."], True),
        (["It is one.", "It is two.", "It is three."], True),
        (["\u4e00\u3002\u4e8c\u3002\u4e09\u3002"], True),
    ],
)
def test_a_page_has_three_sentences(lines, is_kept):
    assert (reasons(Sentences(), lines) == []) == is_kept


@pytest.mark.parametrize(
    ("line", "language", "is_kept"),
    [
        ("Such a Darn thing.", "en", False),
        ("She darned it.", "en", True),
        ("He said gosh darn it.", "en", False),
        ("Such a darn thing.", "de", True),  # has a list without the word
        ("Such a darn thing.", "fr", True),  # has no list
        ("\u4e00\u574f\u8bcd\u4e8c", "zh", False),
        ("\u4e00\u574f\u8bcd\u4e8c", "zh-Hant", False),
        # The word is only a part: a vowel sign makes it another.
        ("\u0915\u0932\u093e", "hi", True),
        ("\u0915\u0932 \u0915", "hi", False),
    ],
)
def test_bad_words(line, language, is_kept):
    step = BadWords(
        {
            "en": ("darn", "gosh"),
            "de": ("mist",),
            "zh": ("\u574f\u8bcd",),
            "hi": ("\u0915\u0932",),
        }
    )
    assert (reasons(step, [line], language) == []) == is_kept


def test_lists_of_bad_words_are_files_by_language(tmp_path):
    (tmp_path / "en").write_text("Darn\n\ngosh darn\n", "utf-8")
    (tmp_path / "deu.txt").write_text("mist\n", "utf-8")
    (tmp_path / "de_AT").write_text("schas\n", "utf-8")
    (tmp_path / "README.md").write_text("no list\n", "utf-8")
    assert read_bad_words(str(tmp_path)) == {
        "en": ("darn", "gosh darn"),
        "de": ("mist", "schas"),
    }


def test_a_folder_without_lists_is_refused(tmp_path):
    with pytest.raises(InputError, match="This one has none"):
        read_bad_words(str(tmp_path))
    with pytest.raises(InputError, match="is a folder with a file of words"):
        read_bad_words(str(tmp_path / "nothing"))
