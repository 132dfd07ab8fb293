import pytest

from data_pipeline.corpora.declared_language import declared_language
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
        ("de-x-formal", "und"),
        ("simple", "en"),
        ("zh_min_nan", "nan"),
        ("be_x_old", "be-tarask"),
        ("klingon", "und"),
    ],
)
def test_tags(name, expected):
    assert declared_language(name) == expected


def test_every_code_of_three_letters_leads_to_a_known_one():
    from data_pipeline.corpora.declared_language import _TWO_LETTERS

    assert all(map(is_known_language, _TWO_LETTERS.values()))
    short = {code for code in LABSE_LANGUAGES if len(code) == 2}
    assert short - set(_TWO_LETTERS.values()) == {"no"}  # which is nb here
