import zipfile

import polib
import pytest

from data_pipeline.gettext import catalogue_pairs
from data_pipeline.gettext.plural_forms import PluralIndices
from labse.errors import InputError

GERMANIC = "nplurals=2; plural=(n != 1);"
RUSSIAN = (
    "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && "
    "(n%100<10 || n%100>=20) ? 1 : 2);"
)
ARABIC = (
    "nplurals=6; plural=n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && "
    "n%100<=10 ? 3 : n%100>=11 && n%100<=99 ? 4 : 5;"
)
JAPANESE = "nplurals=1; plural=0;"
FRENCH = "nplurals=2; plural=(n > 1);"


def entry(source, target="", **others):
    return polib.POEntry(msgid=source, msgstr=target, **others)


def plural(source, source_plural, *forms, **others):
    return polib.POEntry(
        msgid=source,
        msgid_plural=source_plural,
        msgstr_plural=dict(enumerate(forms)),
        **others,
    )


def extract(tmp_path, catalogues, source_language="en", **options):
    """Extracts from {locale: entries or (Plural-Forms, entries)}."""
    for locale, entries in catalogues.items():
        catalogue = polib.POFile()
        catalogue.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
        if isinstance(entries, tuple):
            catalogue.metadata["Plural-Forms"], entries = entries
        catalogue.extend(entries)
        folder = tmp_path / locale / "LC_MESSAGES"
        folder.mkdir(parents=True)
        catalogue.save(str(folder / "x.po"))
    result = catalogue_pairs.extract_pairs(
        [str(tmp_path)], source_language, **options
    )
    drops = {
        name: result.counters[name]
        for name in catalogue_pairs.DROPS
        if result.counters[name]
    }
    # Whatever comes in goes out or is counted.
    assert result.counters["strings_read"] == len(result.pairs) + sum(
        drops.values()
    )
    assert result.counters["pairs_written"] == len(result.pairs)
    return result.pairs, drops


class TestEntries:
    def test_pairs_are_sorted_and_said_once(self, tmp_path):
        pairs, drops = extract(
            tmp_path,
            {
                "fr": [entry("house", "maison")],
                "de": [
                    entry("May", "Mai", msgctxt="month"),
                    entry("May", "Mai", msgctxt="month, short"),
                    entry("May", "Darf", msgctxt="is allowed"),
                    entry("hour", "Stunde"),
                ],
            },
        )
        assert pairs == [
            ("de", "May", "Darf"),
            ("de", "May", "Mai"),
            ("de", "hour", "Stunde"),
            ("fr", "house", "maison"),
        ]
        assert drops == {"duplicate": 1}

    @pytest.mark.parametrize(
        ("dropped", "reason"),
        [
            (
                entry("dog", "#-#-#-#-#  a.po  #-#-#-#-#\nHund"),
                "conflict",
            ),
            (entry("dog", "Hund", flags=["fuzzy"]), "fuzzy"),
            (entry("dog", "Hund", obsolete=True), "obsolete"),
            (entry("dog", ""), "untranslated"),
            (entry("dog", " <b></b> "), "untranslated"),
            (entry("dog", "dog"), "same_as_source"),
            (entry("&OK", "_OK"), "same_as_source"),
            (entry("%s: %d", "%s – %d"), "no_letters"),
            (entry("one", "1"), "no_letters"),
            (entry("dog", "Hund" * 3), "too_long"),
            (entry("a dog's bed", "Korb"), "too_long"),
            (entry("%s dog", "Hund"), "placeholders_differ"),
            (entry("dog", "Hund {0}"), "placeholders_differ"),
        ],
    )
    def test_what_is_dropped_is_counted(self, tmp_path, dropped, reason):
        pairs, drops = extract(
            tmp_path,
            {"de": [entry("cat", "Katze"), dropped]},
            max_characters=10,
        )
        assert pairs == [("de", "cat", "Katze")]
        assert drops == {reason: 1}

    def test_a_pair_as_long_as_allowed_stays(self, tmp_path):
        pairs, _ = extract(
            tmp_path, {"de": [entry("a" * 10, "b" * 10)]}, max_characters=10
        )
        assert len(pairs) == 1

    def test_text_is_what_a_reader_sees(self, tmp_path):
        shown = entry("&Open\n<b>%(name)s</b>", "<b>%(name)s</b>を\t開く(&O)")
        pairs, _ = extract(tmp_path, {"ja": [shown]})
        assert pairs == [("ja", "Open %(name)s", "%(name)sを 開く")]

    def test_compiled_catalogue_gives_the_same_pairs(self, tmp_path):
        catalogue = polib.POFile()
        catalogue.metadata = {
            "Content-Type": "text/plain; charset=UTF-8",
            "Plural-Forms": RUSSIAN,
        }
        catalogue.append(entry("house", "дом", msgctxt="building"))
        catalogue.append(
            plural("%d day", "%d days", "%d день", "%d дня", "%d дней")
        )
        catalogue.save_as_mofile(str(tmp_path / "ru.mo"))
        result = catalogue_pairs.extract_pairs([str(tmp_path)], "en")
        assert result.pairs == [
            ("ru", "%d day", "%d день"),
            ("ru", "%d days", "%d дней"),
            ("ru", "house", "дом"),
        ]


