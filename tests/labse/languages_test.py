import pytest

from labse import languages


@pytest.mark.parametrize(
    ("locale", "tag"),
    [
        ("de", "de"),
        ("de_DE", "de"),
        ("de_CH", "de-CH"),
        ("DE-ch", "de-CH"),
        ("pt_BR", "pt-BR"),
        ("pt_PT", "pt"),
        ("cs_CZ", "cs"),
        ("ja_JP.eucJP", "ja"),
        ("es_419", "es-419"),
        ("zh_Hans", "zh-Hans"),
        ("zh_CN", "zh-Hans"),
        ("zh_SG", "zh-Hans"),
        ("zh_Hans_CN", "zh-Hans"),
        ("zh_TW", "zh-Hant"),
        ("zh-hant-tw", "zh-Hant"),
        ("zh_HK", "zh-Hant-HK"),
        ("zh", "zh"),
        ("sr", "sr"),
        ("sr_Cyrl", "sr"),
        ("sr_Latn", "sr-Latn"),
        ("sr@latin", "sr-Latn"),
        ("sr_RS@latin", "sr-Latn"),
        ("sr@Latn", "sr-Latn"),
        ("sr@ije", "sr-ijekavsk"),
        ("sh", "sr-Latn"),
        ("uz@cyrillic", "uz-Cyrl"),
        ("uz_Latn", "uz"),
        ("ca_ES.UTF-8@valencia", "ca-valencia"),
        ("ca_valencia", "ca-valencia"),
        ("be@tarask", "be-tarask"),
        ("de_DE@euro", "de"),
        ("en@quot", "en"),
        ("en_GB", "en-GB"),
        ("iw", "he"),
        ("no", "nb"),
        ("ckb", "ckb"),
        (" de ", "de"),
    ],
)
def test_language_tag_of_a_locale(locale, tag):
    assert languages.language_tag(locale) == tag


@pytest.mark.parametrize("tag", ["de-CH", "zh-Hant-HK", "ca-valencia"])
def test_a_tag_is_its_own_tag(tag):
    assert languages.language_tag(tag) == tag


@pytest.mark.parametrize(
    "word", ["", "d", "django", "LC_MESSAGES", "de_", "de@klingon", "de DE"]
)
def test_other_words_are_no_locale(word):
    assert languages.language_tag(word) is None


@pytest.mark.parametrize(
    ("tag", "parent"),
    [
        ("es-MX", "es"),
        ("zh-Hant-HK", "zh-Hant"),
        ("ca-valencia", "ca"),
        ("zh-Hant", None),
        ("sr-Latn", None),
        ("es", None),
    ],
)
def test_a_region_has_a_parent_and_a_script_has_none(tag, parent):
    assert languages.parent_tag(tag) == parent


def test_primary_language():
    assert languages.primary_language("zh-Hant-HK") == "zh"
    assert languages.primary_language("zh") == "zh"


def test_known_languages_are_not_folders_of_programmers():
    assert languages.is_known_language("is")
    assert languages.is_known_language("sr-Latn")
    assert languages.is_known_language("hsb")
    for folder in ("po", "src", "lib", "app", "web", "doc"):
        assert not languages.is_known_language(folder), folder
