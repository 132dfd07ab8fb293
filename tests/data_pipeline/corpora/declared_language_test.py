import pytest

from data_pipeline.corpora.declared_language import (
    declared_language,
    page_language,
)
from labse.languages import LABSE_LANGUAGES, is_known_language


@pytest.mark.parametrize(
    "name, expected",
    [
        ("eng", "en"),
        ("zho", "zh"),
        ("hmn", "hmn"),
        ("eng,deu", "und"),
        ("", "und"),
        ("en-US", "en"),
        ("PT_BR", "pt-BR"),
        ("fil", "tl"),
        ("no", "nb"),
        ("mul", "und"),
        ("de-x-formal", "und"),
        ("simple", "en"),
        ("zh_min_nan", "nan"),
        ("be_x_old", "be-tarask"),
        ("klingon", "und"),
    ],
)
def test_tags(name, expected):
    assert declared_language(name) == expected


@pytest.mark.parametrize(
    "name, expected",
    [
        ("pt-BR", "pt"),
        ("es-419", "es"),
        ("zh-Hant-HK", "zh"),
        ("zh_CN", "zh"),
        ("zh-yue", "yue"),
        ("sr-Latn-ME", "sr-Latn"),
        ("be-tarask", "be-tarask"),
        ("", "und"),
    ],
)
def test_tags_of_pages(name, expected):
    assert page_language(name) == expected


def test_every_code_of_three_letters_leads_to_a_known_one():
    from data_pipeline.corpora.declared_language import _SHORT_CODES

    assert all(
        is_known_language(code) or code in LABSE_LANGUAGES
        for code in _SHORT_CODES.values()
    )
    short = {code for code in LABSE_LANGUAGES if len(code) == 2}
    assert short - set(_SHORT_CODES.values()) == {"no"}  # which is nb here