class TestPlurals:
    def test_one_and_many(self, tmp_path):
        pairs, drops = extract(
            tmp_path,
            {
                "ar": (ARABIC, [plural("a", "many", *"٠١٢٣٤٥")]),
                "ru": (RUSSIAN, [plural("a", "many", "день", "дня", "дней")]),
            },
        )
        # Digits are no letters: only to see which forms were taken.
        assert drops == {"no_letters": 2}
        assert pairs == [("ru", "a", "день"), ("ru", "many", "дней")]

    @pytest.mark.parametrize(
        ("header", "form_count", "indices"),
        [
            (GERMANIC, 2, (0, 1)),
            (FRENCH, 2, (0, 1)),
            (JAPANESE, 1, (0, 0)),
            (RUSSIAN, 3, (0, 2)),
            (ARABIC, 6, (1, 4)),
            # Slovenian of many years had its form for one in the second place.
            (
                "nplurals=4; plural=(n%100==1 ? 1 : n%100==2 ? 2 : "
                "n%100==3 || n%100==4 ? 3 : 0);",
                4,
                (1, 0),
            ),
            # Newer catalogues under an older header: what the run-time does.
            (GERMANIC, 3, (0, 1)),
            # Older catalogues under a newer header.
            (RUSSIAN, 2, (0, 1)),
            (RUSSIAN, 1, (0, 0)),
            (ARABIC, 4, (1, None)),
            # No header, or none that says anything.
            ("", 2, (0, 1)),
            ("", 1, (0, 0)),
            ("", 3, (None, None)),
            ("nplurals=INTEGER; plural=EXPRESSION;", 2, (0, 1)),
            ("nplurals=3; plural=(n == 1 ? 0 : ", 3, (None, None)),
            ("nplurals=2; plural=n / 0;", 2, (0, 1)),
            ("nplurals=2; plural=__import__('os');", 3, (None, None)),
            ("nplurals=2; plural=7;", 2, (0, 1)),
            (f"nplurals=2; plural={'(' * 400}n{')' * 400};", 2, (0, 1)),
        ],
    )
    def test_indices(self, header, form_count, indices):
        forms = dict.fromkeys(range(form_count), "form")
        assert PluralIndices(header).of(forms) == indices

    def test_unclear_plural_is_counted(self, tmp_path):
        pairs, drops = extract(
            tmp_path,
            {
                "xx": [plural("a", "some", "ein", "zwei", "drei")],
                "ar": (ARABIC, [plural("a", "some", *"ابجد")]),
            },
        )
        assert pairs == [("ar", "a", "ب")]
        assert drops == {"plural_unclear": 3}

    def test_language_without_plural_pairs_both_with_its_form(self, tmp_path):
        pairs, _ = extract(
            tmp_path, {"ja": (JAPANESE, [plural("%d day", "%d days", "%d日")])}
        )
        assert pairs == [("ja", "%d day", "%d日"), ("ja", "%d days", "%d日")]

    @pytest.mark.parametrize(
        ("one", "form"),
        [
            ("%(count)d day of %(name)s", "ein Tag von %(name)s"),
            ("a day of %(name)s", "%(count)d Tag von %(name)s"),
            ("%(count)d day of %(name)s", "%(count)d Tag von %(name)s"),
        ],
    )
    def test_singular_may_leave_the_number_out(self, tmp_path, one, form):
        many = "%(count)d days of %(name)s"
        forms = (form, "%(count)d Tage von %(name)s")
        pairs, _ = extract(
            tmp_path, {"de": (GERMANIC, [plural(one, many, *forms)])}
        )
        assert ("de", one, form) in pairs
        assert len(pairs) == 2

    @pytest.mark.parametrize(
        "forms",
        [
            ("ein Tag", "%(count)d Tage von %(name)s"),
            ("ein Tag von %(name)s %(other)s", "%(count)d Tage von %(name)s"),
            ("%(count)d Tag von %(name)s", "viele Tage von %(name)s"),
        ],
    )
    def test_nothing_else_may_be_left_out(self, tmp_path, forms):
        entries = [
            plural(
                "%(count)d day of %(name)s",
                "%(count)d days of %(name)s",
                *forms,
            )
        ]
        pairs, drops = extract(tmp_path, {"de": (GERMANIC, entries)})
        assert len(pairs) == 1
        assert drops == {"placeholders_differ": 1}

    @pytest.mark.parametrize(
        ("others", "reason"),
        [({"flags": ["fuzzy"]}, "fuzzy"), ({"obsolete": True}, "obsolete")],
    )
    def test_a_dropped_plural_counts_twice(self, tmp_path, others, reason):
        entries = [plural("day", "days", "Tag", "Tage", **others)]
        pairs, drops = extract(tmp_path, {"de": (GERMANIC, entries)})
        assert (pairs, drops) == ([], {reason: 2})


