from pathlib import PurePosixPath

import pytest

from data_pipeline.gettext import header_language


def language_of(path, header=""):
    return header_language.catalogue_language(PurePosixPath(path), header)


@pytest.mark.parametrize(
    ("path", "header", "language"),
    [
        ("locale/pt_BR/LC_MESSAGES/x.po", "", "pt-BR"),
        ("locale/sr_Latn/LC_MESSAGES/x.po", "sr@latin", "sr-Latn"),
        # Where the run-time looks counts more than what the file says.
        ("locale/de/LC_MESSAGES/x.po", "fr", "de"),
        ("locale/xyz/LC_MESSAGES/x.po", "", "xyz"),
        ("locale/template/LC_MESSAGES/x.po", "de", "de"),
        # So does a name that is a locale.
        ("po/zh_CN.po", "", "zh-Hans"),
        ("po/de.po", "fr", "de"),
        ("fr/de.po", "fr", "de"),
        ("po/ca_ES.UTF-8@valencia.gmo", "", "ca-valencia"),
        ("po/pt_br.po", "", "pt-BR"),
        ("po/pt_br.po", "de", "pt-BR"),
        # "et" is Estonian, but am_et is Amharic as it is spoken in Ethiopia.
        ("po/am_et.po", "", "am"),
        ("po/de_DE_formal.po", "", "de"),
        # Parts of a name.
        ("x-de.po", "", "de"),
        ("gedit.master.de.po", "", "de"),
        ("evolution.main.ca@valencia.po", "", "ca-valencia"),
        ("plugin-de_DE.po", "", "de"),
        ("plugin-de_DE_formal.mo", "", "de"),
        ("wp-content-5.3-pt_BR.po", "pt", "pt-BR"),
        ("strings_de.po", "", "de"),
        ("app_zh_cn.po", "", "zh-Hans"),
        ("app-zh-Hans.po", "", "zh-Hans"),
        ("app.de.po", "", "de"),
        ("de.app.po", "", "de"),
        ("my-de.po", "", "de"),
        ("my-de.po", "de", "de"),
        ("my-de.po", "my", "my-DE"),
        ("app-it.po", "", "it"),
        ("my.plugin.po", "de", "de"),
        ("check_in.po", "de", "de"),
        ("check_in.po", "id", "id"),
        # Folders.
        ("de/x.po", "", "de"),
        ("de_CH/x.po", "de", "de-CH"),
        ("my/project.po", "my", "my"),
        ("values-de/strings.po", "", "de"),
        ("values-pt-rBR/strings.po", "", "pt-BR"),
        ("values-b+sr+Latn/strings.po", "", "sr-Latn"),
        ("de.lproj/x.po", "", "de"),
        ("de/app_it.po", "it", "it"),
        # The header alone.
        ("src/x.po", "pt_BR", "pt-BR"),
    ],
)
def test_clear(path, header, language):
    assert language_of(path, header) == (language, "")


@pytest.mark.parametrize(
    ("path", "header", "why"),
    [
        ("src/x.po", "", "neither its name nor its header has a language"),
        ("src/x.po", "--", "neither its name nor its header has a language"),
        ("src/x.po", "German", "neither its name nor its header has"),
        ("locale/template/LC_MESSAGES/x.po", "", "neither its name"),
        ("my-plugin.po", "", "neither its name"),
        ("my.plugin.po", "", "neither its name"),
        ("check_in.po", "", "neither its name"),
        ("test_in/x.po", "", "neither its name"),
        ("strings_BR.po", "", "neither its name"),
        # "my" may be Burmese or mine.
        ("my/project.po", "de", "its folder says my, its header says de"),
        ("strings_de.po", "fr", "its name says de, its header says fr"),
        ("de/app_it.po", "", "its name says it, its folder says de"),
    ],
)
def test_unclear(path, header, why):
    language, found = language_of(path, header)
    assert language is None
    assert found.startswith(why)


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("de/LC_MESSAGES/x.po", "de"),
        ("de.po", "de"),
        ("pt_BR.po", "pt-BR"),
        ("my-de.po", None),
        ("de/x.po", None),
        ("app.de.po", None),
    ],
)
def test_what_the_path_alone_says_for_sure(path, language):
    assert header_language.sure_language(PurePosixPath(path)) == language
