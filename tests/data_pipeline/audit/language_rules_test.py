"""Codes of corpora, scripts, and languages that count as equal."""

import pytest

from data_pipeline.audit import language_rules as rules
from labse.languages import LABSE_LANGUAGES


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("deu", "de"),
        ("de_DE", "de"),
        ("cmn", "zh"),
        ("srp_Latn", "sr-Latn"),
        ("nob", "nb"),
        ("und", "und"),
        ("not a code", "not a code"),
    ],
)
def test_tags(code, tag):
    assert rules.tag_of(code) == tag


@pytest.mark.parametrize(
    ("tag", "scripts"),
    [
        ("de", {"Latn"}),
        ("el", {"Grek"}),
        ("ja", {"Kana", "Hani"}),
        ("zh-Hant", {"Hani"}),
        ("ru", {"Cyrl"}),
        ("sr", {"Cyrl"}),
        ("sr-Latn", {"Latn"}),
        ("nb", {"Latn"}),
        ("und", set()),
        ("ber", set()),
    ],
)
def test_scripts(tag, scripts):
    assert rules.expected_scripts(tag) == scripts


def test_all_languages_have_a_script_and_a_code():
    assert all(map(rules.expected_scripts, LABSE_LANGUAGES))
    codes = {pair.split(":")[1] for pair in rules._CODES.split()}
    assert LABSE_LANGUAGES - codes - {"ceb", "haw", "no"} == set()


def test_close_languages_count_as_equal():
    assert rules.is_same_language("hr", "bs")
    assert rules.is_same_language("pt-BR", "pt")
    assert not rules.is_same_language("de", "en")