class TestLanguages:
    def test_variants_of_the_source_are_no_translations(self, tmp_path):
        catalogues = {
            "en": [entry("color", "Colour")],
            "en_GB": [entry("color", "colour")],
            "de": [entry("color", "Farbe")],
        }
        pairs, drops = extract(tmp_path, catalogues)
        assert pairs == [("de", "color", "Farbe")]
        result = catalogue_pairs.extract_pairs([str(tmp_path)], "en")
        assert result.counters["catalogues_in_source_language"] == 2
        result = catalogue_pairs.extract_pairs([str(tmp_path)], "de-AT")
        assert {pair[0] for pair in result.pairs} == {"en", "en-GB"}

    def test_copies_of_the_parent_s_pairs_are_dropped(self, tmp_path):
        pairs, drops = extract(
            tmp_path,
            {
                "es": [entry("mouse", "ratón"), entry("file", "archivo")],
                "es_ES": [entry("dog", "perro")],
                "es_MX": [
                    entry("mouse", "mouse del computador"),
                    entry("file", "archivo"),
                    entry("dog", "perro"),
                ],
                "sr": [entry("file", "data")],
                "sr_Latn": [entry("file", "data")],
                "zh_TW": [entry("file", "檔案")],
                "zh_HK": [entry("file", "檔案")],
            },
        )
        assert pairs == [
            ("es", "dog", "perro"),
            ("es", "file", "archivo"),
            ("es", "mouse", "ratón"),
            ("es-MX", "mouse", "mouse del computador"),
            ("sr", "file", "data"),
            ("sr-Latn", "file", "data"),
            ("zh-Hant", "file", "檔案"),
        ]
        assert drops == {"same_as_parent_locale": 3}

    def test_a_copy_stays_where_its_parent_is_not_asked_for(self, tmp_path):
        catalogues = {
            "es": [entry("file", "archivo")],
            "es_MX": [entry("file", "archivo")],
        }
        pairs, drops = extract(
            tmp_path, catalogues, target_languages=frozenset(["es-MX"])
        )
        assert pairs == [("es-MX", "file", "archivo")]
        assert drops == {}

    def test_language_asked_for_and_not_there(self, tmp_path):
        with pytest.raises(
            InputError,
            match="Received: fr, sv, which have none.*catalogues in: de, nl",
        ):
            extract(
                tmp_path,
                {"de": [entry("a", "b")], "nl": [], "en": []},
                target_languages=frozenset(["sv", "de", "fr"]),
            )

    def test_catalogue_of_an_unclear_language_is_named(self, tmp_path):
        extract(tmp_path, {"de": [entry("dog", "Hund")]})
        (tmp_path / "src").mkdir()
        path = tmp_path / "src" / "app.po"
        path.write_text('msgid "dog"\nmsgstr "chien"\n')
        result = catalogue_pairs.extract_pairs([str(tmp_path)], "en")
        assert result.pairs == [("de", "dog", "Hund")]
        assert result.unclear == [
            f"{path}: neither its name nor its header has a language"
        ]
        assert result.counters["catalogues_language_unclear"] == 1
        assert result.unclear[0] in catalogue_pairs.summary(result)
        result = catalogue_pairs.extract_pairs(
            [str(tmp_path)], "en", target_language="fr"
        )
        assert result.pairs == [("de", "dog", "Hund"), ("fr", "dog", "chien")]
        assert result.unclear == []
        assert result.counters["catalogues_language_given"] == 1

    def test_what_is_not_wanted_is_not_read(self, tmp_path):
        extract(tmp_path, {"de": [entry("dog", "Hund")]})
        for locale in ("fr", "en_GB"):
            path = tmp_path / locale / "LC_MESSAGES" / "x.po"
            path.parent.mkdir(parents=True)
            path.write_text("damaged")
        result = catalogue_pairs.extract_pairs(
            [str(tmp_path)], "en", frozenset(["de"])
        )
        assert result.pairs == [("de", "dog", "Hund")]
        assert result.malformed == []
        counters = result.counters
        assert counters["catalogues_read"] == 1
        assert counters["catalogues_not_asked_for"] == 1
        assert counters["catalogues_in_source_language"] == 1


