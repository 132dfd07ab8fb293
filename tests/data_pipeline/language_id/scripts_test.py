"""Tests of the script of a text."""

import unicodedata

import pytest

from data_pipeline.language_id.scripts import (
    main_script,
    script_of,
    scripts_of,
    tag_in_script,
)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("hello", "Latn"),
        ("Ærø 12", "Latn"),
        ("привет all", "Cyrl"),
        ("日本の家", "Kana"),
        ("한국 漢字漢字", "Hang"),
        ("中文 ABC", "Latn"),
        ("中文字体 ABC", "Hani"),
        ("12 + 3 = ?", ""),
        ("", ""),
        ("\u16a0\u16a1", ""),  # runes are not listed
    ],
)
def test_main_script(text, script):
    assert main_script(text)[0] == script


def test_the_share_of_the_script():
    assert main_script("абвг ab") == ("Cyrl", 4 / 6)


def test_scripts_agree_with_the_names_of_characters():
    names = {
        "Cyrl": "CYRILLIC",
        "Grek": "GREEK",
        "Arab": "ARABIC",
        "Deva": "DEVANAGARI",
        "Latn": "LATIN",
        "Khmr": "KHMER",
        "Orya": "ORIYA",
        "Tibt": "TIBETAN",
        "Ethi": "ETHIOPIC",
    }
    by_name = {name: script for script, name in names.items()}
    checked = 0
    for code in range(0xE000):
        letter = chr(code)
        word = unicodedata.name(letter, "").split(" ")[0]
        if letter.isalpha() and word in by_name:
            found = script_of(letter)
            if found:
                assert found == by_name[word], hex(code)
                checked += 1
    assert checked > 2500


def test_scripts_that_tags_name():
    assert tag_in_script("sr", "Latn") == "sr-Latn"
    assert tag_in_script("sr", "Cyrl") == "sr"
    assert tag_in_script("de", "Latn") == "de"
    assert scripts_of("sr") == {"Cyrl"}
    assert scripts_of("sr-Latn") == {"Latn"}
    assert scripts_of("uk") == {"Cyrl"}
    assert scripts_of("de") == {"Latn"}