class TestMalformed:
    def test_catalogues_are_counted_and_named(self, tmp_path):
        extract(tmp_path, {"de": [entry("dog", "Hund")]})
        paths = [tmp_path / f"{n}" / "de.po" for n in range(7)]
        for path in paths:
            path.parent.mkdir()
            path.write_text("msgid dog")
        result = catalogue_pairs.extract_pairs([str(tmp_path)], "en")
        assert result.pairs == [("de", "dog", "Hund")]
        assert result.counters["catalogues_malformed"] == 7
        assert result.malformed_share == 7 / 8
        for path, message in zip(paths, result.malformed, strict=True):
            assert message.startswith(f"{path}:1: a keyword such as msgid")
        summary = catalogue_pairs.summary(result)
        assert "        7  catalogues_malformed" in summary
        assert str(paths[4]) in summary and str(paths[5]) not in summary
        assert "and 2 more" in summary

    def test_one_of_a_wheel_does_not_stop_the_rest(self, tmp_path):
        path = tmp_path / "a.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("po/fr.po", "damaged")
            archive.writestr("po/nl.po", 'msgid "dog"\nmsgstr "hond"\n')
            archive.writestr("po/de.po", 'msgid "dog"\nmsgstr "Hund"\n')
        path.write_bytes(path.read_bytes().replace(b"hond", b"bond"))
        result = catalogue_pairs.extract_pairs([str(path)], "en")
        assert result.pairs == [("de", "dog", "Hund")]
        assert [place.split(": ")[1] for place in result.malformed] == [
            "po/fr.po:1",
            "po/nl.po",
        ]
        result = catalogue_pairs.extract_pairs(
            [str(path)], "en", exclude=["po/fr.po", "*/nl.*"]
        )
        assert result.malformed == [] and len(result.pairs) == 1
        assert result.counters["catalogues_excluded"] == 2

    def test_glob_that_matches_nothing(self, tmp_path):
        catalogues = {"de": [entry("dog", "Hund")]}
        with pytest.raises(InputError, match=r"Received: fr/\*, which match"):
            extract(tmp_path, catalogues, exclude=["fr/*"])

    def test_the_language_is_lost(self, tmp_path):
        extract(tmp_path, {"de": [entry("dog", "Hund")]})
        path = tmp_path / "fr" / "x.po"
        path.parent.mkdir()
        path.write_text("damaged")
        with pytest.raises(InputError, match=rf"de\. Not counted: {path}:1"):
            catalogue_pairs.extract_pairs(
                [str(tmp_path)], "en", frozenset(["fr"])
            )


def test_summary(tmp_path):
    extract(
        tmp_path,
        {
            "de": [entry("dog", "Hund"), entry("cat", "cat")],
            "fr": [entry("dog", "chien")],
        },
    )
    result = catalogue_pairs.extract_pairs([str(tmp_path)], "en")
    assert catalogue_pairs.summary(result).splitlines() == [
        "        2  catalogues_read",
        "        3  strings_read",
        "        1  dropped: same_as_source (the translation repeats the "
        "source)",
        "        2  pairs_written: 2 languages, 1 different sources",
        "        1  de",
        "        1  fr",
    ]


def test_catalogues_of_a_real_project():
    pytest.importorskip("django")
    result = catalogue_pairs.extract_pairs(
        ["package:django.contrib.auth"],
        "en",
        frozenset(["de", "ru", "zh-Hans"]),
    )
    assert ("de", "Password", "Passwort") in result.pairs
    assert ("ru", "Password", "Пароль") in result.pairs
    assert ("zh-Hans", "Password", "密码") in result.pairs
    assert result.unclear == []
    for language, source, target in result.pairs:
        assert language in ("de", "ru", "zh-Hans")
        for text in (source, target):
            assert text == " ".join(text.split())
